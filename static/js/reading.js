/** What stands where an item would: guidelines to read (the key that submits goes on). And word of gold, which closes. */
import { onKeys } from "./keys.js";

const HASTY = 600; // milliseconds
const work = document.getElementById("work");
let shownAt = 0;

onKeys({
  submit(event) {
    const reading = work.querySelector("[data-reading]");
    if (!reading || event.target.closest("a[href], button, summary")) return false;
    // The key that submitted the item before, held down or pressed twice, is no word that this was read.
    if (!event.repeat && performance.now() - shownAt > HASTY) reading.requestSubmit();
    return true;
  },
});

work.addEventListener("item:shown", () => {
  shownAt = performance.now();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-dismiss]")) {
    event.preventDefault();
    form.closest("[data-feedback]").remove();
    work.querySelector("[data-item-title]")?.focus({ preventScroll: true });
  } else if (form.matches("[data-reading]")) {
    // What stands beside the work is from now on what was read.
    const text = work.querySelector("[data-guidelines-text]");
    document.querySelector("#guide .guide-text").replaceChildren(...[...text.childNodes].map((node) => node.cloneNode(true)));
  }
});
