/**
 * Labels and skips on their way to the server, one after the other, in the order in which they were said. What cannot be
 * sent waits in the browser and is sent again, with the same UUID, when the server answers: it is stored once.
 *
 * Events on `outbox`: "answered" ({entry, status, html}) when the server has taken or refused one, and "changed".
 */
import { csrfToken } from "./csrf.js";
import { all, put, remove } from "./store.js";

const PATIENCE = 20_000; // milliseconds for one answer
const LONGEST_FAREWELL = 60_000; // characters
const DELAYS = [1000, 2000, 4000, 8000, 15_000];
const AGAIN = new Set([408, 425, 429]);

export const outbox = new EventTarget();
const person = document.getElementById("work").dataset.person;
const waiting = [];
let running = null;
let failures = 0;
let timer = 0;
let onPage = () => [];
let newest = 0;

/** "sent" when nothing waits, "sending", "unreachable" when the server does not answer, "signed out". */
export let state = "sent";
export const count = () => waiting.length;
export const holds = (assignment) => waiting.some((entry) => entry.assignment === assignment);

function become(now) {
  state = now;
  outbox.dispatchEvent(new Event("changed"));
}

/** `ask` says which assignments are on the page, so that an answer brings the one after them. */
export function asks(ask) {
  onPage = ask;
}

/** What an earlier page of this person could not send takes its place at the head. */
export async function recall() {
  const kept = (await all("outbox")).filter((entry) => entry.person === person);
  const known = new Set(waiting.map((entry) => entry.id));
  waiting.unshift(...kept.filter((entry) => !known.has(entry.id)).toSorted((one, other) => one.at - other.at));
}

/** `entry` is {id, url, body, assignment}. */
export function add(entry) {
  newest = Math.max(newest + 1, Date.now());
  const row = { ...entry, person, at: newest };
  waiting.push(row);
  const kept = put("outbox", row);
  flush();
  return kept;
}

/** Send what waits; resolves when nothing does any more, or the server is found not to answer. */
export function flush() {
  clearTimeout(timer);
  running ??= sendAll().finally(() => {
    running = null;
    if (waiting.length) timer = setTimeout(flush, DELAYS[Math.min(failures, DELAYS.length) - 1]);
    else become("sent");
  });
  return running;
}

async function sendAll() {
  while (waiting.length) {
    if (state !== "unreachable" && state !== "signed out") become("sending");
    const [entry] = waiting;
    const answer = await send(entry);
    if (answer === null) break;
    failures = 0;
    waiting.shift();
    await remove("outbox", entry.id);
    if (state !== "sending") become("sending");
    outbox.dispatchEvent(new CustomEvent("answered", { detail: { entry, ...answer } }));
  }
}

/** What the server said, or null if it has to be sent again. */
async function send(entry) {
  const body = new URLSearchParams(entry.body);
  for (const assignment of onPage()) body.append("on_page", assignment);
  try {
    // A page that is closed right after still sends it; the browser lets only short ones outlive the page.
    const answer = await post(entry.url, body, { keepalive: entry.body.length < LONGEST_FAREWELL });
    if (answer.type === "opaqueredirect" || answer.status === 403) return later("signed out");
    if (answer.status >= 500 || AGAIN.has(answer.status)) return later("unreachable");
    return { status: answer.status, html: await answer.text() };
  } catch {
    return later("unreachable");
  }
}

function later(why) {
  failures += 1;
  become(why);
  return null;
}

/** A request as the labelling pages make them; an answer that leads elsewhere is not followed. */
export function post(url, body = new URLSearchParams(), options = {}) {
  return fetch(url, {
    method: "POST",
    headers: { "X-CSRFToken": csrfToken(), "X-Touchstone": "item" },
    body,
    redirect: "manual",
    signal: AbortSignal.timeout(PATIENCE),
    ...options,
  });
}

window.addEventListener("online", flush);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && waiting.length) flush();
});
