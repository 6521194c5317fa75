"""The `uspl` command: a tier's defaults, single fields over them, and one sentence for every mistake."""

import json
from pathlib import Path

import pytest
from data_sample import copy, sample
from test_train import TINY

from uspl import cli, record, train
from uspl.config import Config


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that would have been trained."""
    seen: list[Config] = []

    def instead(cfg: Config, *_: object, **__: object) -> tuple[None, dict[str, list[object]]]:
        seen.append(cfg)
        return None, {"history": []}

    monkeypatch.setattr(train, "train_or_load", instead)
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
    cli.main(["train", *words])
    assert trained == [expected]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--tier", "huge"], "uspl: `tier` must be 'tiny' or 'paper'; got 'huge'.\n"),
        (["train", "--delta", "1"], "uspl: `delta` must be in [0, 1); got 1.0.\n"),
        (
            ["train", "--beta-l", "0.6", "--beta-h", "0.55"],
            "uspl: `beta_l` must be below `beta_h`; got 0.6 and 0.55.\n",
        ),
        (["train", "--r", "0"], "uspl: `r` must be an integer of at least 1; got 0.\n"),
        (["study", "--variants", "magic"], "uspl: `variants` must be among delta0, "),
        (["train", "--data", "nowhere"], "uspl: `nowhere/s4_meta_data.csv` is missing"),
        (["check", "nowhere"], "uspl: `nowhere/s4_meta_data.csv` is missing"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(sentence)
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_check_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["check", str(sample()), "--strict"])
    assert capsys.readouterr().out.endswith("Nothing is wrong.\n")
    root = copy(tmp_path / "set")
    (root / "s4_data/audio_wav/test/star_bell/test_00000.wav").unlink()
    cli.main(["check", str(root)])
    with pytest.raises(SystemExit, match="1"):
        cli.main(["check", str(root), "--strict"])
    assert capsys.readouterr().out.count("  test/test_00000: no sound\n") == 2


def test_train_prints_the_last_epoch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    history = [{"loss": 2.0}, {"loss": 1.0}]
    monkeypatch.setattr(train, "train_or_load", lambda *_, **__: (None, {"history": history}))
    cli.main(["train"])
    assert json.loads(capsys.readouterr().out) == history[-1]


def test_train_and_evaluate_from_the_shell(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sides = [f"--{k.replace('_', '-')}={v}" for k, v in TINY.items() if not isinstance(v, tuple)]
    given = [*sides, "--widths", "4", "4", "8", "8", "--data", str(sample()), "--runs", str(tmp_path / "runs")]
    cli.main(["train", *given])
    assert "val_m" in json.loads(capsys.readouterr().out)
    cli.main(["evaluate", *given, "--split", "test", "--out", str(tmp_path / "r.json")])
    values = json.loads(capsys.readouterr().out)
    assert record.read(tmp_path / "r.json")["scores"] == values["scores"]
