// Chapter 02: what hiding locations does to the maximum of Eq. (2), and to a map that was trained so.
"use strict";
uspl.figures.drop = (stage, { cosine, luck, objects, ...pictures }, { deltas, scores, clips, names, first }) => {
  const { maths } = uspl, [, K, h, w] = cosine.shape, n = h * w;
  const piece = (x, k) => x.values.subarray(k * n, (k + 1) * n);
  let go = () => {};
  const clip = uspl.choice(stage, { label: "Clip", options: clips.map((c, k) => [k, c]), value: 0 }, () => go());
  const delta = uspl.slider(stage, { label: "delta, share hidden", min: 0, max: deltas.length - 1, value: first,
    say: (d) => String(deltas[d]) }, () => go());
  const shown = uspl.maps(stage, { map: "Map, trained with delta", kept: "One step of training" });
  const steps = luck.shape[0], turn = (d) => `${d} of ${steps}`;
  const step = uspl.slider(stage, { label: "Step of training", min: 1, max: steps, value: 1, say: turn }, () => go());
  const said = uspl.readout(stage);

  // The curve: validation mIoU over delta, from 0 at the foot.
  const ns = "http://www.w3.org/2000/svg", home = shown.map.canvas.parentElement.parentElement;
  const plot = uspl.make("div", home);
  uspl.make("div", plot, { className: "title", textContent: "Validation mIoU over delta" });
  const svg = (tag, at, given, words = "") => {
    const e = at.appendChild(document.createElementNS(ns, tag));
    for (const [k, v] of Object.entries(given)) e.setAttribute(k, v);
    e.textContent = words;
    return e;
  };
  const top = Math.ceil(10 * Math.max(...scores)) / 10, x = (d) => 30 + 185 * (d / Math.max(...deltas));
  const y = (v) => 175 - 155 * (v / top), axis = { stroke: "currentColor", "stroke-width": 1, fill: "none" };
  const curve = svg("svg", plot, { viewBox: "0 0 224 204", role: "img", width: "100%" });
  svg("path", curve, { ...axis, d: `M30 ${y(top)}V175H220` });
  const text = { fill: "currentColor", "font-size": 11, "text-anchor": "middle" };
  for (const d of deltas) svg("text", curve, { ...text, x: x(d), y: 190 }, String(d));
  for (const v of [0, top / 2, top]) svg("text", curve, { ...text, x: 25, y: y(v) + 4, "text-anchor": "end" }, String(+v.toFixed(2)));
  const places = deltas.map((d, k) => `${x(d)},${y(scores[k])}`);
  svg("polyline", curve, { ...axis, points: places.join(" "), "stroke-width": 2 });
  for (const at of places) svg("circle", curve, { cx: at.split(",")[0], cy: at.split(",")[1], r: 3, fill: "currentColor" });
  const dot = svg("circle", curve, { r: 7, fill: "#b35900", stroke: "currentColor", "stroke-width": 2 });

  go = uspl.perFrame(() => {
    const d = delta.value, k = +clip.value, m = piece(cosine, d * K + k), on = piece(objects, k);
    const kept = maths.kept(piece(luck, step.value - 1), deltas[d]), left = kept.reduce((a, b) => a + b, 0);
    const all = maths.peak(m), best = maths.peak(m, kept), map = maths.reluMax(m);
    for (const canvas of [shown.map.canvas, shown.kept.canvas]) uspl.overlay(canvas, pictures[`picture${k}`], map, h, w);
    uspl.frame(shown.map.canvas, all, h, w);
    const { canvas } = shown.kept, ink = canvas.getContext("2d"), a = canvas.width / w, b = canvas.height / h;
    ink.fillStyle = "#dddddd";
    kept.forEach((is, i) => is || ink.fillRect((i % w) * a, Math.floor(i / w) * b, a, b));
    uspl.frame(canvas, best, h, w);
    dot.setAttribute("cx", x(deltas[d]));
    dot.setAttribute("cy", y(scores[d]));
    const name = (i) => names[on[i]] ?? "a place without a name";
    shown.map.say(`${clips[k]}, highest on ${name(all)}`);
    shown.kept.say(`${n - left} of ${n} locations hidden, the highest of the others on ${name(best)}`);
    curve.setAttribute("aria-label", `mIoU over delta: ${deltas.map((v, i) => `${v}: ${scores[i].toFixed(2)}`).join(", ")}`);
    said(`delta ${deltas[d]}: mIoU ${scores[d].toFixed(2)}. Hidden: ${n - left} of ${n} locations. The highest cosine is ` +
      `${m[all].toFixed(2)}, on ${name(all)}; of what is left, ${m[best].toFixed(2)}, on ${name(best)}.`);
  });
};
