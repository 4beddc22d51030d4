/**
 * A run as it goes: asks `data-url` for what is new every two seconds and shows curve, progress, time and log.
 * Works on any element with `data-run`, also on those that htmx brings in later.
 */
import { draw, format } from "./chart.js";
import { duration } from "./duration.js";

const PAUSE = 2000;
const OPEN = new Set(["queued", "running"]);
const FIRST = [
  "loss",
  "validation_loss",
  "rewards_margin",
  "reward_margin",
  "rewards_accuracy",
  "accuracy",
  "learning_rate",
  "grad_norm",
  "tokens_per_second",
  "memory_gb",
];
const TITLES = { grad_norm: "Gradient norm", tokens_per_second: "Tokens per second", memory_gb: "Memory (GB)" };
const NO_SERIES = new Set(["step", "total", "epoch", "time"]);

class LiveRun {
  constructor(root) {
    this.root = root;
    this.points = new Map(); // step → values
    this.series = null;
    this.openedOpen = OPEN.has(root.dataset.status);
    root.dataset.run = "live";
    this.holder = this.part("chart");
    new ResizeObserver(() => this.drawSoon()).observe(this.holder);
    this.holder.addEventListener("pointermove", (event) => this.read(event.clientX));
    this.holder.addEventListener("pointerleave", () => this.read(null));
    const log = this.logPart();
    if (log && this.openedOpen) log.scrollTop = log.scrollHeight;
    this.part("series").addEventListener("change", (event) => {
      this.series = event.target.value;
      this.draw();
    });
    this.beside = new Map(); // the address of another run's metrics → its line
    this.part("beside")?.addEventListener("change", (event) => this.layOver(event.target));
    this.ask();
  }

  part(name) {
    return this.root.querySelector(`[data-run-${name}]`);
  }

  write(name, text) {
    const place = this.part(name);
    if (place && place.textContent !== text) place.textContent = text;
  }

  async ask() {
    if (!this.root.isConnected) return;
    let status = "queued";
    if (document.hidden && this.points.size) {
      setTimeout(() => this.ask(), PAUSE);
      return;
    }
    try {
      const after = Math.max(-1, ...this.points.keys());
      const answer = await fetch(`${this.root.dataset.url}?after=${after}`, { headers: { Accept: "application/json" } });
      if (answer.redirected || !answer.ok) throw new Error(`The run's metrics were answered with ${answer.status}`);
      const news = await answer.json();
      status = news.status;
      this.take(news, after);
    } catch {
      this.write("connection", "No connection to the server; trying again.");
    }
    if (OPEN.has(status)) setTimeout(() => this.ask(), PAUSE);
    else if (this.openedOpen && "reload" in this.root.dataset) window.location.reload();
  }

  take(news, after) {
    this.write("connection", "");
    if (news.step < after) this.points.clear(); // it went back to a checkpoint: the next answer brings all again
    for (const { step, values } of news.points) this.points.set(step, values);
    const bar = this.part("progress");
    bar.max = news.total || 1;
    bar.value = news.total ? news.step : 0;
    this.write("step", news.total ? `${news.step} of ${news.total}` : OPEN.has(news.status) ? "not yet begun" : "–");
    this.write("percent", news.total ? `${news.percent} %` : "–");
    this.write("elapsed", news.seconds === null ? "–" : duration(news.seconds));
    this.write("left", news.seconds_left === null ? "–" : `about ${duration(news.seconds_left)}`);
    this.total = news.total;
    const status = "reload" in this.root.dataset ? document.querySelector("[data-run-status]") : null;
    if (status) {
      status.dataset.state = news.status;
      status.textContent = news.status[0].toUpperCase() + news.status.slice(1);
    }
    if (!OPEN.has(news.status) && !this.points.size) this.write("empty", "This run wrote down no curve.");
    this.log(news.log ?? "");
    if (news.points.length || after === -1) this.draw();
  }

  logPart() {
    return document.querySelector(`[data-log-of="${this.root.id}"]`);
  }

  log(text) {
    const log = this.logPart();
    if (!log || !text || log.textContent === text) return;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    log.textContent = text;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  /** Another run's curve over this one's, as it is now. */
  async layOver(box) {
    const { line, label, metrics } = box.dataset;
    if (!box.checked) {
      this.beside.delete(metrics);
      this.draw();
      return;
    }
    try {
      const answer = await fetch(metrics, { headers: { Accept: "application/json" } });
      if (answer.redirected || !answer.ok) throw new Error(`The run's metrics were answered with ${answer.status}`);
      if (box.checked) this.beside.set(metrics, { number: line, label, points: (await answer.json()).points });
    } catch {
      box.checked = false;
      this.write("connection", "The other run's curve could not be fetched.");
    }
    this.draw();
  }

  /** The lines of the other runs that have the measure which is shown. */
  others() {
    return [...this.beside.values()]
      .map(({ number, label, points }) => ({ number, label, points: of(this.series, points) }))
      .filter(({ points }) => points.length);
  }

  drawSoon() {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.draw());
  }

  names() {
    const found = new Set();
    for (const values of this.points.values()) {
      for (const [name, value] of Object.entries(values)) {
        if (Number.isFinite(value) && !NO_SERIES.has(name)) found.add(name);
      }
    }
    return [...found].toSorted((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  }

  draw() {
    const names = this.names();
    this.part("empty").hidden = names.length > 0;
    this.part("figure").hidden = names.length === 0;
    if (!names.length) return;
    this.series = names.includes(this.series) ? this.series : names[0];
    this.offer(names);
    const points = of(this.series, [...this.points].map(([step, values]) => ({ step, values })));
    const others = this.others();
    this.nearest = draw(this.holder, { points, name: title(this.series), total: this.total, others });
    this.read(null);
    this.table(names);
  }

  read(clientX) {
    if (!this.nearest) return;
    const point = this.nearest(clientX);
    const beside = this.others().map(({ label, points }) => {
      const near = points.findLast(({ step }) => step <= point.step) ?? points[0];
      return `, ${label} ${format(near.value)}`;
    });
    this.write("reading", `${title(this.series)} ${format(point.value)} at step ${point.step}${beside.join("")}`);
  }

  offer(names) {
    const holder = this.part("series");
    if (holder.dataset.names === names.join()) return;
    holder.dataset.names = names.join();
    holder.replaceChildren(
      ...names.map((name) => {
        const label = document.createElement("label");
        const radio = document.createElement("input");
        radio.type = "radio";
        radio.name = `series-${this.root.id}`;
        radio.value = name;
        radio.checked = name === this.series;
        label.append(radio, title(name));
        return label;
      }),
    );
  }

  table(names) {
    const table = this.part("table");
    if (!table || !table.closest("details").open) return;
    const lines = [...this.points].toSorted((a, b) => b[0] - a[0]);
    table.tHead.replaceChildren(row("th", ["Step", ...names.map(title)]));
    table.tBodies[0].replaceChildren(
      ...lines.map(([step, values]) => row("td", [step, ...names.map((name) => cell(values[name]))])),
    );
  }
}

/** One measure of points with many, in order of step. */
const of = (name, points) =>
  points
    .filter(({ values }) => Number.isFinite(values[name]))
    .map(({ step, values }) => ({ step, value: values[name] }))
    .toSorted((a, b) => a.step - b.step);
const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
const cell = (value) => (Number.isFinite(value) ? format(value) : "");

function row(tag, texts) {
  const made = document.createElement("tr");
  for (const text of texts) {
    const place = document.createElement(tag);
    place.className = "number";
    place.textContent = text;
    if (tag === "th") place.scope = "col";
    made.append(place);
  }
  return made;
}

function title(name) {
  if (name in TITLES) return TITLES[name];
  const words = name.replaceAll("_", " ").replaceAll("/", " ");
  return words[0].toUpperCase() + words.slice(1);
}

const lives = new WeakMap();

function start() {
  for (const root of document.querySelectorAll("[data-run]")) {
    if (!lives.has(root)) lives.set(root, new LiveRun(root));
  }
}

document.addEventListener("htmx:afterSwap", start);
document.addEventListener(
  "toggle",
  (event) => {
    const root = event.target.closest?.("[data-run]");
    if (root && event.target.open) lives.get(root)?.draw();
  },
  true,
);
start();
