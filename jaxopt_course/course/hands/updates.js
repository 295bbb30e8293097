// The updates of the course, a coordinate at a time, as lessons 3 to 5 write them; and surfaces.
// The browser's tests hold that each walks as the library does.
"use strict";

const NUMBERS = {
  learning_rate: { sign: "η", words: "tasa de aprendizaje", low: 1e-4, high: 3, log: true },
  momentum: { sign: "β", words: "memoria", low: 0, high: 0.99 },
  rho: { sign: "ρ", words: "memoria de los cuadrados", low: 0.5, high: 0.999 },
  b1: { sign: "β₁", words: "memoria del gradiente", low: 0, high: 0.99 },
  b2: { sign: "β₂", words: "memoria de los cuadrados", low: 0.5, high: 0.9999 },
  eps: { sign: "ε", words: "término del denominador", low: 1e-10, high: 1, log: true },
  weight_decay: { sign: "λ", words: "decaimiento de los pesos", low: 0, high: 1 },
};

// start: the memories before the first step; update: what a step makes of them and of w;
// lines: what it computes, in symbols.
const OPTIMIZERS = {
  sgd: {
    words: "SGD",
    numbers: { learning_rate: 0.01 },
    start: {},
    update: (g, s, w, t, n) => ({ w: w - n.learning_rate * g }),
    lines: ["w ← w − η·g"],
  },
  momentum: {
    words: "Momentum (suma)",
    numbers: { learning_rate: 0.01, momentum: 0.9 },
    start: { v: 0 },
    update(g, s, w, t, n) {
      const v = n.momentum * s.v + g;
      return { v, w: w - n.learning_rate * v };
    },
    lines: ["v ← β·v + g", "w ← w − η·v"],
  },
  ema_momentum: {
    words: "Momentum (media móvil)",
    numbers: { learning_rate: 0.1, momentum: 0.9 },
    start: { m: 0 },
    update(g, s, w, t, n) {
      const m = n.momentum * s.m + (1 - n.momentum) * g;
      return { m, w: w - n.learning_rate * m };
    },
    lines: ["m ← β·m + (1 − β)·g", "w ← w − η·m"],
  },
  nesterov: {
    words: "Nesterov",
    numbers: { learning_rate: 0.01, momentum: 0.9 },
    start: { v: 0 },
    update(g, s, w, t, n) {
      const v = n.momentum * s.v + g;
      return { v, w: w - n.learning_rate * (n.momentum * v + g) };
    },
    lines: ["v ← β·v + g", "w ← w − η·(β·v + g)"],
  },
  adagrad: {
    words: "Adagrad",
    numbers: { learning_rate: 0.3, eps: 1e-7 },
    start: { S: 0 },
    update(g, s, w, t, n) {
      const S = s.S + g * g;
      return { S, w: w - (n.learning_rate * g) / Math.sqrt(S + n.eps) };
    },
    lines: ["S ← S + g²", "w ← w − η·g / √(S + ε)"],
  },
  rmsprop: {
    words: "RMSProp",
    numbers: { learning_rate: 0.02, rho: 0.9, eps: 1e-7 },
    start: { S: 0 },
    update(g, s, w, t, n) {
      const S = n.rho * s.S + (1 - n.rho) * g * g;
      return { S, w: w - (n.learning_rate * g) / Math.sqrt(S + n.eps) };
    },
    lines: ["S ← ρ·S + (1 − ρ)·g²", "w ← w − η·g / √(S + ε)"],
  },
  adadelta: {
    words: "Adadelta",
    numbers: { learning_rate: 1, rho: 0.95, eps: 1e-6 },
    start: { S: 0, X: 0 },
    update(g, s, w, t, n) {
      const S = n.rho * s.S + (1 - n.rho) * g * g;
      const u = (g * Math.sqrt(s.X + n.eps)) / Math.sqrt(S + n.eps);
      const X = n.rho * s.X + (1 - n.rho) * u * u;
      return { S, X, u, w: w - n.learning_rate * u };
    },
    lines: ["S ← ρ·S + (1 − ρ)·g²", "u ← g·√(X + ε) / √(S + ε)", "X ← ρ·X + (1 − ρ)·u²", "w ← w − η·u"],
  },
  adam: {
    words: "Adam",
    numbers: { learning_rate: 0.05, b1: 0.9, b2: 0.999, eps: 1e-8 },
    start: { m: 0, v: 0 },
    update(g, s, w, t, n) {
      const m = n.b1 * s.m + (1 - n.b1) * g, v = n.b2 * s.v + (1 - n.b2) * g * g;
      const m_hat = m / (1 - n.b1 ** t), v_hat = v / (1 - n.b2 ** t);
      return { m, v, m_hat, v_hat, w: w - (n.learning_rate * m_hat) / (Math.sqrt(v_hat) + n.eps) };
    },
    lines: ["m ← β₁·m + (1 − β₁)·g", "v ← β₂·v + (1 − β₂)·g²", "m̂ ← m / (1 − β₁ᵗ)", "v̂ ← v / (1 − β₂ᵗ)", "w ← w − η·m̂ / (√v̂ + ε)"],
  },
  adamw: {
    words: "AdamW",
    numbers: { learning_rate: 0.05, b1: 0.9, b2: 0.999, eps: 1e-8, weight_decay: 0.1 },
    start: { m: 0, v: 0 },
    update(g, s, w, t, n) {
      const step = OPTIMIZERS.adam.update(g, s, w, t, n);
      return { ...step, w: step.w - n.learning_rate * n.weight_decay * w };
    },
    lines: ["m ← β₁·m + (1 − β₁)·g", "v ← β₂·v + (1 − β₂)·g²", "m̂ ← m / (1 − β₁ᵗ)", "v̂ ← v / (1 − β₂ᵗ)", "w ← w − η·m̂ / (√v̂ + ε) − η·λ·w"],
  },
  adamax: {
    words: "Adamax",
    numbers: { learning_rate: 0.05, b1: 0.9, b2: 0.999, eps: 1e-8 },
    start: { m: 0, u: 0 },
    update(g, s, w, t, n) {
      const m = n.b1 * s.m + (1 - n.b1) * g, u = Math.max(n.b2 * s.u, Math.abs(g) + n.eps);
      const m_hat = m / (1 - n.b1 ** t);
      return { m, u, m_hat, w: w - (n.learning_rate * m_hat) / u };
    },
    lines: ["m ← β₁·m + (1 − β₁)·g", "u ← máx(β₂·u, |g| + ε)", "m̂ ← m / (1 − β₁ᵗ)", "w ← w − η·m̂ / u"],
  },
};

const turned = (degrees, f) => {  // a function of the turned coordinates, with its gradient
  const c = Math.cos((degrees * Math.PI) / 180), s = Math.sin((degrees * Math.PI) / 180);
  return (x, y) => {
    const [value, du, dv] = f(c * x + s * y, c * y - s * x);
    return [value, c * du - s * dv, s * du + c * dv];
  };
};
const bowl = (kappa) => (u, v) => [(u * u + kappa * v * v) / 2, u, kappa * v];

// at: height and gradient; those of jaxopt_course.problems.surfaces
const SURFACES = {
  bowl: { words: "Tazón alargado, κ = 100", box: [-2, 2, -2, 2], start: [-1.5, 0.6], lowest: 0, minima: [[0, 0]], at: bowl(100) },
  turned_bowl: {
    words: "El mismo tazón, girado 30°", box: [-2, 2, -2, 2], start: [-1.599038105676658, -0.2303847577293368], lowest: 0,
    minima: [[0, 0]], at: turned(30, bowl(100)),
  },
  rosenbrock: {
    words: "Rosenbrock, un valle curvo", box: [-2, 2, -1, 3], start: [-1.2, 1], lowest: 0, minima: [[1, 1]],
    at: (x, y) => [(1 - x) ** 2 + 100 * (y - x * x) ** 2, -2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)],
  },
  beale: {
    words: "Beale, llanuras y paredes", box: [-4.5, 4.5, -4.5, 4.5], start: [1, 1.5], lowest: 0, minima: [[3, 0.5]],
    at(x, y) {
      let f = 0, dx = 0, dy = 0;
      for (const [k, c] of [[1, 1.5], [2, 2.25], [3, 2.625]]) {
        const r = c - x + x * y ** k;
        f += r * r; dx += 2 * r * (y ** k - 1); dy += 2 * r * x * k * y ** (k - 1);
      }
      return [f, dx, dy];
    },
  },
  himmelblau: {
    words: "Himmelblau, cuatro mínimos", box: [-6, 6, -6, 6], start: [-0.5, -1.5], lowest: 0,
    minima: [[3, 2], [-2.805118, 3.131313], [-3.779310, -3.283186], [3.584428, -1.848127]],
    at(x, y) {
      const a = x * x + y - 11, b = x + y * y - 7;
      return [a * a + b * b, 4 * x * a + 2 * b, 2 * a + 4 * y * b];
    },
  },
  rastrigin: {
    words: "Rastrigin, un pozo en cada entero", box: [-5.12, 5.12, -5.12, 5.12], start: [-2.2, 3.3], lowest: 0, minima: [[0, 0]],
    at(x, y) {
      const T = 2 * Math.PI;
      return [20 + x * x + y * y - 10 * (Math.cos(T * x) + Math.cos(T * y)), 2 * x + 10 * T * Math.sin(T * x), 2 * y + 10 * T * Math.sin(T * y)];
    },
  },
  saddle: {
    words: "Silla", box: [-2, 2, -2, 2], start: [-1.5, 0.001], lowest: -0.25, minima: [[0, 1], [0, -1]],
    at: (x, y) => [(x * x) / 2 + y ** 4 / 4 - (y * y) / 2, x, y ** 3 - y],
  },
};

// The walk of an optimizer: for every step from 0 the point, and what the step to it computed.
function walk(name, numbers, at, start, steps) {
  const { start: memory, update } = OPTIMIZERS[name];
  let states = start.map((w) => ({ ...memory, w }));
  const path = [{ point: [...start], states, gradient: null }];
  for (let t = 1; t <= steps; t++) {
    const point = path[t - 1].point, gradient = at(...point).slice(1);
    states = states.map((s, k) => update(gradient[k], s, point[k], t, numbers));
    path.push({ point: states.map((s) => s.w), states, gradient });
    if (!path[t].point.every(Number.isFinite)) { path.pop(); break; }
  }
  return path;
}

// A number as Spanish writes it, in few digits.
function spanish(x, digits = 3) {
  if (!Number.isFinite(x)) return "∞";
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-3 || size >= 1e4)) {
    const [front, power] = x.toExponential(digits - 1).split("e");
    const raised = String(Number(power)).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");
    return `${Number(front) === 1 ? "" : `${Number(front)}·`}10${raised}`.replace(".", ",").replace("-", "−");
  }
  return String(Number(x.toPrecision(digits))).replace(".", ",").replace("-", "−");
}

// Numbers that come again with the same seed (mulberry32), in [0, 1).
function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

// A slider with its name, its value and a note; log where the range has decades.
function slider(name, value, { sign, words, low, high, log, whole }, changed) {
  const to = (x) => (log ? Math.log10(x) : x), from = (x) => (log ? 10 ** x : x);
  const shown = element("output", { for: name }, spanish(value));
  const input = element("input", {
    type: "range", id: name, min: to(low), max: to(high), step: whole ? 1 : (to(high) - to(low)) / 200, "aria-label": `${words} ${sign}`,
  });
  input.value = to(value);
  input.setAttribute("aria-valuetext", spanish(value));
  input.addEventListener("input", () => {
    const x = from(Number(input.value));
    shown.textContent = spanish(x);
    input.setAttribute("aria-valuetext", spanish(x));
    changed(x);
  });
  return element("label", { class: "slider", title: words }, element("span", {}, sign), input, shown);
}

// A canvas that is sharp on every screen and is drawn anew when its size or the scheme changes.
function sharp(canvas, ratio, draw) {
  const redraw = () => {
    const width = canvas.clientWidth, dense = devicePixelRatio || 1;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(width * ratio * dense);
    canvas.style.aspectRatio = `1 / ${ratio}`;
    const pen = canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    draw(pen, width, width * ratio);
  };
  new ResizeObserver(redraw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  return redraw;
}
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
