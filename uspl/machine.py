"""The machine a training runs on: its device, its numbers, its memory."""

import contextlib
import ctypes

import torch


def choose_device(name: str) -> torch.device:
    """ "auto" is the first GPU, or the CPU. Raises ValueError for a GPU that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"`device` is {name!r}, but PyTorch finds no GPU on this machine; take 'auto' or 'cpu'.")
    return device


def keep_pages() -> None:
    """Let the process keep the memory it frees: glibc hands large blocks back, and each step asks for them again."""
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such switch, and no such habit
        libc = ctypes.CDLL("libc.so.6")
        for name, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            libc.mallopt(name, value)
