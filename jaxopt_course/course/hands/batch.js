"use strict";

const N = 64, EPOCHS = 60;
const DATA = (() => {  // y = 1.5 x - 0.5 and noise of deviation 0.6, by Box and Muller
  const draw = random(7), points = [];
  for (let i = 0; i < N; i++) {
    const x = 3 * draw() - 1.2, noise = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
    points.push([x, 1.5 * x - 0.5 + 0.6 * noise]);
  }
  return points;
})();
const START = [-1, 1.5];
const state = { batch: 4, rate: 0.1, seed: 1, at: 0, playing: false, speed: 30, path: [] };
const find = (id) => document.getElementById(id);

const cost = ([w, b]) => DATA.reduce((sum, [x, y]) => sum + (w * x + b - y) ** 2, 0) / N;
function gradient([w, b], rows) {
  let dw = 0, db = 0;
  for (const i of rows) { const [x, y] = DATA[i], error = 2 * (w * x + b - y); dw += error * x; db += error; }
  return [dw / rows.length, db / rows.length];
}
const ALL = DATA.map((_, i) => i);
const BEST = (() => {  // by the normal equations
  const mean = (f) => DATA.reduce((sum, point) => sum + f(point), 0) / N, mx = mean((p) => p[0]), my = mean((p) => p[1]);
  const w = mean((p) => (p[0] - mx) * (p[1] - my)) / mean((p) => (p[0] - mx) ** 2);
  return [w, my - w * mx];
})();

// The rows of every batch: each epoch a new order, cut in batches; a rest that fills none is left out.
function batches(size, seed, epochs = EPOCHS) {
  const draw = random(seed), all = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = [...ALL];
    for (let i = N - 1; i > 0; i--) { const j = Math.floor(draw() * (i + 1)); [order[i], order[j]] = [order[j], order[i]]; }
    for (let i = 0; i + size <= N; i += size) all.push(order.slice(i, i + size));
  }
  return all;
}
function descend(rate, rows) {
  const path = [START];
  for (const batch of rows) {
    const point = path[path.length - 1], g = gradient(point, batch);
    path.push([point[0] - rate * g[0], point[1] - rate * g[1]]);
    if (!path[path.length - 1].every((x) => Math.abs(x) < 1e6)) break;
  }
  return path;
}

// The variance of the gradient of a batch at a point: what theory says, and of 200 batches.
function noiseAt(point, size, seed) {
  const full = gradient(point, ALL), off = (g) => (g[0] - full[0]) ** 2 + (g[1] - full[1]) ** 2;
  const one = ALL.reduce((sum, i) => sum + off(gradient(point, [i])), 0) / N;
  const several = batches(size, seed + 1000, 200).filter((_, i, every) => i % Math.max(1, Math.floor(every.length / 200)) === 0).slice(0, 200);
  const pulls = several.map((rows) => gradient(point, rows));
  return { theory: ((one / size) * (N - size)) / (N - 1), measured: pulls.reduce((sum, g) => sum + off(g), 0) / pulls.length, pulls };
}

const BOX = [-1.6, 3, -2, 2];
const toScreen = ([w, b], width, height) => [((w - BOX[0]) / (BOX[1] - BOX[0])) * width, ((BOX[3] - b) / (BOX[3] - BOX[2])) * height];
const here = () => state.path[Math.min(state.at, state.path.length - 1)];

const drawMap = sharp(find("map"), 0.87, (pen, width, height) => {
  pen.clearRect(0, 0, width, height);
  const floor = cost(BEST), dx = (BOX[1] - BOX[0]) / 90, dy = (BOX[3] - BOX[2]) / 80;
  const low = colour("low").split(" ").map(Number), high = colour("high").split(" ").map(Number);
  for (let i = 0; i < 90; i++) for (let j = 0; j < 80; j++) {
    const band = Math.floor(4 * Math.log10(cost([BOX[0] + (i + 0.5) * dx, BOX[3] - (j + 0.5) * dy]) - floor + 0.01)) / 4;
    const share = Math.min(1, Math.max(0, (band + 2) / 4));
    pen.fillStyle = `rgb(${low.map((c, k) => c + (high[k] - c) * share).join(" ")})`;
    pen.fillRect((i * width) / 90, (j * height) / 80, width / 90 + 1, height / 80 + 1);
  }
  const point = here();
  pen.fillStyle = colour("two");
  for (const g of noiseAt(point, state.batch, state.seed).pulls) {
    const [x, y] = toScreen([point[0] - state.rate * g[0], point[1] - state.rate * g[1]], width, height);
    pen.fillRect(x - 1, y - 1, 2.5, 2.5);
  }
  pen.strokeStyle = colour("one"); pen.lineWidth = 1.6; pen.lineJoin = "round"; pen.beginPath();
  for (const step of state.path.slice(0, state.at + 1)) pen.lineTo(...toScreen(step, width, height));
  pen.stroke();
  pen.strokeStyle = colour("ink"); pen.lineWidth = 2.5; pen.beginPath(); pen.arc(...toScreen(point, width, height), 7, 0, 7); pen.stroke();
  pen.fillStyle = colour("ink"); pen.font = "bold 22px sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle";
  pen.fillText("★", ...toScreen(BEST, width, height));
});

const drawCurve = sharp(find("curve"), 0.7, (pen, width, height) => {
  const floor = cost(BEST), low = -7, high = 2, most = Math.log10(N * EPOCHS);
  const x = (seen) => 50 + (Math.log10(seen) / most) * (width - 60);
  const y = (f) => 8 + ((high - Math.min(high, Math.max(low, Math.log10(Math.max(f, 1e-12))))) / (high - low)) * (height - 36);
  pen.clearRect(0, 0, width, height);
  pen.font = "13px sans-serif"; pen.fillStyle = colour("faint"); pen.strokeStyle = colour("line"); pen.textBaseline = "middle"; pen.textAlign = "right";
  for (let power = low + 1; power <= high; power += 2) {
    pen.lineWidth = 1; pen.beginPath(); pen.moveTo(50, y(10 ** power)); pen.lineTo(width - 8, y(10 ** power)); pen.stroke();
    pen.fillText(spanish(10 ** power), 45, y(10 ** power));
  }
  pen.textAlign = "center";
  for (const seen of [1, 10, 100, 1000]) pen.fillText(String(seen), Math.max(58, x(seen)), height - 10);
  const line = (path, size, tint, thick, until) => {
    pen.strokeStyle = colour(tint); pen.lineWidth = thick; pen.beginPath();
    path.slice(1, until + 1).forEach((point, t) => pen.lineTo(x((t + 1) * size), y(cost(point) - floor)));
    pen.stroke();
  };
  line(state.path, state.batch, "one", 1.6, state.at);
  for (const [size, dash] of [[1, [2, 3]], [8, [7, 4]], [64, []]]) {  // the mean of what falls into each of 60 bins
    const bins = new Map();
    descend(state.rate, batches(size, state.seed)).slice(1).forEach((point, t) => {
      const bin = Math.round((Math.log10((t + 1) * size) / most) * 60), [sum, count] = bins.get(bin) ?? [0, 0];
      bins.set(bin, [sum + cost(point) - floor, count + 1]);
    });
    pen.strokeStyle = colour("ink"); pen.lineWidth = 1.5; pen.setLineDash(dash); pen.beginPath();
    let end = 0;
    for (const [bin, [sum, count]] of bins) { end = y(sum / count); pen.lineTo(x(10 ** ((bin / 60) * most)), end); }
    pen.stroke(); pen.setLineDash([]);
    pen.fillStyle = colour("ink"); pen.textAlign = "right"; pen.fillText(`B = ${size}`, width - 12, end - 10);
  }
});

function train() {
  state.path = descend(state.rate, batches(state.batch, state.seed));
  clock.input.max = state.path.length - 1;
  state.at = Math.min(state.at, state.path.length - 1);
  show();
}
let clock;
function show() {
  drawMap(); drawCurve();
  clock.input.value = state.at; clock.shown.textContent = String(state.at);
  const { theory, measured } = noiseAt(here(), state.batch, state.seed);
  find("noise").textContent = `ruido del gradiente aquí: σ²/B·(N − B)/(N − 1) = ${spanish(theory)}; en 200 lotes, ${spanish(measured)}`;
  if (!state.playing) {
    const broke = state.path.length - 1 < Math.floor(N / state.batch) * EPOCHS && state.at === state.path.length - 1;
    find("said").textContent = `Actualización ${state.at}, ${state.at * state.batch} ejemplos mirados. ` +
      (broke ? "Ha explotado." : `Sobre el mínimo: ${spanish(cost(here()) - cost(BEST))}.`);
  }
}
let last = 0, owed = 0;
function tick(now) {
  if (!state.playing) return;
  owed += Math.min(0.1, Math.max(0, (now - last) / 1000)) * state.speed; last = now;  // a frame may be of before the click
  const whole = Math.floor(owed); owed -= whole;
  state.at = Math.min(state.path.length - 1, state.at + whole);
  if (state.at >= state.path.length - 1) play(false);
  if (whole) show();
  requestAnimationFrame(tick);
}
function play(on) {
  if (on && calm()) { state.at = state.path.length - 1; show(); return; }
  if (on && state.at >= state.path.length - 1) state.at = 0;
  state.playing = on;
  find("play").textContent = on ? "Pausa" : calm() ? "Ir al final" : "Reproducir";
  find("play").setAttribute("aria-pressed", String(on));
  if (on) { last = performance.now(); owed = 0; requestAnimationFrame(tick); }
  show();
}
const go = (t) => { state.at = Math.max(0, Math.min(state.path.length - 1, t)); play(false); };

const time = slider("at", 0, { sign: "Actualización", words: "Actualización", low: 0, high: N * EPOCHS, whole: true }, (x) => go(Math.round(x)));
const powers = slider("batch", state.batch, { sign: "Lote B", words: "Tamaño del lote", low: 1, high: N, whole: true }, (x) => { state.batch = Math.round(x); train(); });
const rates = slider("rate", state.rate, { sign: "Tasa η", words: "Tasa de aprendizaje", low: 0.003, high: 2, log: true }, (x) => { state.rate = x; train(); });
for (const made of [time, powers, rates]) made.classList.add("wide");
clock = { input: time.querySelector("input"), shown: time.querySelector("output") };
find("clock").append(time);
find("numbers").append(powers, rates);
find("rewind").addEventListener("click", () => go(0));
find("back").addEventListener("click", () => go(state.at - 1));
find("step").addEventListener("click", () => go(state.at + 1));
find("play").addEventListener("click", () => play(!state.playing));
find("again").addEventListener("click", () => { state.seed += 1; train(); });
state.at = 120;
train();
play(false);
