"use strict";

const STEPS = 400;
const STYLES = [["one", [], "circle"], ["two", [8, 4], "square"], ["three", [2, 3], "diamond"], ["four", [10, 3, 2, 3], "triangle"]];
const state = { surface: "bowl", start: [...SURFACES.bowl.start], at: 0, axis: 0, playing: false, speed: 20, racers: [] };
const find = (id) => document.getElementById(id);
const names = Object.keys(OPTIMIZERS);

const racer = (name) => ({ name, numbers: name ? { ...OPTIMIZERS[name].numbers } : {}, path: [] });
state.racers = ["sgd", "momentum", "rmsprop", "adam"].map(racer);

function train() {
  const { at } = SURFACES[state.surface];
  for (const one of state.racers) one.path = one.name ? walk(one.name, one.numbers, at, state.start, STEPS) : [];
  show();
}

// --- the map ---
let ground = { key: "", image: null };
const toScreen = (point, width, height) => {
  const [left, right, bottom, top] = SURFACES[state.surface].box;
  return [((point[0] - left) / (right - left)) * width, ((top - point[1]) / (top - bottom)) * height];
};

function shade() {  // bands of equal height on a logarithmic scale, dark where it is high
  const key = state.surface + colour("low");
  if (ground.key === key) return ground.image;
  const side = 320, { box: [left, right, bottom, top], at, lowest } = SURFACES[state.surface];
  const image = new OffscreenCanvas(side, side), pen = image.getContext("2d"), pixels = pen.createImageData(side, side);
  const low = colour("low").split(" ").map(Number), high = colour("high").split(" ").map(Number);
  const levels = new Float64Array(side * side);
  for (let i = 0; i < side * side; i++) {
    const x = left + ((i % side) + 0.5) / side * (right - left), y = top - (Math.floor(i / side) + 0.5) / side * (top - bottom);
    levels[i] = Math.log10(at(x, y)[0] - lowest + 1e-2);
  }
  const least = Math.min(...levels.filter((_, i) => i % 7 === 0)), most = Math.max(...levels.filter((_, i) => i % 7 === 0));
  const band = (i) => Math.floor(((levels[i] - least) / (most - least)) * 12);
  for (let i = 0; i < side * side; i++) {
    const edge = (i % side < side - 1 && band(i) !== band(i + 1)) || (i + side < side * side && band(i) !== band(i + side));
    const share = Math.min(1, Math.max(0, band(i) / 12)) * 0.8 + (edge ? 0.2 : 0);
    for (let k = 0; k < 3; k++) pixels.data[4 * i + k] = low[k] + (high[k] - low[k]) * share;
    pixels.data[4 * i + 3] = 255;
  }
  pen.putImageData(pixels, 0, 0);
  ground = { key, image };
  return image;
}

function mark(pen, shape, x, y, size) {
  pen.beginPath();
  if (shape === "circle") pen.arc(x, y, size, 0, 7);
  if (shape === "square") pen.rect(x - size, y - size, 2 * size, 2 * size);
  if (shape === "diamond") { pen.moveTo(x, y - 1.4 * size); pen.lineTo(x + 1.4 * size, y); pen.lineTo(x, y + 1.4 * size); pen.lineTo(x - 1.4 * size, y); pen.closePath(); }
  if (shape === "triangle") { pen.moveTo(x, y - 1.3 * size); pen.lineTo(x + 1.2 * size, y + size); pen.lineTo(x - 1.2 * size, y + size); pen.closePath(); }
  pen.fill(); pen.stroke();
}

const drawMap = sharp(find("map"), 1, (pen, width, height) => {
  pen.imageSmoothingEnabled = true;
  pen.drawImage(shade(), 0, 0, width, height);
  pen.lineJoin = "round";
  for (const point of SURFACES[state.surface].minima) {
    const [x, y] = toScreen(point, width, height);
    pen.fillStyle = colour("ink"); pen.font = "bold 20px sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle";
    pen.fillText("★", x, y);
  }
  state.racers.forEach((one, k) => {
    if (!one.name) return;
    const [tint, dash, shape] = STYLES[k], end = Math.min(state.at, one.path.length - 1);
    pen.strokeStyle = pen.fillStyle = colour(tint); pen.lineWidth = 2.2; pen.setLineDash(dash);
    pen.beginPath();
    for (let t = 0; t <= end; t++) pen.lineTo(...toScreen(one.path[t].point, width, height));
    pen.stroke(); pen.setLineDash([]);
    pen.strokeStyle = colour("paper"); pen.lineWidth = 1.2;
    mark(pen, shape, ...toScreen(one.path[end].point, width, height), 6);
  });
  const [x, y] = toScreen(state.start, width, height);
  pen.strokeStyle = colour("ink"); pen.lineWidth = 2.5; pen.beginPath(); pen.arc(x, y, 10, 0, 7); pen.stroke();
});

const drawHeights = sharp(find("heights"), 0.4, (pen, width, height) => {
  const { at, lowest } = SURFACES[state.surface], low = -8, high = Math.max(1, Math.log10(at(...state.start)[0] - lowest + 1e-9) + 0.5);
  const x = (t) => 42 + (t / STEPS) * (width - 50), y = (f) => 8 + ((high - Math.min(high, Math.max(low, Math.log10(f)))) / (high - low)) * (height - 32);
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = colour("faint"); pen.strokeStyle = colour("line"); pen.lineWidth = 1; pen.font = "13px sans-serif"; pen.textAlign = "right"; pen.textBaseline = "middle";
  for (let power = -8; power <= high; power += 2) {
    pen.beginPath(); pen.moveTo(42, y(10 ** power)); pen.lineTo(width - 8, y(10 ** power)); pen.stroke();
    pen.fillText(spanish(10 ** power), 38, y(10 ** power));
  }
  pen.textAlign = "center";
  for (const t of [0, 100, 200, 300, 400]) pen.fillText(String(t), Math.min(x(t), width - 14), height - 9);
  state.racers.forEach((one, k) => {
    if (!one.name) return;
    const [tint, dash] = STYLES[k];
    pen.strokeStyle = colour(tint); pen.lineWidth = 2; pen.setLineDash(dash); pen.beginPath();
    one.path.slice(0, state.at + 1).forEach(({ point }, t) => pen.lineTo(x(t), y(Math.max(1e-12, at(...point)[0] - lowest))));
    pen.stroke(); pen.setLineDash([]);
  });
});

// --- the formula with its numbers ---
const SYMBOLS = /máx|β₁ᵗ|β₂ᵗ|β₁|β₂|m̂|v̂|[βρηελvmSXugwt]/g;
const KEYS = { "η": "learning_rate", "β": "momentum", "ρ": "rho", "β₁": "b1", "β₂": "b2", "ε": "eps", "λ": "weight_decay", "m̂": "m_hat", "v̂": "v_hat" };
function worked(one, t, axis) {  // its lines, in symbols and in numbers, at step t
  const { lines, start } = OPTIMIZERS[one.name];
  if (t < 1 || t >= one.path.length) return lines.map((line) => [line, ""]);
  const before = one.path[t - 1], after = one.path[t];
  const known = { ...start, ...before.states[axis], w: before.point[axis], g: after.gradient[axis], ...one.numbers };
  return lines.map((line) => {
    const [left, right] = line.split(" ← ");
    const said = right.replace(SYMBOLS, (symbol) => {
      if (symbol === "máx") return symbol;
      if (symbol.endsWith("ᵗ")) return spanish(known[KEYS[symbol.slice(0, -1)]] ** t, 4);
      const value = known[KEYS[symbol] ?? symbol];
      return value < 0 ? `(${spanish(value, 4)})` : spanish(value, 4);
    });
    const result = after.states[axis][KEYS[left] ?? left];
    known[KEYS[left] ?? left] = result;
    return [line, `${left} = ${said} = ${spanish(result, 4)}`];
  });
}

function panel(one, k) {
  const box = element("div", { class: "racer", style: `border-color: var(--${STYLES[k][0]})` });
  const choose = element("select", { "aria-label": `Optimizador ${k + 1}` }, element("option", { value: "" }, "ninguno"));
  for (const name of names) choose.append(element("option", { value: name }, OPTIMIZERS[name].words));
  choose.value = one.name;
  choose.addEventListener("change", () => {
    state.racers[k] = racer(choose.value);
    box.replaceWith(panel(state.racers[k], k));
    find("racers").children[k].querySelector("select").focus();
    train();
  });
  box.append(element("div", { class: "row" }, element("span", { "aria-hidden": "true" }, "●■◆▲"[k]), choose));
  for (const [name, value] of Object.entries(one.numbers)) {
    box.append(slider(`${k}_${name}`, value, NUMBERS[name], (x) => { one.numbers[name] = x; train(); }));
  }
  box.append(element("div", { class: "formula" }));
  return box;
}

// --- time ---
let clock;
function show() {
  drawMap(); drawHeights();
  clock.input.value = state.at; clock.shown.textContent = String(state.at);
  state.racers.forEach((one, k) => {
    const box = find("racers").children[k].querySelector(".formula");
    box.replaceChildren(...(one.name ? worked(one, state.at, state.axis) : []).flatMap(([line, said]) => [element("div", {}, element("span", {}, line)), element("div", {}, said)]));
  });
  if (!state.playing) {
    const { at, lowest } = SURFACES[state.surface];
    find("said").textContent = `Paso ${state.at}. ` + state.racers.filter((one) => one.name).map((one) => {
      if (state.at >= one.path.length) return `${OPTIMIZERS[one.name].words}: explotó en el paso ${one.path.length}`;
      return `${OPTIMIZERS[one.name].words}: altura ${spanish(at(...one.path[state.at].point)[0] - lowest)}`;
    }).join("; ") + ".";
  }
}

let last = 0, owed = 0;
function tick(now) {
  if (!state.playing) return;
  owed += Math.min(0.1, Math.max(0, (now - last) / 1000)) * state.speed; last = now;  // a frame may be of before the click
  const whole = Math.floor(owed); owed -= whole;
  state.at = Math.min(STEPS, state.at + whole);
  if (state.at >= STEPS) play(false);
  if (whole) show();
  requestAnimationFrame(tick);
}
function play(on) {
  if (on && calm()) { state.at = STEPS; show(); return; }  // who asks for no motion gets the end
  if (on && state.at >= STEPS) state.at = 0;
  state.playing = on;
  find("play").textContent = on ? "Pausa" : calm() ? "Ir al final" : "Reproducir";
  find("play").setAttribute("aria-pressed", String(on));
  if (on) { last = performance.now(); owed = 0; requestAnimationFrame(tick); }
  show();
}
const go = (t) => { state.at = Math.max(0, Math.min(STEPS, t)); play(false); };

for (const [name, { words }] of Object.entries(SURFACES)) find("surface").append(element("option", { value: name }, words));
find("surface").addEventListener("change", (event) => {
  state.surface = event.target.value; state.start = [...SURFACES[state.surface].start]; train();
});
find("axis").addEventListener("change", (event) => { state.axis = Number(event.target.value); show(); });
state.racers.forEach((one, k) => find("racers").append(panel(one, k)));
const time = slider("at", 0, { sign: "Paso", words: "Paso", low: 0, high: STEPS, whole: true }, (x) => go(Math.round(x)));
time.classList.add("wide");
clock = { input: time.querySelector("input"), shown: time.querySelector("output") };
const pace = slider("speed", state.speed, { sign: "Pasos por segundo", words: "Velocidad", low: 1, high: 100, whole: true }, (x) => { state.speed = x; });
pace.classList.add("wide");
find("clock").append(time, pace);
find("rewind").addEventListener("click", () => go(0));
find("back").addEventListener("click", () => go(state.at - 1));
find("step").addEventListener("click", () => go(state.at + 1));
find("play").addEventListener("click", () => play(!state.playing));

function begin(event) {
  const box = find("map").getBoundingClientRect(), [left, right, bottom, top] = SURFACES[state.surface].box;
  const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((x) => Math.min(1, Math.max(0, x)));
  state.start = [left + share[0] * (right - left), top - share[1] * (top - bottom)];
  train();
}
find("map").addEventListener("pointerdown", (event) => { find("map").setPointerCapture(event.pointerId); find("map").focus(); begin(event); });
find("map").addEventListener("pointermove", (event) => { if (event.buttons) begin(event); });
find("map").addEventListener("keydown", (event) => {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!way) return;
  event.preventDefault();
  const [left, right, bottom, top] = SURFACES[state.surface].box, size = event.shiftKey ? 0.1 : 0.01;
  state.start = [
    Math.min(right, Math.max(left, state.start[0] + way[0] * size * (right - left))),
    Math.min(top, Math.max(bottom, state.start[1] + way[1] * size * (top - bottom))),
  ];
  train();
});
state.at = 60;
train();
play(false);
