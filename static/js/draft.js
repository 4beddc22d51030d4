/**
 * Keeps what was typed, and the person's hold on the item while the page is open.
 */
import { csrfToken } from "./csrf.js";

const PAUSE = 1500; // milliseconds after the last key
const HEARTBEAT = 60_000;
const work = document.getElementById("work");
const form = () => work.querySelector("form[data-item]");

let timer = 0;
let unsaved = false;

async function send({ beat = false, leaving = false } = {}) {
  const item = form();
  if (!item || item.classList.contains("htmx-request")) return;
  const edit = item.querySelector("[data-edit]");
  const text = edit && !beat ? edit.value : null;
  const body = new URLSearchParams(text === null ? {} : { text });
  clearTimeout(timer);
  if (text !== null) unsaved = false;
  try {
    const answer = await fetch(item.dataset.draftUrl, {
      method: "POST",
      headers: { "X-CSRFToken": csrfToken(item) },
      body,
      keepalive: leaving,
    });
    if (!item.isConnected || item.classList.contains("htmx-request")) return; // it was submitted meanwhile
    if (answer.status === 409) {
      work.querySelector("[data-lease-ended]").hidden = false;
      tell(item, "");
    } else if (answer.status === 204) {
      if (text !== null) tell(item, "Draft saved");
    } else {
      throw new Error(`The draft was answered with ${answer.status}`);
    }
  } catch {
    if (text === null || !item.isConnected) return;
    unsaved = true;
    tell(item, "Draft not saved yet");
  }
}

function tell(item, text) {
  const state = item.querySelector("[data-draft-state]");
  if (state) state.textContent = text;
}

work.addEventListener("input", (event) => {
  if (!event.target.matches("[data-edit]")) return;
  unsaved = true;
  tell(form(), "");
  clearTimeout(timer);
  timer = setTimeout(send, PAUSE);
});

work.addEventListener("item:shown", () => {
  clearTimeout(timer);
  unsaved = false;
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden && unsaved) send({ leaving: true });
});

window.addEventListener("pagehide", () => {
  if (unsaved) send({ leaving: true });
});

setInterval(() => {
  if (!document.hidden) send({ beat: !unsaved });
}, HEARTBEAT);
