"""Section 3.1: both encoders with their projectors, what USPL and every baseline start from."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from uspl.config import Config
from uspl.encoders.projectors import SoundProjector, VisualProjector
from uspl.encoders.sound import audio_encoder
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
        self.project_v = VisualProjector(cfg.widths[3], cfg.dim, kind=cfg.projector, norm=cfg.projector_norm)
        self.project_a = SoundProjector(128, cfg.dim, norm=cfg.projector_norm)

    def encode_sound(self, sound: Tensor) -> Float[Tensor, "b c"]:
        """Sound input -> F_a (B, dim), float32."""
        f_a: Tensor = self.project_a(self.audio(sound))
        return f_a.float()

    def encode_image(self, image: Float[Tensor, "b 3 s s"]) -> tuple[Sequence[Tensor], Float[Tensor, "b c h w"]]:
        """Image (B, 3, S, S), ImageNet-normalised -> the four stages and F_v (B, dim, h, w), float32."""
        stages = self.visual(image)
        return stages, self.project_v(stages[3]).float()
