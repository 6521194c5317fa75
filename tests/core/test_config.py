"""The one frozen configuration: values, rules, names."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.values import shared
from uspl.audio import log_spectrogram
from uspl.config import Config, differences
from uspl.experiments import command_line
from uspl.experiments.paper import paper_tables

PAPER = json.loads((Path(__file__).parents[1] / "reference" / "paper_tables.json").read_text())


@pytest.mark.parametrize("said", PAPER["section_4_1"], ids=lambda said: said["field"])
def test_paper_is_section_4_1(said: dict[str, Any]) -> None:
    cfg = Config.vggsound() if said.get("data") == "VGGSound" else Config.paper()
    if said["field"] == "front_end":  # Reading 11: the published VGGish cannot read it; the switch is there
        assert (said["value"], dataclasses.replace(cfg, front_end="spectrogram").front_end) == (
            "257x301",
            "spectrogram",
        )
        assert log_spectrogram(torch.zeros(48_000), 16_000).shape == (257, 301)
        return
    value = getattr(cfg, said["field"])
    assert (list(value) if isinstance(value, tuple) else value) == said["value"], said["sentence"]


def test_the_papers_numbers_are_those_of_the_paper() -> None:
    assert json.loads(shared("paper/tables.json").read_text()) == PAPER == paper_tables.read()


def test_what_is_kept_on_vggsound_needs_no_masks() -> None:
    assert set(differences(Config.paper(), Config.vggsound())) == {"seconds", "keep"}


def test_defaults_are_the_paper() -> None:
    assert Config() == Config.paper()


def test_tiny_differs_and_holds() -> None:
    assert Config.tiny().image_size == 112
    assert set(differences(Config.paper(), Config.tiny())) >= {"visual", "audio", "widths", "image_size"}
    assert Config.tiny(delta=0.0).delta == 0.0


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().tau = 1.0  # type: ignore[misc]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta_l": 0.6}, r"`beta_l` must be below `beta_h`; got 0\.6 and 0\.55\."),
        ({"beta_l": 0.55}, r"`beta_l` must be below `beta_h`; got 0\.55 and 0\.55\."),
        ({"seg_low": 0.7}, r"`seg_low` must not exceed `seg_high`; got 0\.7 and 0\.6\."),
        ({"delta": 1.0}, r"`delta` must be in \[0, 1\); got 1\.0\."),
        ({"delta": -0.1}, r"`delta` must be in \[0, 1\); got -0\.1\."),
        ({"beta_h": 1.5}, r"`beta_h` must be in \[0, 1\]; got 1\.5\."),
        ({"r": 0}, r"`r` must be an integer of at least 1; got 0\."),
        ({"r": 1.5}, r"`r` must be an integer of at least 1; got 1\.5\."),
        ({"t": -1}, r"`t` must be an integer of at least 0; got -1\."),
        ({"batch_size": 1}, r"`batch_size` must be an integer of at least 2; got 1\."),
        ({"tau": 0.0}, r"`tau` must be a number above 0; got 0\.0\."),
        ({"tau": float("nan")}, r"`tau` must be a number above 0; got nan\."),
        ({"lr": float("inf")}, r"`lr` must be a number above 0; got inf\."),
        ({"lambda2": -1.0}, r"`lambda2` must be a number of at least 0; got -1\.0\."),
        ({"reading": "cubes"}, r"`reading` must be one of 'power', 'squarings'; got 'cubes'\."),
        ({"metric": "manhattan"}, r"`metric` must be one of 'euclidean', 'chebyshev'; got 'manhattan'\."),
        ({"widths": (1, 2, 3)}, r"`widths` must be four positive integers; got \(1, 2, 3\)\."),
        ({"aspp_dilations": ()}, r"`aspp_dilations` must be positive integers; got \(\)\."),
    ],
)
def test_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        dataclasses.replace(Config(), **change)


@pytest.mark.parametrize("cfg", [Config.paper(), Config.tiny()])
def test_survives_a_json_file(cfg: Config) -> None:
    assert Config.from_dict(json.loads(json.dumps(cfg.as_dict()))) == cfg


def test_a_field_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="`Config` has no field `gamma`"):
        Config.from_dict({"gamma": 1})


def test_differences_name_both_values() -> None:
    assert differences(Config(), Config(tau=0.1)) == {"tau": (0.07, 0.1)}
    assert differences(Config(), Config()) == {}


@pytest.mark.parametrize("tier", ["tiny", "best", "paper"])
def test_a_command_names_the_tier_and_what_differs_from_it(tier: str) -> None:
    told = {"tiny": "", "best": " --tier best", "paper": " --tier paper"}[tier]
    assert command_line.flags(Config.tier(tier, seed=5), {}) == told
    assert command_line.flags(Config.tier(tier, r=5, flip=False), {"out": ""}) == f"{told} --no-flip --r 5"


def test_slug_follows_the_experiment_and_not_the_machine() -> None:
    assert Config().slug() == Config(device="cpu", workers=2).slug() != Config(precision="bf16").slug()
    assert Config().slug() != Config(tau=0.1).slug()
    assert Config().slug("tau") == Config(tau=0.1).slug("tau")


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 20), st.integers(0, 64))
def test_every_allowed_value_is_accepted(delta: float, r: int, t: int) -> None:
    cfg = Config(delta=delta, r=r, t=t)
    assert Config.from_dict(cfg.as_dict()).slug() == cfg.slug()
