"""The images: what the workflow and the development containers ask of the Dockerfile is there."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.helpers.values import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
STAGES = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE))
ARGUMENTS = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
CONTAINERS = sorted((ROOT / ".devcontainer").rglob("devcontainer.json"))


def base() -> str:
    """The base with CUDA that the Dockerfile tells of."""
    return re.findall(r"--build-arg BASE=(\S+)", DOCKERFILE)[0]


def test_both_paths_of_the_setup_page_have_a_stage() -> None:
    assert {"pip", "conda"} == STAGES
    assert DOCKERFILE.rindex("AS pip") > DOCKERFILE.rindex("AS conda"), "What is built unless said is the last stage."
    assert "make install" in DOCKERFILE
    assert "environment.yml" in DOCKERFILE


@pytest.mark.parametrize("file", CONTAINERS, ids=lambda file: file.parent.name)
def test_development_containers(file: Path) -> None:
    told = json.loads(file.read_text())["build"]
    assert (file.parent / told["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (file.parent / told["context"]).resolve() == ROOT
    assert told["target"] in STAGES
    assert told.get("args", {}).keys() <= ARGUMENTS
    assert told.get("args", {}).get("BASE", base()) == base()


def test_the_workflow_builds_each_image() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/container.yml").read_text())["jobs"]["image"]
    options = {one["name"]: one["options"] for one in job["strategy"]["matrix"]["include"]}
    assert set(options) == {"cpu", "cuda", "conda"}
    assert base() in options["cuda"]
    assert set(re.findall(r"--build-arg (\w+)", " ".join(options.values()))) <= ARGUMENTS
    assert set(re.findall(r"--target (\w+)", " ".join(options.values()))) <= STAGES


def test_nothing_large_or_private_goes_into_an_image() -> None:
    left_out = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv*", "data", "runs", "_build"} <= set(left_out)
