"""What the C library does with memory that is freed."""

import contextlib
import ctypes


def tune_malloc(*, keep: bool) -> None:
    """What happens to blocks of memory that are freed, where the C library is glibc.

    Args:
        keep: True: they stay with the process, since each step of a training asks for them again, and fresh tune_malloc
            cost up to a third of its time. False: those of 32 MiB and more go back at once, and the others when
            `release_free_pages` says so.
    """
    many, release_free_pages = (0, 2**31 - 1) if keep else (65536, 2**29)
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such switch
        libc = ctypes.CDLL("libc.so.6")
        for name, value in (
            (-4, many),
            (-3, 2**25),
            (-1, release_free_pages),
        ):  # M_MMAP_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            libc.mallopt(name, value)


def release_free_pages() -> None:
    """Give back every free page, also between those in use, where the C library is glibc: once a batch, since what is
    kept of each batch lies among what is not, and a process would grow by megabytes a batch."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
