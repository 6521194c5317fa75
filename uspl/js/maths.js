// The equations on flat arrays, row after row; tests/test_live.py compares each with PyTorch.
"use strict";
uspl.maths ||= {};

// Maps: Eqs. 1-2 and the rules of section 4.2.
{
  const { maths } = uspl, { fround } = Math;
  const length = (x) => Math.max(Math.sqrt(x.reduce((sum, v) => sum + v * v, 0)), 1e-12);
  const highest = (m) => m.reduce((a, b) => Math.max(a, b), -Infinity);

  // Eq. (1): the cosine of a sound (C) with every location of features (C, n).
  maths.cosine = (fa, fv) => {
    const n = fv.length / fa.length, dot = new Float64Array(n), square = new Float64Array(n), all = length(fa);
    fa.forEach((a, k) => {
      for (let i = 0, at = k * n; i < n; i++, at++) {
        dot[i] += a * fv[at];
        square[i] += fv[at] * fv[at];
      }
    });
    return dot.map((v, i) => v / (Math.max(Math.sqrt(square[i]), 1e-12) * all));
  };

  // Two sounds as one: their directions, added with weights 1 - share and share.
  maths.mix = (a, b, share) => {
    const [la, lb] = [length(a), length(b)];
    return Float64Array.from(a, (v, i) => ((1 - share) * v) / la + (share * b[i]) / lb);
  };

  // Reading 2: negatives to 0, then divided by the maximum.
  maths.reluMax = (m) => {
    const top = Math.max(highest(m), 1e-8);
    return Float64Array.from(m, (v) => Math.max(v, 0) / top);
  };

  // Where a map is highest, among the locations that are kept; the first of equals.
  maths.peak = (m, kept) => {
    let best = -1;
    m.forEach((v, i) => {
      if ((!kept || kept[i]) && (best < 0 || v > m[best])) best = i;
    });
    return best;
  };

  // The locations that the mask of Eq. (2) keeps: luck in [0, 1) each, dropped below delta, the luckiest never.
  maths.kept = (luck, delta) => {
    const best = maths.peak(luck), at = fround(delta);
    return Uint8Array.from(luck, (v, i) => v >= at || i === best);
  };

  // What a rule marks.
  const marked = (m, test) => {
    const found = new Uint8Array(m.length);
    for (let i = 0; i < m.length; i++) found[i] = test(m[i]);
    return found;
  };
  maths.above = (m, t) => marked(m, (v) => v > fround(t));
  maths.reaching = (m, t) => marked(m, (v) => v >= fround(t));
  maths.toUnit = (m) => {
    const low = m.reduce((a, b) => Math.min(a, b), Infinity), moved = Float32Array.from(m, (v) => v - low);
    const top = Math.max(highest(moved), fround(1e-12));
    return moved.map((v) => v / top);
  };
  maths.half = (m, strict = false) => {
    const unit = maths.toUnit(m), level = unit.slice().sort()[m.length >> 1];
    return marked(unit, (v) => (strict ? v > level : v >= level));
  };
  maths.adaptive = (m, truth) => {
    const n = m.length, area = truth.reduce((a, b) => a + b, 0), level = Float32Array.from(m).sort()[n - (area || n >> 1)];
    return marked(m, (v) => v > level);
  };

  // What marked pixels score against the truth, both 0 or 1.
  maths.counts = (marked, truth) => {
    const found = { both: 0, marked: 0, truth: 0, pixels: truth.length };
    for (let i = 0; i < truth.length; i++) {
      found.marked += marked[i];
      found.truth += truth[i];
      found.both += marked[i] & truth[i];
    }
    return found;
  };
  maths.iou = ({ both, marked, truth, pixels }) =>
    truth ? both / (marked + truth - both + 1e-7) : (pixels - marked) / (pixels + 1e-7);
  maths.ciou = ({ both, marked, truth }) => both / Math.max(marked + truth - both, 1e-12);
  maths.fscore = ({ both, marked, truth }) => {
    const precision = both / (marked + 1e-20), recall = both / (truth + 1e-20);
    return both ? (1.3 * precision * recall) / (0.3 * precision + recall) : 0;
  };

  // torch.linspace(0, 1 - 1e-10, 255), which counts from both ends.
  const step = fround(1 / 254);
  maths.levels = Float32Array.from({ length: 255 }, (_, i) => (i < 127 ? step * i : 1 - step * (254 - i)));

  // The best F-measure over these levels: {score, level}. One pass counts what reaches each.
  maths.bestF = (m, truth) => {
    const { levels } = maths, all = new Float64Array(256), right = new Float64Array(256);
    m.forEach((v, i) => {
      let k = Math.max(0, Math.min(255, Math.floor(v * 254) + 1));  // how many levels it reaches, about
      while (k < 255 && levels[k] <= v) k++;
      while (k > 0 && levels[k - 1] > v) k--;
      all[k]++;
      right[k] += truth[i];
    });
    const area = right.reduce((a, b) => a + b, 0), found = { score: -1, level: 0 };
    for (let k = 255, both = 0, marked = 0; k > 0; k--) {
      both += right[k];
      marked += all[k];
      const score = maths.fscore({ both, marked, truth: area });
      if (score >= found.score) Object.assign(found, { score, level: levels[k - 1] });
    }
    return found;
  };

  // The best cIoU that marking so many pixels admits, whatever the map.
  maths.bestMarking = (area, marked) => Math.min(area, marked) / Math.max(area, marked, 1e-12);

  // exp(-r^2 / (2 sigma^2)), r the distance from the centre in shares of the sides: it neither looks nor listens.
  maths.gaussian = (h, w, sigma) =>
    Float32Array.from({ length: h * w }, (_, i) => {
      const y = (Math.floor(i / w) - (h - 1) / 2) / h, x = ((i % w) - (w - 1) / 2) / w;
      return Math.exp(-(y * y + x * x) / (2 * sigma * sigma));
    });
}

// Neighbours on a grid: Eqs. (3), (5), (7) and (8), and the pairs of Eq. (6).
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
