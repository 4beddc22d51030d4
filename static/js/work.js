/**
 * The life of an item on the labelling pages: time spent, submitting, what happens when a submit fails, and
 * going on to the next one that came back in the same answer.
 */
import { csrfToken } from "./csrf.js";
import { close, open } from "./disclosure.js";
import { isTyping, onKeys } from "./keys.js";

const work = document.getElementById("work");
const announcement = document.getElementById("announcement");
const HASTY = 250; // milliseconds in which Enter still belongs to the item before

let spent = 0; // milliseconds on this item while the page was visible
let visibleSince = null;
let shownAt = 0;
let touched = false;
let failed = null; // the form whose submit did not come through

const item = () => work.querySelector("form[data-item]");

function elapsed() {
  return spent + (visibleSince === null ? 0 : performance.now() - visibleSince);
}

function begin() {
  const seconds = Number(item()?.querySelector("[data-seconds]").value);
  spent = Number.isFinite(seconds) ? seconds * 1000 : 0;
  visibleSince = document.hidden ? null : performance.now();
  shownAt = performance.now();
  touched = false;
  failed = null;
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

work.addEventListener("htmx:afterSwap", (event) => {
  begin();
  if (event.detail.xhr.status === 422) {
    work.querySelector("[data-form-errors]")?.focus();
    return;
  }
  const title = work.querySelector("[data-item-title]");
  title?.focus({ preventScroll: true });
  if (window.scrollY > work.offsetTop) window.scrollTo({ top: work.offsetTop, behavior: "instant" });
  const progress = work.querySelector("[data-progress]")?.dataset.progress;
  say(progress ? `Next item. ${progress}.` : (title?.textContent.trim() ?? ""));
});

work.addEventListener("htmx:configRequest", (event) => {
  const form = event.target;
  if (form.matches("form")) event.detail.parameters.csrfmiddlewaretoken = csrfToken(form);
});

// The field is filled before htmx reads the form, and before a plain submit too.
document.addEventListener(
  "submit",
  (event) => {
    const field = event.target.querySelector("[data-seconds]");
    if (field) field.value = (elapsed() / 1000).toFixed(1);
  },
  true,
);

function problem(form, title, text) {
  failed = form;
  const banner = work.querySelector("[data-save-problem]");
  if (!banner) return;
  banner.querySelector("[data-save-problem-title]").textContent = title;
  banner.querySelector("[data-save-problem-text]").textContent = text;
  banner.hidden = false;
  banner.scrollIntoView({ block: "nearest" });
  banner.querySelector("[data-retry]").focus({ preventScroll: true });
}

const KEPT = "What you said is kept on this page.";
for (const name of ["htmx:sendError", "htmx:timeout"]) {
  work.addEventListener(name, (event) => {
    problem(event.detail.elt, "This could not be saved.", `The server did not answer. ${KEPT}`);
  });
}

work.addEventListener("htmx:responseError", (event) => {
  const { elt, xhr } = event.detail;
  const reason =
    xhr.status === 403 ? "The server refused it. If you are signed out, sign in in another tab, then try again." : "Something broke on the server.";
  problem(elt, "This could not be saved.", `${reason} ${KEPT} (${xhr.status})`);
});

work.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  if (!event.detail.shouldSwap || xhr.responseText.includes("data-item-title")) return;
  // A page that is no item: the session has ended, and the sign-in page came back in its place.
  event.detail.shouldSwap = false;
  problem(requestConfig.elt, "You are signed out.", `Sign in in another tab, then try again. ${KEPT}`);
});

work.addEventListener("htmx:beforeRequest", () => {
  const banner = work.querySelector("[data-save-problem]");
  if (banner) banner.hidden = true;
  failed = null;
});

function retry() {
  failed?.requestSubmit();
}

work.addEventListener("click", (event) => {
  if (event.target.closest("[data-retry]")) retry();
});
window.addEventListener("online", retry);

work.addEventListener("input", (event) => {
  touched = true;
  if (event.target.name === "comment") {
    work.querySelector("[data-comment-mark]").hidden = !event.target.value.trim();
  }
});

work.addEventListener("change", () => {
  touched = true;
});

function submit() {
  item()?.requestSubmit();
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

begin();
