"""Run a model over a set: the maps of each clip, with its own sound or another one."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from uspl.audio import RATE
from uspl.config import Config
from uspl.data.batch import Batch, Clip, collate, sound_input
from uspl.inference.optimize import as_ready, has_bf16
from uspl.model import USPL, Maps

log = logging.getLogger(__name__)
MAPS = ("m_crs", "m_fine", "m")
SOUNDS = ("own", "swap", "silence", "noise")
Found = dict[str, Tensor]  # name of a map -> (B, S, S)


@runtime_checkable
class MapModel(Protocol):
    """What is asked of a model that is run over a set: `USPL` and every baseline have it, beside being modules.

    MAPS: the maps it can give; `cfg`: its configuration.
    """

    cfg: Config

    @property
    def MAPS(self) -> tuple[str, ...]:
        """Names of the maps it gives."""

    def predict_maps(
        self, image: Tensor, sounds: Mapping[str, Tensor], wanted: Sequence[str]
    ) -> dict[str, dict[str, Tensor]]:
        """Sound -> map -> (B, S, S) in [0, 1]."""

    def eval(self) -> Any:
        """As `nn.Module.eval`."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """As `nn.Module.parameters`."""


def loader(dataset: Dataset[Clip], *, front_end: str, **options: Any) -> DataLoader[Batch]:
    """A DataLoader of `Batch`; `options` go to torch's DataLoader."""
    # A generator of its own: otherwise each pass over the clips would draw from the reader's.
    options = {"generator": torch.Generator()} | options
    join = partial(collate, front_end=front_end)
    return DataLoader(dataset, collate_fn=join, **options)  # type: ignore[arg-type]


def predict(
    model: MapModel,
    dataset: Dataset[Clip],
    *,
    sound: str = "own",
    maps: Sequence[str] = MAPS,
    batch_size: int = 32,
    workers: int = 0,
    exact: bool = False,
) -> Iterator[tuple[Batch, Found]]:
    """`predict_batches` with one sound: the batch and its maps, each (B, S, S)."""
    options: dict[str, Any] = {"maps": maps, "batch_size": batch_size, "workers": workers, "exact": exact}
    for batch, found in predict_batches(model, dataset, sounds=(sound,), **options):
        yield batch, found[sound]


def predict_batches(
    model: MapModel,
    dataset: Dataset[Clip],
    *,
    sounds: Sequence[str],
    partners: Mapping[str, Sequence[int]] | None = None,
    maps: Sequence[str] = MAPS,
    batch_size: int = 32,
    workers: int = 0,
    exact: bool = False,
) -> Iterator[tuple[Batch, dict[str, Found]]]:
    """Maps in [0, 1] at the size of the image, batch by batch, for each of several sounds; an image is encoded once.

    Args:
        model: in any mode; left in eval mode. What runs is a copy made by `optimize.for_inference`, in bf16 only where
            `Config.precision` says so and the machine has it; such a copy is taken as it is.
        dataset: clips, in order.
        sounds: "own", "swap" (a sound of the first distractor), "silence", "noise" (seeded, white, -20 dB), or a
            name of `partners`.
        partners: name -> for each clip the index of the clip whose sound is heard instead.
        maps: which of "m_crs", "m_fine", "m"; also "m_cos", the cosine of Eq. (1) as (cos + 1) / 2.
        batch_size: clips that are loaded at once.
        workers: processes that load clips.
        exact: one clip per forward pass. Otherwise the last bits of a map depend on `batch_size`.

    Yields:
        The batch on the model's device, and for each sound its maps, each (B, S, S).

    Raises:
        ValueError: an unknown sound or map.
    """
    partners = partners or {}
    for name in sounds:
        if name not in SOUNDS and name not in partners:
            words = ", ".join(repr(s) for s in (*SOUNDS[:-1], *partners))
            raise ValueError(f"`sound` must be {words} or 'noise'; got {name!r}.")
    for name in maps:
        if name not in model.MAPS:
            raise ValueError(f"`maps` must be among {', '.join(model.MAPS[:-1])} and {model.MAPS[-1]}; got {name!r}.")
    model.eval()
    cfg, device = model.cfg, next(model.parameters()).device
    precision = "bf16" if cfg.precision == "bf16" and has_bf16(device) else "fp32"
    if precision != cfg.precision == "bf16":
        log.warning(
            "`precision` is 'bf16', which this %s does not compute with: maps are made in float32.", device.type
        )
    ready: MapModel = as_ready(cast(Any, model), precision=precision)
    load = partial(loader, batch_size=batch_size, front_end=cfg.front_end, num_workers=workers)
    others = {name: load(Subset(dataset, list(partners[name]))) for name in sounds if name in partners}
    blank = {k: _other_sound(k, cfg.seconds, cfg.front_end) for k in ("silence", "noise") if k in sounds}
    for batch, *others_here in zip(load(dataset), *others.values(), strict=True):
        batch = batch.to(device)
        given = {"own": batch.sound, "swap": batch.swap}
        given |= {k: v.to(batch.sound).expand_as(batch.sound) for k, v in blank.items()}
        given |= {k: other.sound.to(device) for k, other in zip(others, others_here, strict=True)}
        chosen = {name: given[name] for name in sounds}
        step = 1 if exact else len(batch.ids)
        with torch.inference_mode():
            parts = [
                ready.predict_maps(batch.image[i : i + step], {k: v[i : i + step] for k, v in chosen.items()}, maps)
                for i in range(0, len(batch.ids), step)
            ]
        yield batch, {k: {m: torch.cat([part[k][m] for part in parts]) for m in maps} for k in chosen}


def _other_sound(kind: str, seconds: float, front_end: str) -> Tensor:
    n = round(seconds * RATE)
    wave = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(0)) if kind == "noise" else torch.zeros(n)
    return sound_input(wave, front_end=front_end).unsqueeze(0)


def forward_maps(model: USPL, batch: Batch) -> Maps:
    """Every map of a batch in inference mode: what the notebooks show."""
    with torch.inference_mode():
        maps: Maps = model.eval()(batch.image, batch.sound)
    return maps


def patches(model: USPL, wave: Float[Tensor, " n"]) -> Tensor:
    """What the model's sound encoder takes of a wave; AVSBench's own blocks are imitated by VGGish's patches."""
    front_end = model.cfg.front_end
    return sound_input(wave, front_end="vggish" if front_end == "log_mel" else front_end)
