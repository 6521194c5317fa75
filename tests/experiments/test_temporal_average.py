"""What a temporal average of maps costs and gains: the frames that are scored, and how much a mask trembles."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.data_sample import sample
from uspl.config import Config
from uspl.core.errors import DataError
from uspl.data import AVSBench
from uspl.evaluation.evaluate import evaluate
from uspl.experiments import temporal_average
from uspl.model import USPL
from uspl.video.frame_maps import FramePrediction

FPS, SECONDS = 8, 3


@pytest.fixture(scope="module")
def clips() -> AVSBench:
    return AVSBench(sample(), "val", size=112)


def told(clips: AVSBench, late: int) -> Any:
    """A `frame_maps` that knows the truth of each second, and shows it `late` pictures after the last of the second."""

    def frame_maps(localizer: object, film: Any, *, smooth: float) -> Iterator[FramePrediction]:
        own = [k for k, name in enumerate(clips.ids) if name.rpartition("_")[0] == film.stem]
        for picture in range(FPS * SECONDS):
            second, within = divmod(picture - late, FPS)
            right = within == FPS - 1 and 0 <= second < SECONDS
            m = clips[own[second]].mask.float() if right else torch.zeros(112, 112)
            yield FramePrediction(picture / FPS, np.zeros((112, 112, 3), np.uint8), m, m, 1.0, 0.0, "sounding")

    return frame_maps


def test_the_last_frame_of_each_second_is_scored(clips: AVSBench, monkeypatch: pytest.MonkeyPatch) -> None:
    model = USPL(Config.tiny())
    monkeypatch.setattr(temporal_average, "frame_maps", told(clips, late=0))
    right = temporal_average.scored(model, clips, 0.0)
    assert right["miou"] == 1
    areas = torch.stack([clips[k].mask for k in range(len(clips))]).float().mean((1, 2)).view(-1, SECONDS)
    changes = 2 * areas.sum(1) - areas[:, -1]  # each mask comes and goes; the last one ends with its film
    assert right["flicker"] == pytest.approx(changes.mean().item() / (FPS * SECONDS - 1), rel=1e-4)
    monkeypatch.setattr(temporal_average, "frame_maps", told(clips, late=1))
    assert temporal_average.scored(model, clips, 0.0)["miou"] == 0


def test_without_an_average_it_is_the_score_of_the_frames(clips: AVSBench) -> None:
    torch.manual_seed(3)
    model = USPL(Config.tiny()).eval()
    alone = evaluate(model, clips, maps=("m_crs",), audio_sensitivity=False)["scores"]["m_crs"]["miou"]
    films = {s: temporal_average.scored(model, clips, s, map="m_crs") for s in (0.0, 1e6)}
    assert films[0.0]["miou"] == pytest.approx(alone, abs=0.01)
    assert films[1e6]["flicker"] < films[0.0]["flicker"]


def test_a_frame_without_truth_is_refused(clips: AVSBench, monkeypatch: pytest.MonkeyPatch) -> None:
    dark = torch.zeros(112, 112)
    moment = FramePrediction(0.0, np.zeros((112, 112, 3), np.uint8), dark, dark, 1.0, 0.0, "sounding")
    monkeypatch.setattr(temporal_average, "frame_maps", lambda *_, **__: [moment])
    blank = [replace(clips[k], mask=None) for k in range(len(clips))]
    monkeypatch.setattr(AVSBench, "__getitem__", lambda _, k: blank[k])
    with pytest.raises(DataError, match="has no ground truth to score its film by"):
        temporal_average.scored(USPL(Config.tiny()), clips, 0.0)
