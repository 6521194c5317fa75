"""uspl.experiments.readings: each other reading beside the default, one record per row of the readings page."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.data_sample import sample
from tests.helpers.models import brief
from uspl.config import Config
from uspl.core import record
from uspl.experiments import readings


def run(tmp_path: Path, *only: int) -> list[dict[str, Any]]:
    paths = readings.readings(brief(), sample(), tmp_path / "out", only=only, runs=tmp_path / "runs", progress=False)
    return [record.read(path) for path in paths]


def test_a_reading_is_judged_beside_the_default(tmp_path: Path) -> None:
    rule, gradients, ramp = run(tmp_path, 17, 8, 10)
    assert [v["name"] for v in rule["compared"]] == ["half of the image", "adaptive"]
    # Another rule judges the same maps: the F-score, which has thresholds of its own, is the same.
    both = rule["compared"][0]
    assert both["default"]["m"]["fscore"] == both["other"]["m"]["fscore"]
    assert both["default"]["m"]["miou"] != both["other"]["m"]["miou"]
    (other,) = gradients["compared"]
    assert f"SPS {other['other']['m']['miou']:.3f} ({both['default']['m']['miou']:.3f})" in gradients["finding"]
    assert "M_crs" in ramp["finding"]
    assert ramp["seconds"] > 0
    assert "SPS" not in ramp["finding"]  # a warm-up has no other map
    assert len(list((tmp_path / "runs").glob("warmup-*"))) == 2
    assert len(list((tmp_path / "runs").glob("full-*"))) == 2


def test_a_record_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = run(tmp_path, 18)
    monkeypatch.setattr(readings, "train_or_load", lambda *_, **__: pytest.fail("trained again"))
    assert run(tmp_path, 18) == [first]


def test_every_reading_changes_the_tiny_tier() -> None:
    for r in readings.READINGS:
        assert Config.tiny(**r.changes) != Config.tiny(), r


def test_unknown_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`only` must be among 1, 2, .*; got 99\."):
        run(tmp_path, 99)
