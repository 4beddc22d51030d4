/** The guidelines beside the work: opened and closed by key or button, and remembered. */
import { onKeys } from "./keys.js";

const SETTING = "touchstone.guide";
const roomy = window.matchMedia("(width >= 78rem)");
const guide = document.querySelector("[data-guide]");
const work = document.getElementById("work");

function show(open) {
  guide.hidden = !open;
  for (const button of work.querySelectorAll("[data-guide-toggle]")) {
    button.setAttribute("role", "button");
    button.setAttribute("aria-controls", guide.id);
    button.setAttribute("aria-expanded", String(open));
  }
}

function toggle() {
  const open = guide.hidden;
  localStorage.setItem(SETTING, open ? "open" : "closed");
  show(open);
  if (open && !roomy.matches) guide.querySelector("[data-guide-close]").focus();
  else if (!open && (guide.contains(document.activeElement) || document.activeElement === document.body)) {
    work.querySelector("[data-item-title]")?.focus({ preventScroll: true });
  }
}

onKeys({ guidelines: toggle });

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-guide-toggle], [data-guide-close]");
  if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (event.detail > 0) button.blur(); // so that Enter goes to the item and not to the button again
  toggle();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && guide.contains(document.activeElement)) toggle();
});

work.addEventListener("item:shown", () => show(!guide.hidden));

// They do not open by themselves on a small screen, where they cover the work, nor when there is nothing to read or do.
show(roomy.matches && localStorage.getItem(SETTING) !== "closed" && !("guideWaits" in guide.dataset));
