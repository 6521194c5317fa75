"""Run a model over a set under named protocols: scores, whether it listens, and what stands beside them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from uspl import align, machine, metrics
from uspl.baselines.peer import Peer
from uspl.data import Batch, Clip
from uspl.listen import Listening, area, listening
from uspl.media import DataError
from uspl.model import USPL, Maps
from uspl.objective import Moment
from uspl.predict import MAPS, Localiser, hear, loader, predict
from uspl.protocols import Protocol, Threshold, named
from uspl.tally import Tally, video_of

__all__ = [
    "MAPS",
    "area",
    "choose_threshold",
    "evaluate",
    "forward_maps",
    "listening",
    "loader",
    "miou",
    "predict",
    "score",
]

LEVELS = [k / 100 for k in range(1, 100)]  # thresholds that are tried


def score(
    model: Localiser, dataset: Dataset[Clip], *, maps: Sequence[str] = MAPS, batch_size: int = 32
) -> dict[str, dict[str, float]]:
    """mIoU and F-score of each map by AVSBench's rules, marked as `binarise` and maximised as `fscore_per` say.

    Returns:
        {map: {"miou": mean over frames, "fscore": mean over videos}}; frames without annotation are left out.
    """
    cfg = model.cfg
    kept: dict[str, list[Tensor]] = {name: [] for name in maps}
    masks: list[Tensor] = []
    videos: list[str] = []
    for batch, found in predict(model, dataset, maps=maps, batch_size=batch_size, exact=True):
        annotated = (batch.mask >= 0).flatten(1).all(1)
        masks.append(batch.mask[annotated].cpu())
        videos += [video_of(i) for i, a in zip(batch.ids, annotated.tolist(), strict=True) if a]
        for name, m in found.items():
            kept[name].append(m[annotated].cpu())
    truth, result = torch.cat(masks), {}
    for name, pieces in kept.items():
        m = torch.cat(pieces)
        logits = torch.logit(m.double(), eps=1e-12).float()  # the published F-score takes logits
        result[name] = {
            "miou": metrics.iou(metrics.binarise(m, how=cfg.binarise), truth > 0.5).mean().item(),
            "fscore": metrics.avsbench_fscore(logits, truth, per=cfg.fscore_per, videos=videos),
        }
    return result


def miou(
    model: Localiser, dataset: Dataset[Clip], *, maps: Sequence[str] = MAPS, batch_size: int = 50
) -> dict[str, float]:
    """mIoU at 0.5 of each map: what the training loop shows after each epoch."""
    total = dict.fromkeys(maps, 0.0)
    n = 0
    for batch, found in predict(model, dataset, maps=maps, batch_size=batch_size):
        n += len(batch.ids)
        for name, m in found.items():
            total[name] += float(metrics.iou(m > 0.5, batch.mask > 0.5).sum())
    return {name: value / n for name, value in total.items()}


def validate(model: Localiser, dataset: Any, *, maps: Sequence[str], batch_size: int = 50) -> dict[str, float]:
    """What is known of a model after an epoch: "val_<map>", the mIoU at 0.5 of each map, where clips have masks;
    otherwise "val_mmicl", Eq. (2) with no location hidden (of a peer "val_loss", its own), the mean over batches."""
    if dataset[0].mask is not None:
        return {f"val_{k}": v for k, v in miou(model, dataset, maps=maps, batch_size=batch_size).items()}
    cfg, device, losses = model.eval().cfg, next(model.parameters()).device, []
    with torch.inference_mode():
        for batch in loader(dataset, batch_size=cfg.batch_size, front_end=cfg.front_end, num_workers=cfg.workers):
            batch = batch.to(device)
            if isinstance(model, Peer):
                losses.append(model(batch, torch.Generator().manual_seed(0), Moment(True, 0.0, 1.0))["loss"].item())
                continue
            f_a, (_, f_v) = model.encode_sound(batch.sound).float(), model.encode_image(batch.image)
            losses.append(align.mmicl_loss(f_a, f_v.float(), tau=cfg.tau, symmetric=cfg.symmetric).item())
    return {"val_loss" if isinstance(model, Peer) else "val_mmicl": sum(losses) / len(losses)}


def choose_threshold(
    model: Localiser,
    val_set: Dataset[Clip],
    *,
    protocol: str = "vggss-absolute",
    map: str = "m",
    batch_size: int = 32,
    workers: int = 0,
) -> Threshold:
    """The threshold among 0.01, 0.02, ..., 0.99 with the best headline score on validation; the lowest of equal ones.

    Args:
        model: in any mode.
        val_set: the split "val" of a data set, whose `split` says so.
        protocol: "avsbench", "vggss-absolute" or "vggss-minmax"; where cIoU@0.5 ties, the mean cIoU decides.
        map: which of "m_crs", "m_fine", "m".
        batch_size, workers: no effect on the value.

    Raises:
        ValueError: another split, or a protocol without a threshold.
    """
    clips: Any = val_set
    split = getattr(clips, "split", None)
    if split != "val":
        rule = "must be the split 'val': a threshold is never chosen on what is tested"
        raise ValueError(f"`val_set` {rule}; got {split!r}.")
    sweep = named(f"{protocol}(0.5)").sweep
    if sweep is None:
        raise ValueError(f"`protocol` must have a threshold to choose; got {protocol!r}.")
    rows = []
    for batch, found in predict(model, val_set, maps=(map,), batch_size=batch_size, workers=workers, exact=True):
        known = (batch.mask >= 0).flatten(1).all(1)
        m = found[map][known]
        rows.append(sweep(m, batch.mask[known], m.new_tensor(LEVELS)).cpu())
    curve = torch.cat(rows).double().numpy()
    means = curve.mean(0)
    headline = means if protocol == "avsbench" else (curve >= 0.5).mean(0)
    best = max(range(len(LEVELS)), key=lambda k: (headline[k], means[k], -k))
    return Threshold(LEVELS[best], split, len(curve), clips.data_hash, float(headline[best]))


def evaluate(
    model: Localiser,
    dataset: Any,
    *,
    maps: Sequence[str] = MAPS,
    protocols: Sequence[str] = ("avsbench",),
    listen: bool = True,
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
        protocols: names, see `uspl.protocols.names`; "(val)" takes a threshold from `val_set`.
        listen: also `listening`, scored by the first protocol that needs no silent pairs.
        val_set: the split "val" on which "(val)" is chosen.
        partial: score the clips that are there although some, or their annotation, are missing.
        batch_size, workers: clips loaded at once, and processes that load them; no effect on the values.

    Returns:
        "protocols" {name: what `Tally.result` gives}; "scores" {map: {"miou", "fscore"}} and "floors" by AVSBench's
        rules, the ones the study's tables are made of; "listening"; "n", "missing", "partial", "data_hash".

    Raises:
        ValueError: an unknown protocol, or one that lacks what it needs.
        DataError: a frame without ground truth, unless `partial`.
    """
    machine.pages(keep=False)
    options: dict[str, Any] = {"batch_size": batch_size, "workers": workers}
    jobs = _jobs(model, protocols, maps, val_set, options)
    tallies = [Tally(job.protocol) for job in jobs]
    silent: frozenset[str] = getattr(dataset, "silent", frozenset())
    masks, objects, unannotated = [], [], []
    first = next((job.protocol for job in jobs if not job.protocol.silence), None)
    judge = Listening(dataset, maps=maps, protocol=first) if listen and not silent else None
    asked: dict[str, Any] = {"sounds": judge.sounds, "partners": judge.partners} if judge else {"sounds": ("own",)}
    for batch, by_sound in hear(model, dataset, maps=maps, exact=True, **asked, **options):
        found, known = by_sound["own"], (batch.mask >= 0).flatten(1).all(1)
        unannotated += _names(batch.ids, ~known)
        if unannotated and not partial:
            raise DataError(unannotated[0], "has no ground truth; add --partial to score the clips that have one")
        quiet = torch.tensor([id in silent for id in batch.ids], device=known.device)
        for job, tally in zip(jobs, tallies, strict=True):
            kept = known if job.protocol.silence else known & ~quiet
            if kept.any():
                marked = {m: found[m][kept] for m in job.maps}
                tally.add(_names(batch.ids, kept), marked, batch.mask[kept] > 0.5, quiet[kept] if silent else None)
        masks.append(batch.mask[known & ~quiet].cpu() > 0.5)
        objects.append(batch.objects[known & ~quiet].cpu())
        if judge:
            judge.add(batch, by_sound)
        machine.trim()
    results = {job.label: tally.result(dataset.ids) for job, tally in zip(jobs, tallies, strict=True)}
    found_sounds = judge.result() if judge else {}
    if listen and not judge:
        found_sounds = listening(model, getattr(dataset, "sounding", dataset), maps=maps, protocol=first, **options)
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
    model: Localiser, protocols: Sequence[str], maps: Sequence[str], val_set: Any, options: dict[str, Any]
) -> list[Job]:
    """A job per protocol; one per map where the threshold is chosen, since each map has its own."""
    jobs = []
    for name in protocols:
        base, _, given = name.partition("(")
        if given.strip() != "val)" or base == "slavc-extended":
            jobs.append(Job(name, named(name), tuple(maps)))
            continue
        if val_set is None:
            raise ValueError(f"`{name}` needs the validation split of a data set as `val_set`; got none.")
        for m in maps:
            threshold = choose_threshold(model, val_set, protocol=base, map=m, **options)
            jobs.append(Job(f"{name} for {m}", named(name, threshold), (m,)))
    return jobs


def _first_study(
    model: Localiser, dataset: Any, results: dict[str, Any], maps: Sequence[str], masks: Tensor, objects: Tensor
) -> dict[str, Any]:
    """ "scores" and "floors" as the study's tables read them: plain numbers by AVSBench's rules."""
    if "avsbench" not in results:
        return {}
    known = bool((objects != 255).all())
    plain = {m: {k: s["value"] for k, s in by.items()} for m, by in results["avsbench"]["scores"].items()}
    usual = model.cfg.binarise == "half" and model.cfg.fscore_per == "video"
    return {
        "scores": plain if usual else score(model, dataset, maps=maps),
        "floors": metrics.floors(masks, objects if known else None),
    }


def forward_maps(model: USPL, batch: Batch) -> Maps:
    """Every map of a batch in inference mode: what the notebooks show."""
    with torch.inference_mode():
        maps: Maps = model.eval()(batch.image, batch.sound)
    return maps
