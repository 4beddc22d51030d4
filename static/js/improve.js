/**
 * Making the best answer better. The editor begins with the answer that is best now; an edit stays with the answer it
 * was made of, and one that changes nothing is not sent.
 */
import { answer, best, comparison, hint, holdBack, source } from "./best.js";
import { changes } from "./changes.js";
import { onKeys } from "./keys.js";

const work = document.getElementById("work");
const panel = () => work.querySelector("[data-improve]");
const part = (name) => panel().querySelector(`[data-improve-${name}]`);
const plain = (text) => text.replaceAll("\r\n", "\n").trim();
const original = () => source(part("of").value);
const isEdited = () => Boolean(plain(part("text").value)) && plain(part("text").value) !== plain(original());
const named = (place) => (answer(place).dataset.side ? `the ${answer(place).dataset.side} answer` : `answer ${answer(place).dataset.name}`);

let waiting = 0;

/** Take the best answer into the editor, unless an edit is in it. */
function fill() {
  if (!part("of").value && plain(part("text").value)) part("of").value = best();
  if (isEdited() || part("of").value === best()) return;
  part("of").value = best();
  part("text").value = panel().open ? original() : "";
}

function refresh() {
  if (!panel()) return;
  if (part("of").value && !part("text").value && !panel().open) part("of").value = "";
  const of = part("of").value;
  const edited = of !== "" && isEdited();
  part("text").readOnly = of === "" && best() === "";
  part("state").textContent = edited ? `${named(of)} is edited${of === best() ? "" : ", and is not the best one now"}` : "optional";
  part("label").textContent = of ? `Your edit of ${named(of)}` : "Choose the one best answer first; then you can edit it here.";
  part("drop").hidden = !edited;
  part("changes").hidden = !edited;
  cancelAnimationFrame(waiting);
  if (edited) waiting = requestAnimationFrame(() => part("changes").replaceChildren(...changes(original(), part("text").value)));
}

const lost = () => `You edited ${named(part("of").value)}, which is not the best one now: rank it best, or drop the edit.`;

function start() {
  if (!panel()) return false;
  if (!best()) {
    hint("Choose the better answer first; then you can edit it.");
    return true;
  }
  panel().open = true;
  if (!plain(part("text").value)) part("of").value = "";
  fill();
  if (!part("text").value) part("text").value = original();
  refresh();
  part("text").focus();
  return true;
}

function drop() {
  part("text").value = best() ? source(best()) : "";
  part("of").value = best();
  part("text").dispatchEvent(new Event("input", { bubbles: true }));
  part("text").focus();
}

onKeys({ improve: start });

work.addEventListener("input", (event) => {
  if (!event.target.matches("[data-improve-text]")) return;
  if (!part("of").value) part("of").value = best();
  if (isEdited()) panel().open = true;
  refresh();
});
work.addEventListener("click", (event) => {
  if (event.target.closest("[data-improve-drop]")) drop();
  const summary = event.target.closest("[data-improve] > summary");
  if (!summary || panel().open) return;
  event.preventDefault(); // opened by `start`, which fills it
  start();
});
work.addEventListener("best", () => {
  if (!panel()) return;
  fill();
  refresh();
});

// What changes nothing is no edit.
document.addEventListener(
  "submit",
  (event) => {
    if (event.target !== comparison() || !panel() || isEdited()) return;
    part("text").value = "";
    part("of").value = "";
  },
  true,
);
holdBack(comparison, () => (panel() && isEdited() && part("of").value !== best() ? lost() : ""));

function begin() {
  if (!panel()) return;
  fill();
  if (isEdited()) panel().open = true;
  refresh();
}

work.addEventListener("item:shown", begin);
work.addEventListener("draft:restored", begin);
begin();
