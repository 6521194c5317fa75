"""Several channels as one, as a player with one loudspeaker would play them."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

BLOCK = 0.5  # s: channels are weighed for so long at a time
CANCELLED = 1 / 8  # of the energy that its strongest channel brings: a sum below it is opposite phase, no mix
SIDE, BEHIND = 0.5, 0.5**1.5  # the mean of left and right; 3 dB less for what stands behind or above (ITU-R BS.775)
GAINS = {  # a voice in the centre is as loud as in a film of one channel; low-frequency effects are left out
    **dict.fromkeys(("FC", "AMBI0"), 1.0),
    **dict.fromkeys(("FL", "FR", "FLC", "FRC", "DL", "DR", "WL", "WR", "BC"), SIDE),
    **dict.fromkeys(("BL", "BR", "SL", "SR", "SDL", "SDR", "TC", "TFC", "TBC", "BFC"), BEHIND),
    **dict.fromkeys(("TFL", "TFR", "TBL", "TBR", "TSL", "TSR", "BFL", "BFR"), BEHIND),
}
USUAL = {3: "FL FR LFE", 4: "FL FR BL BR", 5: "FL FR FC BL BR", 6: "FL FR FC LFE BL BR", 8: "FL FR FC LFE BL BR SL SR"}


class Downmix:
    """Mixes a sound that comes in pieces of any length; what it gives does not depend on where they are cut.

    One channel stays as it is, two become their mean, more the usual downmix, never louder than the loudest of them.
    Where the sum of the channels cancels (opposite phase), the loudest of them is heard in its place.

    Args:
        channels: their names, as FFmpeg gives them ("FL", "FR", "FC", ...); where the names say nothing, their number
            does, and channels of a number that has no usual order are averaged.
        sr: Hz.
    """

    def __init__(self, channels: Sequence[str], sr: int) -> None:
        gains = [GAINS.get(name, 0.0) for name in channels]
        if not any(gains):
            gains = [GAINS.get(name, 0.0) for name in USUAL.get(len(channels), "").split()]
        self._gains = np.array(gains or [1 / len(channels)] * len(channels), np.float32)
        self._block, self._level = max(round(BLOCK * sr), 1), -1.0
        self._held = np.zeros((len(channels), 0), np.float32)

    def mixed(self, piece: Float32[np.ndarray, "channels n"]) -> Iterator[Float32[np.ndarray, " n"]]:
        """The mono sound of the blocks that a piece completes."""
        if len(piece) == 1:
            yield piece[0]
            return
        self._held = np.concatenate([self._held, piece], axis=1)
        while self._held.shape[1] >= self._block:
            yield self._mix(self._held[:, : self._block])
            self._held = self._held[:, self._block :]

    def rest(self) -> Float32[np.ndarray, " n"]:
        """The mono sound of what has come since the last whole block."""
        last, self._held = self._held, self._held[:, :0]
        return self._mix(last) if last.shape[1] else np.zeros(0, np.float32)

    def _mix(self, x: np.ndarray) -> np.ndarray:
        mix: np.ndarray = x.mean(axis=0) if len(x) == 2 else self._gains @ x
        energies = np.square(x, dtype=np.float64).mean(axis=1) * (self._gains > 0)
        heard, brought = np.square(mix, dtype=np.float64).mean(), energies * self._gains**2
        if heard < CANCELLED * brought.max():
            # The first that is about as loud as the loudest: equal channels are not taken in turns.
            strongest = int(np.argmax(brought >= brought.max() / 2))
            chosen: np.ndarray = x[strongest] * np.float32(min(self._gains[strongest] / SIDE, 1))
            return chosen
        if len(x) > 2 and heard > 0:
            level = min((energies.max() / heard) ** 0.5, 1.0)
            begin, self._level = level if self._level < 0 else self._level, level
            mix = mix * np.linspace(begin, level, len(mix), dtype=np.float32)
        return mix


def mono(x: Float32[np.ndarray, "channels n"], sr: int) -> Float32[np.ndarray, " n"]:
    """A whole sound of unnamed channels as one; see `Downmix`."""
    mix = Downmix(["NONE"] * len(x), sr)
    return np.concatenate([*mix.mixed(x), mix.rest()] if len(x) > 1 else [x[0]])
