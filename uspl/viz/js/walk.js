// Eqs. (7) and (8): the walk, step by step; what is computed once is kept and walked on from.
"use strict";
uspl.figures.walk = (stage, { picture, m, mask, ...held }, o) => {
  const M = uspl.maths, [h, w] = m.shape, [H, W] = mask.shape, offs = M.offsets(o.r, o.metric);
  const d = M.heldDistances(held, o, offs), sides = M.outline(mask.values, H, W);
  const ones = new Float32Array(h * w).fill(1);
  const shown = uspl.maps(stage, { over: "over the clip", fine: "the walked map" });
  for (const { canvas } of Object.values(shown)) {
    canvas.style.touchAction = "auto";
    canvas.parentElement.style = "flex:1 1 9rem;max-width:18rem";
  }

  // Of the last few beta: the transition, and every map of the walk so far with its IoU.
  const known = new Map();
  const add = ({ maps, ious }, map) => {
    maps.push(map);
    ious.push(M.iouOfMap(M.ranged(map, o.range), h, w, mask.values, H, W));
  };
  const of = (beta) => {
    if (!known.has(beta)) {
      const T = M.transition(d, offs, h, w, beta), rows = M.span(M.step(T, ones));  // T times ones is its row sums
      const walked = { T, rows, maps: [], ious: [] };
      add(walked, new Float32Array(m.values));
      if (known.size > 3) known.delete(known.keys().next().value);
      known.set(beta, walked);
    }
    return known.get(beta);
  };

  const svg = (tag, home, given) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(given)) e.setAttribute(k, v);
    home.append(e);
    return e;
  };
  const about = "White line: the true outline. Curve: the IoU along the walk, 0 at the foot and 1 at the top.";
  uspl.make("p", stage, { className: "title", textContent: about }).style.margin = ".5rem 0";
  const plot = svg("svg", stage, { viewBox: "-4 -4 208 58", role: "img" });
  plot.style = "display:block;width:100%;max-width:34rem";
  const thin = { stroke: "currentColor", "stroke-width": 0.4, opacity: 0.5 };
  for (const v of [0, 25, 50]) svg("line", plot, { x1: 0, x2: 200, y1: v, y2: v, ...thin });
  const curve = svg("polyline", plot, { fill: "none", stroke: "currentColor", "stroke-width": 1.5 });
  const dot = svg("circle", plot, { r: 3, fill: "#b35900", stroke: "#b35900" });

  let draw = () => {}, timer = null;
  const most = (reading) => Math.max(reading === "squarings" ? 8 : 64, reading === o.reading ? o.t : 0);
  const step = Number.isInteger(2 * o.beta) ? 0.5 : "any", say = (v) => `${+v.toFixed(2)}`;
  const beta = uspl.slider(stage, {
    label: "exponent \u03b2", min: 0, max: Math.max(20, o.beta), step, value: o.beta, say,
  }, () => draw());
  const sayT = (v) => (reading?.value === "squarings" ? `${v}: ${2 ** v} steps` : `${v} steps`);
  let reading = null;
  const t = uspl.slider(stage, { label: "t", min: 0, max: most(o.reading), value: o.t, say: sayT }, () => draw());
  reading = uspl.choice(stage, {
    label: "reading of t",
    options: [["power", "T to the power t: t steps"], ["squarings", "T squared t times: 2 to the power t steps"]],
    value: o.reading,
  }, () => {
    t.input.max = most(reading.value);
    t.set(t.value);
    draw();
  });
  t.set(o.t);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const bar = uspl.make("div", stage, { className: "control" }), button = uspl.make("button", bar, { type: "button" });
  const told = uspl.readout(stage), line = stage.lastElementChild;
  const proof = uspl.make("p", stage, { className: "title" });

  const play = (on) => {
    clearInterval(timer);
    timer = on ? setInterval(next, 125) : null;
    line.setAttribute("aria-live", on ? "off" : "polite");
    button.textContent = on ? "Stop" : still.matches ? "One step on" : "Play the walk";
  };
  const next = () => {
    t.set(t.value + 1);
    if (t.value >= +t.input.max) play(false);
    draw();
  };
  button.addEventListener("click", () => {
    if (timer) return play(false);
    if (t.value >= +t.input.max) t.set(-1);
    if (still.matches) return next();
    play(true);
  });
  for (const input of [t.input, reading.input]) input.addEventListener("input", () => timer && play(false));
  play(false);

  draw = uspl.perFrame(() => {
    const steps = M.steps(t.value, reading.value), walked = of(beta.value), { T, rows, maps, ious } = walked;
    const end = performance.now() + 10;
    while (maps.length <= steps && performance.now() < end) add(walked, M.step(T, maps.at(-1)));
    const at = Math.min(steps, maps.length - 1), map = maps[at], fine = M.ranged(map, o.range);
    uspl.paint(shown.fine.canvas, fine, h, w);
    uspl.overlay(shown.over.canvas, picture, fine, h, w);
    const context = shown.over.canvas.getContext("2d"), [P, Q] = picture.shape;
    context.fillStyle = "#fff";
    for (const [x0, y0, x1, y1] of sides) {
      const wide = ((x1 - x0) * Q) / W, tall = ((y1 - y0) * P) / H;
      context.fillRect((x0 * Q) / W, (y0 * P) / H, Math.max(1, wide), Math.max(1, tall));
    }
    const wide = M.steps(+t.input.max, reading.value), place = (s) => [(200 * s) / wide, 50 - 50 * ious[s]];
    curve.setAttribute("points", ious.slice(0, wide + 1).map((_, s) => place(s).map((v) => v.toFixed(2))).join(" "));
    dot.setAttribute("cx", place(at)[0]);
    dot.setAttribute("cy", place(at)[1]);
    if (at < steps) return setTimeout(() => draw());  // the rest is walked in the frames that follow
    const words = `IoU ${ious[at].toFixed(2)} after ${steps} steps, ${ious[0].toFixed(2)} before the walk`;
    const [least, largest] = M.span(map), [first, last] = M.span(maps[0]);
    told(`${words}.`);
    proof.textContent = `Row sums of T: ${rows[0].toFixed(6)} to ${rows[1].toFixed(6)}. ` +
      `Range of the map: ${first.toFixed(3)} to ${last.toFixed(3)} before, ` +
      `${least.toFixed(3)} to ${largest.toFixed(3)} after.`;
    for (const map of Object.values(shown)) map.say(words);
    plot.setAttribute("aria-label", `Curve of the IoU along the walk: ${words}`);
  });
};
