"""The refinement and the metrics as their equations read, with no thought for time or memory.

Pixels are numbered row by row, so a map (B, h, w) is a vector of n = h * w, and an affinity an n x n matrix.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

DILATIONS = (1, 2, 4, 8, 12, 24)
_AROUND = [k for k in range(9) if k != 4]  # of the nine pixels of a 3 x 3 window, all but the centre


def windows(x: Tensor, dilations: Sequence[int] = DILATIONS) -> Tensor:
    """The 3 x 3 windows of x (B, C, H, W) at each dilation, the border replicated: (B, C, dilations, 9, H, W)."""
    b, c, h, w = x.shape
    found = [F.unfold(F.pad(x, (d, d, d, d), mode="replicate"), 3, dilation=d).view(b, c, 9, h, w) for d in dilations]
    return torch.stack(found, 2)


def pamr(image: Tensor, m: Tensor, *, iterations: int = 10, dilations: Sequence[int] = DILATIONS) -> Tensor:
    """Eq. (4), PAMR: weights softmax(-|I_p - I_n| / (0.1 sigma)), then sums over neighbours. Map as large as image."""
    near = windows(image, dilations)
    sigma = near.flatten(2, 3).std(2)  # 9 pixels per dilation
    gap = (near[:, :, :, _AROUND].flatten(2, 3) - image.unsqueeze(2)).abs() / (1e-8 + 0.1 * sigma.unsqueeze(2))
    return _sums(m, (-gap.mean(1)).softmax(1), iterations, dilations)


def par(image: Tensor, m: Tensor, *, iterations: int = 10, dilations: Sequence[int] = DILATIONS) -> Tensor:
    """Eq. (4), PAR: squared differences, a second softmax over positions, and its gain of 1.01 taken back."""
    near = windows(image, dilations)[:, :, :, _AROUND].flatten(2, 3)
    sigma = near.std(2, keepdim=True)
    colour = (-((((near - image.unsqueeze(2)) / (0.3 * (sigma + 1e-8))) ** 2).mean(1))).softmax(1)
    rho = torch.tensor([d * np.hypot(k // 3 - 1, k % 3 - 1) for d in dilations for k in _AROUND]).to(image)
    position = (-((rho / (0.3 * (rho.std() + 1e-8))) ** 2)).softmax(0)
    return _sums(m, colour + 0.01 * position.view(1, -1, 1, 1), iterations, dilations) / 1.01**iterations


def _sums(m: Tensor, weights: Tensor, iterations: int, dilations: Sequence[int]) -> Tensor:
    for _ in range(iterations):
        m = (windows(m, dilations)[:, :, :, _AROUND].flatten(2, 3) * weights.unsqueeze(1)).sum(2)
    return m


def near(h: int, w: int, r: int, metric: str) -> Tensor:
    """bool (n, n): pairs of different pixels within radius r, for both orders of a pair."""
    y, x = (v.flatten() for v in torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"))
    dy, dx = (y[:, None] - y).abs(), (x[:, None] - x).abs()
    within = torch.maximum(dy, dx) <= r if metric == "chebyshev" else dy**2 + dx**2 < r**2
    return within & ((dy > 0) | (dx > 0))


def labels(y_tri: Tensor, close: Tensor) -> Tensor:
    """Labels of Eq. (6), every pixel with every pixel: 1 alike, 0 different, 255 unsure or too far; int64 (B, n, n)."""
    y = y_tri.flatten(1)
    p, q = y.unsqueeze(2), y.unsqueeze(1)
    unsure = (p == 255) | (q == 255) | ~close
    return torch.where(unsure, 255, (p == q).long())


def distance(f_aff: Tensor) -> Tensor:
    """The exponent of Eq. (3), the mean over channels: (B, n, n)."""
    f = f_aff.flatten(2).transpose(1, 2)
    return torch.cdist(f, f, p=1) / f.shape[2]


def affinity_loss(f_aff: Tensor, y_tri: Tensor, close: Tensor) -> Tensor:
    """Eq. (6) on Eq. (3): half the mean of -log A over like pairs, half that of -log(1 - A) over unlike ones."""
    d, label = distance(f_aff), labels(y_tri, close)
    return 0.5 * d[label == 1].mean() - 0.5 * torch.log(1 - torch.exp(-d[label == 0])).mean()


def affinity(f_aff: Tensor, close: Tensor) -> Tensor:
    """Eq. (3) as a matrix (B, n, n): 1 on the diagonal, 0 for pixels too far apart."""
    a = torch.exp(-distance(f_aff)) * close
    return a + torch.eye(len(close)).to(a)


def transition(a: Tensor, beta: float) -> Tensor:
    """Eq. (7): T = A^beta, its rows divided by their sums; (B, n, n)."""
    a = a**beta
    return a / a.sum(2, keepdim=True)


def walk(m: Tensor, a: Tensor, *, beta: float, t: int) -> Tensor:
    """Eqs. (7), (8): T built, then applied t times to vec(M)."""
    matrix, v = transition(a, beta), m.flatten(1).unsqueeze(2)
    for _ in range(t):
        v = matrix @ v
    return v.view_as(m)


def walk_by_power(m: Tensor, matrix: Tensor, *, t: int) -> Tensor:
    """Eq. (8) as it is printed: T^t, then its product with vec(M); T given."""
    return (torch.linalg.matrix_power(matrix, t) @ m.flatten(1).unsqueeze(2)).view_as(m)


def fine_map(f_aff: Tensor, m: Tensor, close: Tensor, *, beta: float, t: int) -> Tensor:
    """Eqs. (3), (7), (8): from features to the fine map."""
    return walk(m, affinity(f_aff, close), beta=beta, t=t)


def f_curve(m: Tensor, truth: Tensor) -> Tensor:
    """F-measure of one map (H, W) at 255 thresholds, one after the other."""
    curve = []
    for level in torch.linspace(0, 1 - 1e-10, 255):
        marked = m >= level
        hits = (marked & truth).sum().double()
        p, r = hits / (marked.sum() + 1e-20), hits / (truth.sum() + 1e-20)
        curve.append((1.3 * p * r / (0.3 * p + r)).nan_to_num(0.0))
    return torch.stack(curve)


def ciou_half(m: Tensor, truth: Tensor) -> float:
    """cIoU of one map brought to [0, 1]: P is 1 from its median up, 0 below, and sums are taken over products."""
    values, gt = m.numpy() - m.numpy().min(), truth.numpy()
    values = values / values.max()
    p = np.where(values >= np.sort(values.flatten())[values.size // 2], 1.0, 0.0)
    return float(np.sum(p * gt) / (np.sum(gt) + np.sum(p * (gt == 0))))


def ciou_curve(m: Tensor, truth: Tensor, levels: Tensor) -> Tensor:
    """cIoU of one map at each threshold, one after the other."""
    curve = []
    for level in levels:
        marked = m >= level
        inter, beside = (marked * truth).sum(dtype=torch.float64), (marked & (truth == 0)).sum()
        curve.append(inter / (truth.sum(dtype=torch.float64) + beside))
    return torch.stack(curve)


def auc(cious: Tensor) -> float:
    """Area under the share of images that reach 0, 0.05, ..., 1, a comparison per threshold and image."""
    levels = [0.05 * i for i in range(21)]
    shares = [sum(c >= level for c in cious.tolist()) / len(cious) for level in levels]
    return sum(0.05 * (a + b) / 2 for a, b in pairwise(shares))
