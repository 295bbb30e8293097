"use strict";

const SIDE = 200, STEPS = 300, HIGHEST = 4.4;
const state = { kappa: 100, row: 90, column: 49, speed: new Float64Array(SIDE * SIDE), image: null };
const find = (id) => document.getElementById(id);
const rate = (column) => (HIGHEST / SIDE) * (column + 1), memory = (row) => row / SIDE;

// The costs of a training, step by step, and where it goes.
function training(eta, beta, kappa, steps = STEPS) {
  const curvature = [1, 1 / kappa], w = [1, 1], m = [0, 0], costs = [], path = [[1, 1]];
  for (let t = 0; t < steps; t++) {
    costs.push(curvature.map((a, k) => (a * w[k] * w[k]) / 2));
    for (let k = 0; k < 2; k++) { m[k] = beta * m[k] + curvature[k] * w[k]; w[k] -= eta * m[k]; }
    path.push([...w]);
  }
  return { costs, path };
}

// log10 of the mean cost of the second half over the first cost; NaN where it is not below the first half's.
function speedOf(eta, beta, kappa) {
  const a = 1, b = 1 / kappa;
  let x = 1, y = 1, mx = 0, my = 0, first = 0, second = 0;
  for (let t = 0; t < STEPS; t++) {
    const cost = (a * x * x + b * y * y) / 2;
    if (t < STEPS / 2) first += cost; else second += cost;
    mx = beta * mx + a * x; my = beta * my + b * y; x -= eta * mx; y -= eta * my;
  }
  return second < first ? Math.log10(Math.max(second / (STEPS / 2), 1e-37) / ((a + b) / 2)) : NaN;
}

let work = 0;
function trainAll() {
  const mine = ++work, begun = performance.now();
  let row = 0;
  const some = () => {
    if (mine !== work) return;
    for (const until = row + 20; row < until; row++) {
      for (let column = 0; column < SIDE; column++) state.speed[row * SIDE + column] = speedOf(rate(column), memory(row), state.kappa);
    }
    if (row < SIDE) { setTimeout(some); return; }
    find("trained").textContent = `${SIDE * SIDE / 1000}\u202f000 entrenamientos de ${STEPS} pasos en ${spanish((performance.now() - begun) / 1000, 2)} s.`;
    state.image = null; show();
    document.body.dataset.ready = String(state.kappa);
  };
  some();
}

function painted() {
  const key = colour("low");
  if (state.image && state.key === key) return state.image;
  const image = new OffscreenCanvas(SIDE, SIDE), pen = image.getContext("2d"), pixels = pen.createImageData(SIDE, SIDE);
  const finite = state.speed.filter(Number.isFinite), least = Math.max(-14, finite.reduce((a, b) => Math.min(a, b), 0));
  const stops = [[253, 231, 37], [94, 201, 98], [33, 145, 140], [59, 82, 139], [68, 1, 84]];  // viridis, the low dark
  for (let i = 0; i < SIDE * SIDE; i++) {
    const row = SIDE - 1 - Math.floor(i / SIDE), column = i % SIDE, value = state.speed[row * SIDE + column];
    const to = 4 * i;
    if (Number.isNaN(value)) {
      const stripe = (row + column) % 8 < 2 ? colourParts("line") : colourParts("paper");
      pixels.data.set([...stripe, 255], to);
      continue;
    }
    const place = Math.min(0.9999, Math.max(0, value / least)) * 4, k = Math.floor(place);
    pixels.data.set([...[0, 1, 2].map((c) => stops[k][c] + (place - k) * (stops[k + 1][c] - stops[k][c])), 255], to);
  }
  pen.putImageData(pixels, 0, 0);
  state.image = image; state.key = key;
  return image;
}
function colourParts(name) {
  const hex = colour(name).replace("#", ""), full = hex.length === 3 ? hex.replace(/./g, "$&$&") : hex;
  return [0, 2, 4].map((k) => parseInt(full.slice(k, k + 2), 16));
}

const LEFT = 44, BOTTOM = 40, TOP = 6, RIGHT = 10;
const drawMap = sharp(find("map"), 0.82, (pen, width, height) => {
  const x = (eta) => LEFT + (eta / HIGHEST) * (width - LEFT - RIGHT), y = (beta) => height - BOTTOM - beta * (height - BOTTOM - TOP);
  pen.clearRect(0, 0, width, height);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(painted(), x(0), y(1), x(HIGHEST) - x(0), y(0) - y(1));
  pen.font = "14px sans-serif"; pen.fillStyle = colour("ink"); pen.textAlign = "center"; pen.textBaseline = "middle";
  for (const eta of [0, 1, 2, 3, 4]) pen.fillText(String(eta), x(eta), height - BOTTOM + 14);
  pen.fillText("tasa de aprendizaje η", (x(0) + x(HIGHEST)) / 2, height - 9);
  pen.textAlign = "right";
  for (const beta of [0, 0.25, 0.5, 0.75, 1]) pen.fillText(spanish(beta), LEFT - 6, Math.max(12, y(beta)));
  pen.save(); pen.translate(10, (y(0) + y(1)) / 2); pen.rotate(-Math.PI / 2); pen.textAlign = "center"; pen.fillText("memoria β", 0, 0); pen.restore();
  pen.strokeStyle = colour("ink"); pen.lineWidth = 2; pen.beginPath(); pen.moveTo(x(2), y(0)); pen.lineTo(x(4), y(1)); pen.stroke();
  const best = optimum();
  pen.font = "22px sans-serif"; pen.fillStyle = "#fff"; pen.strokeStyle = "#000"; pen.lineWidth = 3; pen.textAlign = "center";
  pen.strokeText("★", x(best.eta), y(best.beta)); pen.fillText("★", x(best.eta), y(best.beta));
  const cx = x(rate(state.column)), cy = y(memory(state.row));
  for (const [tint, size] of [["#000", 4], ["#fff", 2]]) {
    pen.strokeStyle = tint; pen.lineWidth = size; pen.beginPath(); pen.arc(cx, cy, 8, 0, 7); pen.stroke();
  }
});

function optimum() {
  const root = Math.sqrt(1 / state.kappa);
  return { eta: 4 / (1 + root) ** 2, beta: ((1 - root) / (1 + root)) ** 2 };
}

const drawCurve = sharp(find("curve"), 0.5, (pen, width, height) => {
  const { costs } = training(rate(state.column), memory(state.row), state.kappa), low = -16, high = 4;
  const x = (t) => 44 + (t / STEPS) * (width - 52), y = (f) => 8 + ((high - Math.min(high, Math.max(low, Math.log10(Math.max(f, 1e-300))))) / (high - low)) * (height - 34);
  pen.clearRect(0, 0, width, height);
  pen.font = "13px sans-serif"; pen.fillStyle = colour("faint"); pen.strokeStyle = colour("line"); pen.lineWidth = 1; pen.textBaseline = "middle"; pen.textAlign = "right";
  for (let power = low; power <= high; power += 4) {
    pen.beginPath(); pen.moveTo(44, y(10 ** power)); pen.lineTo(width - 8, y(10 ** power)); pen.stroke();
    pen.fillText(spanish(10 ** power), 40, y(10 ** power));
  }
  pen.textAlign = "center";
  for (const t of [0, 100, 200, 300]) pen.fillText(String(t), Math.min(x(t), width - 16), height - 10);
  const line = (of, tint, dash, thick) => {
    pen.strokeStyle = colour(tint); pen.setLineDash(dash); pen.lineWidth = thick; pen.beginPath();
    costs.forEach((cost, t) => { if (Number.isFinite(of(cost))) pen.lineTo(x(t), y(of(cost))); });
    pen.stroke(); pen.setLineDash([]);
  };
  line((c) => c[0], "one", [6, 4], 1.4); line((c) => c[1], "two", [], 1.4); line((c) => c[0] + c[1], "ink", [], 2.2);
});

const drawPath = sharp(find("path"), 0.6, (pen, width, height) => {
  const { path } = training(rate(state.column), memory(state.row), state.kappa);
  const size = 1.6, x = (w) => width / 2 + (w / size) * (width / 2), y = (w) => height / 2 - (w / size) * (height / 2);
  pen.clearRect(0, 0, width, height);
  pen.strokeStyle = colour("line"); pen.lineWidth = 1;
  for (let level = 1; level <= 6; level++) {
    pen.beginPath();
    pen.ellipse(x(0), y(0), (Math.sqrt(state.kappa) * level * 0.12 / size) * (width / 2), (level * 0.12 * 1.6 / size) * (height / 2), 0, 0, 7);
    pen.stroke();
  }
  pen.strokeStyle = colour("one"); pen.lineWidth = 1.6; pen.beginPath();
  for (const [steep, flat] of path.slice(0, 120)) { if (Math.abs(steep) > 50) break; pen.lineTo(x(flat), y(steep)); }
  pen.stroke();
  pen.fillStyle = colour("ink"); pen.textAlign = "center"; pen.textBaseline = "middle"; pen.font = "18px sans-serif"; pen.fillText("★", x(0), y(0));
});

function show() {
  const eta = rate(state.column), beta = memory(state.row), speed = state.speed[state.row * SIDE + state.column];
  find("said").textContent = `η = ${spanish(eta)}, β = ${spanish(beta)}: ` + (Number.isNaN(speed)
    ? "diverge." : `converge; en la segunda mitad la pérdida media es ${spanish(10 ** speed)} veces la inicial.`);
  drawMap(); drawCurve(); drawPath();
}
function choose(column, row) {
  state.column = Math.min(SIDE - 1, Math.max(0, column)); state.row = Math.min(SIDE - 1, Math.max(0, row));
  show();
}
function point(event) {
  const box = find("map").getBoundingClientRect();
  const eta = ((event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * HIGHEST;
  const beta = 1 - (event.clientY - box.top - TOP) / (box.height - BOTTOM - TOP);
  choose(Math.round((eta / HIGHEST) * SIDE) - 1, Math.round(beta * SIDE));
}
find("map").addEventListener("pointermove", point);
find("map").addEventListener("pointerdown", point);
find("map").addEventListener("keydown", (event) => {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!way) return;
  event.preventDefault();
  const size = event.shiftKey ? 10 : 1;
  choose(state.column + size * way[0], state.row + size * way[1]);
});
const condition = slider("kappa", state.kappa, { sign: "Condición κ", words: "Número de condición", low: 1, high: 1000, log: true }, (x) => {
  state.kappa = x; trainAll(); show();
});
condition.classList.add("wide");
find("numbers").append(condition);
state.speed.fill(NaN);
trainAll();
