"""Section 3.1: both encoders with their projectors, what USPL and every baseline start from."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from uspl.config import Config
from uspl.encoders.projectors import SoundProjector, VisualProjector
from uspl.encoders.sound import audio_encoder, sound_dim
from uspl.encoders.visual import visual_encoder


class AudioVisualEncoder(nn.Module):
    """Image -> four stages and F_v; sound -> F_a.

    Args:
        cfg: encoders, `dim`, `projector`, `projector_norm`.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.visual = visual_encoder(cfg)
        self.audio = audio_encoder(cfg)
        self.stage_norms = (
            nn.ModuleList(nn.BatchNorm2d(c, affine=False) for c in cfg.widths) if cfg.stage_norm else None
        )
        self.seen = 2 if cfg.project_from == "stage3" else 3  # index of the stage that becomes F_v
        self.project_v = VisualProjector(cfg.widths[self.seen], cfg.dim, kind=cfg.projector, norm=cfg.projector_norm)
        self.project_a = SoundProjector(sound_dim(cfg), cfg.dim, norm=cfg.projector_norm)

    def encode_sound(self, sound: Tensor) -> Float[Tensor, "b c"]:
        """Sound input -> F_a (B, dim), float32."""
        f_a: Tensor = self.project_a(self.audio(sound))
        return f_a.float()

    def stages(self, image: Float[Tensor, "b 3 s s"]) -> Sequence[Tensor]:
        """Image (B, 3, S, S), ImageNet-normalised -> the four stages, with `stage_norm` each channel standardised."""
        stages: Sequence[Tensor] = self.visual(image)
        if self.stage_norms is None:
            return stages
        return tuple(norm(stage) for norm, stage in zip(self.stage_norms, stages, strict=True))

    def encode_image(self, image: Float[Tensor, "b 3 s s"]) -> tuple[Sequence[Tensor], Float[Tensor, "b c h w"]]:
        """Image (B, 3, S, S), ImageNet-normalised -> the four stages and F_v (B, dim, h, w), float32."""
        stages = self.stages(image)
        return stages, self.project_v(stages[self.seen]).float()
