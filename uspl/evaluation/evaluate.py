"""Run a model over a set under named protocols: scores, whether it listens, and what stands beside them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from uspl.core import memory
from uspl.core.errors import DataError
from uspl.data.batch import Clip
from uspl.evaluation import sound_swap
from uspl.evaluation.protocols import avsbench
from uspl.evaluation.protocols.base import Protocol
from uspl.evaluation.protocols.registry import asks_validation, named
from uspl.evaluation.scorer import ProtocolScorer
from uspl.evaluation.sound_swap import AudioSensitivity
from uspl.evaluation.threshold import choose_threshold
from uspl.inference.predict import MAPS, MapModel, predict, predict_batches
from uspl.metrics import trivial_baselines


def score(
    model: MapModel, dataset: Dataset[Clip], *, maps: Sequence[str] = MAPS, batch_size: int = 32
) -> dict[str, dict[str, float]]:
    """mIoU and F-score of each map by AVSBench's rules, marked as `binarise` and maximised as `fscore_per` say.

    Returns:
        {map: {"miou": mean over frames, "fscore": mean over videos}}; frames without annotation are left out.
    """
    scorer = ProtocolScorer(avsbench.configured(model.cfg))
    for batch, found in predict(model, dataset, maps=maps, batch_size=batch_size, exact=True):
        known = (batch.mask >= 0).flatten(1).all(1)
        if known.any():
            scorer.add(_names(batch.ids, known), {k: m[known] for k, m in found.items()}, batch.mask[known] > 0.5)
    return scorer.points()


def evaluate(
    model: MapModel,
    dataset: Any,
    *,
    maps: Sequence[str] = MAPS,
    protocols: Sequence[str] = ("avsbench",),
    audio_sensitivity: bool = True,
    val_set: Any = None,
    partial: bool = False,
    batch_size: int = 32,
    workers: int = 0,
) -> dict[str, Any]:
    """Everything a record needs: each protocol with floor, ceiling and interval, listening, N, missing, data hash.

    Args:
        model: in any mode.
        dataset: clips with `ids`, `missing`, `data_hash`; those in its `silent` count only where a protocol asks for
            silent pairs.
        maps: which of "m_crs", "m_fine", "m", "m_cos".
        protocols: names, see `uspl.evaluation.protocols.names`; "(val)" takes a threshold from `val_set`.
        audio_sensitivity: also other sounds, silence and noise (see `sound_swap`), scored by the first protocol that
            needs no silent pairs.
        val_set: the split "val" on which "(val)" is chosen.
        partial: score the clips that are there although some, or their annotation, are missing.
        batch_size, workers: clips loaded at once, and processes that load them; no effect on the values.

    Returns:
        "protocols" {name: see `ProtocolScorer.result`}; "scores" {map: {"miou", "fscore"}} and "floors" by AVSBench's
        rules, the ones the study's tables are made of; "listening"; "n", "missing", "partial", "data_hash".

    Raises:
        ValueError: an unknown protocol, or one that lacks what it needs.
        DataError: a frame without ground truth, unless `partial`.
    """
    memory.tune_malloc(keep=False)
    options: dict[str, Any] = {"batch_size": batch_size, "workers": workers}
    jobs = _jobs(model, protocols, maps, val_set, options)
    scorers = [ProtocolScorer(job.protocol) for job in jobs]
    silent: frozenset[str] = getattr(dataset, "silent", frozenset())
    masks, objects, unannotated = [], [], []
    first = next((job.protocol for job in jobs if not job.protocol.silence), None)
    judge = AudioSensitivity(dataset, maps=maps, protocol=first) if audio_sensitivity and not silent else None
    asked: dict[str, Any] = {"sounds": judge.sounds, "partners": judge.partners} if judge else {"sounds": ("own",)}
    for batch, by_sound in predict_batches(model, dataset, maps=maps, exact=True, **asked, **options):
        found, known = by_sound["own"], (batch.mask >= 0).flatten(1).all(1)
        unannotated += _names(batch.ids, ~known)
        if unannotated and not partial:
            raise DataError(unannotated[0], "has no ground truth; add --partial to score the clips that have one")
        quiet = torch.tensor([id in silent for id in batch.ids], device=known.device)
        for job, scorer in zip(jobs, scorers, strict=True):
            kept = known if job.protocol.silence else known & ~quiet
            if kept.any():
                marked = {m: found[m][kept] for m in job.maps}
                scorer.add(_names(batch.ids, kept), marked, batch.mask[kept] > 0.5, quiet[kept] if silent else None)
        masks.append(batch.mask[known & ~quiet].cpu() > 0.5)
        objects.append(batch.objects[known & ~quiet].cpu())
        if judge:
            judge.add(batch, by_sound)
        memory.release_free_pages()
    results = {job.label: scorer.result(dataset.ids) for job, scorer in zip(jobs, scorers, strict=True)}
    found_sounds = judge.result() if judge else {}
    if audio_sensitivity and not judge:
        found_sounds = sound_swap.audio_sensitivity(
            model, getattr(dataset, "sounding", dataset), maps=maps, protocol=first, **options
        )
    return {
        "protocol": "; ".join(protocols),
        "protocols": results,
        "n": len(dataset) - len(unannotated),
        "missing": [*dataset.missing, *unannotated],
        "partial": partial,
        "data_hash": dataset.data_hash,
        "listening": found_sounds,
        **_first_study(model, dataset, results, maps, torch.cat(masks), torch.cat(objects)),
    }


def _names(ids: Sequence[str], chosen: Tensor) -> list[str]:
    return [id for id, c in zip(ids, chosen.tolist(), strict=True) if c]


class Job(NamedTuple):
    """A protocol and the maps it scores."""

    label: str
    protocol: Protocol
    maps: tuple[str, ...]


def _jobs(
    model: MapModel, protocols: Sequence[str], maps: Sequence[str], val_set: Any, options: dict[str, Any]
) -> list[Job]:
    """A job per protocol; one per map where the threshold is chosen, since each map has its own."""
    jobs = []
    for name in protocols:
        base = asks_validation(name)
        if base is None:
            jobs.append(Job(name, named(name), tuple(maps)))
            continue
        if val_set is None:
            raise ValueError(f"`{name}` needs the validation split of a data set as `val_set`; got none.")
        for m in maps:
            threshold = choose_threshold(model, val_set, protocol=base, map=m, **options)
            jobs.append(Job(f"{name} for {m}", named(name, threshold), (m,)))
    return jobs


def _first_study(
    model: MapModel, dataset: Any, results: dict[str, Any], maps: Sequence[str], masks: Tensor, objects: Tensor
) -> dict[str, Any]:
    """ "scores" and "floors" as the study's tables read them: plain numbers by AVSBench's rules."""
    if "avsbench" not in results:
        return {}
    known = bool((objects != 255).all())
    plain = {m: {k: s["value"] for k, s in by.items()} for m, by in results["avsbench"]["scores"].items()}
    usual = model.cfg.binarise == "half" and model.cfg.fscore_per == "video"
    return {
        "scores": plain if usual else score(model, dataset, maps=maps),
        "floors": trivial_baselines.floors(masks, objects if known else None),
    }
