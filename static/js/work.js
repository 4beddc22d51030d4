/**
 * The life of an item on the labelling pages: time spent, submitting, going on to the item that was fetched ahead, and
 * taking the last label back. What is said goes through the outbox; the answer brings the item after the next.
 */
import { close, open } from "./disclosure.js";
import { isTyping, onKeys } from "./keys.js";
import { hold } from "./lease.js";
import * as box from "./outbox.js";

const work = document.getElementById("work");
const announcement = document.getElementById("announcement");
const word = document.getElementById("word");
const HASTY = 250; // milliseconds in which Enter still belongs to the item before
const LOOK_AGAIN = 20_000; // milliseconds between two looks into an empty queue

let spent = 0; // milliseconds on this item while the page was visible
let visibleSince = null;
let shownAt = 0;
let touched = false; // any key since it was shown
let worked = false; // something chosen or typed
let held = false; // said, and nothing to go on with yet
let fetching = false;
const coming = []; // items fetched ahead, each a list of nodes

const item = () => work.querySelector("form[data-item]");
const formIn = (nodes) => nodes.find((node) => node.matches("form[data-item]"));
const assignments = () => [item(), ...coming.map(formIn)].filter(Boolean).map((form) => form.dataset.assignment);

function elapsed() {
  return spent + (visibleSince === null ? 0 : performance.now() - visibleSince);
}

function begin() {
  const seconds = Number(item()?.querySelector("[data-seconds]").value);
  spent = Number.isFinite(seconds) ? seconds * 1000 : 0;
  visibleSince = document.hidden ? null : performance.now();
  shownAt = performance.now();
  touched = false;
  worked = false;
  holdStill(false);
  const conversation = work.querySelector("[data-conversation]");
  const turn = conversation?.querySelector(".turn:last-child"); // what is answered: seen from its beginning
  if (turn) conversation.scrollTop += turn.getBoundingClientRect().top - conversation.getBoundingClientRect().top - 16;
  work.dispatchEvent(new CustomEvent("item:shown", { bubbles: true }));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    spent = elapsed();
    visibleSince = null;
  } else {
    visibleSince = performance.now();
  }
});

function say(text) {
  announcement.textContent = "";
  setTimeout(() => {
    announcement.textContent = text;
  }, 60);
}

/** A word to the person above the item; it stays until the next one is submitted. */
function note(text, level = "warning") {
  const line = document.createElement("p");
  line.className = `note note--${level}`;
  line.textContent = text;
  word.replaceChildren(line);
}

/** What came from the server: notes go to their place, and the item is returned as nodes. */
function read(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const notes = [...page.querySelectorAll(".messages > *")];
  page.querySelector(".messages")?.remove();
  if (notes.length) word.replaceChildren(...notes.map((one) => document.adoptNode(one)));
  const progress = page.querySelector("[data-progress]");
  const shown = work.querySelector("[data-progress]");
  if (progress && shown) shown.replaceWith(document.importNode(progress, true));
  return [...page.body.children].map((node) => document.adoptNode(node));
}

function show(nodes) {
  const progress = work.querySelector("[data-progress]");
  const stale = nodes.flatMap((node) => [...node.querySelectorAll("[data-progress]")])[0];
  if (progress && stale) stale.replaceWith(progress.cloneNode(true)); // an item fetched ahead knows less than the page
  work.replaceChildren(...nodes);
  begin();
  const refused = work.querySelector("[data-form-errors]");
  const title = work.querySelector("[data-item-title]");
  (refused ?? title)?.focus({ preventScroll: true });
  if (window.scrollY > work.offsetTop) window.scrollTo({ top: work.offsetTop, behavior: "instant" });
  if (!refused) say(item() ? `Next item. ${work.querySelector("[data-progress]")?.dataset.progress ?? ""}` : (title?.textContent.trim() ?? ""));
}

function holdStill(still) {
  held = still;
  work.toggleAttribute("data-busy", still);
  work.inert = still;
}

/** Off it goes, and on with the next item, which is here already or comes with the answer. */
function sendOff(form) {
  const { assignment } = (form.matches("[data-item]") ? form : item()).dataset;
  const body = new URLSearchParams(new FormData(form));
  box.add({ id: body.get("client_uuid") ?? crypto.randomUUID(), url: form.action, body: body.toString(), assignment });
  work.dispatchEvent(new CustomEvent("item:done", { detail: { assignment } }));
  word.replaceChildren();
  if (coming.length) show(coming.shift());
  else holdStill(true);
}

box.outbox.addEventListener("answered", (event) => {
  const { status, html } = event.detail;
  if (status === 422) {
    if (item() && !held) coming.unshift([...work.children]);
    show(read(html));
  } else if (status === 200) {
    take(read(html));
  } else {
    note("What you said of the last item was not stored: the item is gone, or you are no longer in this project.", "error");
    if (held) fetchAhead();
  }
});

function take(nodes) {
  const form = formIn(nodes);
  if (form && assignments().includes(form.dataset.assignment)) return;
  if (held || (!item() && form)) show(nodes);
  else if (form) coming.push(nodes);
  if (form) fetchAhead();
}

/** Lease the item after those on the page, so that nobody waits for it. */
async function fetchAhead() {
  if (fetching || coming.length || box.count()) return;
  fetching = true;
  const body = new URLSearchParams(assignments().map((pk) => ["on_page", pk]));
  let html = "";
  try {
    const answer = await box.post(work.dataset.aheadUrl, body);
    if (answer.status === 200) html = await answer.text();
  } catch {
    // The item on the page is enough for now; submitting it tells whether the server is there.
  }
  fetching = false;
  if (html) take(read(html));
}

setInterval(() => {
  if (!document.hidden && !item() && !held) fetchAhead();
}, LOOK_AGAIN);

document.addEventListener(
  "submit",
  (event) => {
    const field = event.target.querySelector("[data-seconds]");
    if (field) field.value = (elapsed() / 1000).toFixed(1); // also for a plain submit
  },
  true,
);

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.matches("form[data-item], #skip-form, #undo-form, [data-reading]")) return;
  event.preventDefault();
  if (held) return;
  if (form.id === "undo-form") undo(form.action);
  else if (form.matches("[data-reading]")) goOn(form);
  else sendOff(form);
});

/** The guidelines were read: the answer is the next item. */
async function goOn(form) {
  holdStill(true);
  let html = "";
  try {
    const answer = await box.post(form.action, new URLSearchParams(new FormData(form)));
    if (answer.status === 200) html = await answer.text();
  } catch {
    // Said below.
  }
  if (html) {
    take(read(html));
  } else {
    holdStill(false);
    note("The server did not answer: try again.");
  }
}

async function undo(url) {
  if (box.count()) await box.flush();
  if (box.count()) {
    note("Your last label has not been sent yet: it can be taken back when the connection is there again.");
    return;
  }
  let answer = null;
  try {
    answer = await box.post(url);
  } catch {
    note("The server did not answer: nothing was taken back.");
    return;
  }
  if (answer.status === 200) {
    const nodes = read(await answer.text());
    if (item()) coming.unshift([...work.children]);
    show(nodes);
    note("Your last label is taken back. Judge the item again; if you leave it, it goes back to the queue.", "info");
  } else if (answer.status === 409) {
    note((await answer.json()).problems.join(" "));
  } else {
    note("Nothing was taken back: try again.");
  }
}

const SAID = {
  unreachable: (n) => `No connection. ${n === 1 ? "One label is" : `${n} labels are`} kept in this browser and will be sent.`,
  "signed out": (n) => `You are signed out: sign in in another tab. ${n === 1 ? "One label is" : `${n} labels are`} kept here.`,
};
box.outbox.addEventListener("changed", () => {
  const place = document.querySelector("[data-unsent]");
  const text = SAID[box.state]?.(box.count()) ?? "";
  place.querySelector("[data-unsent-text]").textContent = text;
  place.hidden = !text;
  document.documentElement.dataset.outbox = box.state;
});
document.querySelector("[data-unsent-retry]").addEventListener("click", () => box.flush());

for (const kind of ["input", "change"]) {
  work.addEventListener(kind, (event) => {
    touched = true;
    worked = true;
    if (event.target.name === "comment") {
      work.querySelector("[data-comment-mark]").hidden = !event.target.value.trim();
    }
  });
}

function submit() {
  if (!held) item()?.requestSubmit();
}

function popup(selector) {
  const details = work.querySelector(selector);
  if (!details) return false;
  details.dataset.openedByKeyboard = "";
  open(details);
  return true;
}

onKeys({
  submit(event) {
    if (event.target.closest("a[href], button, summary")) return false;
    // Neither a key held down nor a second, hasty press may judge the next item unread.
    if (event.repeat || (!touched && performance.now() - shownAt < HASTY)) return true;
    submit();
    return true;
  },
  skip: () => popup("[data-skip]"),
  comment: () => popup("[data-comment]"),
  undo(event) {
    if (!event.repeat) document.getElementById("undo-form").requestSubmit();
    return true;
  },
});

document.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "Enter") touched = true;
  },
  true,
);

document.addEventListener("keydown", (event) => {
  if (!isTyping(event.target) || !work.contains(event.target) || event.isComposing) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    const details = event.target.closest("details[data-popover]");
    if (details) close(details);
    if (!event.repeat) submit();
  } else if (event.key === "Escape" && !event.defaultPrevented) {
    event.preventDefault();
    work.querySelector("[data-item-title]")?.focus({ preventScroll: true });
  }
});

async function arrive() {
  begin();
  box.asks(assignments);
  hold(
    () => [item(), ...coming.map(formIn)].filter(Boolean),
    () => worked,
  );
  await box.recall();
  const shown = item();
  if (shown && box.holds(shown.dataset.assignment)) holdStill(true); // said before, and still on its way
  await box.flush();
  fetchAhead();
}

arrive();
