// What every figure shares: stored arrays, maps on a canvas, labelled controls. No framework, nothing is fetched.
"use strict";
window.uspl ||= { figures: {}, held: {} };

{
  const half = (bits) => {
    const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, rest = bits & 1023;
    if (power === 31) return rest ? NaN : sign * Infinity;
    return sign * (power ? 2 ** (power - 15) * (1 + rest / 1024) : 2 ** -14 * (rest / 1024));
  };
  const readers = {
    float16: (b) => Float32Array.from(new Uint16Array(b), half),
    float32: (b) => new Float32Array(b),
    uint8: (b) => new Uint8Array(b),
    int16: (b) => new Int16Array(b),
    int32: (b) => new Int32Array(b),
  };

  // {dtype, shape, data} -> {shape, values}
  uspl.unpack = ({ dtype, shape, data }) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    return { shape, values: readers[dtype](bytes.buffer) };
  };

  // A picture, which travels as WebP, as {shape: [H, W, 3], values}.
  const pixels = async (uri) => {
    const image = Object.assign(new Image(), { src: uri });
    await image.decode();
    const [w, h] = [image.naturalWidth, image.naturalHeight];
    const context = Object.assign(document.createElement("canvas"), { width: w, height: h }).getContext("2d");
    context.drawImage(image, 0, 0);
    const rgba = context.getImageData(0, 0, w, h).data;
    return { shape: [h, w, 3], values: Uint8Array.from({ length: 3 * w * h }, (_, i) => rgba[i + Math.floor(i / 3)]) };
  };

  // cividis at eight places, interpolated: dark blue at 0, yellow at 1.
  const stops = [[0, 34, 78], [33, 55, 107], [77, 85, 108], [107, 111, 115], [138, 137, 121], [172, 163, 112],
    [209, 190, 93], [253, 231, 55]];
  const table = Array.from({ length: 256 }, (_, i) => {
    const x = (7 * i) / 255, k = Math.min(6, Math.floor(x));
    return stops[k].map((c, j) => c + (x - k) * (stops[k + 1][j] - c));
  });
  const within = (v) => (v > 0 ? (v < 1 ? v : 1) : 0);  // no number becomes 0
  uspl.colour = (v) => table[Math.round(255 * within(v))];

  // A map (h, w) of values in [0, 1], or of colours by `colour(value, index)` -> [r, g, b].
  uspl.paint = (canvas, values, h, w, colour = uspl.colour) => {
    canvas.width = w;
    canvas.height = h;
    const context = canvas.getContext("2d"), image = context.createImageData(w, h);
    for (let i = 0; i < h * w; i++) {
      const c = colour(values[i], i);
      for (let j = 0; j < 3; j++) image.data[4 * i + j] = c[j];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };

  // A picture (H, W, 3) of bytes, grey where the map (h, w) is silent and in its colours where it sounds.
  uspl.overlay = (canvas, picture, m, h, w) => {
    const [H, W] = picture.shape, p = picture.values;
    const at = (y, x) => {  // bilinear, centres of pixels aligned
      const v = Math.min(h - 1, Math.max(0, ((y + 0.5) * h) / H - 0.5));
      const u = Math.min(w - 1, Math.max(0, ((x + 0.5) * w) / W - 0.5));
      const y0 = Math.floor(v), x0 = Math.floor(u), y1 = Math.min(h - 1, y0 + 1), x1 = Math.min(w - 1, x0 + 1);
      const a = v - y0, b = u - x0;
      return (1 - a) * ((1 - b) * m[y0 * w + x0] + b * m[y0 * w + x1]) + a * ((1 - b) * m[y1 * w + x0] + b * m[y1 * w + x1]);
    };
    const mixed = [0, 0, 0];
    uspl.paint(canvas, p, H, W, (_, i) => {
      const v = within(at(Math.floor(i / W), i % W)), c = uspl.colour(v), k = 0.65 * v;
      const grey = (p[3 * i] + p[3 * i + 1] + p[3 * i + 2]) / 3;
      for (let j = 0; j < 3; j++) mixed[j] = (1 - k) * grey + k * c[j];
      return mixed;
    });
  };

  // A frame around cell `i` of an (h, w) grid that lies over the canvas.
  uspl.frame = (canvas, i, h, w) => {
    const context = canvas.getContext("2d"), a = canvas.width / w, b = canvas.height / h;
    for (const [colour, width] of [["#000", 3], ["#fff", 1]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.strokeRect((i % w) * a, Math.floor(i / w) * b, a, b);
    }
  };

  const make = (tag, home, given = {}) => {
    const e = Object.assign(document.createElement(tag), given);
    home?.append(e);
    return e;
  };
  uspl.make = make;
  uspl.controls ??= 0;

  // A row of canvases with titles: {name: {canvas, say(words)}}; the words are the canvas's description.
  uspl.maps = (stage, titles) => {
    const row = make("div", stage, { className: "maps" }), found = {};
    for (const [name, title] of Object.entries(titles)) {
      const home = make("div", row), head = make("div", home, { className: "title", textContent: title });
      const canvas = make("canvas", home), say = (words) => canvas.setAttribute("aria-label", `${title}: ${words}`);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", title);
      found[name] = { canvas, head, say };
    }
    return found;
  };

  // A labelled slider; `say` turns its value into what is shown and read out.
  uspl.slider = (stage, { label, min, max, step = 1, value, say = String }, changed) => {
    const id = `uspl-control-${++uspl.controls}`, row = make("div", stage, { className: "control" });
    make("label", row, { htmlFor: id, textContent: label });
    const input = make("input", row, { id, type: "range", min, max, step });
    input.value = value;
    const shown = make("output", row, { htmlFor: id });
    const go = () => {
      shown.textContent = say(+input.value);
      input.setAttribute("aria-valuetext", say(+input.value));
    };
    input.addEventListener("input", () => (go(), changed()));
    go();
    return { input, get value() { return +input.value; }, set(v) { input.value = v; go(); } };
  };

  // Buttons of which one is on, [[value, words], ...].
  uspl.radio = (stage, { label, options, value }, changed) => {
    const name = `uspl-control-${++uspl.controls}`, row = make("fieldset", stage, { className: "control" });
    make("legend", row, { textContent: label });
    const inputs = options.map(([v, words]) => {
      const home = make("label", row);
      const input = make("input", home, { type: "radio", name, value: v, checked: String(v) === String(value) });
      home.append(` ${words}`);
      input.addEventListener("change", changed);
      return input;
    });
    return { inputs, get value() { return inputs.find((e) => e.checked).value; } };
  };

  // A labelled list of choices, [[value, words], ...].
  uspl.choice = (stage, { label, options, value }, changed) => {
    const id = `uspl-control-${++uspl.controls}`, row = make("div", stage, { className: "control" });
    make("label", row, { htmlFor: id, textContent: label });
    const input = make("select", row, { id });
    for (const [v, words] of options) make("option", input, { value: v, textContent: words });
    input.value = value;
    input.addEventListener("change", changed);
    return { input, get value() { return input.value; } };
  };

  // A line that is read out when it changes.
  uspl.readout = (stage) => {
    const line = make("p", stage, { className: "readout" });
    line.setAttribute("aria-live", "polite");
    return (words) => (line.textContent = words);
  };

  // Runs `go` at most once a frame, however often the returned function is called; the last time is kept for the bench.
  uspl.perFrame = (go) => {
    let waiting = false;
    const run = () => {
      waiting = false;
      const start = performance.now();
      go();
      uspl.lastStep = performance.now() - start;
    };
    run();
    return () => {
      if (!waiting) requestAnimationFrame(run);
      waiting = true;
    };
  };

  // Begins a figure when it comes near the window; what it holds is beside it, or in a script of its own.
  uspl.start = (id) => {
    const home = document.getElementById(id);
    if (!home || home.classList.contains("on")) return;
    const begin = async ({ arrays, pictures, options }) => {
      const entries = Object.entries(arrays).map(([k, v]) => [k, uspl.unpack(v)]);
      for (const [k, uri] of Object.entries(pictures)) entries.push([k, await pixels(uri)]);
      uspl.figures[home.dataset.kind](home.querySelector(".stage"), Object.fromEntries(entries), options);
      home.classList.add("on");  // last: whatever fails before leaves the strip of pictures in its place
    };
    const load = () => {
      const beside = home.querySelector("script.held");
      if (beside) return begin(JSON.parse(beside.textContent));
      const script = make("script", document.head, { src: home.dataset.held });
      script.onload = () => begin(uspl.held[id]);
    };
    const seen = new IntersectionObserver((all) => {
      if (all.some((e) => e.isIntersecting)) {
        seen.disconnect();
        load();
      }
    }, { rootMargin: "400px" });
    seen.observe(home);
  };
}
