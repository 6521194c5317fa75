"""`uspl run`: any film becomes an overlay with its sound, or one sentence and no file."""

import itertools
import json
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import broken_films as films
from tests.helpers.models import small, trained
from uspl.audio import around
from uspl.cli import main
from uspl.data.batch import MEAN, STD
from uspl.gate import Gate
from uspl.inference.localizer import MAPS, Localizer
from uspl.inference.predict import patches
from uspl.maps import resize
from uspl.media import waveform
from uspl.media.stream import loudest, open_audio, pictures
from uspl.model import USPL
from uspl.pretrained import save_pretrained
from uspl.video import frame_maps, overlay

RATE = 16_000


@lru_cache(maxsize=1)
def model() -> USPL:
    """Untrained: its coarse map, divided by its maximum, marks something in every frame."""
    return trained(small()).eval()


def mark(video: Path, out: Path, *, map: str = "m", gate: Gate | None = None, **options: Any) -> dict[str, Any]:
    return overlay.mark_video(video, out, model=Localizer(model(), map=map, gate=gate), **options)


def watch(video: Path, *, map: str, gate: Gate | None = None, **options: Any) -> Iterator[frame_maps.FramePrediction]:
    return frame_maps.frame_maps(Localizer(model(), map=map, gate=gate), video, **options)


def go(video: Path, **options: Any) -> tuple[dict[str, Any], Path]:
    """What `run` says, and where it wrote the film, its JSON and its masks."""
    home = video.parent / "out"
    home.mkdir(exist_ok=True)
    files = {"json": home / "film.json", "masks": home / "masks"}
    return mark(video, home / "film.mp4", map="m_crs", **{**files, **options}), home


def shown(path: Path) -> list[tuple[float, np.ndarray]]:
    return list(pictures(path))


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


def clicks(path: Path, codec: str, *, rate: int, start: float = 0.0) -> Path:
    """A film with bursts of sound at 0.5 and 1.6 s after its start, in a codec."""
    films.make(path.with_suffix(".pictures.mkv"), seconds=2.5, layout=None, pictures_late=start)
    time = np.arange(round(2.5 * rate)) / rate
    wave = sum(np.exp(-(((time - at) / 0.004) ** 2)) * np.sin(2 * np.pi * 900 * time) for at in (0.5, 1.6))
    with av.open(str(path.with_suffix(".pictures.mkv"))) as old, av.open(str(path), "w") as box:
        film = box.add_stream_from_template(old.streams.video[0])
        voice = box.add_stream(codec, rate=rate, layout="mono")
        form = "s16" if codec in ("pcm_s16le", "flac") else "fltp"
        samples = wave[None].astype(np.float32) if form == "fltp" else (wave[None] * 32767).astype("<i2")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, round(start * rate), Fraction(1, rate)
        box.mux(voice.encode(frame))
        box.mux(voice.encode(None))
        for packet in old.demux(video=0):
            if packet.pts is not None:
                packet.stream = film
                box.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("codec", "rate", "start", "kept"),
    [
        ("aac", 44100, 0.0, "aac"),
        ("flac", 44100, 0.0, "aac"),
        ("pcm_s16le", 22050, 3.0, "aac"),
        ("ac3", 48000, 3.0, "ac3"),
    ],
)
def test_the_sound_stays_in_sync(codec: str, rate: int, start: float, kept: str, suffix: str, tmp_path: Path) -> None:
    source = clicks(tmp_path / "clicks.mkv", codec, rate=rate, start=start)
    out = tmp_path / f"out{suffix}"
    mark(source, out, map="m_crs")
    with av.open(str(out)) as box:
        assert box.streams.audio[0].codec_context.codec.canonical_name == kept
        assert box.streams.audio[0].codec_context.sample_rate == rate
    before, after = waveform(source, 48_000), waveform(out, 48_000)
    n = min(len(before), len(after))
    assert n > 2.3 * 48_000
    shift = torch.fft.irfft(torch.fft.rfft(before[:n]) * torch.fft.rfft(after[:n]).conj(), n).argmax().item()
    assert min(shift, n - shift) <= 0.003 * 48_000
    first = next(time for time, _ in pictures(source))
    assert next(time for time, _ in pictures(out)) == pytest.approx(first, abs=2e-3)


def test_silence_empties_the_mask(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", heard=1.0, seconds=3.5)
    found, home = go(source, gate=Gate(loudness=-40, cosine=-1))
    rows = json.loads((home / "film.json").read_text())["frames"]
    assert {row["open"] for row in rows if row["time"] <= 1} == {True}
    late = [k for k, row in enumerate(rows) if row["time"] >= 2.1]
    assert late
    after = shown(home / "film.mp4")
    for k in late:
        assert (rows[k]["open"], rows[k]["area"], rows[k]["box"], rows[k]["peak"]) == (False, 0, None, 0)
        assert not np.asarray(Image.open(home / f"masks/{k:06d}.png")).any()
        assert np.ptp(after[k][1].astype(int), axis=2).max() <= 12  # grey, as far as H.264 keeps it
    assert any(row["area"] > 0 for row in rows)
    assert found["open"] == pytest.approx(np.mean([row["open"] for row in rows]), abs=1e-4)


def test_noise_that_agrees_with_nothing_empties_the_mask(tmp_path: Path) -> None:
    found, _ = go(films.make(tmp_path / "film.mp4"), gate=Gate(cosine=1))
    assert (found["open"], found["area"]) == (0, 0)


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
    "hole.mkv": (films.holed, "has a hole in its sound from 1.00 s to 2.00 s."),
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
            "`none` holds no clips to train on; `uspl.data.sounding_shapes()` makes them, --checkpoint",
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

    def paint(*given: Any) -> Any:
        if next(calls) == 20:
            raise stopped
        return real(*given)

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


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_the_models(name: str, tmp_path: Path) -> None:
    """Frames of the model's own size, so that nothing is resized; the sound is cut from the whole wave."""
    source = films.make(tmp_path / "film.mp4")
    wave = waveform(source)
    moments = list(watch(source, map=name, smooth=0))
    for k in (0, 11, 23):
        image = torch.from_numpy(moments[k].picture).permute(2, 0, 1)[None].float() / 255
        image = (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        sound = patches(model(), around(wave, k / 8, 1.0))[None]
        with torch.no_grad():
            maps = model()(image, sound)
        expected = {"m_crs": maps.m_norm, "m_fine": maps.m_fine, "m": maps.m}[name]
        if name != "m_crs":
            torch.testing.assert_close(moments[k].map, resize(expected, 32)[0], atol=1e-4, rtol=1e-4)
        assert moments[k].cosine == pytest.approx(maps.m_crs.max().item(), abs=1e-4)


def test_smoothing_forgets_with_time_and_begins_anew_behind_silence(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", times=films.UNEVEN, heard=1.0, grey=lambda n: 16 * n)
    gate = Gate(loudness=-20.0)
    moments = list(watch(source, map="m", gate=gate, smooth=0.3))
    assert {m.open for m in moments} == {True, False}
    last: tuple[float, torch.Tensor] | None = None
    for moment in moments:
        if not moment.open:
            assert not moment.map.any()
            last = None
            continue
        a = 0.0 if last is None else math.exp(-(moment.time - last[0]) / 0.3)
        expected = moment.single if last is None else a * last[1] + (1 - a) * moment.single
        torch.testing.assert_close(moment.map, expected)
        last = moment.time, moment.map
    plain = list(watch(source, map="m", gate=gate, smooth=0))
    assert all(torch.equal(m.map, m.single) for m in plain)
    assert all(torch.equal(p.single, m.single) for p, m in zip(plain, moments, strict=True))


def test_flicker_is_the_share_of_pixels_that_change(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mp4", grey=lambda n: 120 * (n % 2))
    moments = list(watch(source, map="m_crs", smooth=0.5))
    for name in ("map", "single"):
        masks = [getattr(m, name) > 0.5 for m in moments]
        changes = [(a != b).float().mean().item() for a, b in itertools.pairwise(masks)]
        found = go(source, smooth=0.5)[0]["flicker"]["smoothed" if name == "map" else "single"]
        assert found == pytest.approx(np.mean(changes), abs=1e-5)
        (tmp_path / "out/masks").rename(tmp_path / f"masks-{name}")
    assert found > 0
    with pytest.raises(ValueError, match=r"^`map` must be one of m_crs, m_fine, m; got 'm_cos'\.$"):
        next(watch(source, map="m_cos"))


def test_paint_is_grey_in_silence_and_cividis_where_it_sounds() -> None:
    picture = np.full((24, 32, 3), (10, 100, 190), np.uint8)
    m = torch.zeros(8, 8)
    mask = np.zeros((24, 32), bool)
    assert (overlay.paint(picture, m, mask) == 100).all()
    m[:, 4:] = 1
    mask[:, 16:] = True
    painted = overlay.paint(picture, m, mask)
    assert (painted[:, :13] == 100).all()
    assert (painted[:, 16] == 255).all()  # the border of the mask
    np.testing.assert_allclose(painted[12, 26], [0.35 * 100 + 0.65 * c for c in (253, 231, 55)], atol=3)


TIMES = [0.0, 0.05, 0.4, 0.5, 0.9, 1.3, 1.31, 2.2, 2.49, 2.5, 2.9, 3.0]


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0, 5.0])
def test_the_sound_around_a_frame_is_that_of_the_whole_wave(seconds: float, tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", rate=44100, layout="stereo", late=0.3, heard=2.7)
    wave = waveform(source)
    with open_audio(source, seconds) as window:
        for time in TIMES:
            if time * RATE <= len(wave):
                torch.testing.assert_close(window.around(time), around(wave, time, seconds), atol=1e-6, rtol=0)


def test_a_frame_after_the_end_of_the_sound_hears_zeros(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", heard=1.0)
    with open_audio(source, 1.0) as window:
        end = len(waveform(source)) / RATE
        heard = window.around(end + 0.25)
        assert heard[: RATE * 3 // 4 - 1].abs().max() > 0.1
        assert not heard[RATE * 3 // 4 + 1 :].any()
        assert not window.around(end + 1.1).any()


def test_no_more_sound_is_kept_than_is_needed(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", seconds=40.0, fps=2)
    with open_audio(source, 1.0) as window:
        for time in range(39):
            window.around(float(time))
            assert len(window._held) < 3 * RATE


def test_pictures_are_decoded_as_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = films.make(tmp_path / "film.mp4", seconds=30.0)
    made: list[float] = []
    monkeypatch.setattr(frame_maps, "pictures", lambda path: (made.append(p[0]) or p for p in pictures(path)))
    moments = watch(source, map="m_crs")
    next(moments)
    assert len(made) == frame_maps.BATCH
    moments.close()


def test_the_loudest_second_is_found_early(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", loud=0.2)
    assert loudest(source) == pytest.approx(20 * math.log10(0.2 / math.sqrt(2)), abs=0.2)
    assert loudest(source, enough=-90) == pytest.approx(loudest(source), abs=0.5)
    assert loudest(films.make(tmp_path / "silent.mkv", loud=0)) == -100
