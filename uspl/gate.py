"""When to mark nothing: two thresholds, chosen on validation clips, that silence and noise do not pass."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

SOUNDING, SILENT, UNSURE = "sounding", "silent", "not sure"  # what a frame may be


@dataclass(frozen=True)
class Gate:
    """A frame is marked where its sound is louder than `loudness` and its greatest cosine (Eq. 1) is above `cosine`.

    A map that is divided by its own maximum marks something in any case; this says when there is nothing to mark.

    >>> import torch
    >>> loud, cosine = torch.tensor([-20.0, -20.0, -100.0]), torch.tensor([0.9, 0.1, 0.9])
    >>> Gate(loudness=-50, cosine=0.5).active(loud, cosine).tolist()
    [True, False, False]
    """

    loudness: float = -60.0  # dB of full scale, RMS
    cosine: float = -1.0  # of the coarse map; -1 lets everything pass
    clips: int = 0  # validation clips it was chosen on; 0: not calibrated
    kept: float | None = None  # share of them that pass
    silence: float | None = None  # share of their frames that pass with silence
    noise: float | None = None  # the same with white and pink noise

    def active(self, loud: Float[Tensor, " b"], cosine: Float[Tensor, " b"]) -> Bool[Tensor, " b"]:
        """Which frames are marked: `loud` in dB, `cosine` the greatest of each coarse map."""
        return (loud > self.loudness) & (cosine > self.cosine)

    def states(self, loud: Float[Tensor, " b"], cosine: Float[Tensor, " b"]) -> list[str]:
        """What each frame is: "sounding"; "silent", too soft; or "not sure", heard and not found in the picture.

        >>> import torch
        >>> Gate(loudness=-50, cosine=0.5).states(torch.tensor([-20.0, -20, -90]), torch.tensor([0.9, 0.1, 0.9]))
        ['sounding', 'not sure', 'silent']
        """
        heard, found = (loud > self.loudness).tolist(), self.active(loud, cosine).tolist()
        return [SOUNDING if f else UNSURE if h else SILENT for h, f in zip(heard, found, strict=True)]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Gate":
        """Inverse of `as_dict`. Raises ValueError for a field this version does not know."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"`gate` has no field `{unknown[0]}`; it was written by another version of uspl.")
        return cls(**values)
