/** Draws one series of points as an SVG line; of many points also a smoothed one. Colours are in chart.css. */
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 240;
const MARGIN = { top: 12, right: 14, bottom: 26, left: 54 };
const SMOOTH_FROM = 24; // points

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Round values that cover a range: 1, 2 or 5 times a power of ten apart. */
export function ticks(low, high, wanted) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + step * 1e-9; tick += 1) {
    found.push(Number((tick * step).toPrecision(12)));
  }
  return found;
}

/** Three digits, or as many as tell a value from its neighbours on an axis, so far `apart`. */
export function format(value, apart = Infinity) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace("e-", "e−").replace("e+", "e");
  if (size >= 100 && apart >= 1) return value.toFixed(0).replace("-", "−");
  const digits = Math.max(3, Math.ceil(Math.log10(size / apart)) + 1);
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

/** Each point becomes the mean of its neighbourhood, which shrinks towards both ends so that nothing lags. */
function smoothed(points) {
  const sums = [0];
  for (const { value } of points) sums.push(sums.at(-1) + value);
  const reach = Math.max(2, Math.round(points.length / 16));
  return points.map(({ step }, place) => {
    const near = Math.min(reach, place, points.length - 1 - place);
    return { step, value: (sums[place + near + 1] - sums[place - near]) / (2 * near + 1) };
  });
}

/**
 * `points` is [{step, value}, …] in order of step, and `others` are lines to be laid over it, each with points and the
 * number of its colour. Returns a function that finds the point nearest to a place.
 */
export function draw(holder, { points, name, total, others = [] }) {
  const width = Math.max(240, Math.floor(holder.clientWidth));
  const last = points.at(-1);
  const values = [points, ...others.map((other) => other.points)].flat().map((point) => point.value);
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (low > 0 && low < (high - low) / 2) low = 0;
  if (low === high) {
    const pad = Math.abs(low) * 0.1 || 1;
    low -= pad;
    high += pad;
  }
  const size = ticks(low, high, 4);
  const gap = size[1] - size[0] || high - low;
  low = Math.floor(low / gap + 1e-9) * gap;
  high = Math.ceil(high / gap - 1e-9) * gap;
  const rows = ticks(low, high, Math.round((high - low) / gap));
  const firstStep = Math.min(points[0].step, 1);
  const lastStep = Math.max(total || 0, last.step, firstStep + 1, ...others.map((other) => other.points.at(-1).step));
  const x = (place) => MARGIN.left + ((place - firstStep) / (lastStep - firstStep)) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => MARGIN.top + (1 - (value - low) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const path = (line) =>
    line.map(({ step, value }, place) => `${place ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");

  const svg = element("svg", {
    class: "chart",
    viewBox: `0 0 ${width} ${HEIGHT}`,
    width,
    height: HEIGHT,
    role: "img",
    "aria-label": `${name}: ${format(points[0].value)} at step ${points[0].step}, ${format(last.value)} at step ${last.step}`,
  });
  for (const row of rows) {
    svg.append(
      element("line", { class: "chart-grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(row), y2: y(row) }),
      element("text", { class: "chart-tick", x: MARGIN.left - 8, y: y(row) + 4, "text-anchor": "end" }, format(row, gap)),
    );
  }
  const columns = ticks(firstStep, lastStep, Math.max(4, Math.min(8, width / 110))).filter(Number.isInteger);
  for (const column of columns) {
    svg.append(
      element("text", { class: "chart-tick", x: x(column), y: HEIGHT - 7, "text-anchor": "middle" }, String(column)),
    );
  }
  for (const other of others) {
    const line = other.points.length >= SMOOTH_FROM ? smoothed(other.points) : other.points;
    svg.append(element("path", { class: "chart-line chart-line--other", "data-line": other.number, d: path(line) }));
  }
  const many = points.length >= SMOOTH_FROM;
  svg.append(element("path", { class: many ? "chart-line chart-line--raw" : "chart-line", d: path(points) }));
  if (many) svg.append(element("path", { class: "chart-line", d: path(smoothed(points)) }));
  svg.append(element("circle", { class: "chart-end", cx: x(last.step), cy: y(last.value), r: 3.5 }));
  const pointer = element("line", { class: "chart-pointer", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, visibility: "hidden" });
  svg.append(pointer);
  holder.replaceChildren(svg);

  return (clientX) => {
    if (clientX === null) {
      pointer.setAttribute("visibility", "hidden");
      return last;
    }
    const place = clientX - svg.getBoundingClientRect().left;
    const near = points.reduce((best, point) =>
      Math.abs(x(point.step) - place) < Math.abs(x(best.step) - place) ? point : best,
    );
    pointer.setAttribute("x1", x(near.step));
    pointer.setAttribute("x2", x(near.step));
    pointer.setAttribute("visibility", "visible");
    return near;
  };
}
