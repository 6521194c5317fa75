"""uspl.data.log_mel_pickle: the official log-mel files are read, and a hostile file runs nothing."""

import io
import pickle
import struct
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uspl.core.errors import DataError
from uspl.data.log_mel_pickle import LARGEST, MAGIC, log_mel

BLOCKS = torch.arange(5 * 96 * 64, dtype=torch.float32).view(5, 1, 96, 64) / 1000


def saved(thing: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(thing, stream, **options)
    return stream.getvalue()


# What is read


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles(protocol: int, tmp_path: Path) -> None:
    for i, tensor in enumerate((BLOCKS, BLOCKS.clone().requires_grad_(), BLOCKS.clone().requires_grad_() * 1)):
        (tmp_path / f"{i}.pkl").write_bytes(pickle.dumps(tensor, protocol=protocol))
        read = log_mel(tmp_path / f"{i}.pkl")
        assert torch.equal(read, BLOCKS)
        assert not read.requires_grad


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch(zipped: bool, protocol: int, tmp_path: Path) -> None:
    data = saved(BLOCKS, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    (tmp_path / "a.pkl").write_bytes(data)
    assert torch.equal(log_mel(tmp_path / "a.pkl"), BLOCKS)


def test_views_and_other_orders(tmp_path: Path) -> None:
    longer = torch.cat([torch.zeros(1, 1, 96, 64), BLOCKS, torch.zeros(1, 1, 96, 64)])
    turned = BLOCKS.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    for tensor in (longer[1:6], turned):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(tensor))
        assert torch.equal(log_mel(tmp_path / "a.pkl"), BLOCKS)


# What is refused. `Evil` pickles a call; the call would leave a file.


class Evil:
    """Pickles as the call `function(*arguments)`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


class Outside(pickle.Pickler):
    def persistent_id(self, thing: Any) -> Any:
        return thing.pid if isinstance(thing, Pid) else None


class Pid:
    def __init__(self, pid: Any) -> None:
        self.pid = pid


def with_pid(pid: Any, before: bytes = b"") -> bytes:
    stream = io.BytesIO()
    Outside(stream, 2).dump(Pid(pid))
    return before + stream.getvalue()


def in_zip(pickled: bytes, *, compressed: bool = False, name: str = "a/data.pkl") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as box:
        box.writestr(name, pickled)
        box.writestr("a/data/0", BLOCKS.numpy().tobytes())
    return stream.getvalue()


def rebuilt(storage: bytes, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """A plain pickle of a tensor, built by hand: `storage` is what pickles its numbers."""
    pieces = b"".join(pickle.dumps(x, 2)[2:-1] for x in (offset, size, stride, False))  # without PROTO and STOP
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + pieces + b"ccollections\nOrderedDict\n)RtR."


def stored(data: bytes) -> bytes:
    """How a plain pickle holds the bytes of a storage."""
    return b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(data)) + data + b"\x85R"


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # typed storages are deprecated, and what the files hold
    STORAGE = saved(torch.FloatStorage(30720), _use_new_zipfile_serialization=False)
SIZE, STRIDE = (5, 1, 96, 64), (6144, 6144, 64, 1)
HEAD = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)  # the older format of torch.save


def attacks(mark: str) -> dict[str, tuple[bytes, str]]:
    """Name -> file, and a part of the sentence."""
    code = f"open({mark!r}, 'w').close()"
    touch, run = Evil(__import__("os").system, f"touch {mark}"), Evil(exec, code)
    chain = f"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(Vos\ntRVsystem\ntR(Vtouch {mark}\ntR."
    nested = pickle.dumps(("blocks", [1, (touch, 2)]))
    evil_storage = HEAD + pickle.dumps(touch, 2) + pickle.dumps([], 2)
    state = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nX\x08\x00\x00\x00__call__cbuiltins\neval\n\x86b."
    return {
        "os.system": (pickle.dumps(touch), "system'"),
        "exec": (pickle.dumps(run), "it names 'builtins.exec'"),
        "eval": (pickle.dumps(Evil(eval, code), 0), "eval'"),
        "open, protocol 0": (f"c__builtin__\nopen\n(V{mark}\nVw\ntR.".encode(), "it names '__builtin__.open'"),
        "open, by INST": (f"(V{mark}\nVw\nibuiltins\nopen\n.".encode(), "its pickle uses INST"),
        "open, by OBJ": (f"(cbuiltins\nopen\nV{mark}\nVw\no.".encode(), "its pickle uses OBJ"),
        "getattr chain": (chain.encode(), "it names 'builtins.getattr'"),
        "nested call": (nested, "system'"),
        "dotted name": (b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93\x8c\x02ls\x85R.", "it names 'torch.os.system'"),
        "torch.load": (pickle.dumps(Evil(torch.load, mark)), "it names 'torch.serialization.load'"),
        "numpy's pickles": (pickle.dumps(np.zeros(3)), "its pickle uses BUILD"),
        "call inside the storage": (rebuilt(stored(evil_storage), SIZE, STRIDE), "system'"),
        "call instead of a storage": (rebuilt(pickle.dumps(run, 2)[2:-1], SIZE, STRIDE), "it names '__builtin__.exec'"),
        "call in torch.save": (saved(touch), "system'"),
        "call in torch.save, older": (saved(touch, _use_new_zipfile_serialization=False), "system'"),
        "call in the version": (pickle.dumps(MAGIC, 2) + pickle.dumps(run, 2), "is damaged or no pickled tensor"),
        "zip with a call": (in_zip(pickle.dumps(run)), "it names 'builtins.exec'"),
        "zip, compressed": (in_zip(pickle.dumps(run), compressed=True), "its archive is compressed"),
        "zip, name that climbs": (in_zip(pickle.dumps(run), name="../../data.pkl"), "it names 'builtins.exec'"),
        "persistent id": (with_pid(("storage", run, "0", "cpu", 30720)), "exec'"),
        "persistent id, word": (with_pid("module"), "it refers to something outside"),
        "persistent id, text": (b"Pmodule\n.", "its pickle uses PERSID"),
        "state of a function": (state, "its pickle uses BUILD"),
        "extension code": (b"\x80\x02\x82\x01)R.", "its pickle uses EXT1"),
        "buffer from outside": (b"\x80\x05\x97.", "its pickle uses NEXT_BUFFER"),
        "huge memory": (b"\x80\x02Nr\xff\xff\xff\x7f.", "its pickle remembers 2147483647 things"),
        "huge bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc.", "is damaged or no pickled tensor"),
        "huge frame": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.", "is damaged or no pickled tensor"),
        "huge storage": (with_pid(("storage", "x", "0", "cpu", 1 << 50)), "it refers to something outside"),
        "huge shape": (rebuilt(stored(STORAGE), (1 << 40, 1, 96, 64), (0, 0, 0, 1)), "is too long|shape|"),
        "beyond the numbers": (rebuilt(stored(STORAGE), SIZE, (6144, 6144, 64, 2)), "reaches beyond its numbers"),
        "before the numbers": (rebuilt(stored(STORAGE), SIZE, STRIDE, -1), "its tensor has no numbers"),
        "depth": (b"\x80\x02" + b"(" * 300_000 + b"t" * 300_000 + b".", ""),
    }


def refused(file: Path) -> str:
    """The sentence with which a file is refused, in little time."""
    start = time.process_time()
    with pytest.raises(DataError) as caught:
        log_mel(file)
    assert time.process_time() - start < 5
    says = str(caught.value)
    assert says.startswith(f"`{file}` is refused, and nothing in it was run: ")
    assert says.count("\n") == 0
    assert len(says) < 300 + len(str(file))
    return says.removeprefix(f"`{file}` ")


@pytest.mark.parametrize("name", attacks("mark"))
def test_hostile_files_run_nothing(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    data, reason = attacks(str(mark))[name]
    (tmp_path / "a.pkl").write_bytes(data)
    says = refused(tmp_path / "a.pkl")
    assert any(part in says for part in reason.split("|")), says
    assert not mark.exists()


WORKING = ("os.system", "exec", "eval", "open, protocol 0", "open, by INST", "getattr chain", "nested call")


@pytest.mark.parametrize("name", [*WORKING, "zip with a call"])
def test_these_attacks_would_work(name: str, tmp_path: Path) -> None:
    """Otherwise a missing mark would prove nothing."""
    mark = tmp_path / "mark"
    data, _ = attacks(str(mark))[name]
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as box:
            data = box.read("a/data.pkl")
    pickle.loads(data)
    assert mark.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", [0, 1, 7, 60, 1000, -40_000, -2])
def test_truncated_files(place: int, protocol: int, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(BLOCKS, protocol)[:place])
    refused(tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes(saved(BLOCKS)[:place])
    refused(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (torch.zeros(5, 96, 64), r"its tensor has the shape \(5, 96, 64\), not \(5, 1, 96, 64\)\."),
        (torch.zeros(0, 1, 96, 64), r"its tensor has the shape \(0, 1, 96, 64\), not"),
        (torch.full((5, 1, 96, 64), torch.nan), r"its tensor holds numbers that are not finite\."),
        (torch.zeros(1, 1, 96, 64, dtype=torch.int64), r"it names 'torch\.LongStorage'\."),
        ([1, 2], r"it holds no tensor\."),
        (None, r"it holds no tensor\."),
        ({"a": 1}, r"its pickle uses EMPTY_DICT\."),
        ((BLOCKS, BLOCKS), r"it holds no tensor\."),
    ],
)
def test_other_things(thing: Any, says: str, tmp_path: Path) -> None:
    for data in (pickle.dumps(thing), saved(thing)):
        (tmp_path / "a.pkl").write_bytes(data)
        with pytest.raises(DataError, match=says):
            log_mel(tmp_path / "a.pkl")


def test_missing_and_large(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.pkl` is missing\."):
        log_mel(tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes(bytes(LARGEST + 1))
    with pytest.raises(DataError, match=r"is refused: it has 1048577 bytes, a log-mel file at most 1048576\."):
        log_mel(tmp_path / "a.pkl")
