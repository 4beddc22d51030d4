/**
 * Ticking findings: a whole page at once, a stretch of it with the shift key, one after the other with the arrow keys. And
 * where a finding is about two texts, the words that they do not share are marked.
 */
import { apart } from "./changes.js";

const form = document.querySelector("[data-decide]");
const ticks = () => [...document.querySelectorAll(".finding-tick")];
let last = null;

function show() {
  const ticked = ticks().filter((tick) => tick.checked).length;
  const all = form.querySelector("[data-tick-all]");
  form.querySelector("[data-ticked]").textContent = all.checked || !ticked ? "" : `${ticked} ticked`;
  const page = form.querySelector("[data-tick-page] input");
  page.checked = ticked > 0 && ticked === ticks().length;
  page.indeterminate = ticked > 0 && !page.checked;
}

function stretch(to) {
  const list = ticks();
  const [one, other] = [list.indexOf(last), list.indexOf(to)];
  for (const tick of list.slice(Math.min(one, other), Math.max(one, other) + 1)) tick.checked = to.checked;
}

if (form) {
  form.querySelector("[data-tick-page]").hidden = false;
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-tick-page] input")) {
      for (const tick of ticks()) tick.checked = event.target.checked;
    }
    show();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.matches(".finding-tick")) return;
    if (event.shiftKey && last && last !== event.target) stretch(event.target);
    last = event.target;
    show();
  });
  document.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches(".finding-tick")) return;
    const next = ticks()[ticks().indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.closest("[data-finding]").scrollIntoView({ block: "center", behavior: "instant" });
  });
  show();
}

for (const twins of document.querySelectorAll("[data-twins]")) {
  const [left, right] = twins.querySelectorAll(".found");
  const marked = apart(left.textContent, right.textContent);
  left.replaceChildren(...marked[0]);
  right.replaceChildren(...marked[1]);
}
