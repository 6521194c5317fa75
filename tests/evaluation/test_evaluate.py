"""Section 4.2: scores do not depend on the batch, records are whole, the study's table is made from them alone."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.data_sample import sample
from tests.helpers.models import TINY, brief, clips, model
from tests.helpers.values import tight
from uspl import metrics
from uspl.core import record
from uspl.evaluation import evaluate, validation
from uspl.experiments import comparison_tables, study, tables
from uspl.inference import predict
from uspl.maps import resize


def test_scores_do_not_depend_on_the_batch_size() -> None:
    one, all_ = (evaluate.score(model(), clips(), batch_size=b) for b in (1, 12))
    assert one == all_


def test_scores_are_the_published_rules_on_the_predicted_maps() -> None:
    batch, maps = next(predict.predict(model(), clips(), batch_size=12))
    expected = metrics.iou(maps["m_fine"] > 0.5, batch.mask > 0.5).mean().item()
    assert evaluate.score(model(), clips(), maps=["m_fine"])["m_fine"]["miou"] == pytest.approx(expected, abs=1e-6)
    assert validation.miou(model(), clips(), maps=["m_fine"])["m_fine"] == pytest.approx(expected, abs=1e-6)


def test_maps_asked_for_alone_are_those_of_the_whole_forward_pass() -> None:
    batch, maps = next(predict.predict(model(), clips(), batch_size=12))
    whole = predict.forward_maps(model(), batch)
    torch.testing.assert_close(maps["m"], whole.m)
    torch.testing.assert_close(maps["m_fine"], resize(whole.m_fine, 32))


def test_the_studys_numbers_are_those_of_the_avsbench_protocol() -> None:
    found = evaluate.evaluate(model(), clips(), maps=["m_crs", "m"], audio_sensitivity=False)
    expected = evaluate.score(model(), clips(), maps=["m_crs", "m"])
    for name, scores in found["protocols"]["avsbench"]["scores"].items():
        assert found["scores"][name] == {k: v["value"] for k, v in scores.items()}
        assert found["scores"][name] == pytest.approx(expected[name], abs=1e-6)
    assert found["protocols"]["avsbench"]["videos"] == 4
    assert found["n"] == 12


def test_unknown_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="`sound` must be 'own', 'swap', 'silence' or 'noise'; got 'music'"):
        next(predict.predict(model(), clips(), sound="music"))


def test_records_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record.write(tmp_path / "a" / "b.json", {"n": 3})
    values = record.read(path)
    assert values["n"] == 3
    assert set(values["environment"]) >= {"versions", "commit", "threads", "peak_mib", "python"}
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        record.write(path, {"n": 4})
    assert record.read(path)["n"] == 3
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]
    path.write_text("{")
    with pytest.raises(ValueError, match=r"b.json` is not a readable record"):
        record.read(path)


def test_the_study_writes_one_record_per_row_and_seed_and_goes_on(tmp_path: Path) -> None:
    given: dict[str, Any] = {"seeds": (1,), "variants": ("mmicl", "full"), "runs": tmp_path / "runs", "progress": False}
    paths = study.study(brief(), sample(), tmp_path / "out", **given)
    assert [p.name for p in paths] == ["mmicl-s1.json", "full-s1.json"]
    values = record.read(paths[1])
    assert values["n"] == 12
    assert values["protocol"].startswith("avsbench")
    assert values["changes"]["batch_size"] == TINY["batch_size"]
    assert f"--batch-size {TINY['batch_size']}" in values["command"]
    assert "--seed " not in values["command"]
    assert set(values["listening"]["negative"]) == set(predict.MAPS)  # the sample has clips where nothing sounds
    before = paths[1].stat().st_mtime_ns
    study.study(brief(), sample(), tmp_path / "out", **given)
    assert paths[1].stat().st_mtime_ns == before
    rows = {row.name: row for row in tables.table(tmp_path / "out")}
    assert rows["full method, SPS"].miou == [values["scores"]["m"]["miou"]]
    assert rows["whole image"].miou == [round(values["floors"]["whole_image"], 6)]
    text = tight(tables.markdown(tmp_path / "out"))
    assert "| SPS without SMR | not run | | | |" in text
    assert f"| full method, M_fine | {values['scores']['m_fine']['miou']:.3f} |" in text  # one seed has no spread
    assert tables.sensitivity_table(tmp_path / "out").count("\n") == 4
    with pytest.raises(ValueError, match="`variants` must be among"):
        study.study(brief(), sample(), tmp_path / "out", variants=("magic",))


def test_other_clips_are_scored_with_weights_and_threshold_of_these(tmp_path: Path) -> None:
    other = tmp_path / "fresh"
    shutil.copytree(sample(), other)
    table = other / "s4_meta_data.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *(line for line in lines if line.endswith(",test"))]))  # nothing to train on
    given: dict[str, Any] = {"seeds": (1,), "variants": ("mmicl",), "protocols": ("avsbench", "avsbench(val)")}
    here, there = (
        record.read(study.study(brief(), sample(), tmp_path / out, test_data=data, runs=tmp_path / "runs", **given)[0])
        for out, data in (("a", None), ("b", other))
    )
    assert there["scores"] == here["scores"]
    assert (
        there["protocols"]["avsbench(val) for m_crs"]["scores"]
        == here["protocols"]["avsbench(val) for m_crs"]["scores"]
    )
    assert (there["data"], there["test_data"]) == (sample().name, "fresh")
    assert f"--test-data {other}" in there["command"]
    assert "test_data" not in here


def test_the_best_supervised_length_is_chosen_on_validation(tmp_path: Path) -> None:
    for name, val, test in (("supervised", 0.9, 0.1), ("supervised-2x", 0.8, 0.7)):
        scores = {m: {"miou": test, "fscore": test} for m in predict.MAPS}
        values = {"variant": name, "seed": 1, "scores": scores, "floors": {}, "history": [{"val_m": val}]}
        record.write(tmp_path / f"{name}-s1.json", values)
    assert tables.table(tmp_path)[-1].miou == [0.1]
    record.write(tmp_path / "supervised-s2.json", {**values, "seed": 2, "history": [{"val_m": 0.9}]})
    assert "| supervised bound, SPS | 0.400 ± 0.300 | 0.100 0.700 |" in tight(tables.markdown(tmp_path))
    scores = {m: {"miou": 0.5, "fscore": 0.5} for m in predict.MAPS}
    record.write(tmp_path / "full-s1.json", {**values, "variant": "full", "scores": scores})
    text = tight(tables.markdown(tmp_path))
    assert "| supervised, SPS, stopped too early to be a bound | 0.400" in text
    assert "%" not in text


def test_the_readme_quotes_the_records() -> None:
    root = Path(__file__).resolve().parents[2]
    readme = (root / "README.md").read_text()
    scores = (["mIoU", "F-score"], ["miou", "fscore"])
    table = tight(comparison_tables.markdown(root / "results/peers/sounding-shapes", "avsbench", *scores)).splitlines()
    quoted = [line for line in readme.splitlines() if re.match(r"\| [^|]*\| (nothing|masks|labels)? ?\| 0\.", line)]
    assert len(quoted) == 10
    assert not [line for line in quoted if line not in table]
    first = [
        row for row in tables.table(root / "results/first_light/sounding-shapes") if row.name == "full method, SPS"
    ]
    assert f"gave {sum(first[0].miou) / 3:.3f} for SPS" in readme
