"""The whole method (Fig. 2): encoders, PMV-aff and SPS, and the maps they give one another."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from uspl import align, pretrained, refine, walk
from uspl.affinity import affinity
from uspl.config import Config
from uspl.core.device import choose_device
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.maps import normalise_map, resize
from uspl.pmv_aff import PMVAff
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


class USPL(AudioVisualEncoder):
    """Unsupervised sounding pixel learning: an image and its sound -> the pixels that sound.

    Args:
        cfg: every choice (see `Config`).

    MAPS are those that `predict_maps` gives.

    >>> cfg = Config.tiny(widths=(8, 8, 8, 8), dim=8, aff_dim=8, decoder_dim=8, image_size=32, map_size=16)
    >>> maps = USPL(cfg).eval()(torch.rand(2, 3, 32, 32), torch.rand(2, 1, 1, 96, 64))
    >>> tuple(maps.m_crs.shape), tuple(maps.m_fine.shape), tuple(maps.m.shape)
    ((2, 4, 4), (2, 16, 16), (2, 32, 32))
    """

    MAPS = ("m_crs", "m_fine", "m", "m_cos")

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.cfg = cfg
        self.about: dict[str, Any] = {}  # what is known of its training: `data`, `scores`, `gate`; see `pretrained`
        self.pmv_aff = PMVAff(widths=cfg.widths, dim=cfg.aff_dim, block=cfg.aff_block, size=cfg.map_size)
        last = cfg.widths[3] if cfg.fuse_on == "stage4" else cfg.dim
        self.sps = ASPPFPNDecoder(
            widths=(*cfg.widths[:3], last),
            dim=cfg.decoder_dim,
            dilations=cfg.aspp_dilations,
            inplace=cfg.rcu_inplace,
            last_upsample=cfg.visual != "tiny",
            hidden=cfg.decoder_hidden,
            dims=None if cfg.decoder_dims == "shared" else cfg.widths,
        )

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str = "auto", **hub: Any) -> "USPL":
        """A trained model in eval mode, with what is known of its training in `about`.

        Args:
            name: a folder that `save_pretrained` wrote, or that a training left in `runs/`, which needs no network; or
                the id of a model on the Hugging Face hub, such as "somebody/uspl-tiny".
            device: see `Config.device`.
            hub: for the hub: `revision`, `cache_dir`, `force_download`, `local_files_only`, `token`.

        Raises:
            ValueError: no such model, one of another version, or a file with missing or foreign tensors.
        """
        folder = pretrained.locate(name, **hub)
        cfg, about = pretrained.read_config(folder)
        # The weights that a training began with are in the file already, but for those of a frozen encoder.
        none: dict[str, Any] = {"visual_weights": "none"} if cfg.finetune_visual else {}
        none |= {"audio_weights": "none"} if cfg.finetune_audio else {}
        model = cls(replace(cfg, **none))
        pretrained.load_into(model, folder)
        model.cfg, model.about = replace(cfg, device=device), about
        return model.to(choose_device(device)).eval()

    def save_pretrained(self, folder: str | Path, *, repo_id: str | None = None, push_to_hub: bool = False) -> Path:
        """Write a folder that `from_pretrained` reads; see `pretrained.save_pretrained`."""
        return pretrained.save_pretrained(self, folder, repo_id=repo_id, push_to_hub=push_to_hub)

    def on_grid(self, m_crs: Float[Tensor, "b h w"]) -> Float[Tensor, "b g g"]:
        """The coarse map normalised (Reading 2) and resized to the affinity grid."""
        m = normalise_map(m_crs, self.cfg.map_range)
        return resize(m, self.cfg.map_size)

    def refined(self, image: Float[Tensor, "b 3 s s"], m: Float[Tensor, "b g g"]) -> Float[Tensor, "b g g"]:
        """Eq. (4): a map on the grid, refined by the image at `refine_size`."""
        cfg = self.cfg
        guide = F.interpolate(image, size=(cfg.refine_size,) * 2, mode="bilinear", align_corners=True)
        function = refine.pamr if cfg.refine == "pamr" else refine.par
        refined = function(guide, m.unsqueeze(1), iterations=cfg.refine_iterations, fast=cfg.fast)
        return resize(refined.squeeze(1), cfg.map_size)

    def pseudo_labels(
        self, image: Float[Tensor, "b 3 s s"], m: Float[Tensor, "b g g"]
    ) -> tuple[Float[Tensor, "b g g"], UInt8[Tensor, "b g g"]]:
        """Eqs. (4), (5): a map on the grid refined by the image, and the trimap of what it is sure of."""
        m_rf = self.refined(image, m)
        return m_rf, refine.trimap(m_rf, beta_l=self.cfg.beta_l, beta_h=self.cfg.beta_h)

    def f_aff(self, stages: Sequence[Tensor]) -> Float[Tensor, "b c g g"]:
        """The features of Eq. (3) from the four stages."""
        features: Tensor = self.pmv_aff(stages)
        return features.float()

    def affinities(self, f_aff: Float[Tensor, "b c g g"]) -> Float[Tensor, "b k g g"]:
        """Eq. (3): the same for every sound, so that several sounds need them once per image."""
        cfg = self.cfg
        return affinity(f_aff, r=cfg.r, metric=cfg.metric, reduce=cfg.reduce, fast=cfg.fast)

    def walked(self, m: Float[Tensor, "b g g"], a: Float[Tensor, "b k g g"]) -> Float[Tensor, "b g g"]:
        """Eqs. (7), (8): the fine map, normalised again (Reading 2)."""
        cfg = self.cfg
        m = walk.random_walk(
            m, a, beta=cfg.beta, t=cfg.t, r=cfg.r, metric=cfg.metric, reading=cfg.reading, fast=cfg.fast
        )
        return normalise_map(m, cfg.map_range)

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

    def decode(
        self,
        stages: Sequence[Tensor],
        f_v: Float[Tensor, "b c h w"],
        m_crs: Float[Tensor, "b h w"],
        wanted: Collection[str],
        *,
        f_aff: Float[Tensor, "b c2 g g"] | None = None,
        a: Float[Tensor, "b k g g"] | None = None,
        sides: Sequence[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The middle of Fig. 2, from the coarse map to every other: what is asked for, and nothing else, is computed.

        Args:
            stages: four stages (B, c_i, h_i, w_i) of the image.
            f_v: projected image features (B, dim, h, w).
            m_crs: cosines of Eq. (1), (B, h, w).
            wanted: among "m_crs" (B, h, w) in [0, 1], "m_cos" (B, h, w), (cos + 1) / 2, "m_norm" (B, g, g), "m_fine"
                (B, g, g), "logits" (B, S, S) and "m" (B, S, S).
            f_aff: features of Eq. (3), if known.
            a: affinities of Eq. (3), if known.
            sides: of `sps.sides(stages)`, if known.

        Returns:
            Name -> map, those of `wanted`.
        """
        found: dict[str, Tensor] = {}
        if "m_cos" in wanted:
            found["m_cos"] = (m_crs + 1) / 2
        if "m_crs" in wanted:
            found["m_crs"] = normalise_map(m_crs, self.cfg.map_range)
        if "m_norm" in wanted or "m_fine" in wanted:
            found["m_norm"] = self.on_grid(m_crs)
        if "m_fine" in wanted:
            a = self.affinities(self.f_aff(stages) if f_aff is None else f_aff) if a is None else a
            found["m_fine"] = self.walked(found["m_norm"], a)
        if "logits" in wanted or "m" in wanted:
            found["logits"] = self.segment(stages, f_v, m_crs, sides)
        if "m" in wanted:
            found["m"] = torch.sigmoid(found["logits"])
        return {name: found[name] for name in wanted}

    def predict_maps(
        self, image: Float[Tensor, "b 3 s s"], sounds: Mapping[str, Tensor], wanted: Sequence[str]
    ) -> dict[str, dict[str, Tensor]]:
        """Maps of images under several sounds, an image encoded once.

        Only what is asked for is computed, what does not hear once per image, and sounds other than the clip's own
        together: the last bits of its own maps do not depend on which others are asked for.

        Args:
            image: (B, 3, S, S), ImageNet-normalised.
            sounds: name -> sound input of each image, as for `forward`.
            wanted: among MAPS, see `decode`.

        Returns:
            Name of a sound -> name of a map -> (B, S, S) in [0, 1].
        """
        stages, f_v = self.encode_image(image)
        a = self.affinities(self.f_aff(stages)) if "m_fine" in wanted else None
        sides = self.sps.sides(stages) if "m" in wanted else ()
        found: dict[str, dict[str, Tensor]] = {}
        for group in ({k: v for k, v in sounds.items() if (k == "own") == alone} for alone in (True, False)):
            if not group:
                continue
            features = _each(f_v, group)
            m_crs = align.sounding_map(self.encode_sound(torch.cat(list(group.values()))), features)
            maps = self.decode(
                [_each(x, group) for x in stages] if "m" in wanted else stages,
                features,
                m_crs,
                wanted,
                a=None if a is None else _each(a, group),
                sides=[_each(x, group) for x in sides],
            )
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
        m_crs, f_aff = align.sounding_map(f_a, f_v), self.f_aff(stages)
        found = self.decode(stages, f_v, m_crs, ("m_norm", "m_fine", "logits", "m"), f_aff=f_aff)
        m_rf, y_tri = self.pseudo_labels(image, found["m_norm"])
        return Maps(f_a=f_a, f_v=f_v, m_crs=m_crs, m_rf=m_rf, y_tri=y_tri, f_aff=f_aff, **found)


def _each(x: Tensor, sounds: Mapping[str, Tensor]) -> Tensor:
    """What belongs to the images, for every sound: one sound after the other; that of a single image is not copied."""
    many = len(sounds)
    return x.expand(many, *x.shape[1:]) if len(x) == 1 else x.repeat(many, *[1] * (x.dim() - 1))
