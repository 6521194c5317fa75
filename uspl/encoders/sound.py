"""Section 3.1: the sound encoders, 128 numbers for each sound, of YAMNet 1024."""

from jaxtyping import Float
from torch import Tensor, nn

from uspl.config import Config
from uspl.encoders.frozen import freeze
from uspl.encoders.visual import _conv, _stage
from uspl.encoders.weights import fill, random_start_only
from uspl.encoders.yamnet import YAMNet


class VGGish(nn.Module):
    """VGGish of AudioSet: log-mel patches to 128 non-negative numbers; names as in `vggish-10086976.pth`.

    The post-processing (PCA, 8 bit) of the original is left out, as in AVSBench. 72,141,184 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = 1
        for item in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M"):
            if isinstance(item, int):
                layers += [nn.Conv2d(c_in, item, 3, padding=1), nn.ReLU(inplace=True)]
                c_in = item
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 128), nn.ReLU()
        )

    def forward(self, patches: Float[Tensor, "n 1 96 64"]) -> Float[Tensor, "n 128"]:
        """patches (N, 1, 96, 64): log-mel of `audio.vggish_patches`. Returns (N, 128)."""
        x = self.features(patches)  # (N, 512, 6, 4)
        return self.embeddings(x.permute(0, 2, 3, 1).flatten(1))  # type: ignore[no-any-return]


class TinySound(nn.Module):
    """The small twin of `VGGish`: four convolutions with pooling between them, then one linear layer."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in zip((1, *widths), widths, strict=False):
            layers += [_conv(c_in, c_out, 3), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.embedding = nn.Sequential(nn.Linear(widths[-1] * 6 * 4, 128), nn.ReLU())

    def forward(self, patches: Float[Tensor, "n 1 96 64"]) -> Float[Tensor, "n 128"]:
        """patches (N, 1, 96, 64): log-mel of `audio.vggish_patches`. Returns (N, 128)."""
        return self.embedding(self.features(patches).flatten(1))  # type: ignore[no-any-return]


class SpectrogramNet(nn.Module):
    """Reading 11: 257 x T log spectrogram to 128 numbers, by basic blocks and a mean over time in four bands."""

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        stem = [_conv(1, widths[0], 7, stride=2), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        steps = zip((widths[0], *widths), widths, (1, 2, 2, 2), strict=False)
        self.features = nn.Sequential(*stem, *(_stage(c_in, c_out, 1, stride) for c_in, c_out, stride in steps))
        self.embedding = nn.Sequential(nn.AdaptiveAvgPool2d((4, 1)), nn.Flatten(), nn.Linear(4 * widths[-1], 128))

    def forward(self, spectrogram: Float[Tensor, "b 1 257 t"]) -> Float[Tensor, "b 128"]:
        """spectrogram (B, 1, 257, T): of `audio.log_spectrogram`, divided by 12 here as the peers do."""
        return self.embedding(self.features(spectrogram / 12)).relu()  # type: ignore[no-any-return]


def sound_dim(cfg: Config) -> int:
    """Numbers of a sound's embedding: 128, of YAMNet 1024."""
    return YAMNet.dim if cfg.audio == "yamnet" and cfg.front_end == "yamnet" else 128


class AudioEncoder(nn.Module):
    """One embedding per sound: the mean over its patches, or the network itself on a spectrogram.

    Reading 12: a frozen network takes no gradient and stays in eval mode whatever `train()` is told; if it is
    `published`, checkpoints leave it out.
    """

    def __init__(self, net: nn.Module, *, frozen: bool, published: bool = False) -> None:
        super().__init__()
        self.net, self.frozen = net, frozen
        if frozen:
            freeze(net, published=published)

    def train(self, mode: bool = True) -> "AudioEncoder":
        """As `nn.Module.train`, except that a frozen network stays in eval mode."""
        super().train(mode)
        if self.frozen:
            self.net.eval()
        return self

    def forward(
        self, sound: Float[Tensor, "b n 1 96 64"] | Float[Tensor, "b 1 257 t"] | Float[Tensor, "b d"]
    ) -> Float[Tensor, "b d"]:
        """sound: patches (B, N, 1, 96, 64) or spectrogram (B, 1, 257, T); f_a itself, see `kept`, is returned as it is.

        Returns f_a before projection, (B, 128), of YAMNet (B, 1024).
        """
        if sound.ndim == 2:
            return sound
        if sound.ndim == 4:
            return self.net(sound)  # type: ignore[no-any-return]
        b, n = sound.shape[:2]
        return self.net(sound.flatten(0, 1)).view(b, n, -1).mean(1)  # type: ignore[no-any-return]


def audio_encoder(cfg: Config) -> AudioEncoder:
    """The sound encoder of a configuration, with its weights; it gives `sound_dim` numbers. Raises as `visual_encoder`.

    With `front_end` "spectrogram" or "peers" there are no published weights: it starts at random and is always trained.
    """
    small = cfg.audio == "tiny"
    if cfg.front_end in ("spectrogram", "peers"):
        return AudioEncoder(SpectrogramNet((16, 32, 64, 96) if small else (64, 128, 256, 512)), frozen=False)
    if small:
        random_start_only("audio_weights", cfg.audio_weights)
        return AudioEncoder(TinySound(), frozen=not cfg.finetune_audio)
    net: nn.Module = YAMNet() if cfg.audio == "yamnet" else VGGish()
    fill(net, cfg.audio_weights, "yamnet" if cfg.audio == "yamnet" else "vggish")
    return AudioEncoder(net, frozen=not cfg.finetune_audio, published=cfg.audio_weights != "none")
