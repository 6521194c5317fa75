"""Where data, runs and results lie: found from the project, never from the working directory."""

import os
from pathlib import Path

import platformdirs

_ABOVE = Path(__file__).resolve().parents[2]


def clone() -> Path | None:
    """The checkout that this package runs from, an editable install for instance; None for one from a wheel."""
    return _ABOVE if (_ABOVE / "pyproject.toml").is_file() and (_ABOVE / "notebooks").is_dir() else None


def home() -> Path:
    """The project's folder: the environment variable USPL_HOME, else the clone, else one of the user's own.

    Raises:
        ValueError: USPL_HOME is a file, or says no absolute path.
    """
    named = os.environ.get("USPL_HOME", "")
    if not named:
        return clone() or platformdirs.user_data_path("uspl", appauthor=False)
    folder = Path(named).expanduser()
    if not folder.is_absolute():
        raise ValueError(
            f"`USPL_HOME` must be an absolute path; got `{named}`: name the folder from the root, or unset it."
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`USPL_HOME` must be a folder; got the file `{named}`: name a folder, or unset it.")
    return folder


def data_folder(given: str | Path | None = None, name: str = "sounding-shapes") -> Path:
    """`given` as it is, relative to the working directory; None is the project's `data/<name>`."""
    return home() / "data" / name if given is None else Path(given)


def runs_folder(given: str | Path | None = None) -> Path:
    """`given` as it is; None is the project's `runs`, where checkpoints live."""
    return home() / "runs" if given is None else Path(given)


def results_folder(given: str | Path | None = None, below: str = "") -> Path:
    """`given` as it is; None is the project's `results/<below>`, where records are written."""
    return home() / "results" / below if given is None else Path(given)


def records_folder(given: str | Path | None = None) -> Path:
    """`given` as it is; None is the `results` that the book quotes: those of the clone, else of the project's folder.

    Raises:
        ValueError: there is none.
    """
    if given is not None:
        return Path(given)
    folder = (clone() or home()) / "results"
    if not folder.is_dir():
        raise ValueError(
            f"`{folder}` is missing: the records that the book quotes come with a clone, not with a wheel."
        )
    return folder


def told(path: str | Path) -> str:
    """A path for records and pages: from the project's folder where it lies in it, so that it names no machine."""
    path = Path(path)
    return (path.relative_to(home()) if path.is_relative_to(home()) else path).as_posix()
