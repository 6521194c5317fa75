"""Signals with which a scheduler announces that it will end a training."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SAVE, STOP = "SIGUSR1", "SIGTERM"  # save and go on; save and stop


@contextmanager
def heeded() -> Iterator[set[str]]:
    """Inside, both signals are noted in the set that is given, in place of ending the process at once.

    Only the main thread of a program can take signals; elsewhere the set stays empty.
    """
    heard: set[str] = set()

    def note(number: int, _: Any) -> None:
        heard.add(signal.Signals(number).name)

    able = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in (SAVE, STOP) if able and hasattr(signal, name)]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
