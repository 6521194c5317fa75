"""The device a model runs on, and the GPUs that several trainings share out."""

import os
from collections.abc import Sequence

import torch


def choose_device(name: str) -> torch.device:
    """ "auto" is the first GPU, or the CPU. Raises ValueError for a GPU that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"`device` is {name!r}, but PyTorch finds no GPU on this machine; take 'auto' or 'cpu'.")
    return device


def visible_gpus(asked: Sequence[int] = (), *, device: str = "auto") -> list[str]:
    """GPUs as CUDA_VISIBLE_DEVICES names them, so that a process can be given one of them.

    Args:
        asked: their numbers, as PyTorch counts what CUDA_VISIBLE_DEVICES leaves; none given means all, or the one that
            `device` names.
        device: see `Config.device`; with "cpu" there are none.

    Raises:
        ValueError: a number that is not there, or is there twice.
    """
    if device == "cpu":
        if asked:
            raise ValueError(
                f"`gpus` asks for {','.join(map(str, asked))}, and `device` is 'cpu': leave out one of both."
            )
        return []
    count = torch.cuda.device_count()
    asked = asked or ([int(device[5:])] if device.startswith("cuda:") else range(count))
    for gpu in asked:
        if not 0 <= gpu < count or list(asked).count(gpu) > 1:
            there = (
                f"among {', '.join(map(str, range(count)))}, each once" if count else "left out: there is no GPU here"
            )
            raise ValueError(f"`gpus` must be {there}; got {','.join(map(str, asked))}.")
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if count else []
    return [names[gpu] if len(names) == count else str(gpu) for gpu in asked]
