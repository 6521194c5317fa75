"""A protocol over clips: scores, and beside each the floor, the ceiling, an interval and the share reached."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from numpy.typing import NDArray
from torch import Tensor

from uspl.data.batch import video_of
from uspl.evaluation.protocols.base import Protocol, Values
from uspl.metrics import localization
from uspl.metrics.segmentation import Numbers

RESAMPLES = 1000


class ProtocolScorer:
    """Scores of maps under one protocol, collected batch by batch and reduced once, in the order of the ids.

    Args:
        protocol: from `uspl.evaluation.protocols.named`.

    >>> from uspl.evaluation.protocols import named
    >>> scorer, truth = ProtocolScorer(named("vggss-absolute(0.5)")), torch.zeros(2, 8, 8)
    >>> truth[:, 2:6, 2:6] = 1
    >>> scorer.add(["a_1", "b_1"], {"m": torch.stack([truth[0], torch.ones(8, 8)])}, truth)
    >>> {k: round(v, 3) for k, v in scorer.result()["scores"]["m"]["ciou"].items() if k in ("value", "ceiling")}
    {'value': 0.5, 'ceiling': 1.0}
    """

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self._ids: list[str] = []
        self._rows: dict[tuple[str, str], list[Values]] = {}
        self._pixels: tuple[int, ...] = ()

    def add(
        self,
        ids: Sequence[str],
        maps: Mapping[str, Shaped[Tensor, "n h w"]],
        truth: Shaped[Tensor, "n h w"],
        silent: Bool[Tensor, " n"] | None = None,
    ) -> None:
        """Take in some clips.

        Args:
            ids: N names, "<video>_<second>".
            maps: name -> (N, H, W) in [0, 1].
            truth: (N, H, W), positive where the pixel sounds.
            silent: (N,), where nothing sounds; None: where the truth is empty.

        Raises:
            ValueError: a map that holds no number; another number of ids; maps of another size than the truth.
        """
        if len(ids) != len(truth):
            raise ValueError(f"`ids` must name each of the {len(truth)} clips; got {len(ids)}.")
        truth = truth > 0
        silent = ~truth.flatten(1).any(1) if silent is None else silent
        self._ids += ids
        self._pixels = tuple(truth.shape[1:])
        for name, m in maps.items():
            localization.check_maps(m, truth)
            wrong = ~m.isfinite().flatten(1).all(1)
            if wrong.any():
                raise ValueError(
                    f"the map `{name}` of {ids[int(wrong.float().argmax())]!r} holds a value that is no number."
                )
            self._keep(("map", name), self.protocol.measure(m, truth, silent))
        self._keep(("ceiling", "oracle"), self.protocol.oracle(truth, silent))
        everything = torch.ones(truth.shape, device=truth.device)
        self._keep(("floor", "whole_image"), self.protocol.values(everything, everything > 0, truth, silent))
        for sigma in self.protocol.sigmas:
            one = localization.centre_gaussian(truth.shape[1], truth.shape[2], sigma).to(truth.device)[None]
            blind = one.expand(truth.shape)
            marked = self.protocol.mark(blind if self.protocol.knows_area else one, truth).expand(truth.shape)
            self._keep(("floor", f"centre_gaussian {sigma}"), self.protocol.values(blind, marked, truth, silent))

    def _keep(self, key: tuple[str, str], values: Values) -> None:
        self._rows.setdefault(key, []).append(values)

    def points(self) -> dict[str, dict[str, float]]:
        """The plain scores of each map: {map: {score: value}}."""
        rows, _ = self._reducible(None)
        return {name: self.protocol.reduce(v) for (kind, name), v in rows.items() if kind == "map"}

    def result(
        self, order: Sequence[str] | None = None, *, resamples: int = RESAMPLES, seed: int = 0
    ) -> dict[str, Any]:
        """Scores with what stands beside them, as a record keeps it.

        Args:
            order: the ids in the order of the data set; None sorts them. Only avsbench-batch(n) depends on it.
            resamples: of the bootstrap.
            seed: of the bootstrap.

        Raises:
            ValueError: no clip was added; a protocol with silent pairs saw none of them, or nothing else.
        """
        p = self.protocol
        rows, video = self._reducible(order)
        points = {key: p.reduce(v) for key, v in rows.items()}
        floors, ceiling = _floors(p, points), points["ceiling", "oracle"]
        maps = {name: v for (kind, name), v in rows.items() if kind == "map"}
        found: dict[str, Any] = {
            "protocol": p.name,
            "rule": p.rule,
            "source": p.source,
            "n": len(self._ids),
            "videos": int(video.max()) + 1,
            "pixels": list(self._pixels),
            "floors": floors,
            "ceiling": ceiling,
            "interval": {"level": 0.95, "over": "videos", "resamples": resamples, "seed": seed},
            "threshold": asdict(p.chosen) if p.chosen else None,
            "scores": {},
        }
        for name, values in maps.items():
            limits = _interval(p, values, video, resamples, seed)
            found["scores"][name] = {
                score: _beside(points["map", name][score], limits[score], floors, ceiling[score], score)
                for score in p.scores
            }
        if p.silence:
            found["subsets"] = {name: p.silence.subsets(values) for name, values in maps.items()}
        return found

    def _reducible(self, order: Sequence[str] | None) -> tuple[dict[tuple[str, str], Values], NDArray[np.intp]]:
        """What `reduce` takes: rows in the order of the ids, or per video; and the video of each row."""
        p = self.protocol
        if not self._ids:
            raise ValueError(f"`{p.name}` needs at least one clip with a ground truth; got none.")
        place = {id: i for i, id in enumerate(sorted(self._ids) if order is None else order)}
        turn = np.argsort([place[id] for id in self._ids], kind="stable")
        _, video = np.unique([video_of(self._ids[i]) for i in turn], return_inverse=True)
        rows = {key: _joined(parts, turn) for key, parts in self._rows.items()}
        if p.silence:
            _check_silence(p, p.silence.sounding(rows["ceiling", "oracle"]))
            rows = {key: v if key[0] == "map" else p.silence.blind(v) for key, v in rows.items()}
        if p.by_video:
            rows = {key: _per_video(v, video) for key, v in rows.items()}
            video = np.arange(video.max() + 1)
        return rows, video


def _joined(parts: list[Values], turn: NDArray[np.intp]) -> Values:
    return {k: np.concatenate([part[k] for part in parts])[turn] for k in parts[0]}


def _per_video(values: Values, video: NDArray[np.intp]) -> Values:
    """Sums over the clips of each video; the videos in the order in which they first appear."""
    _, first = np.unique(video, return_index=True)
    rank = np.argsort(np.argsort(first))
    sums = {k: np.zeros((len(first), *v.shape[1:])) for k, v in values.items()}
    for k, v in values.items():
        np.add.at(sums[k], rank[video], v)
    return sums


def _check_silence(protocol: Protocol, sounding: Numbers) -> None:
    if sounding.all() or not sounding.any():
        lack = "silent" if sounding.all() else "sounding"
        raise ValueError(f"`{protocol.name}` needs sounding and silent pairs; got no {lack} one among {len(sounding)}.")


def _floors(protocol: Protocol, points: Mapping[tuple[str, str], dict[str, float]]) -> dict[str, dict[str, float]]:
    """Whole image, and for each score the centre Gaussian that is best for it on these clips."""
    blind = [v for (kind, name), v in points.items() if kind == "floor" and name != "whole_image"]
    best = {score: max(v[score] for v in blind) for score in protocol.scores}
    return {"whole_image": points["floor", "whole_image"], "centre_gaussian": best}


def _beside(
    value: float, limits: tuple[float, float], floors: dict[str, dict[str, float]], ceiling: float, score: str
) -> dict[str, Any]:
    """One score with its interval, its floor, its ceiling, and the share of the way between them."""
    floor_is = max(floors, key=lambda k: floors[k][score])
    floor = floors[floor_is][score]
    share = (value - floor) / (ceiling - floor) if ceiling - floor > 1e-9 else None
    low, high = limits
    return {
        "value": value,
        "low": low,
        "high": high,
        "floor": floor,
        "floor_is": floor_is,
        "ceiling": ceiling,
        "share": share,
    }


def _interval(
    protocol: Protocol, values: Values, video: NDArray[np.intp], resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """95 % of the scores of sets drawn with replacement, video by video: the clips of one are not independent."""
    scores = [protocol.reduce({k: v[rows] for k, v in values.items()}) for rows in _draws(video, resamples, seed)]
    found: dict[str, tuple[float, float]] = {}
    for name in protocol.scores:
        low, high = np.quantile([s[name] for s in scores], (0.025, 0.975))
        found[name] = float(low), float(high)
    return found


def _draws(video: NDArray[np.intp], resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Rows of each drawn set."""
    generator = np.random.default_rng(seed)
    n, alone = int(video.max()) + 1, np.argsort(video, kind="stable")
    for _ in range(resamples):
        drawn = generator.integers(n, size=n)
        times = np.bincount(drawn, minlength=n)
        yield alone[drawn] if n == len(video) else np.repeat(np.arange(len(video)), times[video])
