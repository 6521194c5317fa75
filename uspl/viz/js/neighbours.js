// Neighbours on a grid, on flat arrays, row after row. Tests compare each function with PyTorch.
"use strict";
uspl.maths ||= {};

{
  const M = uspl.maths;

  // affinity.offsets: half of the neighbours within r, [[dy, dx], ...].
  M.offsets = (r, metric) => {
    const found = [];
    for (let dy = 0; dy <= r; dy++) {
      for (let dx = -r; dx <= r; dx++) {
        if ((dy > 0 || dx > 0) && (metric === "chebyshev" || dy * dy + dx * dx < r * r)) found.push([dy, dx]);
      }
    }
    return found;
  };

  // Calls `go(k, i, j)` for every pair inside the grid: offset k joins pixel i with pixel j, both counted row by row.
  M.eachPair = (offs, h, w, go) => {
    offs.forEach(([dy, dx], k) => {
      for (let y = 0; y < h - dy; y++) {
        const last = y * w + w - Math.max(0, dx);
        for (let i = y * w + Math.max(0, -dx); i < last; i++) go(k, i, i + dy * w + dx);
      }
    });
  };

  // Distances of Eq. (3) between features (c, h, w): (K, h, w), infinite where the neighbour is outside.
  M.distances = (f, c, h, w, offs, reduce = "mean") => {
    const n = h * w, d = new Float32Array(offs.length * n).fill(Infinity), scale = reduce === "mean" ? 1 / c : 1;
    const last = new Float32Array(n * c);
    for (let i = 0; i < n; i++) for (let k = 0; k < c; k++) last[i * c + k] = f[k * n + i];
    M.eachPair(offs, h, w, (k, i, j) => {
      let sum = 0;
      for (let a = i * c, b = j * c, end = a + c; a < end; a++, b++) sum += Math.abs(last[a] - last[b]);
      d[k * n + i] = scale * sum;
    });
    return d;
  };

  // The distances that a figure holds, for these offsets: from its features, or from bytes in steps, 255 outside.
  M.heldDistances = ({ features, distances }, { reduce, step, radius }, offs) => {
    if (features) return M.distances(features.values, ...features.shape, offs, reduce);
    const [, h, w] = distances.shape, n = h * w, place = new Map(M.offsets(...radius).map((o, k) => [o.join(), k]));
    const d = new Float32Array(offs.length * n);
    offs.forEach((o, k) => {
      const from = place.get(o.join()) * n;
      for (let i = 0; i < n; i++) {
        const v = distances.values[from + i];
        d[k * n + i] = v === 255 ? Infinity : step * v;
      }
    });
    return d;
  };

  // Eq. (3), one row of the full matrix, to a power: exp(-power d) of a pixel's neighbours, 1 itself, 0 beyond.
  M.affinityRow = (d, offs, h, w, pixel, power = 1) => {
    const row = new Float32Array(h * w), y = Math.floor(pixel / w), x = pixel % w;
    const inside = (v, u) => v >= 0 && v < h && u >= 0 && u < w;
    row[pixel] = 1;
    offs.forEach(([dy, dx], k) => {
      const there = pixel + dy * w + dx, back = pixel - dy * w - dx;
      if (inside(y + dy, x + dx)) row[there] = Math.exp(-power * d[k * h * w + pixel]);
      if (inside(y - dy, x - dx)) row[back] = Math.exp(-power * d[k * h * w + back]);
    });
    return row;
  };

  // Eq. (5): 1 sounding, 0 silent, 255 not sure.
  M.trimap = (m, low, high) => Uint8Array.from(m, (v) => (v >= high ? 1 : v < low ? 0 : 255));

  // Pairs by their label in Eq. (6): [alike, unlike, ignored], pairs inside the grid.
  M.pairCounts = (y, h, w, offs) => {
    const found = [0, 0, 0];
    M.eachPair(offs, h, w, (_, i, j) => found[y[i] === 255 || y[j] === 255 ? 2 : y[i] === y[j] ? 0 : 1]++);
    return found;
  };

  // Eq. (7) in two parts, T = weights / degree: the powers A^beta = exp(-beta d) of the pairs, and the row sums D.
  M.transition = (d, offs, h, w, beta) => {
    const n = h * w, weights = new Float32Array(offs.length * n), degree = new Float32Array(n).fill(1);
    M.eachPair(offs, h, w, (k, i, j) => {
      const a = Math.exp(-beta * d[k * n + i]);
      weights[k * n + i] = a;
      degree[i] += a;
      degree[j] += a;
    });
    return { offs, h, w, weights, degree };
  };

  // One step of Eq. (8): each pixel takes the weighted mean of itself and its neighbours.
  M.step = ({ offs, h, w, weights, degree }, m) => {
    const n = h * w, sum = new Float32Array(m);
    for (let k = 0; k < offs.length; k++) {
      const [dy, dx] = offs[k], shift = dy * w + dx, first = Math.max(0, -dx), end = w - Math.max(0, dx);
      for (let y = 0; y < h - dy; y++) {
        for (let i = y * w + first, last = y * w + end; i < last; i++) {
          const a = weights[k * n + i];
          sum[i] += a * m[i + shift];
          sum[i + shift] += a * m[i];
        }
      }
    }
    for (let i = 0; i < n; i++) sum[i] /= degree[i];
    return sum;
  };

  // Reading 7: t steps, or T squared t times.
  M.steps = (t, reading) => (reading === "squarings" ? 2 ** t : t);

  // Eq. (8).
  M.walk = (T, m, t, reading = "power") => {
    let fine = new Float32Array(m);
    for (let s = M.steps(t, reading); s > 0; s--) fine = M.step(T, fine);
    return fine;
  };

  // The least and the largest of a map.
  M.span = (m) => {
    let least = Infinity, most = -Infinity;
    for (let i = 0; i < m.length; i++) {
      if (m[i] < least) least = m[i];
      if (m[i] > most) most = m[i];
    }
    return [least, most];
  };

  // align.normalise_map (Reading 2): negatives to 0 and the maximum to 1; minimum and maximum to 0 and 1; or as it is.
  M.ranged = (m, how) => {
    const [first, last] = M.span(m), least = how === "minmax" ? first : 0, most = Math.max(1e-8, last - least);
    const found = new Float32Array(m);
    if (how === "raw") return found;
    for (let i = 0; i < found.length; i++) found[i] = Math.max(0, found[i] - least) / most;
    return found;
  };

  // IoU of a map (h, w) above one half, resized bilinearly to the mask (H, W); the empty mask as in metrics.iou.
  M.iouOfMap = (m, h, w, mask, H, W) => {
    const place = (n, N) => Array.from({ length: N }, (_, i) => {
      const v = Math.max(0, ((i + 0.5) * n) / N - 0.5), a = Math.min(n - 1, Math.floor(v));
      return [a, Math.min(n - 1, a + 1), v - a];
    });
    const rows = place(h, H), columns = place(w, W);
    let both = 0, marked = 0, truth = 0;
    for (let y = 0, i = 0; y < H; y++) {
      const [y0, y1, a] = rows[y];
      for (let x = 0; x < W; x++, i++) {
        const [x0, x1, b] = columns[x];
        const top = (1 - b) * m[y0 * w + x0] + b * m[y0 * w + x1];
        const below = (1 - b) * m[y1 * w + x0] + b * m[y1 * w + x1];
        const on = (1 - a) * top + a * below > 0.5;
        marked += on;
        truth += mask[i];
        both += on && mask[i];
      }
    }
    return truth ? both / (marked + truth - both + 1e-7) : (H * W - marked) / (H * W + 1e-7);
  };

  // The outline of a mask (h, w): the sides between a marked and an unmarked pixel, [x0, y0, x1, y1] in pixels.
  M.outline = (mask, h, w) => {
    const sides = [], on = (y, x) => y >= 0 && y < h && x >= 0 && x < w && !!mask[y * w + x];
    for (let y = 0; y <= h; y++) {
      for (let x = 0; x <= w; x++) {
        if (on(y, x) !== on(y - 1, x)) sides.push([x, y, x + 1, y]);
        if (on(y, x) !== on(y, x - 1)) sides.push([x, y, x, y + 1]);
      }
    }
    return sides;
  };
}
