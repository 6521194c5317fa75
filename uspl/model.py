"""The whole method (Fig. 2): encoders, PMV-aff and SPS, and the maps they give one another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from uspl import align, encoders, refine, walk
from uspl.affinity import affinity
from uspl.config import Config
from uspl.segment import ASPPFPNDecoder, fuse


class Maps(NamedTuple):
    """Every map of one forward pass. S is the image side, g the side of the affinity grid."""

    f_a: Tensor  # (B, dim) projected sound
    f_v: Tensor  # (B, dim, h, w) projected image
    m_crs: Tensor  # (B, h, w) coarse map, cosine in [-1, 1]                Eq. 1
    m_norm: Tensor  # (B, g, g) the same in [0, 1] on the affinity grid     Reading 2
    m_rf: Tensor  # (B, g, g) refined by the image, in [0, 1]               Eq. 4
    y_tri: Tensor  # (B, g, g) uint8 in {0, 1, 255}                         Eq. 5
    f_aff: Tensor  # (B, aff_dim, g, g) affinity features                   Eq. 3
    m_fine: Tensor  # (B, g, g) fine map, in [0, 1]                         Eq. 8
    logits: Tensor  # (B, S, S) SPS before the sigmoid                      Eq. 10
    m: Tensor  # (B, S, S) SPS, in [0, 1]


class PMVAff(nn.Module):
    """Pyramid multi-scale visual affinity network (PMV-aff): four stages -> F_aff of Eq. (3).

    Args:
        widths: channels of the four stages.
        dim: channels of F_aff.
        block: "two_step" is c -> dim, resize, dim -> dim per stage, concatenate, 1x1 (closest to Table 3);
            "concat" resizes all stages and applies one 1x1 to the whole stack (Reading 21).
        size: side of F_aff in pixels.
    """

    def __init__(self, *, widths: Sequence[int], dim: int, block: str = "two_step", size: int = 56) -> None:
        super().__init__()
        self.size, self.block = size, block
        if block == "two_step":
            self.reduce = nn.ModuleList(nn.Conv2d(c, dim, 1) for c in widths)
            self.adapt = nn.ModuleList(nn.Conv2d(dim, dim, 1) for _ in widths)
            self.join = nn.Conv2d(dim * len(widths), dim, 1)
        else:
            self.join = nn.Conv2d(sum(widths), dim, 1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Stages (B, c_i, h_i, w_i) -> F_aff (B, dim, size, size)."""
        if self.block == "two_step":
            reduced = [F.relu(conv(s)) for conv, s in zip(self.reduce, stages, strict=True)]
            levels = [F.relu(conv(self._resize(s))) for conv, s in zip(self.adapt, reduced, strict=True)]
        else:
            levels = [self._resize(s) for s in stages]
        joined: Tensor = self.join(torch.cat(levels, 1))
        return joined

    def _resize(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)


class USPL(nn.Module):
    """Unsupervised sounding pixel learning: an image and its sound -> the pixels that sound.

    Args:
        cfg: every choice (see `Config`).

    MAPS are those that `heard` gives.

    >>> cfg = Config.tiny(widths=(8, 8, 8, 8), dim=8, aff_dim=8, decoder_dim=8, image_size=32, map_size=16)
    >>> maps = USPL(cfg).eval()(torch.rand(2, 3, 32, 32), torch.rand(2, 1, 1, 96, 64))
    >>> tuple(maps.m_crs.shape), tuple(maps.m_fine.shape), tuple(maps.m.shape)
    ((2, 4, 4), (2, 16, 16), (2, 32, 32))
    """

    MAPS = ("m_crs", "m_fine", "m", "m_cos")

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.about: dict[str, Any] = {}  # what is known of its training: `data`, `scores`, `gate`; see `pretrained`
        self.visual = encoders.visual_encoder(cfg)
        self.audio = encoders.audio_encoder(cfg)
        self.project_v = encoders.VisualProjector(cfg.widths[3], cfg.dim, kind=cfg.projector, norm=cfg.projector_norm)
        self.project_a = encoders.SoundProjector(128, cfg.dim, norm=cfg.projector_norm)
        self.pmv_aff = PMVAff(widths=cfg.widths, dim=cfg.aff_dim, block=cfg.aff_block, size=cfg.map_size)
        last = cfg.widths[3] if cfg.fuse_on == "stage4" else cfg.dim
        self.sps = ASPPFPNDecoder(
            widths=(*cfg.widths[:3], last),
            dim=cfg.decoder_dim,
            dilations=cfg.aspp_dilations,
            inplace=cfg.rcu_inplace,
            last_upsample=cfg.visual == "resnet50",
        )

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> "USPL":
        """A trained model from a folder or from the Hugging Face hub; see `pretrained.from_pretrained`."""
        from uspl.pretrained import from_pretrained

        return from_pretrained(name, **options)

    def save_pretrained(self, folder: str | Path, **options: Any) -> Path:
        """Write a folder that `from_pretrained` reads; see `pretrained.save_pretrained`."""
        from uspl.pretrained import save_pretrained

        return save_pretrained(self, folder, **options)

    def encode_sound(self, sound: Tensor) -> Float[Tensor, "b c"]:
        """Sound input -> F_a (B, dim)."""
        f_a: Tensor = self.project_a(self.audio(sound))
        return f_a

    def encode_image(self, image: Float[Tensor, "b 3 s s"]) -> tuple[Sequence[Tensor], Float[Tensor, "b c h w"]]:
        """Image (B, 3, S, S), ImageNet-normalised -> the four stages and F_v (B, dim, h, w)."""
        stages = self.visual(image)
        return stages, self.project_v(stages[3])

    def on_grid(self, m_crs: Float[Tensor, "b h w"]) -> Float[Tensor, "b g g"]:
        """The coarse map normalised (Reading 2) and resized to the affinity grid."""
        m = align.normalise_map(m_crs, self.cfg.map_range)
        return resize(m, self.cfg.map_size)

    def refined(self, image: Float[Tensor, "b 3 s s"], m: Float[Tensor, "b g g"]) -> Float[Tensor, "b g g"]:
        """Eq. (4): a map on the grid, refined by the image at `refine_size`."""
        cfg = self.cfg
        guide = F.interpolate(image, size=(cfg.refine_size,) * 2, mode="bilinear", align_corners=True)
        function = refine.pamr if cfg.refine == "pamr" else refine.par
        refined = function(guide, m.unsqueeze(1), iterations=cfg.refine_iterations, fast=cfg.fast)
        return resize(refined.squeeze(1), cfg.map_size)

    def f_aff(self, stages: Sequence[Tensor]) -> Float[Tensor, "b c g g"]:
        """The features of Eq. (3) from the four stages."""
        features: Tensor = self.pmv_aff(stages)
        return features.float()

    def affinities(self, f_aff: Float[Tensor, "b c g g"]) -> Float[Tensor, "b k g g"]:
        """Eq. (3): whoever listens to several sounds needs them once per image."""
        cfg = self.cfg
        return affinity(f_aff, r=cfg.r, metric=cfg.metric, reduce=cfg.reduce, fast=cfg.fast)

    def walked(self, m: Float[Tensor, "b g g"], a: Float[Tensor, "b k g g"]) -> Float[Tensor, "b g g"]:
        """Eqs. (7), (8): the fine map, normalised again (Reading 2)."""
        cfg = self.cfg
        how: dict[str, Any] = {"r": cfg.r, "metric": cfg.metric, "reading": cfg.reading, "fast": cfg.fast}
        m = walk.random_walk(m, a, beta=cfg.beta, t=cfg.t, **how)
        return align.normalise_map(m, cfg.map_range)

    def segment(
        self,
        stages: Sequence[Tensor],
        f_v: Float[Tensor, "b c h w"],
        m_crs: Float[Tensor, "b h w"],
        sides: Sequence[Tensor] | None = None,
    ) -> Float[Tensor, "b s s"]:
        """Eqs. (9), (10): SPS logits at the size of the image; `sides` as `sps.sides(stages)` gives them, if known."""
        f_av = fuse(stages[3] if self.cfg.fuse_on == "stage4" else f_v, m_crs)
        logits: Tensor = self.sps((*stages[:3], f_av), sides)
        return resize(logits.float(), self.cfg.image_size)

    def heads(self) -> list[nn.Module]:
        """The parts that learn at `lr * head_lr`."""
        return [self.pmv_aff, self.sps]

    def heard(
        self, image: Float[Tensor, "b 3 s s"], sounds: Mapping[str, Tensor], wanted: Sequence[str]
    ) -> dict[str, dict[str, Tensor]]:
        """Maps of images under several sounds, an image encoded once: what `predict` asks for.

        Only what is asked for is computed, what does not hear once per image, and sounds other than the clip's own
        together: the last bits of its own maps do not depend on which others are asked for.

        Args:
            image: (B, 3, S, S), ImageNet-normalised.
            sounds: name -> sound input of each image, as for `forward`.
            wanted: among "m_crs", "m_fine", "m", and "m_cos", the cosine of Eq. (1) as (cos + 1) / 2.

        Returns:
            Name of a sound -> name of a map -> (B, S, S) in [0, 1].
        """
        stages, f_v = self.encode_image(image)
        a = self.affinities(self.f_aff(stages)) if "m_fine" in wanted else f_v
        sides = self.sps.sides(stages) if "m" in wanted else []
        found: dict[str, dict[str, Tensor]] = {}
        for group in ({k: v for k, v in sounds.items() if (k == "own") == alone} for alone in (True, False)):
            if not group:
                continue
            f_a = self.encode_sound(torch.cat(list(group.values()))).float()
            m_crs = align.sounding_map(f_a, _each(f_v.float(), group))
            maps = {}
            if "m_cos" in wanted:
                maps["m_cos"] = (m_crs + 1) / 2
            if "m_crs" in wanted:
                maps["m_crs"] = align.normalise_map(m_crs, self.cfg.map_range)
            if "m_fine" in wanted:
                maps["m_fine"] = self.walked(self.on_grid(m_crs), _each(a, group))
            if "m" in wanted:
                heard, beside = ([_each(x, group) for x in many] for many in (stages, sides))
                maps["m"] = torch.sigmoid(self.segment(heard, _each(f_v, group), m_crs, beside))
            parts = {k: resize(m.float(), self.cfg.image_size).chunk(len(group)) for k, m in maps.items()}
            found |= {name: {k: parts[k][i] for k in wanted} for i, name in enumerate(group)}
        return found

    def forward(self, image: Float[Tensor, "b 3 s s"], sound: Tensor) -> Maps:
        """Every map for a batch.

        Args:
            image: (B, 3, S, S), ImageNet-normalised, S = `cfg.image_size`.
            sound: (B, N, 1, 96, 64) log-mel patches, or (B, 1, 257, T) with the "spectrogram" front end.

        Returns:
            `Maps`.
        """
        stages, f_v = self.encode_image(image)
        f_a = self.encode_sound(sound)
        m_crs = align.sounding_map(f_a.float(), f_v.float())
        m_norm = self.on_grid(m_crs)
        m_rf = self.refined(image, m_norm)
        y_tri = refine.trimap(m_rf, beta_l=self.cfg.beta_l, beta_h=self.cfg.beta_h)
        f_aff = self.f_aff(stages)
        m_fine = self.walked(m_norm, self.affinities(f_aff))
        logits = self.segment(stages, f_v, m_crs)
        return Maps(f_a, f_v, m_crs, m_norm, m_rf, y_tri, f_aff, m_fine, logits, torch.sigmoid(logits))


def _each(x: Tensor, sounds: Mapping[str, Tensor]) -> Tensor:
    """What belongs to the images, for every sound: one sound after the other; that of a single image is not copied."""
    many = len(sounds)
    return x.expand(many, *x.shape[1:]) if len(x) == 1 else x.repeat(many, *[1] * (x.dim() - 1))


def resize(m: Float[Tensor, "b h w"], size: int) -> Float[Tensor, "b size size"]:
    """A map resized bilinearly; unchanged where it has that size."""
    if m.shape[-2:] == (size, size):
        return m
    return F.interpolate(m.unsqueeze(1), size=(size, size), mode="bilinear", align_corners=False).squeeze(1)
