"""Films with one fault or one oddity each, made with PyAV; `FILMS` says what the preparation has to call them."""

import os
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS = 1000  # of a second: the clock of the pictures


def make(
    path: Path,
    *,
    seconds: float = 3.0,
    fps: int = 8,
    times: Sequence[float] | None = None,
    size: tuple[int, int] = (32, 32),
    grey: Callable[[int], int] = lambda n: 8 * n % 256,
    codec: str = "libx264",
    rate: int = 16000,
    layout: str | None = "mono",
    heard: float | None = None,
    loud: float = 0.3,
    late: float = 0.0,
    pictures: bool = True,
    pictures_late: float = 0.0,
    container: str | None = None,
    title: str = "",
    flat: bool = False,
    **options: str,
) -> Path:
    """A film of textured grey frames (`grey` of their number) at `times`, and a 440 Hz tone of `heard` s from `late`.

    `size` is (width, height); `layout` None leaves the sound track out, `pictures` False the pictures; `flat` frames
    have no texture.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [n / fps for n in range(round(seconds * fps))] if times is None else times
    with av.open(str(path), "w", format=container, options=options) as box:
        box.metadata["title"] = title
        film = _film(box, codec, fps, size) if pictures else None
        voice = box.add_stream("aac", rate=rate, layout=layout) if layout is not None else None
        if film is not None:
            for n, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(texture(size, grey(n), 0 if flat else 20), format="rgb24")
                frame.pts, frame.time_base = round((time + pictures_late) * TICKS), Fraction(1, TICKS)
                box.mux(film.encode(frame))
            box.mux(film.encode(None))
        if voice is not None and layout is not None:
            _tone(box, voice, layout, rate, loud, seconds if heard is None else heard, late)
    return path


def texture(size: tuple[int, int], grey: int, height: int = 20) -> np.ndarray:
    """A wave of some height about `grey`, bright at the left: a picture that is not flat and shows which way is up."""
    wave = height * np.cos(np.linspace(0, np.pi, size[0]))
    plane = np.clip(grey + np.tile(wave, (size[1], 1)), 0, 255).astype(np.uint8)
    return np.repeat(plane[..., None], 3, axis=2)


def _film(box: av.container.OutputContainer, codec: str, fps: int, size: tuple[int, int]) -> av.VideoStream:
    film = box.add_stream(codec, rate=fps)
    film.width, film.height = size
    film.pix_fmt = {"libx264": "yuv420p", "ffv1": "bgr0", "mjpeg": "yuvj420p"}[codec]
    film.codec_context.time_base = Fraction(1, TICKS)
    if codec == "libx264":
        film.options = {"crf": "18", "preset": "superfast", "bf": "0"}
    return film


def _tone(
    box: av.container.OutputContainer,
    voice: av.AudioStream,
    layout: str,
    rate: int,
    loud: float,
    heard: float,
    late: float,
) -> None:
    channels = av.AudioLayout(layout).nb_channels
    wave = loud * np.sin(2 * np.pi * 440 * np.arange(round(rate * heard)) / rate)
    samples = np.ascontiguousarray(np.tile(wave, (channels, 1)), np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, round(late * rate), Fraction(1, rate)
    box.mux(voice.encode(frame))
    box.mux(voice.encode(None))


def turned(path: Path) -> Path:
    """The film with a display matrix of 90 degrees in its track header, as a telephone writes it."""
    make(path, size=(48, 32))
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version and flags, times, id, duration, layer, volume
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    path.write_bytes(data)
    return path


def torn(path: Path, track: str = "video", *, start: float = 1.0, stop: float = 1.5) -> Path:
    """The film with the bytes of a track's packets from `start` to `stop` (s) overwritten."""
    make(path)
    with av.open(str(path)) as box:
        times = [(p.pos, p.size, float(p.pts * p.time_base)) for p in box.demux(**{track: 0}) if p.pts is not None]
    hit = [(pos, length) for pos, length, time in times if start <= time < stop]
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0)
    for pos, length in hit:
        data[pos + 8 : pos + length] = noise.bytes(max(length - 8, 0))
    path.write_bytes(data)
    return path


def holed(path: Path) -> Path:
    """A film whose sound stops at 1 s and goes on at 2 s."""
    make(path, layout=None)
    with av.open(str(path)) as old, av.open(str(path.with_suffix(".tmp")), "w", format="matroska") as box:
        film = box.add_stream_from_template(old.streams.video[0])
        voice = box.add_stream("pcm_s16le", rate=16000, layout="mono")
        for packet in old.demux(video=0):
            if packet.pts is not None:
                packet.stream = film
                box.mux(packet)
        for start in (0, 2):
            samples = np.full((1, 16000), 3000, "<i2")
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, start * 16000, Fraction(1, 16000)
            box.mux(voice.encode(frame))
        box.mux(voice.encode(None))
    path.with_suffix(".tmp").rename(path)
    return path


def changed(path: Path, change: Callable[[bytes], bytes], **given: object) -> Path:
    """A good film with its bytes changed."""
    make(path, **given)  # type: ignore[arg-type]
    path.write_bytes(change(path.read_bytes()))
    return path


def playlist(path: Path) -> None:
    """Text that names another film, which must not be read in its place."""
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\ngood.mp4\n#EXT-X-ENDLIST\n")


UNEVEN = [0, 0.1, 0.15, 0.5, 0.9, 1.0, 1.3, 1.9, 2.0, 2.2, 2.3, 2.5, 2.6, 2.9, 2.97]
DAMAGED = "cannot be read: truncated, damaged or no media file"

# name of the file -> how it is made, status and beginning of the reason in report.json
FILMS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "good.mp4": (make, "ok", ""),
    "zero bytes.mp4": (lambda p: p.write_bytes(b""), "bad", "is empty (0 bytes)"),
    "cut.mp4": (lambda p: changed(p, lambda b: b[: len(b) // 2]), "bad", DAMAGED),
    "cut-behind-index.mp4": (
        lambda p: changed(p, lambda b: b[: len(b) * 6 // 10], movflags="faststart"),
        "bad",
        "is truncated: pictures end at",
    ),
    "no-index.mp4": (lambda p: changed(p, lambda b: b[: b.index(b"moov") - 4]), "bad", DAMAGED),
    "strange-pictures.mp4": (
        lambda p: changed(p, lambda b: b.replace(b"avc1", b"zz_1")),
        "bad",
        "has no pictures that can be decoded",
    ),
    "strange-sound.mkv": (
        lambda p: changed(p, lambda b: b.replace(b"A_AAC", b"A_ZZZ")),
        "bad",
        "has no sound track that can be decoded",
    ),
    "letter.mp4": (lambda p: p.write_text("Dear reader, this is no film. " * 50), "bad", DAMAGED),
    "noise.mp4": (lambda p: p.write_bytes(np.random.default_rng(0).bytes(5000)), "bad", DAMAGED),
    "playlist.mp4": (playlist, "bad", DAMAGED),
    "really-mp4.avi": (lambda p: make(p, container="mp4"), "odd", "has the extension `.avi` but the content of .mp4"),
    "mute.mp4": (lambda p: make(p, layout=None), "bad", "has no sound track"),
    "blind.mp4": (lambda p: make(p, pictures=False), "bad", "has no pictures"),
    "silent.mp4": (lambda p: make(p, loud=0.0), "silent", "holds digital silence"),
    "dot.mkv": (lambda p: make(p, size=(1, 1), codec="ffv1"), "bad", "is 1x1 pixels; 8x8 are the least"),
    "one-frame.mp4": (lambda p: make(p, times=[0]), "bad", "is truncated: pictures end at"),
    "brief.mp4": (lambda p: make(p, seconds=0.25), "bad", "is truncated: pictures end at 0.25 s, 2.94 s are needed"),
    "still.mp4": (lambda p: make(p, grey=lambda n: 90), "odd", "shows one still picture"),
    "33x47.mkv": (lambda p: make(p, size=(33, 47), codec="ffv1"), "ok", ""),
    "8kHz.mp4": (lambda p: make(p, rate=8000), "ok", ""),
    "48kHz-stereo.mp4": (lambda p: make(p, rate=48000, layout="stereo"), "ok", ""),
    "surround.mp4": (lambda p: make(p, rate=48000, layout="5.1"), "ok", ""),
    "uneven.mp4": (lambda p: make(p, times=UNEVEN, grey=lambda n: round(64 * UNEVEN[n])), "ok", ""),
    "turned.mp4": (turned, "ok", ""),
    "below-zero.mkv": (lambda p: make(p, late=-0.5, pictures_late=-0.5), "ok", ""),
    "from-five.mkv": (lambda p: make(p, late=5, pictures_late=5), "ok", ""),
    "latin-title.mkv": (
        lambda p: changed(p, lambda b: b.replace(b"_t_", b"\xe9t\xe9"), title="_t_"),
        "ok",
        "",
    ),
    "hushed.mp4": (lambda p: make(p, heard=1.0), "bad", "is truncated: sound ends at 1.0"),
    "late-sound.mp4": (lambda p: make(p, heard=2.0, late=1.0), "odd", "is silent up to 0.9"),
    "late-pictures.mp4": (
        lambda p: make(p, pictures_late=2),
        "bad",
        "has no picture at 0.94 s: pictures begin at 2.00",
    ),
    "torn-pictures.mp4": (torn, "bad", "is damaged: the picture at 1.94 s cannot be decoded"),
    "torn-sound.mp4": (lambda p: torn(p, "audio"), "bad", DAMAGED),
    "hole-in-sound.mkv": (
        holed,
        "odd",
        "has pauses in its sound that are not stored, silent here: 1.00 to 2.00 s",
    ),
    "folder.mp4": (lambda p: p.mkdir(), "bad", "is a folder, not a file"),
    "lost-link.mp4": (lambda p: p.symlink_to("nowhere"), "bad", "is a link that leads nowhere"),
    "ring.mp4": (lambda p: p.symlink_to(p.name), "bad", "is a link that leads nowhere"),
    "pipe.mp4": (os.mkfifo, "bad", "is no regular file"),
    "name with spaces.mp4": (make, "ok", ""),
    "-dash.mp4": (make, "ok", ""),
    "naïve-日本.mp4": (make, "ok", ""),
    "brackets[1]*.mp4": (make, "ok", ""),
}
