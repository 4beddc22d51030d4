/**
 * Reading two answers side by side: long ones scroll in boxes of their own, together; one key shows in what their words
 * differ, and that stays so in this browser.
 */
import { source } from "./best.js";
import { apart } from "./changes.js";
import { onKeys } from "./keys.js";

const SETTING = "touchstone.differences";
const LONG = 0.54; // of the window's height
const work = document.getElementById("work");
const form = () => work.querySelector('form[data-comparison="pair"]');
const toggle = () => form()?.querySelector("[data-differences-toggle]");
const wanted = () => localStorage.getItem(SETTING) === "shown";
const boxes = () => [...form().querySelectorAll(".answer-text:not([hidden])")];

function show() {
  if (!form()) return;
  const marked = wanted() ? apart(source(0), source(1)) : [];
  for (const place of [0, 1]) {
    const answer = form().querySelector(`[data-answer="${place}"]`);
    const differences = answer.querySelector("[data-answer-differences]");
    differences.replaceChildren(...(marked[place] ?? []));
    differences.hidden = !wanted();
    answer.querySelector("[data-answer-text]").hidden = wanted();
  }
  toggle().hidden = false;
  toggle().setAttribute("aria-pressed", String(wanted()));
  measure();
}

/** Whether an answer is so long that the two cannot be read beside each other. */
function measure() {
  const answers = form()?.querySelector("[data-answers]");
  if (!answers) return;
  answers.removeAttribute("data-long");
  const [left, right] = boxes();
  const beside = left.getBoundingClientRect().top === right.getBoundingClientRect().top;
  const long = beside && boxes().some((box) => box.scrollHeight > LONG * window.innerHeight);
  answers.toggleAttribute("data-long", long);
  for (const box of boxes()) {
    if (long) box.tabIndex = 0; // so that the keyboard can scroll it
    else box.removeAttribute("tabindex");
  }
}

let leader = null; // the box that the person scrolls; the other one follows

function follow(event) {
  const box = event.target;
  if (!(box instanceof Element) || !box.matches("[data-long] .answer-text") || (leader && leader !== box)) return;
  const other = boxes().find((one) => one !== box);
  const room = box.scrollHeight - box.clientHeight;
  leader = box;
  if (other && room > 0) other.scrollTop = (box.scrollTop / room) * (other.scrollHeight - other.clientHeight);
  clearTimeout(follow.timer);
  follow.timer = setTimeout(() => {
    leader = null;
  }, 120);
}

function flip() {
  localStorage.setItem(SETTING, wanted() ? "hidden" : "shown");
  show();
}

onKeys({
  differences: () => {
    if (!form()) return false;
    flip();
    return true;
  },
});

work.addEventListener("click", (event) => {
  if (event.target.closest("[data-differences-toggle]")) flip();
});
work.addEventListener("scroll", follow, true);
window.addEventListener("resize", measure);
work.addEventListener("item:shown", show);
show();
