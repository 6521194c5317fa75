"""The rooms of the library: an import may only go down, inside a function too; no circle; no room too large."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.values import ROOT

LIBRARY = ROOT / "uspl"
# From the roof to the ground; what stands beside one another may not import from one another.
FLOORS = """cli > experiments > video > viz > baselines > train > evaluation > inference > audit > data > model
> segment, pretrained, walk > affinity, refine, align, pmv_aff > encoders > maps, gate > media > metrics, kernels, audio
> config > presets, core"""
HEIGHT = {room: -floor for floor, line in enumerate(FLOORS.split(">")) for room in line.strip().split(", ")}
FRONT_DOOR = {"__init__", "__main__"}  # hands on what the rooms hold
NEVER = {  # a package -> the rooms that may import it
    "matplotlib": {"viz"},
    "IPython": {"viz"},
    "tyro": {"cli"},
    "jinja2": {"viz"},
    "librosa": {"audio"},
    "pebble": {"data"},
    "pooch": {"encoders"},
    "papermill": {"experiments"},
    "av": {"media", "data", "video"},  # the generators of films too
    "PIL": {"media", "data", "audit", "video", "viz"},
}


def modules(library: Path) -> dict[str, Path]:
    """Dotted name below the library -> file."""
    names = {".".join(p.relative_to(library).with_suffix("").parts): p for p in library.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def imports(path: Path, known: set[str]) -> Iterator[tuple[str, int]]:
    """Modules that a file imports, wherever in it, with the line; of the library below its own name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((a.name.removeprefix("uspl."), node.lineno) for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "uspl":
            inside = node.module.removeprefix("uspl").removeprefix(".")
            for a in node.names:
                whole = f"{inside}.{a.name}".removeprefix(".")
                yield (whole if whole in known else inside), node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.lineno


def climbs(library: Path, heights: dict[str, int]) -> list[str]:
    """A sentence for each arrow that does not go down."""
    known, found = modules(library), []
    for name, path in known.items():
        room = name.split(".")[0]
        if room in FRONT_DOOR:
            continue
        for target, line in imports(path, set(known)):
            other = target.split(".")[0]
            if other in heights and other != room and heights[other] >= heights[room]:
                where = path.relative_to(library.parent)
                found.append(f"`{where}`, line {line}, imports `uspl.{target}`, which does not stand below it.")
    return found


def test_every_module_has_a_floor() -> None:
    rooms = {name.split(".")[0] for name in modules(LIBRARY)} - FRONT_DOOR
    assert rooms == set(HEIGHT)


def test_imports_only_go_down() -> None:
    assert not climbs(LIBRARY, HEIGHT)


def test_an_import_that_climbs_is_named(tmp_path: Path) -> None:
    room = tmp_path / "uspl" / "core"
    room.mkdir(parents=True)
    (room / "files.py").write_text("def f():\n    from uspl.data import batch\n")
    (room.parent / "data").mkdir()
    (room.parent / "data" / "batch.py").write_text("from uspl.core import files\n")
    says = "`uspl/core/files.py`, line 2, imports `uspl.data.batch`, which does not stand below it."
    assert climbs(tmp_path / "uspl", {"core": 0, "data": 1}) == [says]


def test_there_is_no_circle() -> None:
    """Within a room too."""
    known = modules(LIBRARY)
    arrows = {name: {t for t, _ in imports(path, set(known)) if t in known} for name, path in known.items()}
    arrows = {name: {t for t in to if not name.startswith(f"{t}.")} for name, to in arrows.items() if name}
    while free := [name for name, to in arrows.items() if not to & arrows.keys()]:
        for name in free:
            del arrows[name]
    assert not arrows, f"These import one another: {', '.join(sorted(arrows))}."


@pytest.mark.parametrize("package", NEVER)
def test_only_some_rooms_import(package: str) -> None:
    known = modules(LIBRARY)
    rooms = {n.split(".")[0] for n, p in known.items() if any(t.split(".")[0] == package for t, _ in imports(p, set()))}
    assert rooms <= NEVER[package]


def test_rooms_are_small() -> None:
    sizes = Counter(p.parent.relative_to(ROOT).as_posix() for p in LIBRARY.rglob("*.py") if p.name[:2] != "__")
    del sizes["uspl/baselines"]  # a file for each method
    assert max(sizes.values()) <= 13, sizes.most_common(3)
