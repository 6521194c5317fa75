"""Fig. 4: which clips it shows, whose maps, and the command that makes it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.data_sample import sample
from tests.helpers.models import brief
from uspl.cli import main
from uspl.data import AVSBench
from uspl.experiments.paper import qualitative
from uspl.inference.predict import predict
from uspl.metrics import segmentation
from uspl.model import USPL


def test_clips_are_chosen_by_rule() -> None:
    iou = torch.tensor([0.0, 0.9, 0.1, 0.8, 0.2, 0.7])
    assert qualitative.at_quantiles(iou, list("abcdef"), 3) == [3, 4, 0]  # the 2nd, 4th and 6th of the ranking
    assert qualitative.at_quantiles(iou, list("aabbcc"), 3) == [1, 3, 5]  # one of each video, its best
    for k in (0, 4):
        with pytest.raises(ValueError, match=rf"^`rows` must be between 1 and the number of videos, 3; got {k}\.$"):
            qualitative.at_quantiles(iou, list("aabbcc"), k)


def test_a_wall_shows_each_method_with_its_score() -> None:
    """Clips without ground truth are left out: of a training film only the first second has one."""
    torch.manual_seed(0)
    models = {"one": USPL(brief()).eval(), "two": USPL(brief()).eval()}
    clips = AVSBench(sample(), "train", frames="all", size=32)
    shown = qualitative.wall(models, clips, rows=2)
    assert all(id.endswith("_1") for id in shown.ids)
    for name, model in models.items():
        scores: dict[str, float] = {}
        for batch, found in predict(model, clips, maps=("m",)):
            scores |= dict(zip(batch.ids, segmentation.iou(found["m"] > 0.5, batch.mask > 0.5).tolist(), strict=True))
        assert shown.iou[name] == pytest.approx([scores[id] for id in shown.ids])
    assert shown.iou["two"] == sorted(shown.iou["two"], reverse=True)
    assert shown.picture.dtype == np.uint8
    assert shown.picture.shape[0] == 2 * (150 + 26)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes: dict[str, Any] = {k: v for k, v in brief().as_dict().items() if v != main.TINY.as_dict()[k]}
    words = [
        str(w) for k, v in changes.items() for w in (f"--{k.replace('_', '-')}", *(v if isinstance(v, list) else [v]))
    ]
    given = ["--data", str(sample()), "--rows", "2", "--runs", str(tmp_path), *words]
    main.main(["figure", "--fig", "4", *given])
    *scores, path = capsys.readouterr().out.splitlines()
    assert [line.split()[1::2] for line in scores] == [["EZ-VSL", "FNAC", "USPL"]] * 2
    assert Image.open(path).size[1] == 2 * (150 + 26)
    with pytest.raises(SystemExit):
        main.main(["figure", "--fig", "3", *given])
    assert (
        capsys.readouterr().err == "uspl: `fig` must be 4: the other figures of the paper explain the method; got 3.\n"
    )
