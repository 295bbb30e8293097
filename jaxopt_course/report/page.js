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

function draw(canvas) {
  const { data, layout } = plotOf(canvas);
  for (const trace of data) {
    for (const part of ["line", "marker"]) if (trace[part]) trace[part] = painted(trace[part]);
  }
  Plotly.react(canvas, data, dressed(layout), {
    responsive: true,
    displaylogo: false,
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  });
}

for (const canvas of canvases) draw(canvas);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const canvas of canvases) draw(canvas);
  for (const button of document.querySelectorAll("[data-optimizer]")) button.setAttribute("aria-pressed", true);
});

for (const button of document.querySelectorAll("[data-optimizer]")) {
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    for (const canvas of canvases) {
      const mine = canvas.data.flatMap((trace, i) => (String(trace.meta) === button.dataset.optimizer ? [i] : []));
      if (mine.length) Plotly.restyle(canvas, { visible: shown }, mine);
    }
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}
