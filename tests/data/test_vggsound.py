"""uspl.data.vggsound and uspl.data.shards: both layouts, no test clip in training, nothing outside the folder."""

import gzip
import io
import logging
import multiprocessing
import pickle
import tarfile
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tests.helpers.data_sample import sample
from tests.helpers.values import shared
from uspl.audio import around
from uspl.core.errors import DataError
from uspl.data import VGGSound, collate, shards
from uspl.data.vggsound import leaked, read_ids
from uspl.media import waveform

TEST = "zpWuikVorYg_000032"  # of VGG-SS
IDS = ["aaaaaaaaaaa_000001", "bbbbbbbbbbb_000020", TEST]


def frame(level: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (level, 0, 0)).save(stream, "jpeg", quality=95)
    return stream.getvalue()


def contents(ids: list[str] = IDS) -> dict[str, bytes]:
    """Members of a shard: each frame another red, each sound as it lies in the sample."""
    wav = sorted((sample() / "s4_data/audio_wav/test").rglob("*.wav"))
    return {
        name: data
        for i, id in enumerate(ids)
        for name, data in ((f"{id}.jpg", frame(50 + 40 * i)), (f"{id}.wav", wav[i % 4].read_bytes()))
    }


def shard(file: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, member in members.items():
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(member) if isinstance(member, bytes) else 0
            tar.addfile(info, io.BytesIO(member) if isinstance(member, bytes) else None)
    return file


def plain(root: Path, ids: list[str] = IDS) -> Path:
    for name, data in contents(ids).items():
        file = root / ("frames" if name.endswith("jpg") else "audio") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return root


@pytest.fixture(params=["plain", "shards"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "plain":
        return plain(tmp_path)
    members = contents()
    names = list(members)
    shard(tmp_path / "00000.tar", {n: members[n] for n in names[:2]})
    shard(tmp_path / "00001.tar", {"note.txt": b"hello", **{n: members[n] for n in names[2:]}, "b.jpg": b"alone"})
    return tmp_path


# Training pairs


def test_both_layouts_hold_the_same_clips(root: Path, tmp_path: Path) -> None:
    other = VGGSound(plain(tmp_path / "plain"), keep_leaked=True)
    data = VGGSound(root, keep_leaked=True)
    assert data.ids == other.ids == sorted(IDS)
    assert data.data_hash == other.data_hash
    for i in range(3):
        assert torch.equal(data[i].frame, other[i].frame)
        assert torch.equal(data[i].wave, other[i].wave)
    clip = data[1]
    assert (clip.id, clip.category, clip.mask, clip.objects, clip.swap) == (IDS[1], "", None, None, None)
    assert clip.frame.shape == (3, 224, 224)
    assert abs(clip.frame[0].float().mean().item() - 90) < 2
    wav = sorted((sample() / "s4_data/audio_wav/test").rglob("*.wav"))[1]
    whole = waveform(wav)
    assert torch.equal(clip.wave, around(whole, len(whole) / 32000, 3.0))
    assert len(VGGSound(root, seconds=1.0)[0].wave) == 16000
    assert collate([data[0], data[1]]).sound.shape == (2, 3, 1, 96, 64)


def test_test_clips_are_removed_and_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        data = VGGSound(root)
    assert data.ids == IDS[:2]
    assert (data.leaked, data.keep_leaked) == (1, False)
    assert caplog.messages == ["1 of 3 listed clips are test clips of VGG-SS: removed."]
    kept = VGGSound(root, keep_leaked=True)
    assert kept.ids == sorted(IDS)
    assert (kept.leaked, kept.keep_leaked) == (1, True)
    assert caplog.messages[1:] == ["1 of 3 listed clips are test clips of VGG-SS: kept."]
    assert kept.data_hash != data.data_hash
    assert VGGSound(root, test_ids=IDS[:1]).ids == sorted(IDS[1:])
    assert VGGSound(root, test_ids=()).ids == sorted(IDS)


def test_lists(root: Path, tmp_path: Path) -> None:
    lines = f"{IDS[1]}\r\n\n{TEST}\nccccccccccc_000003\n{IDS[1]}\n"
    (tmp_path / "list.txt").write_text(lines)
    (tmp_path / "list.txt.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("list.txt", "list.txt.gz"):
        data = VGGSound(root, tmp_path / name)
        assert data.ids == [IDS[1]]
        assert data.missing == ["ccccccccccc_000003"]
        assert data.leaked == 1
    assert read_ids(tmp_path / "list.txt") == [IDS[1], TEST, "ccccccccccc_000003"]


@pytest.mark.parametrize(("name", "n", "count"), [("144k", 144_000, 3709), ("10k", 10_000, 238), ("heard", 59_468, 0)])
def test_published_lists(name: str, n: int, count: int) -> None:
    ids = read_ids(shared(f"reference/metadata/vggss_{name}.txt.gz"))
    assert len(ids) == n
    assert leaked(ids).sum() == count
    test = read_ids(shared("reference/metadata/vggss_test.csv"))
    assert leaked(ids, test).sum() == count
    assert leaked(test).all()
    assert len(set(test)) == 5158


def test_workers_share_what_they_know(root: Path) -> None:
    data = VGGSound(root, keep_leaked=True)
    batches = DataLoader(data, batch_size=3, num_workers=2, collate_fn=collate, multiprocessing_context="fork")
    assert [b.ids for b in batches] == [sorted(IDS)]
    again = pickle.loads(pickle.dumps(data))
    assert again.ids == data.ids
    assert "fork" in multiprocessing.get_all_start_methods()


def test_memory_of_many_clips(tmp_path: Path) -> None:
    """200,000 clips: arrays, not objects; no worker copies what nobody touches."""
    n = 200_000
    ids = np.char.add(np.char.zfill(np.arange(n).astype("S"), 11), b"_000000")
    store = object.__new__(shards.Shards)
    store.files, store.ids, store.places = [], ids, np.ones((n, 5), np.int64)
    tracemalloc.start()
    data = pickle.loads(pickle.dumps(store))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.ids.nbytes == 18 * n
    assert size < 14e6


@pytest.mark.parametrize(
    ("frame_end", "sound_end"), [(".jpeg", ".flac"), (".JPG", ".WAV"), (".png", ".wav"), (".Jpeg", ".FLAC")]
)
def test_shards_of_others(tmp_path: Path, frame_end: str, sound_end: str) -> None:
    """Other endings, and folders in the tar, give the same clips."""
    folder = tarfile.TarInfo("train")
    folder.type = tarfile.DIRTYPE
    members: dict[str, bytes | tarfile.TarInfo] = {"train": folder}
    for name, data in contents().items():
        id, _, kind = name.partition(".")
        if kind == "jpg":
            stream = io.BytesIO()
            Image.open(io.BytesIO(data)).save(stream, "png" if frame_end == ".png" else "jpeg", quality=95)
            members[f"train/{id}{frame_end}"] = stream.getvalue()
        else:
            members[f"train/{id}{sound_end}"] = flac(data) if sound_end.lower() == ".flac" else data
    shard(tmp_path / "0.tar", members)
    ours, theirs = VGGSound(plain(tmp_path / "plain"), size=32), VGGSound(tmp_path, size=32)
    assert theirs.ids == ours.ids
    for a, b in zip(ours, theirs, strict=True):
        assert (a.frame.int() - b.frame.int()).abs().max() <= 2  # the frame was compressed twice
        torch.testing.assert_close(b.wave, a.wave, atol=1e-4, rtol=0)


def flac(wav: bytes) -> bytes:
    stream = io.BytesIO()
    with av.open(io.BytesIO(wav)) as source, av.open(stream, "w", format="flac") as box:
        track = box.add_stream("flac", rate=source.streams.audio[0].rate, layout="mono")
        for frame in source.decode(audio=0):
            box.mux(track.encode(frame))
        box.mux(track.encode(None))
    return stream.getvalue()


def test_shards_without_a_pair_say_how_their_members_end(tmp_path: Path) -> None:
    shard(tmp_path / "0.tar", {"a.mp4": b"x", "b.mp4": b"x", "a.txt": b"x", "c.jpg": b"x", "README": b"x"})
    says = r"without a frame \(\.jpg, \.jpeg, \.png\) and a sound \(\.wav, \.flac\) of one clip; members end in "
    with pytest.raises(DataError, match=rf"{says}\.mp4 \(2\), \.txt \(1\), \.jpg \(1\), no ending \(1\)"):
        VGGSound(tmp_path)


# What is refused


def link(kind: bytes, to: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{IDS[0]}.jpg")
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"/etc/cron.d/a.jpg": b"x"}, r"names '/etc/cron\.d/a\.jpg', which is no plain file name"),
        ({"../a.jpg": b"x"}, r"names '\.\./a\.jpg', which is no plain file name"),
        ({"./../a.jpg": b"x"}, r"names '\.\./a\.jpg', which is no plain file name"),
        ({"sub/../../a.jpg": b"x"}, r"names 'sub/\.\./\.\./a\.jpg', which is no plain file name"),
        ({"..": b"x"}, r"names '\.\.', which is no plain file name"),
        ({"..\\a.jpg": b"x"}, r"names '\.\.\\\\a\.jpg', which is no plain file name"),
        ({"a": link(tarfile.SYMTYPE)}, r"holds 'aaaaaaaaaaa_000001\.jpg', a link; a shard holds plain files only"),
        ({"a": link(tarfile.LNKTYPE)}, r"holds 'aaaaaaaaaaa_000001\.jpg', a link"),
        ({"a": link(tarfile.CHRTYPE)}, r"holds 'aaaaaaaaaaa_000001\.jpg', a special file"),
        ({"a": link(tarfile.BLKTYPE)}, r"holds 'aaaaaaaaaaa_000001\.jpg', a special file"),
        ({"a": link(tarfile.FIFOTYPE)}, r"holds 'aaaaaaaaaaa_000001\.jpg', a special file"),
        ({"a": link(tarfile.DIRTYPE)}, r"holds 'aaaaaaaaaaa_000001\.jpg', a folder"),
        ({"./a.jpg": b"x", "a.jpg": b"y"}, r"holds 'a\.jpg' twice"),
    ],
)
def test_hostile_members(members: dict[str, bytes], says: str, tmp_path: Path) -> None:
    home = tmp_path / "deep" / "set"
    home.mkdir(parents=True)
    shard(home / "0.tar", {**contents(), **members})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=rf"0\.tar` {says}"):
        VGGSound(home)
    assert sorted(tmp_path.rglob("*")) == before


def test_broken_shards(tmp_path: Path) -> None:
    file = shard(tmp_path / "0.tar", dict(contents()))
    whole = file.read_bytes()
    for cut in (100, 700, 3000, len(whole) - 12_000):
        file.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"0\.tar` is no whole tar file"):
            VGGSound(tmp_path)
    file.write_bytes(b"no tar at all" * 100)
    with pytest.raises(DataError, match=r"0\.tar` is no whole tar file"):
        VGGSound(tmp_path)
    file.write_bytes(whole)
    shard(tmp_path / "1.tar", dict(list(contents().items())[:2]))
    with pytest.raises(DataError, match=r"1\.tar` holds the clip 'aaaaaaaaaaa_000001', as does `0\.tar`\."):
        VGGSound(tmp_path)


def test_broken_clips_are_named(tmp_path: Path) -> None:
    members = contents()
    members[f"{IDS[0]}.jpg"] = b"no picture"
    members[f"{IDS[1]}.wav"] = b""
    shard(tmp_path / "0.tar", dict(members))
    data = VGGSound(tmp_path)
    with pytest.raises(DataError, match=r"0\.tar:aaaaaaaaaaa_000001\.jpg` cannot be read as a picture\."):
        data[0]
    with pytest.raises(DataError, match=r"0\.tar:bbbbbbbbbbb_000020\.wav` is empty \(0 bytes\)\."):
        data[1]


def test_refused_lists(tmp_path: Path) -> None:
    root = plain(tmp_path / "set")
    bad = tmp_path / "list.txt"
    for line in ("../../etc/passwd", "/root", "a/b", "..", "a\\b"):
        bad.write_text(f"{IDS[0]}\n{line}\n")
        with pytest.raises(DataError, match=r"list\.txt` names .*, which is no plain file name"):
            VGGSound(root, bad)
    bad.write_text("\n")
    with pytest.raises(DataError, match=r"list\.txt` lists no id\."):
        VGGSound(root, bad)
    bad.write_text("other\n")
    with pytest.raises(DataError, match=r"list\.txt` names no training clip whose frame and sound are in"):
        VGGSound(root, bad)
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"list\.txt` is no list of ids, one a line\."):
        VGGSound(root, bad)
    packed = tmp_path / "list.txt.gz"
    for data in (b"no gzip", gzip.compress(b"a\n" * 10_000)[:-9]):
        packed.write_bytes(data)
        with pytest.raises(DataError, match=r"list\.txt\.gz` is no list of ids, one a line\."):
            VGGSound(root, packed)
    packed.write_bytes(gzip.compress(bytes((1 << 26) + 1)))
    with pytest.raises(DataError, match=r"list\.txt\.gz` unpacks to more than 67108864 bytes\."):
        VGGSound(root, packed)
    with pytest.raises(DataError, match=r"none\.txt` is missing\."):
        VGGSound(root, tmp_path / "none.txt")
    with pytest.raises(DataError, match=r"frames` is missing; the folder needs `frames` and `audio`, or shards"):
        VGGSound(tmp_path)
