"""Small material for Sounding Photos: drawn cut-outs, tones and gradients, in folders and in packages."""

import atexit
import io
import shutil
import struct
import tarfile
import tempfile
import wave
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from uspl.cli import make_sounding_photos, prepare_avsbench
from uspl.data.photos.folders import from_folders
from uspl.data.photos.material import Material

CLASSES = ("bell", "dog", "horn", "reed", "whistle")
COUNTS = {"train": 10, "val": 5, "test": 5, "new-photo": 5, "new-recording": 5, "new-background": 5, "negative": 4}
GIVEN = [str(x) for split, n in COUNTS.items() for x in (f"--{split}", n)]


def cutout(k: int, variant: int = 0, *, mode: str = "RGBA") -> bytes:
    """A PNG of a coloured blob with a hole, on nothing."""
    image = Image.new("RGBA", (90 + 6 * k, 110 - 8 * variant))
    pen = ImageDraw.Draw(image)
    colour = (40 * k + 30, 220 - 35 * k, 90 + 60 * variant, 255)
    pen.ellipse([4, 4, image.width - 5, image.height - 5], fill=colour)
    pen.rectangle([20, 60, 20 + 5 * k, 80], fill=(0, 0, 0, 0))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "png")
    return buffer.getvalue()


def tone(hertz: float, *, seconds: float = 1.5, level: float = 0.4) -> bytes:
    """A WAV file of a tone that beats, mono, 16 kHz."""
    t = np.arange(int(seconds * 16000)) / 16000
    pcm = (32767 * level * np.sin(2 * np.pi * hertz * t) * (0.6 + 0.4 * np.sin(12 * t))).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


def view(k: int) -> bytes:
    """A gradient, as a PNG."""
    y, x = np.mgrid[0:150, 0:200]
    pixels = np.stack([x + 8 * k, y + 20 * k, x // 2 + y // 2], -1) % 256
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def folders(home: Path) -> list[Path]:
    """Three folders of material: five classes with two cut-outs and two recordings, one class never heard."""
    for k, name in enumerate(CLASSES):
        for variant in range(2):
            put(home / "cutouts" / name / f"{variant}.png", cutout(k, variant))
            put(home / "recordings" / name / f"{variant}.wav", tone(200 * (k + 1) + 30 * variant))
    put(home / "cutouts" / "stone" / "0.png", cutout(2, 1))
    for k in range(8):
        put(home / "backgrounds" / f"{k}.png", view(k))
    return [home / name for name in ("cutouts", "recordings", "backgrounds")]


def named(places: list[Path]) -> list[str]:
    """Options that name such folders."""
    return [str(x) for path in places for x in (f"--{path.name}", path)]


@lru_cache(maxsize=1)
def material() -> Material:
    with tempfile.TemporaryDirectory() as home:
        return from_folders(*folders(Path(home)))


@lru_cache(maxsize=1)
def photo_sample() -> Path:
    """A prepared set of a few clips, shared by all tests: read it, do not change it."""
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    root = home / "set"
    given = [*GIVEN, *named(folders(home / "material")), "--size", "128", "--workers", "1"]
    assert make_sounding_photos.main([str(root), *given]) == 0
    assert prepare_avsbench.main([str(root), "--workers", "1"]) == 0
    return root


def tar(files: Mapping[str, bytes], packed: str = "xz", links: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{packed}") as box:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(data)
            box.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            box.addfile(entry)
    return buffer.getvalue()


def deb(files: Mapping[str, bytes], data: str = "data.tar.xz", **more: Mapping[str, str]) -> bytes:
    """A Debian package: an `ar` archive of three members, each padded to an even length."""
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": tar({}), data: tar(files, **more)}  # type: ignore[arg-type]
    out = b"!<arch>\n"
    for name, body in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
    return out


def rcc(files: Mapping[str, bytes], *, version: int = 3, flags: int = 1) -> bytes:
    """A Qt resource file: folders and files in a tree, names apart, the content with zlib (`flags` 1) or plain (0)."""
    tree: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        folder, _, name = path.partition("/")
        tree.setdefault(folder, {})[name] = data
    names, store, nodes = b"", b"", []
    offsets = {}
    for name in {*tree, *(n for inside in tree.values() for n in inside)}:
        offsets[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    extra = b"\0" * 8 if version >= 2 else b""
    nodes.append(struct.pack(">IHII", 0, 2, len(tree), 1) + extra)
    child = 1 + len(tree)
    for folder, inside in tree.items():
        nodes.append(struct.pack(">IHII", offsets[folder], 2, len(inside), child) + extra)
        child += len(inside)
    for inside in tree.values():
        for name, data in inside.items():
            body = struct.pack(">I", len(data)) + zlib.compress(data) if flags & 1 else data
            nodes.append(struct.pack(">IHHHI", offsets[name], flags, 0, 1, len(store)) + extra)
            store += struct.pack(">I", len(body)) + body
    begin = 20 + (4 if version >= 3 else 0)
    head = struct.pack(">4s4I", b"qres", version, begin, begin + len(b"".join(nodes)), 0)
    head = (
        head[:16] + struct.pack(">I", begin + len(b"".join(nodes)) + len(store)) + (b"\0" * 4 if version >= 3 else b"")
    )
    return head + b"".join(nodes) + store + names
