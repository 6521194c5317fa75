"""The project works from any folder, and from a wheel: nothing is made, or looked for, where one happens to stand."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest

from tests.helpers.models import TINY
from tests.helpers.values import ROOT
from uspl.data import sounding_shapes

pytestmark = pytest.mark.slow


def ask(folder: Path, *command: str | Path, **variables: str) -> str:
    """What a command answers to a user who stands in a folder."""
    unset = {"USPL_HOME", "PYTHONPATH"}
    env = {k: v for k, v in os.environ.items() if k not in unset} | {"OMP_NUM_THREADS": "1"} | variables
    done = subprocess.run(list(map(str, command)), cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done.stdout


def lies(folder: Path) -> set[str]:
    """Names in a folder, and in its `notebooks`; caches of Python and of the tests aside."""
    found = {p.relative_to(folder).as_posix() for part in (".", "notebooks") for p in (folder / part).glob("*")}
    return {name for name in found if not name.rpartition("/")[2].startswith((".", "__"))}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A USPL_HOME whose set says that it is as large as a chapter wants it."""
    folder = tmp_path_factory.mktemp("home")
    root = sounding_shapes(folder / "data" / "sounding-shapes", train=32, val=2, test=1, workers=1, progress=False)
    marker = root / "sounding_shapes.json"
    told = json.loads(marker.read_text())
    marker.write_text(json.dumps(told | {"counts": dict.fromkeys(told["counts"], 9999)}))
    return folder


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chapter 04 until its model is there: parameters, imports, the cell that makes, trains and opens."""
    chapter = nbformat.read(ROOT / "notebooks" / "04_random_walk.ipynb", as_version=4)
    code = [k for k, cell in enumerate(chapter.cells) if cell.cell_type == "code"]
    chapter.cells = chapter.cells[: code[2] + 1]
    assert "train_or_load(" in chapter.cells[-1].source
    path = tmp_path_factory.mktemp("chapter") / "04_random_walk.ipynb"
    nbformat.write(chapter, path)
    return path


@pytest.mark.parametrize("where", ["root", "notebooks", "an empty folder"])
def test_papermill_makes_nothing_where_it_is_called(where: str, home: Path, beginning: Path, tmp_path: Path) -> None:
    folder = {"root": ROOT, "notebooks": ROOT / "notebooks"}.get(where, tmp_path / "empty")
    folder.mkdir(exist_ok=True)
    before, around = lies(folder), lies(folder.parent)
    out = tmp_path / "out.ipynb"
    ask(folder, sys.executable, "-m", "papermill", "--no-progress-bar", beginning, out, USPL_HOME=str(home))
    assert lies(folder) == before
    assert not (lies(folder.parent) - around) & {"data", "runs", "results"}
    assert len(list((home / "runs").glob("full-*"))) == 1
    ran = nbformat.read(out, as_version=4)
    assert str(home) not in str([c.outputs for c in ran.cells if c.cell_type == "code"])


def test_chapter_07_finds_the_records_of_the_clone(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    chapter = ROOT / "notebooks" / "08_ablations.ipynb"
    ask(folder, sys.executable, "-m", "papermill", "--no-progress-bar", chapter, tmp_path / "out.ipynb")
    assert not list(folder.iterdir())
    assert str(ROOT) not in (tmp_path / "out.ipynb").read_text().partition('"papermill": {')[0]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, and beside it what is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = ask(
        ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard", "uspl", "*.toml", "LICENSE", "README.md"
    )
    for name in filter(os.path.isfile, (ROOT / name for name in listed.splitlines())):
        copy = folder / "source" / Path(name).relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, copy)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    ask(folder, *pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, folder / "source")
    venv.create(folder / "venv", symlinks=True)
    programs = folder / "venv" / "bin"
    (site,) = (folder / "venv" / "lib").glob("*/site-packages")
    (site / "beside.pth").write_text("\n".join(p for p in sys.path if Path(p).name == "site-packages"))
    (built,) = folder.glob("*.whl")
    ask(folder, *pip, "--python", programs / "python", "install", "--no-deps", "--no-index", built)
    shutil.rmtree(folder / "source")
    return programs


def test_a_wheel_makes_trains_and_marks(wheel: Path, tmp_path: Path) -> None:
    folder, mine = tmp_path / "empty", {"XDG_DATA_HOME": str(tmp_path / "mine"), "HOME": str(tmp_path)}
    folder.mkdir()
    python = wheel / "python"
    where = ask(folder, python, "-c", "import uspl; print(uspl.__file__)", **mine)
    assert Path(where.strip()).is_relative_to(wheel.parent)
    words = "from uspl.experiments.paper import grid, grid_runner; print(len(grid.read()), grid_runner.PAGE.is_file())"
    assert ask(folder, python, "-c", words, **mine) == "9 True\n"
    made = f"sounding_shapes({str(tmp_path / 'set')!r}, train=8, val=2, test=2, workers=1)"
    ask(folder, python, "-c", f"from uspl.data import sounding_shapes; {made}", **mine)
    small = TINY | {"warmup_epochs": 1, "epochs": 1}
    options = [word for k, v in small.items() for word in (f"--{k.replace('_', '-')}", *str(v).strip("()").split(", "))]
    assert "val_m" in ask(folder, python, "-m", "uspl", "train", "--data", tmp_path / "set", *options, **mine)
    (model,) = tmp_path.glob("mine/**/runs/full-*")
    film = next((tmp_path / "set" / "raw_videos" / "test").rglob("*.mp4"))
    marked = tmp_path / "marked.mp4"
    says = ask(folder, wheel / "uspl", "run", film, "-o", marked, "--checkpoint", model, **mine)
    assert says.startswith(f"{marked}: ")
    assert marked.stat().st_size > 1000
    assert not list(folder.iterdir())
