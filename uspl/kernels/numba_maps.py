"""The loops behind `fast` on maps, compiled by numba: the walk, its gradient, the refinement. As in `kernels`."""

from typing import no_type_check

import numpy as np

from uspl.kernels.numba_affinity import jit


@jit
@no_type_check
def power(a, offs, beta, r, weights):
    """weights[k, i] = a[k, i] ** beta where the neighbour is inside; a whole beta is a few products."""
    _, h, w = a.shape
    whole = int(beta)
    bits = 0
    while whole >> bits:
        bits += 1
    for k in range(len(offs)):
        low, high = max(0, -offs[k, 1]), min(w, w - offs[k, 1])
        for y in range(h - offs[k, 0]):
            row, given = weights[k, y + r, r:], a[k, y]
            if whole != beta:
                for x in range(low, high):
                    row[x] = given[x] ** beta
                continue
            for x in range(low, high):
                row[x] = given[x] if bits else 1
            for bit in range(bits - 2, -1, -1):
                if whole >> bit & 1:
                    for x in range(low, high):
                        row[x] *= row[x] * given[x]
                else:
                    for x in range(low, high):
                        row[x] *= row[x]


@jit
@no_type_check
def degree(weights, offs, r, out):
    """out[i] = 1 + the weights of all its neighbours; both padded by r as for `walk`."""
    w = out.shape[1] - 2 * r
    for y in range(r, len(out) - r):
        row = out[y, r:]
        row[:w] = 1
        for k in range(len(offs)):
            by, back = weights[k, y, r:], weights[k, y - offs[k, 0], r - offs[k, 1] :]
            for x in range(w):
                row[x] += by[x] + back[x]


@jit
@no_type_check
def walk(weights, offs, degree, r, steps, maps):
    """maps[s + 1] = (maps[s] + sum of weights times neighbours, both directions) / degree, for each step s.

    weights (K, h + 2r, w + 2r) and maps (N, M, h + 2r, w + 2r), M maps that walk together, hold zeros around the grid,
    so no border is asked for; degree (h + 2r, w + 2r). Steps are counted modulo N: with two, each overwrites the one
    before the last.
    """
    h, w = len(degree) - 2 * r, degree.shape[1] - 2 * r
    for s in range(steps):
        given, out = maps[s % len(maps)], maps[(s + 1) % len(maps)]
        for y in range(r, r + h):
            out[:, y, r : r + w] = given[:, y, r : r + w]
            for k in range(len(offs)):
                dy, dx = offs[k, 0], offs[k, 1]
                by, back_by = weights[k, y, r:], weights[k, y - dy, r - dx :]
                for i in range(len(given)):
                    row, there, back = out[i, y, r:], given[i, y + dy, r + dx :], given[i, y - dy, r - dx :]
                    for x in range(w):
                        row[x] += by[x] * there[x] + back_by[x] * back[x]
            for i in range(len(given)):
                for x in range(r, r + w):
                    out[i, y, x] /= degree[y, x]


@jit
@no_type_check
def walk_gradient(weights, offs, degree, r, maps, grad, pull):
    """Backward of `walk`, padded as there: grad of the last map becomes that of the first, pull that of the weights."""
    h, w = len(degree) - 2 * r, degree.shape[1] - 2 * r
    own, less = np.zeros_like(grad), np.zeros_like(grad)  # grad / degree, and what a larger degree takes away
    for s in range(len(maps) - 2, -1, -1):
        m = maps[s]
        for y in range(r, r + h):
            for x in range(r, r + w):
                own[y, x] = grad[y, x] / degree[y, x]
                less[y, x] += own[y, x] * maps[s + 1, y, x]
        for y in range(r, r + h):
            row = grad[y, r : r + w]
            row[:] = own[y, r : r + w]
            for k in range(len(offs)):
                dy, dx = offs[k, 0], offs[k, 1]
                by, back_by, pulled = weights[k, y, r:], weights[k, y - dy, r - dx :], pull[k, y, r:]
                there, back, here = own[y + dy, r + dx :], own[y - dy, r - dx :], own[y, r:]
                m_here, m_there = m[y, r:], m[y + dy, r + dx :]
                for x in range(w):
                    row[x] += by[x] * there[x] + back_by[x] * back[x]
                    pulled[x] += here[x] * m_there[x] + there[x] * m_here[x]
    for k in range(len(offs)):
        for y in range(r, r + h):
            pulled, lost, lost_there = pull[k, y, r:], less[y, r:], less[y + offs[k, 0], r + offs[k, 1] :]
            for x in range(w):
                pulled[x] -= lost[x] + lost_there[x]


@jit
@no_type_check
def spread(padded, dilations, centre, out):
    """out[c, y, x]: unbiased standard deviation over 8 neighbours per dilation, and `centre` (0 or 1) times itself."""
    channels, h, w = out.shape
    pad = (padded.shape[1] - h) // 2
    count = (8 + centre) * len(dilations)
    total, squares = np.empty(w, out.dtype), np.empty(w, out.dtype)
    for c in range(channels):
        for y in range(h):
            total[:] = 0
            squares[:] = 0
            here = padded[c, y + pad, pad:]
            for d in dilations:
                for dy in (-d, 0, d):
                    row = padded[c, y + pad + dy]
                    left, mid, right = row[pad - d :], row[pad:], row[pad + d :]
                    for x in range(w):
                        p, q, s = left[x] - here[x], mid[x] - here[x], right[x] - here[x]
                        total[x] += p + q + s
                        squares[x] += p * p + q * q + s * s
            for x in range(w):
                out[c, y, x] = np.sqrt(max((squares[x] - total[x] * total[x] / count) / (count - 1), 0))


@jit
@no_type_check
def colour_logits(padded, dilations, scale, power, out):
    """out[n, y, x] = -mean over channels of (|difference to neighbour n| * scale) ** power, less its largest value."""
    channels, h, w = scale.shape
    pad = (padded.shape[1] - h) // 2
    largest = np.empty(w, scale.dtype)
    share = scale.dtype.type(-1 / channels)
    for y in range(h):
        largest[:] = -np.inf
        n = 0
        for d in dilations:
            for dy in (-d, 0, d):
                for dx in (-d, 0, d):
                    if dy == 0 and dx == 0:
                        continue
                    row = out[n, y]
                    row[:] = 0
                    for c in range(channels):
                        here, there, by = padded[c, y + pad, pad:], padded[c, y + pad + dy, pad + dx :], scale[c, y]
                        for x in range(w):
                            gap = abs(there[x] - here[x]) * by[x]
                            row[x] += (gap if power == 1 else gap * gap) * share
                    for x in range(w):
                        largest[x] = max(largest[x], row[x])
                    n += 1
        for i in range(n):
            for x in range(w):
                out[i, y, x] -= largest[x]


@jit
@no_type_check
def padded(x, pad):
    """Maps (K, h, w) with their border repeated `pad` times on each side."""
    n, h, w = x.shape
    out = np.empty((n, h + 2 * pad, w + 2 * pad), x.dtype)
    for k in range(n):
        for y in range(h + 2 * pad):
            row, given = out[k, y], x[k, min(max(y - pad, 0), h - 1)]
            row[:pad] = given[0]
            row[pad : pad + w] = given
            row[pad + w :] = given[w - 1]
    return out


@jit
@no_type_check
def gather(padded, dilations, weights, out):
    """out[k, y, x] = sum over neighbours n of weights[n, y, x] * neighbour n: one step of the refinement."""
    maps, h, w = out.shape
    pad = (padded.shape[1] - h) // 2
    for k in range(maps):
        for y in range(h):
            row = out[k, y]
            row[:] = 0
            for i in range(len(dilations)):
                d, n = dilations[i], 8 * i
                up, mid, down = padded[k, y + pad - d], padded[k, y + pad], padded[k, y + pad + d]
                a, b, c = up[pad - d :], up[pad:], up[pad + d :]
                e, g = mid[pad - d :], mid[pad + d :]
                p, q, s = down[pad - d :], down[pad:], down[pad + d :]
                wa, wb, wc, we = weights[n, y], weights[n + 1, y], weights[n + 2, y], weights[n + 3, y]
                wg, wp, wq, ws = weights[n + 4, y], weights[n + 5, y], weights[n + 6, y], weights[n + 7, y]
                for x in range(w):
                    top = wa[x] * a[x] + wb[x] * b[x] + wc[x] * c[x] + we[x] * e[x]
                    row[x] += top + wg[x] * g[x] + wp[x] * p[x] + wq[x] * q[x] + ws[x] * s[x]
