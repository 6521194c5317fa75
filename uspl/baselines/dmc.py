"""DMC (Hu, Nie and Li, CVPR 2019): what an image shows is clustered, and clusters are matched with the sound.

"Deep Multimodal Clustering for Unsupervised Audiovisual Learning". Each cluster has its own projection of the features;
soft assignments and centres are computed in turn and the gradient goes through all turns; a margin holds pairs that do
not belong together apart. Simplified: a sound is one vector here, so that only the image is clustered and the sound is
projected to each cluster's space; the sharpness of the assignments is the inverse of this library's temperature.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from uspl.baselines.base import StepInput
from uspl.config import Config
from uspl.encoders.audio_visual import AudioVisualEncoder


def clustered(
    u: Float[Tensor, "b n c k"], *, tau: float = 0.07, turns: int = 3
) -> tuple[Float[Tensor, "b n k"], Float[Tensor, "b n c"]]:
    r"""Soft K-means in several spaces at once: in turn centres from shares, and shares from centres.

    .. math:: c_n = \frac{\sum_k s_{nk} u_{nk}}{\sum_k s_{nk}}, \quad
        s_{nk} = \frac{\exp(\cos(u_{nk}, c_n) / \tau)}{\sum_m \exp(\cos(u_{mk}, c_m) / \tau)}

    Args:
        u: location k as cluster n sees it (B, N, C, K); normalised here.
        tau: temperature, above 0; the smaller, the harder the assignment.
        turns: at least 1; before the first all shares are equal.

    Returns:
        Shares (B, N, K), which sum to 1 over the clusters, and centres (B, N, C).

    Raises:
        ValueError: `tau` not above 0, or `turns` below 1.
    """
    if not tau > 0:
        raise ValueError(f"`tau` must be above 0; got {tau}.")
    if turns < 1:
        raise ValueError(f"`turns` must be at least 1; got {turns}.")
    u = F.normalize(u, dim=2)
    shares, centres = u.new_full((*u.shape[:2], u.shape[3]), 1 / u.shape[1]), u.mean(3)
    for turn in range(turns):
        if turn:
            # A cluster may lose nearly every location: its centre is then short, and only its direction counts.
            centres = torch.einsum("bnk,bnck->bnc", shares, u) / shares.sum(2, keepdim=True).clamp_min(1e-8)
        shares = (torch.einsum("bnck,bnc->bnk", u, F.normalize(centres, dim=2)) / tau).softmax(1)
    return shares, centres


def loss(heard: Float[Tensor, "b n c"], centres: Float[Tensor, "b n c"], *, margin: float = 0.5) -> Float[Tensor, ""]:
    r"""Max-margin loss, mean over the pairs that do not belong together, in both directions.

    .. math:: L = \frac{1}{2 B (B - 1)} \sum_{i \ne j} [s_{ij} - s_{ii} + \Delta]_+ + [s_{ji} - s_{ii} + \Delta]_+,
        \quad s_{ij} = \frac1N \sum_n \cos(a_{in}, c_{jn})

    Args:
        heard: sound as each cluster hears it (B, N, C).
        centres: of each image's clusters (B, N, C).
        margin: Delta, at least 0.

    Returns:
        Scalar, at least 0; 0 for a batch of one.

    Raises:
        ValueError: `margin` below 0.

    >>> x = torch.eye(2).unsqueeze(1)
    >>> loss(x, x, margin=1.5).item()  # own pairs 1, others 0: half a margin is missing
    0.5
    """
    if not margin >= 0:
        raise ValueError(f"`margin` must be at least 0; got {margin}.")
    b, n = heard.shape[:2]
    s = torch.einsum("inc,jnc->ij", F.normalize(heard, dim=2), F.normalize(centres, dim=2)) / n
    own = s.diagonal()
    short = (s - own.unsqueeze(1) + margin).relu() + (s - own.unsqueeze(0) + margin).relu()
    return short.masked_fill(torch.eye(b, dtype=torch.bool, device=s.device), 0).sum() / max(2 * b * (b - 1), 1)


class DMC(nn.Module):
    """One projection of each modality for each cluster; the map is the share of the cluster that fits the sound best.

    Args:
        cfg: `dim` and `tau`.
        clusters: how many; two are what sounds and the rest.
    """

    supervision, cosine, heads = "none", False, ()

    def __init__(self, cfg: Config, *, clusters: int = 2) -> None:
        super().__init__()
        self.tau, self.clusters = cfg.tau, clusters
        self.see = nn.Conv2d(cfg.dim, clusters * cfg.dim, 1, bias=False)
        self.hear = nn.Linear(cfg.dim, clusters * cfg.dim, bias=False)

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        heard, _, centres = self._match(step.features, step.image, step.sound)
        return {"loss": loss(step.ranks.gather(heard), step.ranks.gather(centres))}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """Shares of the cluster whose centre is nearest to the sound, in [0, 1]."""
        heard, shares, centres = self._match(features, image, sound)
        best = F.cosine_similarity(heard, centres, dim=2).argmax(1)
        return shares[torch.arange(len(best), device=best.device), best]

    def _match(
        self, features: AudioVisualEncoder, image: Tensor, sound: Tensor
    ) -> tuple[Float[Tensor, "b n c"], Float[Tensor, "b n h w"], Float[Tensor, "b n c"]]:
        f_a, f_v = features.encode_sound(sound), features.encode_image(image)[1]
        with torch.autocast(f_v.device.type, enabled=False):
            heard = self.hear(f_a).unflatten(1, (self.clusters, -1))
            seen = self.see(f_v).unflatten(1, (self.clusters, -1)).flatten(3)
            shares, centres = clustered(seen, tau=self.tau)
        return heard, shares.unflatten(2, f_v.shape[2:]), centres
