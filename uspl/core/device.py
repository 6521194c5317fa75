"""The device a model runs on."""

import torch


def choose_device(name: str) -> torch.device:
    """ "auto" is the first GPU, or the CPU. Raises ValueError for a GPU that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"`device` is {name!r}, but PyTorch finds no GPU on this machine; take 'auto' or 'cpu'.")
    return device
