// Small charts over the last minutes, drawn as SVG.

const CHART_WIDTH = 300;
const CHART_HEIGHT = 84;

// A round number that is no less than `value`, for the top of a chart.
function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 1.5, 2, 3, 4, 5, 6, 8]) {
    if (step * power >= value * 0.999) return step * power;
  }
  return 10 * power;
}

// From 0 to `top`; logarithmic from `bottom` to `top` where that is given.
class Scale {
  constructor(times, top, bottom) {
    this.end = times[times.length - 1] ?? 0;
    this.begin = times[0] ?? 0;
    this.top = top;
    this.bottom = bottom;
  }

  x(time) {
    const span = this.end - this.begin;
    return span > 0 ? (CHART_WIDTH * (time - this.begin)) / span : CHART_WIDTH;
  }

  y(value) {
    const part = this.bottom === undefined ? value / this.top
      : Math.log(Math.max(value, this.bottom) / this.bottom) / Math.log(this.top / this.bottom);
    return CHART_HEIGHT * (1 - Math.min(part, 1));
  }
}

// The points between gaps; a point between two gaps is a short line.
function runsOf(times, values, scale) {
  const runs = [];
  let run = [];
  for (let i = 0; i <= times.length; ++i) {
    if (i < times.length && typeof values[i] === "number") {
      run.push([scale.x(times[i]), scale.y(values[i])]);
    } else if (run.length > 0) {
      if (run.length === 1) run.push([run[0][0] + 1, run[0][1]]);
      runs.push(run);
      run = [];
    }
  }
  return runs;
}

const pathOf = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;

function linePath(times, values, scale) {
  return runsOf(times, values, scale).map(pathOf).join("");
}

function areaPath(times, values, scale) {
  const close = (run) =>
    `${pathOf(run)}L${run[run.length - 1][0].toFixed(1)} ${CHART_HEIGHT}L${run[0][0].toFixed(1)} ${CHART_HEIGHT}Z`;
  return runsOf(times, values, scale).map(close).join("");
}

// `layers`: [{kind: "line" | "area", name, label}], the last one in front. `text` says a value.
class Chart {
  constructor(title, layers, text, {logarithmic = false} = {}) {
    this.layers = layers;
    this.text = text;
    this.logarithmic = logarithmic;
    this.paths = layers.map((layer) =>
      svgElement("path", {class: `${layer.kind} ${layer.kind}-${layer.name}`}));
    const grid = [0, 0.5, 1].map((part) =>
      svgElement("line", {class: "grid-line", x1: 0, x2: CHART_WIDTH, y1: CHART_HEIGHT * part, y2: CHART_HEIGHT * part}));
    this.svg = svgElement(
      "svg",
      {viewBox: `0 0 ${CHART_WIDTH} ${CHART_HEIGHT}`, preserveAspectRatio: "none", role: "img"},
      ...grid, ...this.paths);
    this.top = element("span", {class: "top-value", "aria-hidden": "true"});
    this.bottom = element("span", {class: "bottom-value", "aria-hidden": "true"});
    this.from = element("span");
    const keys = layers.filter((layer) => layer.label).map((layer) =>
      element("span", {class: `key key-${layer.name}`}, layer.label));
    this.node = element(
      "figure", {}, element("figcaption", {}, element("b", {}, title), ...keys),
      element("div", {class: "plot"}, this.svg, this.top, this.bottom),
      element("div", {class: "axis", "aria-hidden": "true"}, this.from, element("span", {}, "now")));
    this.title = title;
  }

  // `rows`: the values of each layer, at the times.
  update(times, rows) {
    const all = rows.flat().filter((value) => typeof value === "number");
    const top = roundUp(Math.max(0, ...all));
    const least = Math.min(...all.filter((value) => value > 0), top);
    const bottom = this.logarithmic ? 10 ** Math.floor(Math.log10(least / 1.001)) : undefined;
    const scale = new Scale(times, top, bottom);
    this.layers.forEach((layer, i) => {
      const draw = layer.kind === "area" ? areaPath : linePath;
      setAttribute(this.paths[i], "d", draw(times, rows[i], scale));
    });
    setText(this.top, all.length > 0 ? this.text(top) : "");
    setText(this.bottom, this.logarithmic && all.length > 0 ? this.text(bottom) : "");
    const seconds = times.length > 1 ? (scale.end - scale.begin) / 1000 : 0;
    setText(this.from, seconds > 0 ? `${durationText(Math.round(seconds))} ago` : "");
    const last = (row) => row.findLast((value) => typeof value === "number");
    const spoken = this.layers
      .map((layer, i) => (layer.label && last(rows[i]) !== undefined ? `${layer.label} ${this.text(last(rows[i]))}` : ""))
      .filter((part) => part !== "");
    setAttribute(this.svg, "aria-label", `${this.title}: ${spoken.join(", ") || "nothing yet"}`);
  }
}

// The states of a breaker over time, as a band.
class StateStrip {
  constructor() {
    this.node = svgElement("svg", {class: "strip", viewBox: `0 0 ${CHART_WIDTH} 6`, preserveAspectRatio: "none", "aria-hidden": "true"});
    this.drawn = "";
  }

  update(times, states) {
    const drawn = `${times[0]}:${states.join("")}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const scale = new Scale(times, 1);
    const bands = [];
    for (let i = 1; i < states.length; ++i) {
      if (states[i] < 0) continue;
      const from = scale.x(times[i - 1]);
      const last = bands[bands.length - 1];
      if (last && last.state === states[i] && last.end === i - 1) {
        last.end = i;
        last.to = scale.x(times[i]);
      } else {
        bands.push({state: states[i], end: i, from, to: scale.x(times[i])});
      }
    }
    this.node.replaceChildren(...bands.map((band) =>
      svgElement("rect", {class: `state-${band.state}`, x: band.from.toFixed(1), y: 0, width: (band.to - band.from).toFixed(1), height: 6})));
  }
}

