/**
 * An item that is said once, by a plain form: a reviewer's case, or a label of one's own to revise. Time spent, the keys
 * to submit and to skip, and the hold on a case while its page is open.
 */
import { close, open } from "./disclosure.js";
import { isTyping, onKeys } from "./keys.js";
import { hold } from "./lease.js";

const work = document.getElementById("work");
const item = () => work.querySelector("form[data-item]");
const HASTY = 250; // milliseconds in which Enter still belongs to the page before
const shownAt = performance.now();

let spent = Number(item().querySelector("[data-seconds]").value) * 1000 || 0;
let visibleSince = document.hidden ? null : performance.now();
let touched = false;

const elapsed = () => spent + (visibleSince === null ? 0 : performance.now() - visibleSince);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    spent = elapsed();
    visibleSince = null;
  } else {
    visibleSince = performance.now();
  }
});

// The last listener to hear of it: what is not ready has been stopped before.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.matches("form[data-item], #skip-form")) return;
  const field = form.querySelector("[data-seconds]");
  if (field) field.value = (elapsed() / 1000).toFixed(1);
  const sent = item();
  work.dispatchEvent(new CustomEvent("item:done", { detail: { assignment: sent.dataset.assignment } }));
  setTimeout(() => sent.removeAttribute("data-item")); // it is on its way: no draft and no farewell may overtake it
});

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
    if (!event.repeat && (touched || performance.now() - shownAt >= HASTY)) item()?.requestSubmit();
    return true;
  },
  skip: () => popup("[data-skip]"),
  comment: () => popup("[data-comment]"),
});

for (const kind of ["input", "change"]) {
  work.addEventListener(kind, (event) => {
    touched = true;
    if (event.target.name === "comment") work.querySelector("[data-comment-mark]").hidden = !event.target.value.trim();
  });
}

document.addEventListener("keydown", (event) => {
  if (!isTyping(event.target) || !work.contains(event.target) || event.isComposing) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    const details = event.target.closest("details[data-popover]");
    if (details) close(details);
    if (!event.repeat) item()?.requestSubmit();
  } else if (event.key === "Escape" && !event.defaultPrevented) {
    event.preventDefault();
    work.querySelector("[data-item-title]")?.focus({ preventScroll: true });
  }
});

if (item().dataset.draftUrl) {
  hold(
    () => [item()].filter(Boolean),
    () => touched,
  );
}
(work.querySelector("[data-form-errors]") ?? work.querySelector("[data-item-title]"))?.focus({ preventScroll: true });
