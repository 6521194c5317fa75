// Maps on flat arrays, row after row: Eqs. 1-2, the rules of section 4.2. Tests compare each function with PyTorch.
"use strict";
uspl.maths ||= {};

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
