"""The `uspl` command: a tier's defaults, single fields over them, and one sentence for every mistake."""

import json
from pathlib import Path

import pytest

from tests.helpers.data_sample import copy, sample
from tests.helpers.models import TINY
from tests.helpers.values import ROOT
from uspl.cli import main
from uspl.config import Config
from uspl.core import record
from uspl.train import loop


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that would have been trained."""
    seen: list[Config] = []

    def instead(cfg: Config, *_: object, **__: object) -> tuple[None, dict[str, list[object]]]:
        seen.append(cfg)
        return None, {"history": []}

    monkeypatch.setattr(loop, "train_or_load", instead)
    return seen


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Config.tiny()),
        (["--delta", "0.3"], Config.tiny(delta=0.3)),
        (["--tier", "paper"], Config.paper()),
        (["--seed", "4", "--tier", "paper", "--beta-l", "0.5"], Config.paper(seed=4, beta_l=0.5)),
        (["--tier=paper", "--no-flip"], Config.paper(flip=False)),
    ],
)
def test_a_tier_gives_the_defaults(words: list[str], expected: Config, trained: list[Config]) -> None:
    main.main(["train", *words])
    assert trained == [expected]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--tier", "huge"], "uspl: `tier` must be one of 'tiny', 'best', 'photos', 'paper'; got 'huge'.\n"),
        (["train", "--delta", "1"], "uspl: `delta` must be in [0, 1); got 1.0.\n"),
        (
            ["train", "--beta-l", "0.6", "--beta-h", "0.55"],
            "uspl: `beta_l` must be below `beta_h`; got 0.6 and 0.55.\n",
        ),
        (["train", "--r", "0"], "uspl: `r` must be an integer of at least 1; got 0.\n"),
        (["study", "--variants", "magic"], "uspl: `variants` must be among delta0, "),
        (["train", "--data", "nowhere"], "uspl: `nowhere/s4_meta_data.csv` is missing"),
        (["check", "nowhere"], "uspl: `nowhere` holds no data set: s4_meta_data.csv and s4_data (AVSBench-S4), or "),
        (["evaluate", "--data", "nowhere"], "uspl: `nowhere/s4_meta_data.csv` is missing"),
        (
            ["evaluate", "--protocol", "magic"],
            "uspl: `protocol` must be one of avsbench, avsbench(t), avsbench-batch(n), ",
        ),
        (
            ["evaluate", "--protocol", "vggss-half", "avsbench-batch(x)"],
            "uspl: `avsbench-batch(n)` needs a whole number",
        ),
        (["evaluate", "--boxes", "none.json"], "uspl: `none.json` is missing"),
        (["sweeep"], "uspl: `uspl` has no command `sweeep` (is `sweep` meant?); there are train, evaluate, study, "),
        (
            ["sweep", "--tabel", "8"],
            "uspl: `uspl sweep` has no option `--tabel` (is `--table` meant?); there are --table, --cell, --tier, ",
        ),
        (
            ["study", "--sedes=1"],
            "uspl: `uspl study` has no option `--sedes` (is `--seeds` meant?); there are --tier, ",
        ),
        (["train", "--dleta", "0.3"], "uspl: `uspl train` has no option `--dleta` (is `--delta` meant?); there are "),
        (["run", "a.mp4", "--video", "b"], "uspl: `uspl run` has no option `--video`; there are --out, --map, "),
        (["evaluate", "--listen"], "uspl: `--listen` of `uspl evaluate` is named `--audio-sensitivity`; write that.\n"),
        (["evaluate", "--checkpoint", "nowhere"], "uspl: `nowhere` holds no checkpoint: `config.json` is missing."),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main.main(words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(sentence)
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["train", "evaluate", "study", "readings", "sweep", "run", "export"])
def test_help_tells_defaults_in_words(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main([command, "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "runs in the project's folder" in text
    assert "data/sounding-shapes in the project's folder" in text
    assert str(ROOT) not in text


def test_defaults_are_found_from_any_folder(
    trained: list[Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def instead(cfg: Config, data: Path, *, runs: Path | None, **_: object) -> tuple[None, dict[str, list[object]]]:
        seen.extend([data, runs])
        return None, {"history": []}

    monkeypatch.setattr(loop, "train_or_load", instead)
    monkeypatch.setenv("USPL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    main.main(["train"])
    main.main(["train", "--data", "mine", "--runs", "there"])
    assert seen == [tmp_path / "home/data/sounding-shapes", None, Path("mine"), Path("there")]
    assert not list(tmp_path.iterdir())


def test_check_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main.main(["check", str(sample()), "--strict"])
    assert capsys.readouterr().out.endswith("Nothing is wrong.\n")
    root = copy(tmp_path / "set")
    (root / "s4_data/audio_wav/test/star_bell/test_00000.wav").unlink()
    main.main(["check", str(root)])
    with pytest.raises(SystemExit, match="1"):
        main.main(["check", str(root), "--strict"])
    assert capsys.readouterr().out.count("  test/test_00000: no sound\n") == 2


def test_train_prints_the_last_epoch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    history = [{"loss": 2.0}, {"loss": 1.0}]
    monkeypatch.setattr(loop, "train_or_load", lambda *_, **__: (None, {"history": history}))
    main.main(["train"])
    assert json.loads(capsys.readouterr().out) == history[-1]


def test_train_and_evaluate_from_the_shell(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sides = [f"--{k.replace('_', '-')}={v}" for k, v in TINY.items() if not isinstance(v, tuple)]
    given = [*sides, "--widths", "4", "4", "8", "8", "--data", str(sample()), "--runs", str(tmp_path / "runs")]
    main.main(["train", *given])
    assert "val_m" in json.loads(capsys.readouterr().out)
    main.main(["evaluate", *given, "--split", "test", "--json", "--out", str(tmp_path / "r.json")])
    values = json.loads(capsys.readouterr().out)
    assert record.read(tmp_path / "r.json")["scores"] == values["scores"]
    assert values["listening"] == {}
    (folder,) = (tmp_path / "runs").glob("full-*")
    words = ["--data", str(sample()), "--split", "test", "--checkpoint", str(folder), "--audio-sensitivity"]
    main.main(["evaluate", *words, "--protocol", "avsbench", "vggss-absolute(val)", "--out", str(tmp_path / "p.json")])
    text = capsys.readouterr().out
    assert "### vggss-absolute(val) for m_fine" in text
    assert "### Audio sensitivity" in text
    again = record.read(tmp_path / "p.json")
    assert again["scores"] == values["scores"]
    assert again["config"]["widths"] == [4, 4, 8, 8]
    assert again["protocols"]["vggss-absolute(val) for m"]["threshold"]["split"] == "val"


def test_a_half_downloaded_tree_needs_partial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy(tmp_path / "set")
    (root / "s4_data/audio_wav/test/star_bell/test_00000.wav").unlink()
    with pytest.raises(SystemExit) as stop:
        main.main(["evaluate", "--data", str(root), "--split", "test"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        f"uspl: `{root}` lacks 1 clip beside the 9 pairs that are there, 'test_00000' first; "
        "add --partial to score the rest.\n"
    )


def test_boxes_without_clips_to_train_on_need_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "audio").mkdir()
    wav = next((sample() / "s4_data/audio_wav/test").glob("*/*.wav"))
    picture = next((sample() / "s4_data/visual_frames/test").glob("*/*/*.png"))
    (tmp_path / "audio" / "a_1.wav").write_bytes(wav.read_bytes())
    (tmp_path / "frames" / "a_1.jpg").write_bytes(picture.read_bytes())
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"file": "a_1", "class": "x", "bbox": [[0, 0, 1, 1]]}]))
    with pytest.raises(SystemExit):
        main.main(["evaluate", "--data", str(tmp_path), "--boxes", str(boxes)])
    says = "holds no clips to train on; `uspl.data.sounding_shapes()` makes some, or name a trained model with --check"
    assert says in capsys.readouterr().err
