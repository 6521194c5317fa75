"""What `import uspl` offers: the committed list, found when it is asked for, and nothing loaded before."""

import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import uspl
from tests.helpers.values import ROOT

NAMES = json.loads(Path(__file__).with_name("api.json").read_text())


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_public_names_are_those_of_the_list() -> None:
    assert sorted(uspl.__all__) == sorted(NAMES)
    assert dir(uspl) == sorted(uspl.__all__)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_a_name_leads_to_what_it_names(name: str) -> None:
    found = getattr(uspl, name)
    assert found.__name__ == name
    assert found.__module__.startswith("uspl.")
    assert inspect.getdoc(found)


def test_the_version_is_the_projects() -> None:
    assert uspl.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_nothing_heavy_is_imported_before_it_is_asked_for() -> None:
    found = python(
        "import sys, uspl; print([m for m in ('torch', 'numpy', 'matplotlib', 'numba') if m in sys.modules])"
    )
    assert found == "[]"
    found = python("import sys; from uspl import Config; Config.paper(); print('torch' in sys.modules)")
    assert found == "False"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'uspl' has no attribute 'Localiser'"):
        uspl.Localiser  # noqa: B018


def test_python_m_uspl_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "uspl", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "usage: uspl" in done.stdout
    assert (
        uspl.__version__
        in subprocess.run(
            [sys.executable, "-m", "uspl", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    )
