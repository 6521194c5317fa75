"""The loops behind `fast` on pairs of pixels, compiled by numba: one image a call, no interpreter lock, no state.

Layouts: features f (h, w, C), maps (h, w), neighbours (K, h, w), all C-contiguous; offsets (K, 2) int64 as (dy, dx).
Arguments are untyped: numba compiles a version for float32, and one for float64 if it is asked for.
"""

from typing import no_type_check

import numba
import numpy as np

# Sums may be reordered, which is what makes them vectors; NaN and infinity keep their meaning.
jit = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


@jit
@no_type_check
def distance(f, offs, scale, d):
    """d[k, i] = scale * |f_i - f_j|_1, j = i + offs[k]; infinite where j is outside.

    Four pixels side by side meet a neighbour at once: most of the time goes into fetching its features.
    """
    h, w, c = f.shape
    r = 0
    for k in range(len(offs)):
        r = max(r, offs[k, 0], abs(offs[k, 1]))
    place = np.full((r + 1, 2 * r + 1), -1)  # of an offset in `offs`
    reach = np.full(r + 1, -1)  # the largest |dx| of each dy
    for k in range(len(offs)):
        dy, dx = offs[k, 0], offs[k, 1]
        place[dy, dx + r] = k
        reach[dy] = max(reach[dy], abs(dx))
    d[:] = np.inf
    for y in range(h):
        for dy in range(min(r + 1, h - y)):
            if reach[dy] < 0:
                continue
            for x in range(0, w, 4):
                p0, p1 = f[y, x], f[y, min(x + 1, w - 1)]
                p2, p3 = f[y, min(x + 2, w - 1)], f[y, min(x + 3, w - 1)]
                for xx in range(max(0, x - reach[dy]), min(w, x + 4 + reach[dy])):
                    q = f[y + dy, xx]
                    s0 = s1 = s2 = s3 = f.dtype.type(0)
                    for i in range(c):
                        s0 += abs(p0[i] - q[i])
                        s1 += abs(p1[i] - q[i])
                        s2 += abs(p2[i] - q[i])
                        s3 += abs(p3[i] - q[i])
                    for j, total in enumerate((s0, s1, s2, s3)):
                        dx = xx - x - j
                        if x + j < w and -r <= dx <= r and place[dy, dx + r] >= 0:
                            d[place[dy, dx + r], y, x + j] = total * scale


@jit
@no_type_check
def loss(f, y_tri, offs, scale, least, g, sums):
    """Eq. (6): sums of -log A = d over like pairs, of -log(1 - A) over unlike pairs, and their numbers, in `sums` (4,).

    g (K, h, w) = scale times the derivative by d: above 0 for like pairs, below 0 for unlike ones, 0 for the others.
    No distance is computed where a pixel is unsure.
    """
    h, w, c = f.shape
    for y in range(h):
        for x in range(w):
            for k in range(len(offs)):
                yy, xx = y + offs[k, 0], x + offs[k, 1]
                g[k, y, x] = 0
                if yy >= h or xx < 0 or xx >= w or y_tri[y, x] == 255 or y_tri[yy, xx] == 255:
                    continue
                total = f.dtype.type(0)
                for i in range(c):
                    total += abs(f[y, x, i] - f[yy, xx, i])
                d = total * scale
                if y_tri[y, x] == y_tri[yy, xx]:
                    sums[0] += d
                    sums[2] += 1
                    g[k, y, x] = scale
                else:
                    odds = np.expm1(least if d < least else d)  # 1 / A - 1
                    sums[1] += np.log1p(1 / odds)
                    sums[3] += 1
                    g[k, y, x] = -scale / odds if d >= least else 0


@jit
@no_type_check
def distance_gradient(f, offs, g, like, unlike, out):
    """out_i = sum over both directions of g_ij sign(f_i - f_j), times `like` where g_ij > 0, otherwise `unlike`.

    Every pixel gathers what it gets, so none is written twice; a pair of gradient 0 costs nothing.
    """
    h, w, c = f.shape
    zero = f.dtype.type(0)
    for y in range(h):
        for x in range(w):
            total = out[y, x]
            for k in range(len(offs)):
                for side in (1, -1):
                    yy, xx = y + side * offs[k, 0], x + side * offs[k, 1]
                    if 0 <= yy < h and 0 <= xx < w:
                        pull = g[k, y, x] if side == 1 else g[k, yy, xx]
                        if pull != zero:
                            pull *= like if pull > zero else unlike
                            for i in range(c):
                                gap = f[y, x, i] - f[yy, xx, i]
                                total[i] += pull if gap > zero else (-pull if gap < zero else zero)
