"""Audio sensitivity: the same pictures with other sounds; the score should fall, the map should move or go out."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from uspl.core import memory
from uspl.data.batch import Batch, Clip, video_of
from uspl.evaluation.protocols.base import Protocol
from uspl.evaluation.protocols.registry import named
from uspl.evaluation.scorer import ProtocolScorer
from uspl.inference.predict import MAPS, Found, MapModel, predict, predict_batches

RULE = (
    "own, swap: share of frames whose maximum lies on the object that sounds, or with a sound of the first distractor "
    "on that distractor. silence, noise and area: mean share of pixels with M > 0.5. moved: share of maps whose pixels "
    "with M > 0.5 have an IoU below 0.5 with those under their own sound. scores: against the object that sounds in "
    "the film. shuffled: the sounds in an order drawn once; other: the sound of another video, of another category "
    "where possible."
)
RESAMPLES = 200


def derangement(categories: Sequence[str], videos: Sequence[str], *, seed: int = 0) -> list[int]:
    """For each clip the clip whose sound it hears: another video's, and another category's as often as can be.

    Clips are put in order by category and video, both drawn once, and each hears the clip half a round further: two
    clips of one block meet only where the block is longer than half of the set. Every sound is heard once.

    Args:
        categories: N names.
        videos: N names; the clips of a video share a sound track.
        seed: of the draw.

    Raises:
        ValueError: fewer than two clips, or another number of videos.

    >>> derangement(["dog", "dog", "cat", "cat"], ["a", "b", "c", "d"])
    [3, 2, 1, 0]
    """
    n = len(categories)
    if n < 2 or len(videos) != n:
        raise ValueError(f"`categories` and `videos` must name the same two clips or more; got {n} and {len(videos)}.")
    generator = torch.Generator().manual_seed(seed)
    kinds, films = _drawn(categories, generator), _drawn(videos, generator)
    order = sorted(range(n), key=lambda i: (kinds[categories[i]], films[videos[i]], i))
    partner = [0] * n
    for place, i in enumerate(order):
        partner[i] = order[(place + n // 2) % n]
    return partner


def _drawn(names: Sequence[str], generator: torch.Generator) -> dict[str, int]:
    """A place for each name, drawn; the order in which the names come has no say."""
    known = sorted(set(names))
    return {known[i]: place for place, i in enumerate(torch.randperm(len(known), generator=generator).tolist())}


class AudioSensitivity:
    """Does the sound steer the map? Takes the maps of each batch under `sounds` of `predict_batches`, then judges.

    Args:
        dataset: clips with `ids`; frames without a ground truth are left out of the scores.
        maps: which of "m_crs", "m_fine", "m".
        protocol: of the scores; None is "avsbench".
        seed: of the sounds that are exchanged.

    `sounds` and `partners` are what `predict_batches` is to be asked for.
    """

    def __init__(
        self, dataset: Any, *, maps: Sequence[str] = MAPS, protocol: Protocol | None = None, seed: int = 0
    ) -> None:
        self._kinds, self._ids, self._names = categories_of(dataset), list(dataset.ids), maps
        shuffled = torch.randperm(len(self._kinds), generator=torch.Generator().manual_seed(seed)).tolist()
        other = derangement(self._kinds, [video_of(id) for id in self._ids], seed=seed)
        self.partners = {"shuffled": shuffled, "other": other}
        self.sounds = ("own", "swap", *self.partners, "silence", "noise")
        self._scorer, self._notes = ProtocolScorer(protocol or named("avsbench")), _Notes()

    def add(self, batch: Batch, found: Mapping[str, Found]) -> None:
        """A batch and its maps under each sound."""
        known = (batch.mask >= 0).flatten(1).all(1)
        swapped = (batch.objects == 2).flatten(1).any(1) & (batch.objects != 255).flatten(1).all(1)
        # Where there is no other sound of a distractor, there is nothing to swap.
        found = {sound: by_map for sound, by_map in found.items() if sound != "swap" or swapped.any()}
        if known.any():
            ids = [id for id, k in zip(batch.ids, known.tolist(), strict=True) if k]
            scored = {f"{s}/{m}": v[known] for s, by_map in found.items() if s != "swap" for m, v in by_map.items()}
            self._scorer.add(ids, scored, batch.mask[known] > 0.5)
        self._notes.take(batch.objects, swapped, found)

    def result(self) -> dict[str, Any]:
        """Every number is {map: value}; `RULE` says what each one is.

        Returns:
            "own" and "swap" where objects are labelled, "silence", "noise"; "area" and "moved" by sound;
            "scores" by sound, with floor, ceiling and interval; "swap_iou" with the distractor that is heard then;
            "other_category": share of clips that heard another category under "other"; "rule".
        """
        result = self._notes.means()
        table = self._scorer.result(self._ids, resamples=RESAMPLES)["scores"]
        result["scores"] = {
            sound: {m: table[f"{sound}/{m}"] for m in self._names} for sound in self.sounds if sound != "swap"
        }
        result["protocol"] = self._scorer.protocol.name
        other, kinds = self.partners["other"], self._kinds
        result["other_category"] = sum(kinds[i] != kinds[j] for i, j in enumerate(other)) / len(kinds)
        return result | {"rule": RULE}


def audio_sensitivity(
    model: MapModel,
    dataset: Dataset[Clip],
    *,
    maps: Sequence[str] = MAPS,
    protocol: Protocol | None = None,
    **options: Any,
) -> dict[str, Any]:
    """`AudioSensitivity.result` of a whole set; `options` are `batch_size` and `workers`, without effect."""
    judge = AudioSensitivity(dataset, maps=maps, protocol=protocol)
    asked: dict[str, Any] = {"sounds": judge.sounds, "partners": judge.partners, "maps": maps, "exact": True}
    for batch, found in predict_batches(model, dataset, **asked, **options):
        judge.add(batch, found)
        memory.release_free_pages()
    return judge.result()


def area(
    model: MapModel, dataset: Dataset[Clip], *, sound: str = "own", maps: Sequence[str] = MAPS, batch_size: int = 32
) -> dict[str, float]:
    """Mean share of pixels above 0.5 of each map, with a `sound` of `predict`."""
    areas: dict[str, list[float]] = {name: [] for name in maps}
    for _, found in predict(model, dataset, sound=sound, maps=maps, batch_size=batch_size, exact=True):
        for name, m in found.items():
            areas[name] += (m > 0.5).double().mean((1, 2)).tolist()
    return {name: sum(a) / max(len(a), 1) for name, a in areas.items()}


def categories_of(dataset: Dataset[Clip]) -> list[str]:
    """The category of each clip, in order."""
    clips: Any = dataset
    listed = getattr(clips, "categories", None)
    return list(listed) if listed is not None else [clips[i].category for i in range(len(clips))]


class _Notes:
    """What each map does under each sound, clip by clip."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, ...], list[Tensor]] = {}

    def take(self, objects: Tensor, swapped: Tensor, found: Mapping[str, Found]) -> None:
        sounds = (objects == 1) & (objects != 255).flatten(1).all(1)[:, None, None]
        for sound, by_map in found.items():
            for name, m in by_map.items():
                marked, own = m > 0.5, found["own"][name] > 0.5
                if sound == "own":
                    self._keep(("own", name), _hits(m, sounds)[sounds.flatten(1).any(1)])
                if sound == "swap":
                    self._keep(("swap", name), _hits(m, objects == 2)[swapped])
                    self._keep(("swap_iou", name), _iou(marked, objects == 2)[swapped])
                chosen = swapped if sound == "swap" else torch.ones_like(swapped)
                self._keep(("area", sound, name), marked.flatten(1).double().mean(1)[chosen])
                if sound != "own":
                    self._keep(("moved", sound, name), (_iou(marked, own) < 0.5).double()[chosen])

    def _keep(self, key: tuple[str, ...], values: Tensor) -> None:
        self._rows.setdefault(key, []).append(values.double().cpu())

    def means(self) -> dict[str, Any]:
        """Nested as the keys are; what no clip has is left out."""
        result: dict[str, Any] = {}
        for key, parts in self._rows.items():
            values = torch.cat(parts)
            if len(values):
                home = result
                for part in key[:-1]:
                    home = home.setdefault(part, {})
                home[key[-1]] = values.mean().item()
        for sound in ("silence", "noise"):
            result[sound] = result["area"][sound]
        return result


def _hits(m: Tensor, there: Tensor) -> Tensor:
    """Whether the maximum of each map lies where it should."""
    return there.flatten(1).gather(1, m.flatten(1).argmax(1, keepdim=True)).squeeze(1)


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of two sets of pixels, 1 where both are empty."""
    union = (a | b).flatten(1).sum(1).double()
    return torch.where(union > 0, (a & b).flatten(1).sum(1) / union.clamp_min(1), 1.0)
