// Eq. (3) from one pixel, chosen by click, tap or arrow keys: whom it trusts within the radius.
"use strict";
uspl.figures.whom = (stage, { picture, mask, ...held }, o) => {
  const M = uspl.maths, [h, w] = mask.shape, truth = mask.values, sides = M.outline(truth, h, w);
  const shown = uspl.maps(stage, { over: "A over the clip", near: "A close by" });
  let y = o.y, x = o.x, offs, d, known = "";

  const pick = shown.over.canvas;
  pick.tabIndex = 0;
  pick.setAttribute("role", "application");
  pick.setAttribute("aria-roledescription", "pixel chooser");
  pick.style.cursor = "crosshair";
  shown.near.canvas.style.touchAction = "auto";
  for (const { canvas } of Object.values(shown)) canvas.parentElement.style = "flex:1 1 9rem;max-width:18rem";
  const hint = "Click or tap a pixel, drag, or use the arrow keys (with Shift, five pixels at a time). " +
    "A white dot marks a neighbour on the other side of the true outline.";
  uspl.make("p", stage, { className: "title", textContent: hint }).style.margin = ".5rem 0";

  let draw = () => {};
  const go = (v, u) => {
    y = Math.min(h - 1, Math.max(0, v));
    x = Math.min(w - 1, Math.max(0, u));
    draw();
  };
  const point = (event) => {
    const box = pick.getBoundingClientRect();
    const at = (place, n) => Math.floor(place * n);
    go(at((event.clientY - box.top) / box.height, h), at((event.clientX - box.left) / box.width, w));
  };
  pick.addEventListener("pointerdown", (event) => {
    pick.setPointerCapture(event.pointerId);
    point(event);
  });
  pick.addEventListener("pointermove", (event) => event.buttons && point(event));
  const keys = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  pick.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const [dy, dx] = keys[event.key], far = event.shiftKey ? 5 : 1;
    go(y + far * dy, x + far * dx);
  });

  const reachOf = { label: "radius r", min: 1, max: o.r_max, value: o.r, say: (v) => `${v} pixels` };
  const radius = uspl.slider(stage, reachOf, () => draw());
  const metric = uspl.choice(stage, {
    label: "metric",
    options: [
      ["euclidean", "Euclidean: dy\u00b2 + dx\u00b2 < r\u00b2"],
      ["chebyshev", "Chebyshev: |dy|, |dx| \u2264 r"],
    ],
    value: o.metric,
  }, () => draw());
  const power = uspl.choice(stage, {
    label: "raised to \u03b2",
    options: o.powers.map((v) => [v, v === 1 ? "1 (Eq. 3 itself)" : `${v}`]),
    value: o.power,
  }, () => draw());
  const told = uspl.readout(stage);

  const mark = (context, size) => {  // the pixel itself: white in black, seen on any colour
    const [v, u, H, W] = size;
    context.fillStyle = "#000";
    context.fillRect(u - 1, v - 1, W + 2, H + 2);
    context.fillStyle = "#fff";
    context.fillRect(u, v, W, H);
  };

  draw = uspl.perFrame(() => {
    const r = radius.value;
    if (known !== `${r} ${metric.value}`) {
      known = `${r} ${metric.value}`;
      offs = M.offsets(r, metric.value);
      d = M.heldDistances(held, o, offs);
    }
    const a = M.affinityRow(d, offs, h, w, y * w + x, +power.value), [H, W] = picture.shape;
    uspl.overlay(pick, picture, a, h, w);
    const context = pick.getContext("2d");
    context.fillStyle = "#fff";
    for (const [x0, y0, x1, y1] of sides) {
      const wide = ((x1 - x0) * W) / w, tall = ((y1 - y0) * H) / h;
      context.fillRect((x0 * W) / w, (y0 * H) / h, Math.max(1, wide), Math.max(1, tall));
    }
    mark(context, [(y * H) / h, (x * W) / w, Math.max(1, H / h), Math.max(1, W / w)]);

    // Close by: a cell of 9 x 9 for each pixel within the largest radius; those not asked are left as they are.
    const reach = o.r_max, cell = 9, side = 2 * reach + 1, asked = new Uint8Array(h * w), canvas = shown.near.canvas;
    const sums = [0, 0], numbers = [0, 0];
    for (const [dy, dx] of offs.flatMap(([dy, dx]) => [[dy, dx], [-dy, -dx]])) {
      if (y + dy < 0 || y + dy >= h || x + dx < 0 || x + dx >= w) continue;
      const j = (y + dy) * w + x + dx, other = +(truth[j] !== truth[y * w + x]);
      asked[j] = 1;
      sums[other] += a[j];
      numbers[other]++;
    }
    canvas.width = canvas.height = cell * side;
    const close = canvas.getContext("2d");
    for (let v = 0; v < side; v++) {
      for (let u = 0; u < side; u++) {
        const yy = y + v - reach, xx = x + u - reach, j = yy * w + xx;
        if (yy < 0 || yy >= h || xx < 0 || xx >= w || !asked[j]) continue;
        close.fillStyle = `rgb(${uspl.colour(a[j]).map(Math.round)})`;
        close.fillRect(cell * u, cell * v, cell - 1, cell - 1);
        if (truth[j] === truth[y * w + x]) continue;
        close.fillStyle = "#000";
        close.fillRect(cell * u + 2, cell * v + 2, 4, 4);
        close.fillStyle = "#fff";
        close.fillRect(cell * u + 3, cell * v + 3, 2, 2);
      }
    }
    mark(close, [cell * reach, cell * reach, cell - 1, cell - 1]);

    const mean = (k) => (numbers[k] ? (sums[k] / numbers[k]).toFixed(2) : "\u2013");
    const where = `row ${y}, column ${x}, ${truth[y * w + x] ? "on what sounds" : "not on what sounds"}`;
    const risen = +power.value === 1 ? "" : ` to the power ${power.value}`;
    const own = `mean affinity${risen} ${mean(0)} to the ${numbers[0]} of its own side`;
    const words = `${numbers[0] + numbers[1]} neighbours within r = ${r}: ${own}, ` +
      `${mean(1)} to the ${numbers[1]} of the other.`;
    told(`Pixel in ${where}. ${words}`);
    shown.over.say(`${where}; arrow keys move the pixel`);
    shown.near.say(words);
  });
};
