/**
 * Keeps what was chosen and typed, field by field: at the server every one and a half seconds while something changes
 * and when the page is left, in the browser while the server does not answer. It comes back on any device.
 */
import { post } from "./outbox.js";
import { all, put, remove } from "./store.js";

const EVERY = 1500; // milliseconds
const NEVER = new Set(["csrfmiddlewaretoken", "client_uuid", "seconds"]);
const work = document.getElementById("work");
const form = () => work.querySelector("form[data-item]");

let timer = 0;
let restoring = false;
let unsaved = null; // the form with changes that the server has not got

/** The fields of the form by name; a list where a name stands several times. */
function fields(item) {
  const found = {};
  for (const [name, value] of new FormData(item)) {
    if (NEVER.has(name) || typeof value !== "string") continue;
    found[name] = name in found ? [found[name], value].flat() : value;
  }
  return found;
}

function tell(item, text) {
  const state = item.querySelector("[data-draft-state]");
  if (state) state.textContent = text;
}

async function save({ leaving = false } = {}) {
  clearTimeout(timer);
  timer = 0;
  const item = unsaved;
  if (!item || item !== form() || !item.dataset.draftUrl) return; // of a label that is revised there is no draft
  unsaved = null;
  const assignment = item.dataset.assignment;
  const row = { assignment, person: work.dataset.person, fields: fields(item) };
  const body = new URLSearchParams({ draft: JSON.stringify(row.fields) });
  if (leaving) put("drafts", row); // should the network be away, it is here
  try {
    const answer = await post(item.dataset.draftUrl, body, { keepalive: leaving && body.toString().length < 60_000 });
    if (answer.status === 409) {
      if (item.isConnected) work.querySelector("[data-lease-ended]").hidden = false;
      tell(item, "");
    } else if (answer.status === 204) {
      tell(item, "Draft saved");
      remove("drafts", assignment);
    } else {
      throw new Error(`The draft was answered with ${answer.status}`);
    }
  } catch {
    if (item !== form()) return; // it was submitted meanwhile
    await put("drafts", row);
    tell(item, "Draft kept in this browser");
    unsaved ??= item;
    schedule();
  }
}

function schedule() {
  if (!timer) timer = setTimeout(save, EVERY);
}

function changed(event) {
  const item = form();
  if (restoring || !item || event.target.form !== item || NEVER.has(event.target.name)) return;
  unsaved = item;
  tell(item, "");
  schedule();
}

function fill(item, draft) {
  restoring = true;
  for (const [name, value] of Object.entries(draft)) {
    const values = [value].flat();
    let place = 0;
    for (const element of item.elements) {
      if (element.name !== name || NEVER.has(name)) continue;
      const choice = element.type === "radio" || element.type === "checkbox";
      const before = choice ? element.checked : element.value;
      if (choice) element.checked = values.includes(element.value);
      else if (place < values.length) element.value = values[place++];
      if (before !== (choice ? element.checked : element.value)) {
        element.dispatchEvent(new Event(choice ? "change" : "input", { bubbles: true }));
      }
    }
  }
  // What follows from a text has followed by now; what was chosen by hand has the last word.
  for (const element of item.elements) {
    if (element.type === "radio" && element.name in draft) element.checked = [draft[element.name]].flat().includes(element.value);
  }
  item.dispatchEvent(new CustomEvent("draft:restored", { bubbles: true }));
  restoring = false;
}

/** The browser's own draft is newer than the server's: it is only there if the server did not get it. */
async function restore() {
  const item = form();
  if (!item || item.dataset.refused !== undefined) return;
  const server = JSON.parse(item.dataset.draft || "{}");
  if (Object.keys(server).length) fill(item, server);
  const own = (await all("drafts")).find((row) => row.assignment === item.dataset.assignment);
  if (!own || own.person !== work.dataset.person || item !== form() || unsaved === item) return;
  fill(item, own.fields);
  unsaved = item;
  schedule();
}

work.addEventListener("input", changed);
work.addEventListener("change", changed);
work.addEventListener("item:shown", () => {
  clearTimeout(timer);
  timer = 0;
  unsaved = null;
  restore();
});
work.addEventListener("item:done", (event) => remove("drafts", event.detail.assignment));

document.addEventListener("visibilitychange", () => {
  if (document.hidden) save({ leaving: true });
});
window.addEventListener("pagehide", () => save({ leaving: true }));

restore();
