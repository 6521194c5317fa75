"""What the tests share: golden values, numbers drawn from a seed, weights that every implementation can make."""

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
SHAPES = [(1, 1), (1, 5), (4, 1), (3, 4), (2, 6)]  # of a map: also a pixel, a row, a column, less than a radius

# What hypothesis draws for the properties of the equations.
seeds, shapes = st.integers(0, 999), st.sampled_from(SHAPES)
metrics, reduces = st.sampled_from(["euclidean", "chebyshev"]), st.sampled_from(["mean", "sum"])


@lru_cache(maxsize=2)
def reference(name: str) -> dict[str, Any]:
    """Golden values of tests/reference/<name>.npz: numbers as tensors, words as arrays."""
    return _load(ROOT / "tests" / "reference" / f"{name}.npz")


def reference_json(name: str) -> Any:
    """A JSON file of tests/reference."""
    return json.loads((ROOT / "tests" / "reference" / f"{name}.json").read_text())


def shared(name: str) -> Path:
    """A file that lies beside the repository and is not part of it, such as "reference/metrics_vsl.npz".

    The folder is ../shared, or USPL_SHARED. Without the folder the test is skipped, except where CI is set.
    """
    folder = Path(os.environ.get("USPL_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir() and not os.environ.get("CI"):
        pytest.skip("needs the shared folder beside the repository")
    return folder / name


def shared_reference(name: str) -> dict[str, Any]:
    """Golden values that are not copied into the repository."""
    return _load(shared(f"reference/{name}.npz"))


def tight(text: str) -> str:
    """A table without the spaces that line its columns up."""
    return re.sub(r" {2,}", " ", text)


def random(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform numbers in [0, 1)."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def trimap(seed: int, *shape: int) -> Tensor:
    """Three-way maps of 0, 1 and 255."""
    return torch.tensor([0, 1, 255], dtype=torch.uint8)[(3 * random(seed, *shape)).long()]


def near(got: Tensor, expected: Tensor) -> None:
    """Within 1e-4 of the largest value."""
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


def recipe(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights every implementation can make: an integer hash of (place in the state dict, flat index)."""
    return {key: _hashed(i, key, value) for i, (key, value) in enumerate(state.items())}


def _load(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {k: torch.from_numpy(v) if v.dtype.kind in "biuf" else v for k, v in file.items()}


def _hashed(i: int, key: str, value: Tensor) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return value
    pieces = [_unit(i, start, min(value.numel(), start + (1 << 22))) for start in range(0, value.numel(), 1 << 22)]
    u = np.concatenate(pieces)
    s = 2 * u - 1
    if value.ndim >= 2:
        numbers = s * np.sqrt(6 / (value.numel() / value.shape[0]))
    elif key.endswith("running_var"):
        numbers = 1 + 0.5 * u
    elif key.endswith("running_mean"):
        numbers = 0.1 * s
    else:
        numbers = 1 + 0.2 * s if key.endswith("weight") else 0.05 * s
    return torch.from_numpy(numbers.astype(np.float32)).view(value.shape)


def _unit(i: int, start: int, stop: int) -> np.ndarray:
    z = np.arange(start, stop, dtype=np.uint64) + np.uint64(i * 0x9E3779B97F4A7C15 % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
