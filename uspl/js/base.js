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

  // cividis at eight places, interpolated: dark blue at 0, yellow at 1.
  const stops = [[0, 34, 78], [33, 55, 107], [77, 85, 108], [107, 111, 115], [138, 137, 121], [172, 163, 112],
    [209, 190, 93], [253, 231, 55]];
  uspl.colour = (v) => {
    const x = 7 * Math.min(1, Math.max(0, v)), k = Math.min(6, Math.floor(x)), f = x - k;
    return stops[k].map((c, i) => c + f * (stops[k + 1][i] - c));
  };

  // A map (h, w) of values in [0, 1], or of colours by `colour(value, index)` -> [r, g, b].
  uspl.paint = (canvas, values, h, w, colour = uspl.colour) => {
    canvas.width = w;
    canvas.height = h;
    const context = canvas.getContext("2d"), image = context.createImageData(w, h);
    for (let i = 0; i < h * w; i++) {
      const [r, g, b] = colour(values[i], i);
      image.data.set([r, g, b, 255], 4 * i);
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
    uspl.paint(canvas, p, H, W, (_, i) => {
      const k = 0.65 * Math.min(1, Math.max(0, at(Math.floor(i / W), i % W)));
      const grey = (p[3 * i] + p[3 * i + 1] + p[3 * i + 2]) / 3, c = uspl.colour(k / 0.65);
      return c.map((v) => (1 - k) * grey + k * v);
    });
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
      const home = make("div", row);
      const head = make("div", home, { className: "title", textContent: title });
      const canvas = make("canvas", home);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", title);
      found[name] = {
        canvas,
        head,
        say: (words) => canvas.setAttribute("aria-label", `${title}: ${words}`),
      };
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
    const begin = ({ arrays, options }) => {
      const data = Object.fromEntries(Object.entries(arrays).map(([k, v]) => [k, uspl.unpack(v)]));
      home.classList.add("on");
      uspl.figures[home.dataset.kind](home.querySelector(".stage"), data, options);
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
