"""What a data folder holds, lacks and hides: behind `uspl check` and data_scripts/check.py."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from uspl.audit import checksums, packed
from uspl.audit.clip_report import ClipReport, pair, video
from uspl.audit.comparability import CATEGORIES, OFFICIAL, SECONDS, V1S, compare_with_published, which
from uspl.audit.folder_report import FolderReport, Split
from uspl.audit.near_duplicates import BITS, LIMIT, near_duplicates
from uspl.core.errors import DataError
from uspl.core.files import present
from uspl.data.folder import MARKERS, embedded_set
from uspl.data.layouts.clip_names import misfit
from uspl.data.layouts.recognise import recognise
from uspl.data.metadata import TABLE, is_semantic, listed, reasons, refusal, table_file


def examine(
    root: str | Path, *, boxes: str | Path | None = None, written: str | Path | None = None, progress: bool = False
) -> FolderReport:
    """Read every file that the layout of a folder promises.

    Args:
        root: a folder in AVSBench-S4's layout (`s4_meta_data.csv`, `s4_data/`), or in that of VGGSound (`frames/`,
            `audio/`).
        boxes: for VGGSound's layout, the file that names the test clips: VGG-SS's JSON, or ids, one a line;
            None takes `vggss.json` where the folder holds it.
        written: list of checksums to compare with, as `checksums.listing` writes it.
        progress: show a progress bar on stderr.

    Raises:
        DataError: the folder has neither layout, or the table, `boxes` or `written` cannot be read.
    """
    home = Path(root)
    before = checksums.read(written) if written is not None else None
    if table_file(home).is_file():
        found = _avsbench(home, progress)
    elif (home / "frames").is_dir() and (home / "audio").is_dir():
        found = _vggsound(home, boxes, progress)
    else:
        raise DataError(home, _told(home, progress))
    if before is not None:
        found.changed = checksums.changes(found.files, before)
    return found


def _told(home: Path, progress: bool) -> str:
    """What a folder is that is not read, or what was expected instead."""
    says = recognise(home) or f"holds no data set: {_expected(home)}"
    archives = packed.parts(home)
    return f"{says}; {packed.told(archives, progress=progress)}" if archives else says


def _expected(home: Path) -> str:
    layouts = f"{TABLE} and s4_data (AVSBench-S4), or frames and audio (VGGSound), were expected"
    if not home.is_dir():
        return f"{layouts}; there is no such folder"
    names = sorted(path.name + "/" * path.is_dir() for path in home.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{layouts}; it holds {', '.join(names[:5]) + more if names else 'nothing'}"


def _avsbench(home: Path, progress: bool) -> FolderReport:
    lines, told = listed(home), reasons(home)
    if not lines:
        raise DataError(table_file(home), "lists no clips")
    categories = {line.category for line in lines if not line.refusal}
    kind = V1S if is_semantic(home) else which(categories, embedded=embedded_set(home))
    seconds = _seconds(home, kind)
    jobs = [
        partial(video, home, line, seconds, told.get((line.split, line.category, line.name), ""))
        for line in dict.fromkeys(lines)
    ]
    patients = list(_all(jobs, progress))
    times = Counter(lines)
    for patient, line in zip(patients, dict.fromkeys(lines), strict=True):
        if times[line] > 1:
            patient.add("odd", f"is listed {times[line]} times")
    lost = CATEGORIES - {line.category for line in lines} if kind == "AVSBench-S4" else frozenset()
    table = table_file(home)
    files = {table.name: checksums.of(table)}
    return _diagnosis(kind, patients, files, lost)


def _seconds(home: Path, kind: str) -> int:
    """Frames that a clip should have: 5 in AVSBench-S4, as made in our own set, in another as most clips have."""
    if kind in MARKERS:
        marker = home / MARKERS[kind]
        try:
            return int(json.loads(marker.read_text())["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(marker, f"is no marker of {kind}") from error
    if kind in ("AVSBench-S4", V1S):
        return SECONDS
    folders = (home / "s4_data" / "visual_frames").glob("*/*/*")
    many = Counter(sum(file.suffix == ".png" for file in folder.iterdir()) for folder in folders if folder.is_dir())
    return many.most_common(1)[0][0] if many else SECONDS


def _vggsound(home: Path, boxes: str | Path | None, progress: bool) -> FolderReport:
    own = home / "vggss.json"
    file = Path(boxes) if boxes is not None else own if own.is_file() else None
    test = _ids(file) if file is not None else []
    held = {
        path.stem for folder, end in (("frames", ".jpg"), ("audio", ".wav")) for path in (home / folder).glob(f"*{end}")
    }
    train = sorted(held - set(test), key=os.fsencode)
    if not train and not test:
        raise DataError(home, "holds no frames/<id>.jpg and no audio/<id>.wav")
    jobs = [partial(pair, home, split, id) for split, ids in (("train", train), ("test", test)) for id in ids]
    kind = "VGG-SS" if file is not None else "VGGSound"
    found = _diagnosis(kind, list(_all(jobs, progress)), {}, frozenset())
    if test and held and held.isdisjoint(test):
        found.verdict = found.verdict._replace(sentence=f"{found.verdict.sentence} {misfit(test, held)}.")
    return found


def _ids(file: Path) -> list[str]:
    """Test ids of VGG-SS's box file, or of a list with one id a line."""
    try:
        text = present(file).read_text(encoding="utf-8-sig")
        ids = [str(e["file"]) for e in json.loads(text)] if text.lstrip().startswith("[") else text.split()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(file, 'is no JSON list of {"file", "class", "bbox"}, and no list of ids') from error
    for id in ids:
        if reason := refusal(id):
            raise DataError(file, reason)
    return list(dict.fromkeys(ids))


def _all(jobs: Sequence[Callable[[], ClipReport]], progress: bool) -> Iterator[ClipReport]:
    """Files are read by threads: what takes the time leaves the interpreter free."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = pool.map(lambda job: job(), jobs)
        yield from tqdm(results, total=len(jobs), desc="examining", unit="clip", disable=not progress)


def _diagnosis(kind: str, patients: list[ClipReport], files: dict[str, str], lost: frozenset[str]) -> FolderReport:
    _compare(patients)
    splits: dict[str, Split] = {}
    for one in patients:
        split = splits.setdefault(one.split, Split(one.split, OFFICIAL.get(kind, {}).get(one.split)))
        split.clips += 1
        split.complete += one.complete
        split.counts += one.counts
        split.faults += [(fault, one.name, reason) for fault, reason in one.faults]
        files |= one.files
    listed, complete = ({s.name: getattr(s, what) for s in splits.values()} for what in ("clips", "complete"))
    return FolderReport(kind, list(splits.values()), compare_with_published(kind, listed, complete, lost), files)


def _compare(patients: list[ClipReport]) -> None:
    """Note each clip outside the training split that has a frame like one inside."""
    trained = {one.name for one in patients if one.split == "train"}
    owners: dict[bool, list[ClipReport]] = {True: [], False: []}
    hashes: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for one in patients:
        if one.split != "train" and one.name in trained:
            one.add("twin", "is listed in the split train as well")
        owners[one.split == "train"] += [one] * len(one.hashes)
        hashes[one.split == "train"] += one.hashes
    if not hashes[True] or not hashes[False]:
        return
    best: dict[int, tuple[int, ClipReport, ClipReport]] = {}
    for i, j, bits in near_duplicates(np.stack(hashes[False]), np.stack(hashes[True])):
        here, there = owners[False][i], owners[True][j]
        best[id(here)] = min(best.get(id(here), (LIMIT + 1, here, there)), (bits, here, there), key=lambda b: b[0])
    for bits, here, there in best.values():
        here.add("twin", f"looks like train/{there.name}: {bits} of {BITS} bits differ, {LIMIT} are the limit")
