// Chapter 02: one picture, several sounds. Eq. (1) is computed when a sound is chosen.
"use strict";
uspl.figures.swap = (stage, { picture, f_v, f_a, objects, ...sounds }, { names, heard, first, second }) => {
  const { maths } = uspl, [C, h, w] = f_v.shape, [H, W] = picture.shape;
  const vector = (k) => f_a.values.subarray(k * C, (k + 1) * C), listed = heard.map((s, k) => [k, s.name]);
  let go = () => {};
  const sound = uspl.radio(stage, { label: "Sound", options: listed, value: first }, () => go());
  const shown = uspl.maps(stage, { picture: "The picture", map: "The map of Eq. 1 over it", spectrum: "The sound" });
  const player = uspl.make("audio", stage, { controls: true, preload: "none" });
  const said = uspl.readout(stage);
  const more = uspl.make("details", stage);
  uspl.make("summary", more, { textContent: "Mix it with another sound: one F_a with the other" });
  const other = uspl.choice(more, { label: "Second sound", options: listed, value: second }, () => go());
  const percent = (v) => `${Math.round(100 * v)} %`;
  const share = uspl.slider(more, { label: "Its share", min: 0, max: 1, step: 0.05, value: 0, say: percent }, () => go());
  const colours = ({ values }) => (_, i) => values.subarray(3 * i, 3 * i + 3);

  uspl.paint(shown.picture.canvas, picture.values, H, W, colours(picture));
  shown.picture.say(names.slice(1, 1 + Math.max(...objects.values)).join(", ") || "no objects are known");
  let playing = -1;
  const play = (k) => {  // the player and the spectrogram follow the first sound
    if (k === playing) return;
    playing = k;
    const { name, uri } = heard[k], spectrum = sounds[`spectrum${k}`];
    player.hidden = !uri;
    player.setAttribute("aria-label", name);
    uri ? (player.src = uri) : player.removeAttribute("src");
    uspl.paint(shown.spectrum.canvas, spectrum.values, spectrum.shape[0], spectrum.shape[1], colours(spectrum));
    shown.spectrum.say(`${name}, its spectrogram, time to the right and 0 to 8 kHz upwards`);
  };

  go = uspl.perFrame(() => {
    const a = +sound.value, b = +other.value;
    const cosine = maths.cosine(maths.mix(vector(a), vector(b), share.value), f_v.values);
    const top = maths.peak(cosine), { canvas, say } = shown.map;
    uspl.overlay(canvas, picture, maths.reluMax(cosine), h, w);
    uspl.frame(canvas, top, h, w);
    play(a);
    const mixed = share.value ? `, mixed with ${percent(share.value)} of: ${heard[b].name}` : "";
    const where = names[objects.values[top]] ?? "a place without a name";
    say(`highest at row ${1 + Math.floor(top / w)}, column ${1 + (top % w)} of ${h} x ${w}, on ${where}`);
    said(`${heard[a].name}${mixed}: the highest cosine is ${cosine[top].toFixed(2)}, on ${where}.`);
  });
};
