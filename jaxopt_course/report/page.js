"use strict";
const canvases = [...document.querySelectorAll(".canvas")];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function dressed(layout) {
  const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--faint") };
  const out = {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--ink"), family: getComputedStyle(document.body).fontFamily, size: 12 },
    separators: document.documentElement.lang === "es" ? ",\u202f" : ".,",
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
  };
  for (const name of ["xaxis", "yaxis", "yaxis2"]) if (layout[name]) out[name] = { ...axis, ...layout[name] };
  if (layout.shapes) {
    out.shapes = layout.shapes.map((shape) => ({ ...shape, line: { ...shape.line, color: colour("--faint") } }));
  }
  return out;
}

function plotOf(canvas) {
  return JSON.parse(document.querySelector(`script[data-for="${canvas.id}"]`).textContent);
}

// Lines are mixed with white on a dark ground, by the same share as the legend's (--pure in the CSS).
function painted(value) {
  if (Array.isArray(value)) return value.map(painted);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, painted(part)]));
  }
  if (typeof value !== "string" || !/^#[0-9a-f]{6}$/.test(value)) return value;
  const pure = parseFloat(colour("--pure")) / 100;
  const parts = [1, 3, 5].map((i) => Math.round(255 - pure * (255 - parseInt(value.slice(i, i + 2), 16))));
  return `rgb(${parts})`;
}

// What the legend hides stays hidden, in a figure that is opened later and on another ground too.
const hidden = (trace) => document.querySelector(`[data-optimizer="${trace.meta}"][aria-pressed="false"]`);

function draw(canvas) {
  const { data, layout } = plotOf(canvas);
  for (const trace of data) if (Number.isInteger(trace.meta) && hidden(trace)) trace.visible = false;
  for (const trace of data) {
    for (const part of ["line", "marker"]) if (trace[part] && trace.type !== "parcoords") trace[part] = painted(trace[part]);
  }
  for (const trace of data) {
    if (trace.type === "bar" && trace.error_x) trace.error_x.color = colour("--faint");
    if (trace.type !== "parcoords") continue;
    for (const part of ["labelfont", "tickfont", "rangefont"]) trace[part] = { color: colour("--ink"), size: 12 };
    if (canvas.clientWidth < 480) Object.assign(trace, { labelangle: -20, labelfont: { color: colour("--ink"), size: 10 } });
  }
  Plotly.react(canvas, data, dressed(layout), {
    responsive: true,
    displaylogo: false,
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  });
}

// A plot in a fold is drawn once it is seen: before, it has no width.
function drawn(canvas) {
  const fold = canvas.closest("details");
  if (!fold || fold.open) draw(canvas);
  else fold.addEventListener("toggle", () => fold.open && draw(canvas));
}

for (const canvas of canvases) drawn(canvas);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const canvas of canvases) if (canvas.data) draw(canvas);
});

for (const button of document.querySelectorAll("[data-optimizer]")) {
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    for (const canvas of canvases.filter((one) => one.data)) {
      const mine = canvas.data.flatMap((trace, i) => (String(trace.meta) === button.dataset.optimizer ? [i] : []));
      if (mine.length) Plotly.restyle(canvas, { visible: shown }, mine);
    }
  });
}

const said = document.documentElement.dataset;

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = said.sayCopied;
    } catch {
      button.textContent = document.execCommand("copy") ? said.sayCopied : said.saySelected;
    }
    setTimeout(() => (button.textContent = said.sayCopy), 1500);
  });
}

// What a cell sorts by: its number where it has one, else its text; what is empty comes last.
function key(cell) {
  const number = cell.dataset.value ?? cell.textContent.replace(",", ".");
  if (number.trim() !== "" && Number.isFinite(Number(number))) return Number(number);
  return cell.textContent === "–" ? null : cell.textContent;
}

function compared(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === typeof b) return String(a).localeCompare(String(b), undefined, { numeric: true });
  return typeof a === "number" ? -1 : 1;
}

function sort(head) {
  const row = head.parentElement;
  const place = [...row.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of row.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = row.closest("table").tBodies[0];
  const keyed = [...body.rows].map((line) => [key(line.cells[place]), line]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return down ? compared(b, a) : compared(a, b);
  });
  body.append(...keyed.map(([, line]) => line));
}

for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => sort(button.closest("th")));
}

for (const input of document.querySelectorAll("[data-filter]")) {
  const part = input.closest("details");
  const count = part.querySelector("[data-count]");
  const rows = [...part.querySelector("table").tBodies[0].rows];
  const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent.toLowerCase()));
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      row.hidden = !wanted.every((word) => texts[i].some((cell) => cell.includes(word)));
      shown += !row.hidden;
    });
    count.textContent = wanted.length ? said.sayRows.replace("{n}", shown).replace("{all}", rows.length) : "";
  });
}
