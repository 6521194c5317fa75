"""Where a training stands, and whether a person looks at its progress."""

import os
from typing import NamedTuple


class TrainingProgress(NamedTuple):
    """Where a training stands."""

    joint: bool  # Eq. 11, after the warm-up
    delta: float  # share of locations that are hidden
    progress: float  # share of the phase that is over, in [0, 1)


def has_kernel() -> bool:
    """Whether somebody sits before a live notebook (papermill, nbval and the book have nobody)."""
    hosts = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")
    return os.environ.get("USPL_STATIC") != "1" and any(h in os.environ for h in hosts)
