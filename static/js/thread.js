/**
 * What is said about the item: opened by key, with or without the flag, and sent without leaving the page. Without this
 * script its form leads to the thread's own page.
 */
import { csrfToken } from "./csrf.js";
import { open } from "./disclosure.js";
import { onKeys } from "./keys.js";

const work = document.getElementById("work");
const popup = () => work.querySelector("[data-thread-popup]");

function show(flag) {
  const details = popup();
  if (!details) return false;
  details.querySelector("[data-thread-flag]").checked = flag;
  details.dataset.openedByKeyboard = "";
  open(details);
  details.querySelector("[name=say]").focus({ preventScroll: true });
  const words = details.querySelector(".thread-words");
  if (words) words.scrollTop = words.scrollHeight;
  return true;
}

onKeys({ flag: () => show(true), thread: () => show(false) });

async function send(form) {
  const details = popup();
  let html = "";
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { "X-CSRFToken": csrfToken(form), "HX-Request": "true" },
      body: new URLSearchParams(new FormData(form)),
      redirect: "error",
    });
    if (answer.ok || answer.status === 422) html = await answer.text();
  } catch {
    html = "";
  }
  if (!details.isConnected) return; // the item was submitted meanwhile
  if (!html) {
    say(details, "This could not be sent. What you wrote is still here.");
    return;
  }
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = document.importNode(page.querySelector("[data-thread]"), true);
  const text = fresh.querySelector("[name=say]");
  for (const field of fresh.querySelectorAll("input, button")) field.setAttribute("form", form.id);
  details.querySelector("[data-thread]").replaceWith(fresh);
  text.focus({ preventScroll: true });
  const words = fresh.querySelector(".thread-words");
  if (words) words.scrollTop = words.scrollHeight;
}

function say(details, text) {
  let line = details.querySelector("[data-thread-problem]");
  if (!line) {
    line = document.createElement("p");
    line.className = "errorlist";
    line.dataset.threadProblem = "";
    line.setAttribute("role", "alert");
    details.querySelector(".thread-say").before(line);
  }
  line.textContent = text;
}

let sending = false;
document.addEventListener(
  "submit",
  async (event) => {
    if (!event.target.matches("[data-thread-form]")) return;
    event.preventDefault();
    event.stopPropagation();
    if (sending) return;
    sending = true;
    await send(event.target);
    sending = false;
  },
  true,
);
