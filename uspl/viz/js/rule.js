// Chapter 06: one map, a threshold, every published rule; beside each number its floors and its ceiling.
"use strict";
uspl.figures.rule = (stage, given, { clips, protocols, threshold }) => {
  const { maths } = uspl, { levels } = maths, at = (t) => Number(t.toFixed(2));
  const units = new Map(), unit = (m) => units.get(m) ?? units.set(m, maths.toUnit(m)).get(m);
  // Of each rule: the protocol, short words, what it marks, how it scores, and how many pixels its best map marks.
  const rules = [
    ["avsbench", "IoU of M > t", maths.above, maths.iou, (area) => area],
    ["avsbench", "F-measure of M \u2265 t", maths.reaching, maths.fscore, (area) => area],
    ["avsbench", "F-measure, best of 255 t", (m, _, gt) => maths.reaching(m, maths.bestF(m, gt).level), maths.fscore, (area) => area],
    ["vggss-absolute", "cIoU of M \u2265 t", maths.reaching, maths.ciou, (area) => area],
    ["vggss-minmax", "cIoU, min-max, then \u2265 t", (m, t) => maths.reaching(unit(m), t), maths.ciou, (area) => area],
    ["vggss-half", "cIoU, higher half of the image", (m) => maths.half(m), maths.ciou, (area, n) => n - (n >> 1)],
    ["vggss-half-strict", "cIoU, higher half, no ties", (m) => maths.half(m, true), maths.ciou, (area, n) => n - (n >> 1) - 1],
    ["vggss-adaptive", "cIoU, the truth's own area", (m, _, gt) => maths.adaptive(m, gt), maths.ciou, (area) => area - 1],
  ];
  const follows = ([, words]) => / t$/.test(words) && !/best/.test(words);
  let go = () => {};
  const clip = uspl.choice(stage, { label: "Clip", options: clips.map((c, k) => [k, c]), value: 0 }, () => go());
  const words = rules.map(([, short], k) => [k, short]);
  const rule = uspl.choice(stage, { label: "Pixels marked by", options: words, value: 0 }, () => go());
  const slider = uspl.slider(stage, { label: "Threshold t", min: 0.02, max: 0.98, step: 0.02, value: threshold,
    say: (t) => t.toFixed(2) }, () => go());
  const shown = uspl.maps(stage, { map: "The map over the frame", marked: "What the rule marks", truth: "What sounds" });
  const key = uspl.make("p", stage, { className: "title" });
  key.textContent = "Marked and right: yellow. Marked and wrong: blue. Missed: white.";
  const said = uspl.readout(stage), box = uspl.make("div", stage);
  box.style.overflowX = "auto";
  for (const [k, v] of [["role", "region"], ["aria-label", "Scores by every rule"], ["tabindex", 0]]) box.setAttribute(k, v);
  const table = uspl.make("table", box), rows = uspl.make("tbody", table);
  const head = uspl.make("tr", uspl.make("thead", table));
  for (const name of ["Rule", "Marks", "This map", "Whole image", "Centre blob", "Best map"]) {
    uspl.make("th", head, { scope: "col", textContent: name });
  }
  const cells = rules.map(([, short]) => {
    const row = uspl.make("tr", rows);
    uspl.make("th", row, { scope: "row", textContent: short }).style.minWidth = "8rem";
    return [row, ...Array.from({ length: 5 }, () => uspl.make("td", row))];
  });
  const source = uspl.make("p", stage, { className: "title" });

  // What does not follow the threshold is computed once for a clip.
  const kept = {};
  let drawn = -1;
  const marks = (k, r, m, t, gt, name) => {
    const id = `${k} ${r} ${name}`;
    return follows(rules[r]) ? rules[r][2](m, t, gt) : (kept[id] ??= rules[r][2](m, t, gt));
  };
  const found = (score, v) => (score === maths.ciou ? `${v.toFixed(2)} ${v >= 0.5 ? "found" : "missed"}` : v.toFixed(2));

  go = uspl.perFrame(() => {
    const k = +clip.value, chosen = +rule.value, t = at(slider.value);
    const { values: m, shape: [h, w] } = given[`m${k}`], { values: gt } = given[`truth${k}`], n = h * w;
    const blob = (kept[`blob ${h} ${w}`] ??= maths.gaussian(h, w, 0.25)), everything = new Uint8Array(n).fill(1);
    rules.forEach(([, , , score, best], r) => {
      const own = maths.counts(marks(k, r, m, t, gt, "map"), gt), [row, share, ...four] = cells[r];
      const blind = maths.counts(marks(k, r, blob, t, gt, "blob"), gt), whole = maths.counts(everything, gt);
      const both = Math.min(own.truth, best(own.truth, n));
      const ceiling = { both, marked: best(own.truth, n), truth: own.truth, pixels: n };
      share.textContent = `${Math.round((100 * own.marked) / n)} %`;
      [own, whole, blind, ceiling].forEach((c, i) => (four[i].textContent = found(score, score(c))));
      row.style.outline = r === chosen ? "2px solid currentColor" : "";
      row.setAttribute("aria-current", r === chosen);
    });
    const marked = marks(k, chosen, m, t, gt, "map"), picture = given[`picture${k}`], p = picture.values;
    const grey = (i) => (p[3 * i] + p[3 * i + 1] + p[3 * i + 2]) / 3;
    const over = (i, colour) => (colour ? colour.map((c) => 0.3 * grey(i) + 0.7 * c) : [grey(i), grey(i), grey(i)]);
    const colours = [null, [255, 255, 255], [40, 100, 255], [255, 220, 40]];  // by 2 marked + truth
    uspl.paint(shown.marked.canvas, marked, h, w, (v, i) => over(i, colours[2 * v + gt[i]]));
    if (k !== drawn) {
      uspl.overlay(shown.map.canvas, picture, m, h, w);
      uspl.paint(shown.truth.canvas, gt, h, w, (v, i) => over(i, colours[3 * v]));
      shown.map.say(`${clips[k]}, its brightest pixel ${m.reduce((a, b) => Math.max(a, b)).toFixed(2)}`);
      shown.truth.say(`${Math.round((100 * gt.reduce((a, b) => a + b)) / n)} % of the image`);
      drawn = k;
    }
    const score = cells[chosen][2].textContent, share = cells[chosen][1].textContent;
    shown.marked.say(`${share} of the image, by ${rules[chosen][1]}`);
    said(`t = ${t.toFixed(2)}. ${rules[chosen][1]}: ${score}; it marks ${share} of the image.`);
    const { name, rule: whole, source: from } = protocols[rules[chosen][0]];
    source.textContent = `${name}: ${whole} ${from}.`;
  });
};
