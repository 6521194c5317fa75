"""The files around the library tell one story: dependencies, targets, licence, nothing of one machine."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # where conda-forge has another name
LOOKS = {"myst-nb", "pydata-sphinx-theme", "sphinx", "sphinx-book-theme"}  # pinned though indirect: they draw the page


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def runtime() -> dict[str, Requirement]:
    return {r.name: r for r in map(Requirement, project()["dependencies"])}


def everything() -> dict[str, Requirement]:
    """Without `uspl[data]`: an extra that another one includes."""
    extras = [Requirement(line) for lines in project()["optional-dependencies"].values() for line in lines]
    return runtime() | {r.name: r for r in extras if r.name != project()["name"]}


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def tracked() -> list[Path]:
    """Files of the repository: what git tracks, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_conda_installs_the_same_package() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [line for line in environment["dependencies"] if isinstance(line, str)]
    assert environment["dependencies"][-1] == {"pip": ["-e .[dev,book]"]}
    assert environment["channels"] == ["conda-forge"]
    assert f"python{project()['requires-python']}" in plain
    wanted = {CONDA.get(r.name, r.name) + str(r.specifier) for r in runtime().values()}
    assert wanted == set(plain) - {"pip", "make", f"python{project()['requires-python']}"}


def test_every_dependency_is_pinned_once_within_its_bound() -> None:
    assert set(pins()) == set(everything()) | LOOKS
    for name, requirement in everything().items():
        assert Version(pins()[name]) in requirement.specifier, f"{requirement} and {name}=={pins()[name]}."
        assert not Version(pins()[name]).local, "A build tag such as +cpu belongs to one machine."
    assert list(pins()) == sorted(pins())


def test_every_dependency_has_a_lower_bound() -> None:
    for requirement in everything().values():
        assert any(s.operator == ">=" for s in requirement.specifier), f"{requirement} has no lower bound."


def test_versions_that_are_known_to_fail_are_left_out() -> None:
    wanted = everything()
    for name, version in (("av", "16.0.0"), ("onnxscript", "0.5.7"), ("ipywidgets", "8.1.9"), ("yt-dlp", "2025.10.22")):
        assert version not in wanted[name].specifier, name
    assert wanted["yt-dlp"].extras == {"default"}


def test_extras_repeat_nothing() -> None:
    names = [Requirement(line).name for lines in project()["optional-dependencies"].values() for line in lines]
    assert len(names) == len(set(names) - set(runtime()))


def test_versions_agree() -> None:
    version = project()["version"]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version} " in (ROOT / "CHANGELOG.md").read_text()


def test_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = ["README.md", "CONTRIBUTING.md", *(f"book/{p.name}" for p in (ROOT / "book").glob("*.md"))]
    for page in pages:
        text = (ROOT / page).read_text()
        named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)\b", text, re.MULTILINE))
        assert named <= targets, f"{page} names {sorted(named - targets)}."


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {line.split()[1] for line in done.stdout.splitlines()} == targets


def test_paths_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text()
    named = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"`((?:book|uspl|results|data_scripts)/[\w./]*)`", text)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_nothing_of_one_machine() -> None:
    hosts = (
        "py" + "pi.org",
        "python" + "hosted",
        "registry." + "npmjs",
        "deb." + "debian",
        "download." + "pytorch.org/whl",
    )
    places = tuple(f"/{name}/" for name in ("work", "root", "home"))
    pattern = re.compile("|".join(map(re.escape, (*hosts, *places))))
    for path in tracked():
        if path.suffix not in {".npz", ".png", ".mp4", ".safetensors"}:
            found = pattern.search(path.read_text(errors="ignore"))
            assert not found, f"{path.relative_to(ROOT)} holds {found[0]!r}." if found else ""


def test_files_are_small() -> None:
    """1 MiB; the weights of a model that comes with the library 6 MB."""
    sizes = {p.relative_to(ROOT).as_posix(): p.stat().st_size for p in tracked()}
    shipped = r"uspl/shipped/\w+/model\.safetensors"
    large = {name: n for name, n in sizes.items() if n > (6e6 if re.fullmatch(shipped, name) else 2**20)}
    assert not large, f"Too large: {large}."


def code() -> list[Path]:
    """Every Python file but the tests."""
    rooms = ("uspl", "benchmarks", "book", "data_scripts")
    return [p for p in tracked() if p.suffix == ".py" and p.relative_to(ROOT).parts[0] in rooms]


def test_files_fit_on_a_page() -> None:
    lines = {p.relative_to(ROOT).as_posix(): len(p.read_text().splitlines()) for p in code()}
    assert {"uspl/walk.py", "benchmarks/run.py", "book/build.py", "data_scripts/check.py"} <= set(lines)
    assert not {name: count for name, count in lines.items() if count > 260}


def test_functions_fit_on_a_screen() -> None:
    """60 lines without the docstring."""
    long = {}
    for path in code():
        for f in [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]:
            says = f.body[0] if ast.get_docstring(f) else None
            lines = f.end_lineno - f.lineno + 1 - (says.end_lineno - says.lineno + 1 if says else 0)
            if lines > 60:
                long[f"{path.relative_to(ROOT)}: {f.name}"] = lines
    assert not long


def test_the_library_neither_prints_nor_plots() -> None:
    for path in (ROOT / "uspl").rglob("*.py"):
        text, room = path.read_text(), path.relative_to(ROOT / "uspl").parts[0]
        assert room == "cli" or not re.search(r"^\s*print\(", text, re.MULTILINE), f"uspl/{path.name} prints."
        assert room == "viz" or "matplotlib" not in text, f"uspl/{path.name} plots."


def test_weights_are_never_unpickled() -> None:
    for path in [p for p in tracked() if p.suffix == ".py"]:
        for call in re.findall(r"torch\.load\([^\n]*", path.read_text()):
            assert "weights_only=True" in call or path == Path(__file__), f"{path.name}: {call}"


@pytest.mark.parametrize("name", ["uspl train --help", "uspl evaluate --help", "uspl run --help"])
def test_command_line_answers(name: str) -> None:
    program = shutil.which("uspl", path=str(Path(sys.executable).parent))
    assert program, "`uspl` is not installed; `make install` installs it."
    done = subprocess.run([program, *name.split()[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
