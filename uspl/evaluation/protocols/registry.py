"""Section 4.2: scoring protocols by name. No two protocols share a column.

`base` says what one is, `avsbench`, `vggss` and `slavc` hold what each does, and `scorer` runs them over clips and
puts floor, ceiling and interval beside each number.
"""

import re

from uspl.evaluation.protocols import avsbench, slavc, vggss
from uspl.evaluation.protocols.base import Entry, Protocol, Threshold

ENTRIES: tuple[Entry, ...] = (*avsbench.ENTRIES, *vggss.ENTRIES, *slavc.ENTRIES)  # one tuple a family, in its file


def named(name: str, threshold: Threshold | None = None) -> Protocol:
    """The protocol of a name such as "vggss-half" or "vggss-absolute(0.4)".

    Args:
        name: from `names()`; "(val)" stands for a threshold that was chosen on validation.
        threshold: what "(val)" means.

    Raises:
        ValueError: an unknown name, or an argument outside its range.

    >>> named("vggss-half").rule.split(":")[0]
    'cIoU on the higher half of the pixels'
    """
    entry, given = _parsed(name)
    if given is None:
        return entry.build(name, None, None)
    if entry.argument == "n":
        if not given.isdecimal() or int(given) < 1:
            raise ValueError(f"`{entry.base}(n)` needs a whole number of videos from 1; got {given!r}.")
        return entry.build(name, int(given), None)
    if given == "val" and entry.chosen:
        if threshold is None:
            raise ValueError(f"`{name}` needs a threshold that was chosen on validation; see `choose_threshold`.")
        return entry.build(name, threshold.value, threshold)
    try:
        t = float(given)
    except ValueError:
        t = 0.0
    if not 0 < t < 1:
        raise ValueError(f"`{entry.base}(t)` needs a threshold in (0, 1), or `val`; got {given!r}.")
    return entry.build(name, t, None)


def names() -> list[str]:
    """Every name that `named` knows, with the letter of its argument."""
    return [f"{entry.base}({entry.argument})" if entry.argument else entry.base for entry in ENTRIES]


def asks_validation(name: str) -> str | None:
    """The base of a name whose threshold validation chooses, such as "vggss-absolute(val)"; None of any other name."""
    entry, given = _parsed(name)
    return entry.base if given == "val" and entry.chosen else None


def _parsed(name: str) -> tuple[Entry, str | None]:
    found = re.fullmatch(r"([a-z-]+)(?:\(([^()]*)\))?", name.strip())
    base, given = (found[1], found[2]) if found else (name, None)
    for entry in ENTRIES:
        if entry.base == base and bool(entry.argument) == (given is not None):
            return entry, given
    raise ValueError(f"`protocol` must be one of {', '.join(names())}; got {name!r}.")
