"""Names of VGGSound clips, `<YouTube id>_<start second, six digits>`: those that almost fit, and those known broken."""

import re
from collections.abc import Collection, Iterable

# Reported as damaged in the packed copies that go round, so a second download of the same copy is of no use.
BROKEN = frozenset({"l6q7shFb8zs_000041", "EktPRpYX9KI_000038"})
_ID = re.compile(r"(?=([A-Za-z0-9_-]{11}))")  # wherever in a name an id may begin


def broken(id: str) -> str:
    """What to add to the fault of a clip that is known to be broken; empty for the others."""
    return "; this clip is known to be broken in the mirrors" if id in BROKEN else ""


def lookalikes(wanted: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """For each wanted clip, a name that holds the id of its video, if there is one.

    >>> lookalikes(["zpWuikVorYg_000032"], ["cat.mp4", "vid_zpWuikVorYg_32_42.mp4"])
    {'zpWuikVorYg_000032': 'vid_zpWuikVorYg_32_42.mp4'}
    """
    clips: dict[str, list[str]] = {}
    for clip in wanted:
        clips.setdefault(clip[:11], []).append(clip)
    found: dict[str, str] = {}
    for name in there:
        for id in _ID.findall(name):
            for clip in clips.get(id, ()):
                found.setdefault(clip, name)
    return found


def misfit(wanted: Collection[str], there: Collection[str]) -> str:
    """How names look of which none fits.

    >>> misfit(["zpWuikVorYg_000032"], ["a_b", "zpWuikVorYg_32"])
    '0 of 1 names fit; yours look like `zpWuikVorYg_32`, the list has `zpWuikVorYg_000032`'
    """
    first = f"0 of {len(wanted):,} names fit"
    if not there:
        return f"{first}; there is none"
    clip, name = next(iter(lookalikes(wanted, there).items()), (min(wanted), min(there)))
    return f"{first}; yours look like `{name}`, the list has `{clip}`"
