"""What the commands share: arguments whose default lies in the project's folder, and sentences for unknown options."""

from __future__ import annotations

import difflib
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from uspl.config import Config
from uspl.core import paths
from uspl.core.errors import DataError

if TYPE_CHECKING:
    from uspl.model import USPL


def in_project(says: str, default: str) -> Any:
    """An argument that is None unless given; the help tells in words what then is taken."""
    where = f"{default} in the project's folder"
    where += "" if paths.clone() else ": the one that USPL_HOME names, or the user's own"
    return tyro.conf.arg(help=says, metavar="PATH", help_behavior_hint=f"(default: {where})")


Data = Annotated[Path | None, in_project("folder in AVSBench-S4's layout", "data/sounding-shapes")]
Runs = Annotated[Path | None, in_project("where checkpoints live", "runs")]
Listed = Annotated[Path | None, tyro.conf.arg(help="ids of the VGGSound pairs to train on, one a line")]


def unknown(what: str, name: str, there: Iterable[str]) -> str:
    """One sentence: no such thing, which one may be meant, which there are.

    >>> unknown("`walk` has no parameter", "n_clps", ["seed", "n_clips"])
    '`walk` has no parameter `n_clps` (is `n_clips` meant?); there are seed, n_clips.'
    """
    there = list(there)
    near = difflib.get_close_matches(name, there, 1)
    meant = f" (is `{near[0]}` meant?)" if near else ""
    return f"{what} `{name}`{meant}; there are {', '.join(there)}."


def named_or_trained(
    checkpoint: str | Path | None, data: Path, train: Callable[[], USPL], *, device: str = "auto"
) -> USPL:
    """The model of a folder, or of an id on the hub; where none is named, the one that `train` makes of `data`."""
    from uspl.data.metadata import table_file
    from uspl.model import USPL

    if checkpoint is not None:
        return USPL.from_pretrained(checkpoint, device=device)
    if not table_file(data).is_file():
        made = "`uspl.data.sounding_shapes()` makes some"
        raise ValueError(f"`{data}` holds no clips to train on; {made}, or name a trained model with --checkpoint.")
    return train()


def exit_code(work: Callable[[], int], folder: Path, *, stopped: str = "") -> int:
    """The exit code of a script's `work` on `folder`: what ends it early is told in one sentence, without a traceback.

    2 for a refusal or a file that cannot be read or written; 130 after Ctrl-C, with `stopped` behind the sentence.
    """
    from uspl.data.prepare.jobs import Refused

    try:
        return work()
    except (Refused, DataError) as refusal:
        says, code = str(refusal), 2
    except ImportError as error:
        says, code = f"`{error.name}` is missing; `pip install 'uspl[data]'` brings it.", 2
    except OSError as error:
        says, code = f"`{error.filename or folder}` cannot be read or written: {error.strerror or error}.", 2
    except KeyboardInterrupt:
        says, code = f"Stopped; the same command goes on from here{stopped}.", 130
    print(says, file=sys.stderr)
    return code


def refusal(
    words: Sequence[str], commands: Mapping[str, Callable[..., None]], renamed: Mapping[str, Mapping[str, str]]
) -> str:
    """The sentence that refuses a command or an option that is not there, or is no more; empty where all are."""
    if not words or words[0].startswith("-"):
        return ""
    name = words[0]
    if name not in commands:
        return unknown("`uspl` has no command", name, commands)
    known = list(_options(commands[name]))
    for word in words[1:]:
        option = word.partition("=")[0].replace("_", "-")
        if not option.startswith("--") or option in ("--", "--help"):
            continue
        if option in renamed.get(name, {}):
            return f"`{option}` of `uspl {name}` is named `{renamed[name][option]}`; write that."
        if option not in known and option.replace("--no-", "--", 1) not in known:
            return unknown(f"`uspl {name}` has no option", option, known)
    return ""


def _options(command: Callable[..., None]) -> Iterable[str]:
    """Those of one command, the fields of its `Config` at the end."""
    plain, fields = inspect.unwrap(getattr(command, "func", command)), tuple[str, ...]()
    for name, hint in typing.get_type_hints(plain, include_extras=True).items():
        told = getattr(hint, "__metadata__", ())
        if told and hint.__origin__ is Config:
            fields = tuple(Config.__dataclass_fields__)
        elif name != "return" and not any(mark is tyro.conf.Positional for mark in told):
            yield f"--{name.replace('_', '-')}"
    yield from (f"--{field.replace('_', '-')}" for field in fields)
