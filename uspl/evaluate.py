"""Run a model over a set: scores of each map, whether it listens, and the floors and bounds beside them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from uspl import align, metrics
from uspl.data import Batch, Clip, collate, sound_input
from uspl.model import USPL, Maps, resize

MAPS = ("m_crs", "m_fine", "m")


def loader(dataset: Dataset[Clip], *, batch_size: int, front_end: str, **options: Any) -> DataLoader[Batch]:
    """A DataLoader of `Batch`; `options` go to torch's DataLoader."""

    def join(clips: Sequence[Clip]) -> Batch:
        return collate(clips, front_end=front_end)

    # A generator of its own: otherwise each pass over the clips would draw from the reader's.
    options = {"generator": torch.Generator()} | options
    return DataLoader(dataset, batch_size=batch_size, collate_fn=join, **options)  # type: ignore[arg-type]


@torch.inference_mode()
def predict(
    model: USPL, dataset: Dataset[Clip], *, sound: str = "own", maps: Sequence[str] = MAPS, batch_size: int = 32
) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
    """Maps in [0, 1] at the size of the image, batch by batch.

    Args:
        model: in any mode; evaluated in eval mode and left so.
        dataset: clips, in order.
        sound: "own", "swap" (a sound of the first distractor), "silence", or "noise" (seeded, white, -20 dB).
        maps: which of "m_crs", "m_fine", "m".
        batch_size: clips per forward pass; no effect on the values.

    Yields:
        The batch on the model's device and its maps, each (B, S, S).

    Raises:
        ValueError: an unknown `sound`.
    """
    if sound not in ("own", "swap", "silence", "noise"):
        raise ValueError(f"`sound` must be 'own', 'swap', 'silence' or 'noise'; got {sound!r}.")
    model.eval()
    cfg, device = model.cfg, next(model.parameters()).device
    for batch in loader(dataset, batch_size=batch_size, front_end=cfg.front_end):
        batch = batch.to(device)
        heard = batch.swap if sound == "swap" else batch.sound
        if sound in ("silence", "noise"):
            heard = _other_sound(sound, cfg.seconds, cfg.front_end).to(heard).expand_as(heard)
        yield batch, _maps(model, batch.image, heard, maps)


def _maps(model: USPL, image: Tensor, sound: Tensor, wanted: Sequence[str]) -> dict[str, Tensor]:
    """Only what is asked for is computed: the coarse map alone needs neither the walk nor the decoder."""
    stages, f_v = model.encode_image(image)
    m_crs = align.sounding_map(model.encode_sound(sound).float(), f_v.float())
    found = {}
    if "m_crs" in wanted:
        found["m_crs"] = align.normalise_map(m_crs, model.cfg.map_range)
    if "m_fine" in wanted:
        found["m_fine"] = model.walked(model.on_grid(m_crs), model.f_aff(stages))
    if "m" in wanted:
        found["m"] = torch.sigmoid(model.segment(stages, f_v, m_crs))
    return {name: resize(m.float(), model.cfg.image_size) for name, m in found.items()}


def _other_sound(kind: str, seconds: float, front_end: str) -> Tensor:
    n = round(seconds * 16_000)
    wave = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(0)) if kind == "noise" else torch.zeros(n)
    return sound_input(wave, front_end=front_end).unsqueeze(0)


def score(
    model: USPL, dataset: Dataset[Clip], *, maps: Sequence[str] = MAPS, batch_size: int = 32
) -> dict[str, dict[str, float]]:
    """mIoU and F-score of each map by AVSBench's rules, marked as `binarise` and maximised as `fscore_per` say.

    Returns:
        {map: {"miou": mean over frames, "fscore": mean over videos}}; frames without annotation are left out.
    """
    cfg = model.cfg
    kept: dict[str, list[Tensor]] = {name: [] for name in maps}
    masks: list[Tensor] = []
    videos: list[str] = []
    for batch, found in predict(model, dataset, maps=maps, batch_size=batch_size):
        annotated = (batch.mask >= 0).flatten(1).all(1)
        masks.append(batch.mask[annotated].cpu())
        videos += [i.rsplit("_", 1)[0] for i, a in zip(batch.ids, annotated.tolist(), strict=True) if a]
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


def miou(model: USPL, dataset: Dataset[Clip], *, maps: Sequence[str] = MAPS, batch_size: int = 50) -> dict[str, float]:
    """mIoU at 0.5 of each map: what the training loop shows after each epoch."""
    total = dict.fromkeys(maps, 0.0)
    n = 0
    for batch, found in predict(model, dataset, maps=maps, batch_size=batch_size):
        n += len(batch.ids)
        for name, m in found.items():
            total[name] += float(metrics.iou(m > 0.5, batch.mask > 0.5).sum())
    return {name: value / n for name, value in total.items()}


def listening(
    model: USPL, dataset: Dataset[Clip], *, maps: Sequence[str] = MAPS, batch_size: int = 32
) -> dict[str, dict[str, float]]:
    """Does the sound steer the map?

    Returns:
        "own" / "swap": share of frames whose maximum lies on the sounding object, or with the sound of the first
        distractor on that distractor; "silence" / "noise": mean share of pixels above 0.5 when nothing sounds.
    """
    result: dict[str, dict[str, float]] = {}
    for sound, label in (("own", 1), ("swap", 2)):
        hits: dict[str, list[bool]] = {name: [] for name in maps}
        for batch, found in predict(model, dataset, sound=sound, maps=maps, batch_size=batch_size):
            there = (batch.objects == label).flatten(1)
            for name, m in found.items():
                hit = there.gather(1, m.flatten(1).argmax(1, keepdim=True)).squeeze(1)
                hits[name] += hit[there.any(1)].tolist()
        result[sound] = {name: sum(h) / max(len(h), 1) for name, h in hits.items()}
    for sound in ("silence", "noise"):
        result[sound] = area(model, dataset, sound=sound, maps=maps, batch_size=batch_size)
    return result


def area(
    model: USPL, dataset: Dataset[Clip], *, sound: str = "own", maps: Sequence[str] = MAPS, batch_size: int = 32
) -> dict[str, float]:
    """Mean share of pixels above 0.5 of each map, with a `sound` of `predict`."""
    areas: dict[str, list[float]] = {name: [] for name in maps}
    for _, found in predict(model, dataset, sound=sound, maps=maps, batch_size=batch_size):
        for name, m in found.items():
            areas[name] += (m > 0.5).float().mean((1, 2)).tolist()
    return {name: sum(a) / max(len(a), 1) for name, a in areas.items()}


def evaluate(
    model: USPL, dataset: Any, *, maps: Sequence[str] = MAPS, listen: bool = True, batch_size: int = 32
) -> dict[str, Any]:
    """Everything a record needs: scores of `maps`, listening, floors, N, missing clips, data hash."""
    clips = list(loader(dataset, batch_size=64, front_end=model.cfg.front_end))
    floors = metrics.floors(torch.cat([b.mask for b in clips]) > 0.5, torch.cat([b.objects for b in clips]))
    return {
        "protocol": "avsbench: mIoU at 0.5 over frames, F-score per video",
        "n": len(dataset),
        "missing": list(dataset.missing),
        "data_hash": dataset.data_hash,
        "scores": score(model, dataset, maps=maps, batch_size=batch_size),
        "listening": listening(model, dataset, maps=maps, batch_size=batch_size) if listen else {},
        "floors": floors,
    }


def forward_maps(model: USPL, batch: Batch) -> Maps:
    """Every map of a batch in inference mode: what the notebooks show."""
    with torch.inference_mode():
        maps: Maps = model.eval()(batch.image, batch.sound)
    return maps
