"""May scores on a data folder stand beside published ones, and on how many clips?"""

from typing import NamedTuple

from uspl.data.folder import MARKERS

AVSBENCH = {"train": 3452, "val": 740, "test": 740}  # videos
VGGSS = {"test": 5158}  # pairs
SECONDS = 5  # frames of an AVSBench-S4 video
CATEGORIES = frozenset(
    [
        *("baby_laughter", "female_singing", "male_speech"),
        *("dog_barking", "cat_meowing", "lions_roaring", "horse_clip-clop", "coyote_howling", "mynah_bird_singing"),
        *("playing_acoustic_guitar", "playing_tabla", "playing_violin"),
        *("playing_piano", "playing_ukulele", "playing_glockenspiel"),
        *("helicopter", "race_car", "driving_buses", "ambulance_siren"),
        *("typing_on_computer_keyboard", "chainsawing_trees", "cap_gun_shooting", "lawn_mowing"),
    ]
)
V1S = "v1s of AVSBench-semantic"
OFFICIAL = {"AVSBench-S4": AVSBENCH, "VGG-SS": VGGSS, V1S: AVSBENCH}


class Comparability(NamedTuple):
    """`sentence` says if scores are `comparable` with published ones; `scored` of `wanted` test clips are there."""

    comparable: bool
    scored: int
    wanted: int
    sentence: str


def which(categories: set[str], *, embedded: str = "") -> str:
    """The set that a table in AVSBench-S4's layout describes: the embedded one that is named, or by its categories."""
    if embedded:
        return embedded
    return "AVSBench-S4" if categories and categories <= CATEGORIES else "another set"


def compare_with_published(
    name: str, listed: dict[str, int], complete: dict[str, int], lost: frozenset[str] = frozenset()
) -> Comparability:
    """One sentence from the counts.

    Args:
        name: as `which` gives it, "VGG-SS", or "VGGSound" for pairs without a list of test clips.
        listed: clips per split that the table lists.
        complete: clips per split of which every file can be read.
        lost: categories of AVSBench-S4 that the table does not list.

    >>> compare_with_published("AVSBench-S4", AVSBENCH, AVSBENCH).sentence
    'Scores on this folder are comparable with published AVSBench-S4 numbers: all 740 test videos are there.'
    """
    scored, wanted = complete.get("test", 0), listed.get("test", 0)
    if name == "AVSBench-S4":
        return _published(name, "videos", AVSBENCH, listed, complete, lost)
    if name == "VGG-SS":
        return _published(name, "pairs", VGGSS, listed, complete, lost)
    if name == "VGGSound":
        text = "Which of these pairs belong to VGG-SS cannot be said without its box file: name it with --boxes."
        return Comparability(False, 0, VGGSS["test"], text)
    there = f"{scored:,} of {wanted:,} test videos are there" if wanted else "it lists no test video"
    if name == V1S:
        says = "the videos of AVSBench-S4 with other masks; numbers published on AVSBench-S4 do not compare"
        text = f"This is {name}, {says}: {there}"
    elif name in MARKERS:
        text = f"Not AVSBench-S4 but {name}; compare only with this repository's records: {there}"
    else:
        text = f"Neither AVSBench-S4 nor an embedded set; no published number compares with scores on it: {there}"
    return Comparability(False, scored, wanted, text + ("." if scored == wanted else "; evaluate with --partial."))


def _published(
    name: str,
    what: str,
    official: dict[str, int],
    listed: dict[str, int],
    complete: dict[str, int],
    lost: frozenset[str],
) -> Comparability:
    scored, wanted = complete.get("test", 0), official["test"]
    reasons = []
    if listed.get("test", 0) > wanted:
        reasons.append(f"{listed['test']:,} test {what} are listed, the published list has {wanted:,}")
    elif scored < wanted:
        rest = "evaluate with --partial" if scored else "there is nothing to evaluate"
        reasons.append(f"{wanted - scored:,} of {wanted:,} test {what} are missing or unreadable; {rest}")
    if lost:
        reasons.append(f"{len(lost)} of {len(CATEGORIES)} categories are not listed")
    head = f"Scores on this folder are{' not' if reasons else ''} comparable with published {name} numbers: "
    text = head + ("; ".join(reasons) or f"all {wanted:,} test {what} are there")
    short = official.get("train", 0) - complete.get("train", 0)
    if short > 0 and not reasons:
        text += f"; for training, {short:,} of {official['train']:,} {what} are missing or unreadable"
    return Comparability(not reasons, scored, wanted, text + ".")
