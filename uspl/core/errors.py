"""The one exception for bad data."""

from pathlib import Path


class DataError(ValueError):
    """Bad data. `file` is the file's name, `reason` says what is wrong with it.

    >>> str(DataError("a.mp4", "has no sound track"))
    '`a.mp4` has no sound track.'
    """

    def __init__(self, file: str | Path, reason: str) -> None:
        super().__init__(f"`{file}` {reason}.")
        self.file, self.reason = str(file), reason

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, str]]:
        return DataError, (self.file, self.reason)
