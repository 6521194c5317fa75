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


def pages(*, keep: bool) -> None:
    """What happens to blocks of memory that are freed, where the C library is glibc.

    Args:
        keep: True: they stay with the process, since each step of a training asks for them again, and fresh pages
            cost up to a third of its time. False: those of 32 MiB and more go back at once, and the others when
            `trim` says so.
    """
    many, trim = (0, 2**31 - 1) if keep else (65536, 2**29)
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such switch
        libc = ctypes.CDLL("libc.so.6")
        for name, value in ((-4, many), (-3, 2**25), (-1, trim)):  # M_MMAP_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            libc.mallopt(name, value)


def trim() -> None:
    """Give back every free page, also between those in use, where the C library is glibc: once a batch, since what is
    kept of each batch lies among what is not, and a process would grow by megabytes a batch."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
