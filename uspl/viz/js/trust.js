// Eq. (5): two handles on the histogram of a map; sounding, silent and unsure areas, and the pairs that follow.
"use strict";
uspl.figures.trust = (stage, { picture, level, mask, counts }, o) => {
  const M = uspl.maths, [h, w] = level.shape, offs = M.offsets(o.r, o.metric), sides = M.outline(mask.values, h, w);
  const say = (v) => (v / o.levels).toFixed(2), percent = (v) => `${(100 * v).toFixed(1)}\u00a0%`;
  const shown = uspl.maps(stage, { refined: "refined map (Eq. 4)", areas: "what is sure (Eq. 5)" });
  for (const { canvas } of Object.values(shown)) {
    canvas.style.touchAction = "auto";
    canvas.parentElement.style = "flex:1 1 9rem;max-width:18rem";
  }
  const heat = Float32Array.from(level.values, (v) => v / o.levels);
  uspl.overlay(shown.refined.canvas, picture, heat, h, w);
  shown.refined.say("over the picture, dark where it is silent, yellow where it sounds");

  const legend = uspl.make("p", stage, { className: "title" });
  legend.style.margin = ".5rem 0";
  const chip = (background, words) => {
    const item = uspl.make("span", legend), box = uspl.make("span", item);
    item.style = "display:inline-block;margin-right:1.2em";
    box.style = "display:inline-block;width:1em;height:1em;margin:0 .3em 0 0;vertical-align:-.1em;border:1px solid";
    box.style.background = background;
    item.append(words);
  };
  chip("rgb(253,231,55)", "sounding");
  chip("repeating-linear-gradient(135deg,#999 0 2px,#ccc 2px 4px)", "unsure");
  chip("rgb(0,34,78)", "silent");
  chip("#fff", "true outline");

  // The histogram: pixels per level, the height as a square root, for most pixels are silent.
  const bars = new Array(o.levels + 1).fill(0);
  for (const v of level.values) bars[v]++;
  const tall = Math.sqrt(Math.max(...bars));
  const svg = (tag, home, given) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(given)) e.setAttribute(k, v);
    home?.append(e);
    return e;
  };
  const plot = svg("svg", stage, { viewBox: "-6 0 212 52", role: "img" });
  plot.style = "display:block;width:100%;max-width:34rem;cursor:ew-resize;touch-action:pan-y";
  bars.forEach((n, v) => {
    const height = (42 * Math.sqrt(n)) / tall;
    svg("rect", plot, { x: 2 * v - 0.8, width: 1.6, y: 50 - height, height, fill: "currentColor", opacity: 0.55 });
  });
  svg("line", plot, { x1: -1, x2: 201, y1: 50, y2: 50, stroke: "currentColor", "stroke-width": 0.5 });
  const handle = () => {
    const g = svg("g", plot, { stroke: "#b35900", fill: "#b35900" });
    svg("line", g, { y1: 5, y2: 50, "stroke-width": 1.2 });
    svg("circle", g, { cy: 4, r: 3.5 });
    return g;
  };
  const marks = [handle(), handle()];

  let draw = () => {};
  const top = o.levels;
  const given = (label, value, min, max) => ({ label, min, max, value: Math.round(value * top), say });
  const low = uspl.slider(stage, given("silent below \u03b2_l", o.low, 0, top - 1), () => moved(low));
  const high = uspl.slider(stage, given("sounds from \u03b2_h", o.high, 1, top), () => moved(high));
  const moved = (by) => {  // the handle that is moved pushes the other one
    if (low.value >= high.value) by === low ? high.set(low.value + 1) : low.set(high.value - 1);
    draw();
  };
  let held = null;
  const drag = (event) => {
    const box = plot.getBoundingClientRect(), v = Math.round((((event.clientX - box.left) / box.width) * 212 - 6) / 2);
    held ??= Math.abs(v - low.value) < Math.abs(v - high.value) || v < low.value ? low : high;
    held.set(v);
    moved(held);
  };
  plot.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    plot.setPointerCapture(event.pointerId);
    drag(event);
  });
  plot.addEventListener("pointermove", (event) => held && drag(event));
  for (const end of ["pointerup", "pointercancel"]) plot.addEventListener(end, () => (held = null));

  const table = uspl.make("table", stage), rows = {};
  const line = (cell, words) => {
    const row = uspl.make("tr", table);
    words.forEach((word, k) => uspl.make(k ? cell : "th", row, { textContent: word }));
    row.firstChild.scope = "row";
    return row;
  };
  for (const e of line("th", ["this map", "sounding", "unsure", "silent"]).children) e.scope = "col";
  rows.share = line("td", ["share of the pixels", "", "", ""]);
  rows.right = line("td", ["of these right", "", "\u2013", ""]);
  const fill = (row, k, words) => (row.children[k].textContent = words);
  const told = uspl.readout(stage);

  draw = uspl.perFrame(() => {
    const a = low.value, b = high.value, y = M.trimap(level.values, a, b), n = y.length;
    const [H, W] = picture.shape, p = picture.values, yellow = uspl.colour(1), blue = uspl.colour(0);
    uspl.paint(shown.areas.canvas, p, H, W, (_, i) => {
      const v = Math.floor(i / W), u = i % W, label = y[Math.floor((v * h) / H) * w + Math.floor((u * w) / W)];
      const grey = (p[3 * i] + p[3 * i + 1] + p[3 * i + 2]) / 3;
      if (label === 255) return new Array(3).fill((v + u) % 4 < 2 ? 0.6 * grey + 90 : 0.6 * grey + 50);
      return (label ? yellow : blue).map((c) => 0.45 * grey + 0.55 * c);
    });
    const context = shown.areas.canvas.getContext("2d");
    context.fillStyle = "#fff";
    for (const [x0, y0, x1, y1] of sides) {
      const wide = ((x1 - x0) * W) / w, tall = ((y1 - y0) * H) / h;
      context.fillRect((x0 * W) / w, (y0 * H) / h, Math.max(1, wide), Math.max(1, tall));
    }
    marks.forEach((g, k) => g.setAttribute("transform", `translate(${2 * [a, b][k]} 0)`));
    const sum = (which) => y.reduce((total, label, i) => total + which(label, mask.values[i]), 0);
    const on = sum((label) => label === 1), off = sum((label) => label === 0);
    const share = [on, n - on - off, off].map((v) => percent(v / n));
    share.forEach((words, k) => fill(rows.share, k + 1, words));
    fill(rows.right, 1, on ? percent(sum((label, truth) => label === 1 && truth) / on) : "\u2013");
    fill(rows.right, 3, off ? percent(sum((label, truth) => label === 0 && !truth) / off) : "\u2013");
    let all = 0, sure = 0, right = 0;
    counts.values.forEach((number, i) => {  // [not in the mask, in it] x level
      const truth = i > top, v = truth ? i - top - 1 : i;
      all += number;
      if (v >= b || v < a) sure += number;
      if (truth ? v >= b : v < a) right += number;
    });
    const [alike, unlike, ignored] = M.pairCounts(y, h, w, offs).map((v) => v.toLocaleString("en"));
    const clips = o.clips === 1 ? "this clip" : `all ${o.clips} clips`;
    const just = sure ? percent(right / sure) : "none";
    told(`Pairs within r = ${o.r}: ${alike} alike, ${unlike} unlike, ${ignored} ignored. ` +
      `Over ${clips}: ${percent(sure / all)} of the pixels are sure, ${just} of these right.`);
    shown.areas.say(`${share[0]} sounding, ${share[1]} unsure, ${share[2]} silent`);
    const words = `Histogram of the map, handles at ${say(a)} and ${say(b)}; the sliders below move them`;
    plot.setAttribute("aria-label", words);
  });
};
