// Draws <figure data-chart='{"labels": […], "data": [[times], [values], …]}'> with uPlot, again when its data change.
"use strict";

const drawn = new WeakMap();

function colours() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    lines: ["--color-info", "--color-success", "--color-error", "--color-primary", "--color-secondary"].map(value),
    text: value("--color-base-content"),
    grid: value("--color-base-300"),
  };
}

function draw(figure) {
  const given = figure.dataset.chart;
  const width = Math.floor(figure.clientWidth);
  const before = drawn.get(figure);
  if (!width || (before && before.given === given && before.width === width)) return;
  const { labels, data, unit } = JSON.parse(given);
  // One point alone has no span of time to be drawn over.
  if (data[0].length === 1) data.forEach((row, place) => row.unshift(place ? null : row[0] - 300));
  const { lines, text, grid } = colours();
  const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
  const options = {
    width,
    height: Number(figure.dataset.height ?? 220),
    cursor: { points: { size: 7 } },
    scales: { x: { range: (_, low, high) => (high - low < 300 ? [high - 300, high] : [low, high]) }, y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
    axes: [axis, { ...axis, size: 56, values: (_, values) => values.map((v) => `${v}${unit ?? "/s"}`) }],
    series: [{}, ...labels.map((label, place) => ({ label, stroke: lines[place], width: 1.5, points: { show: data[0].length < 3 } }))],
  };
  before?.plot.destroy();
  drawn.set(figure, { given, width, plot: new uPlot(options, data, figure) });
}

function drawAll() {
  for (const figure of document.querySelectorAll("figure[data-chart]")) draw(figure);
}

drawAll();
document.addEventListener("htmx:after:swap", drawAll);
window.addEventListener("resize", drawAll);
document.addEventListener("theme", () => {
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    drawn.get(figure)?.plot.destroy();
    drawn.delete(figure);
    draw(figure);
  }
});
