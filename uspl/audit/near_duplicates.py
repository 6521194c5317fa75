"""How alike pictures are: a perceptual hash, its near twins, and pictures that show nothing or do not move."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int, UInt64
from PIL import Image

from uspl.media.image import NOISE

SIDE = 16  # cells: the hash has 16 rows of 16 differences, 256 bits
BITS = SIDE * SIDE
LIMIT = 16  # bits of 256: two pictures that differ in no more are called twins
BUSY = 64  # cells: with fewer differences above NOISE a picture says too little to be compared
CHUNK = 1 << 22  # pairs compared at once: about 40 MB


def dhash(picture: Image.Image) -> UInt64[np.ndarray, " 4"] | None:
    """Difference hash: bit (y, x) is 1 where the grey cell (y, x + 1) is brighter than the cell (y, x).

    Cells are the means of a 16 x 17 grid over the picture, so that size, compression and brightness say little.
    None where fewer than 64 neighbours differ by 2 grey levels: a black title or a blank wall is like any other.

    >>> ramp = Image.linear_gradient("L").rotate(90)  # from dark to bright
    >>> [hex(int(word)) for word in dhash(ramp)]
    ['0xffffffffffffffff', '0xffffffffffffffff', '0xffffffffffffffff', '0xffffffffffffffff']
    >>> dhash(Image.new("L", (32, 32), 90)) is None
    True
    """
    cells = np.asarray(picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX), np.int16)
    steps = np.diff(cells, axis=1)
    if np.count_nonzero(np.abs(steps) >= NOISE) < BUSY:
        return None
    bits: UInt64[np.ndarray, " 4"] = np.packbits(steps > 0).view(">u8").astype(np.uint64)
    return bits


def near_duplicates(
    left: UInt64[np.ndarray, "n 4"], right: UInt64[np.ndarray, "m 4"], *, limit: int = LIMIT
) -> Iterator[tuple[int, int, int]]:
    """(i, j, d) for each picture i of `left` whose nearest picture j of `right` differs in d <= `limit` bits of 256."""
    if not len(right):
        return
    step = max(CHUNK // len(right), 1)
    for start in range(0, len(left), step):
        part = distances(left[start : start + step], right)
        nearest = part.argmin(axis=1)
        least = part[np.arange(len(part)), nearest]
        for i in np.flatnonzero(least <= limit):
            yield start + int(i), int(nearest[i]), int(least[i])


def distances(left: UInt64[np.ndarray, "n 4"], right: UInt64[np.ndarray, "m 4"]) -> Int[np.ndarray, "n m"]:
    """Hamming distances of hashes: in how many of 256 bits two pictures differ.

    >>> distances(np.array([[0, 0, 0, 7]], np.uint64), np.array([[0, 0, 0, 0], [1, 0, 0, 7]], np.uint64))
    array([[3, 1]], dtype=int16)
    """
    total = np.zeros((len(left), len(right)), np.int16)
    for word in range(left.shape[1]):
        total += np.bitwise_count(left[:, None, word] ^ right[None, :, word])
    return total
