"""Section 4.2: scoring protocols by name. No two protocols share a column.

`protocol` says what one is, `avsbench`, `vggss` and `slavc` hold what each does, and `scorer` runs them over clips and
puts floor, ceiling and interval beside each number.
"""

import re
from collections.abc import Callable

from uspl.evaluation import avsbench, slavc, vggss
from uspl.evaluation.protocol import Protocol, Threshold

_KNOWN: dict[tuple[str, str], Callable[..., Protocol]] = {
    ("avsbench", "plain"): avsbench.avsbench,
    ("avsbench", "t"): avsbench.avsbench,
    ("avsbench-batch", "n"): avsbench.avsbench_batch,
    ("vggss-half", "plain"): vggss.half,
    ("vggss-half-strict", "plain"): vggss.half_strict,
    ("vggss-absolute", "t"): vggss.absolute,
    ("vggss-minmax", "plain"): vggss.minmax,
    ("vggss-minmax", "t"): vggss.minmax,
    ("vggss-adaptive", "plain"): vggss.adaptive,
    ("slavc-extended", "plain"): slavc.extended,
    ("slavc-extended", "t"): slavc.extended,
}


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
    found = re.fullmatch(r"([a-z-]+)(?:\(([^()]*)\))?", name.strip())
    base, given = (found[1], found[2]) if found else (name, None)
    kind = "plain" if given is None else "n" if base == "avsbench-batch" else "t"
    if (base, kind) not in _KNOWN:
        raise ValueError(f"`protocol` must be one of {', '.join(names())}; got {name!r}.")
    build = _KNOWN[base, kind]
    if kind == "plain":
        return build(name, None)
    if kind == "n":
        if not str(given).isdecimal() or int(str(given)) < 1:
            raise ValueError(f"`avsbench-batch(n)` needs a whole number of videos from 1; got {given!r}.")
        return build(name, int(str(given)))
    if given == "val" and base != "slavc-extended":
        if threshold is None:
            raise ValueError(f"`{name}` needs a threshold that was chosen on validation; see `choose_threshold`.")
        return build(name, threshold.value, threshold)
    try:
        t = float(str(given))
    except ValueError:
        t = 0.0
    if not 0 < t < 1:
        raise ValueError(f"`{base}(t)` needs a threshold in (0, 1), or `val`; got {given!r}.")
    return build(name, t)


def names() -> list[str]:
    """Every name that `named` knows, with the letter of its argument."""
    return [base if kind == "plain" else f"{base}({kind})" for base, kind in _KNOWN]
