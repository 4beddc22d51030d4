/**
 * Warnings while somebody types: what the cleaning checks find in a field with data-check, listed under it (in the element
 * named by data-warnings), each with a button that selects its place. And about how many tokens the conversation has.
 */
import { csrfToken } from "./csrf.js";
import { onKeys } from "./keys.js";

const PAUSE = 400; // milliseconds after the last key
const work = document.getElementById("work");
const fields = () => [...work.querySelectorAll("[data-check]")];
const listOf = (field) => document.getElementById(field.dataset.warnings);
const timers = new WeakMap();
const asked = new WeakMap(); // the request that a field waits for
const checked = new WeakMap(); // the text that a field's warnings are about

async function check(field) {
  const { form } = field;
  clearTimeout(timers.get(field));
  asked.get(field)?.abort();
  const request = new AbortController();
  asked.set(field, request);
  const text = field.value;
  const body = new URLSearchParams({ text });
  if (field.matches("[data-edit]")) {
    body.set("assignment", form.dataset.assignment);
    for (const turn of form.elements) if (turn.matches("[data-turn]")) body.set(turn.name, turn.value);
  }
  try {
    const answer = await fetch(form.dataset.checkUrl, {
      method: "POST",
      headers: { "X-CSRFToken": csrfToken(form) },
      body,
      signal: request.signal,
    });
    if (!answer.ok) throw new Error(`The check was answered with ${answer.status}`);
    const found = await answer.json();
    if (!field.isConnected) return;
    checked.set(field, text);
    show(field, found);
    if (field.matches("[data-edit]")) count(found);
  } catch {
    if (!request.signal.aborted && field.isConnected) show(field, { findings: [], more: 0 }); // no warning, no alarm
  }
}

function show(field, { findings, more }) {
  const place = listOf(field);
  const title = findings.length ? inWords(findings.length + more) : "";
  const list = document.createElement("ul");
  for (const finding of findings) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "warning";
    button.textContent = finding.sentence;
    button.addEventListener("click", () => select(field, finding));
    const row = document.createElement("li");
    row.append(button);
    list.append(row);
  }
  const heading = document.createElement("p");
  heading.className = "warnings-title";
  heading.textContent = more ? `${title}, of which these are the first` : title;
  const before = [...place.querySelectorAll(".warning")].map((one) => one.textContent);
  const now = findings.map((one) => one.sentence);
  place.hidden = !now.length;
  if (before.join("\n") === now.join("\n")) {
    place.querySelector("ul")?.replaceWith(list); // the places may have moved
    return;
  }
  place.replaceChildren(heading, list);
  const fresh = now.filter((sentence) => !before.includes(sentence));
  say(fresh.length ? `${title}. ${fresh.slice(0, 3).join(" ")}` : title || "No warnings any more.");
}

const inWords = (number) => (number === 1 ? "1 warning" : `${number} warnings`);

function say(text) {
  const status = work.querySelector("[data-warnings-status]");
  if (status) status.textContent = text;
}

const number = (value) => value.toLocaleString("en");

function count({ tokens, limit }) {
  const place = work.querySelector("[data-tokens]");
  if (!place) return;
  place.toggleAttribute("data-over", tokens !== null && limit !== null && tokens > limit);
  if (tokens === null) place.textContent = "";
  else if (limit === null) place.textContent = `about ${number(tokens)} tokens in all`;
  else if (tokens > limit) place.textContent = `about ${number(tokens)} tokens in all: the model reads ${number(limit)}`;
  else place.textContent = `≈ ${number(tokens)} of ${number(limit)} tokens`;
}

/** Places are counted in characters; a browser counts those beyond the first 65,536 as two. */
function unit(text, character) {
  let place = 0;
  for (let passed = 0; passed < character; passed += 1) place += text.codePointAt(place) > 0xffff ? 2 : 1;
  return place;
}

function select(field, { start, end }) {
  const text = checked.get(field);
  const part = text.slice(unit(text, start), unit(text, end));
  const details = field.closest("details");
  if (details) details.open = true;
  // Something may have been written since: the nearest place that reads the same, from a little before.
  let from = field.value === text ? unit(text, start) : field.value.indexOf(part, Math.max(0, unit(text, start) - 200));
  if (from < 0) from = field.value.indexOf(part);
  field.focus();
  if (from < 0) return;
  field.setSelectionRange(from, from + part.length);
  field.blur(); // a browser scrolls to the selection when the field gets the focus
  field.focus();
}

function next() {
  const edit = work.querySelector("[data-edit]"); // the answer comes first, then the turns before it
  const order = [edit, ...fields().filter((field) => field !== edit)];
  const buttons = order.flatMap((field) => [...listOf(field).querySelectorAll(".warning")]);
  if (!buttons.length) return false;
  const last = buttons.findIndex((one) => one.hasAttribute("data-shown"));
  buttons[last]?.removeAttribute("data-shown");
  const button = buttons[(last + 1) % buttons.length];
  button.setAttribute("data-shown", "");
  button.click();
  return true;
}

onKeys({ warning: next });

work.addEventListener("input", (event) => {
  const field = event.target;
  if (!field.matches("[data-check], [data-turn]")) return;
  const touched = field.matches("[data-turn]") ? [field, work.querySelector("[data-edit]")] : [field]; // a turn is counted too
  for (const one of touched) {
    clearTimeout(timers.get(one));
    timers.set(one, setTimeout(check, PAUSE, one));
  }
});

function begin() {
  for (const field of fields()) if (field.value) check(field);
}

work.addEventListener("item:shown", begin);
begin();
