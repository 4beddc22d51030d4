/**
 * <details data-popover>: a menu or a small form that pops up. Opening one closes the others and goes to its
 * first field; Escape or a click elsewhere closes it. Without this script it is a plain <details>.
 */
const OPEN = "details[data-popover][open]";

export function close(details) {
  const within = details.contains(document.activeElement);
  details.open = false;
  if (!within) return;
  document.activeElement.blur();
  const back = details.dataset.openedByKeyboard ? details.querySelector("summary") : null;
  (back ?? document.querySelector("[data-item-title]"))?.focus({ preventScroll: true });
}

const enter = (details) => details.querySelector("input:not([type=hidden]), textarea")?.focus({ preventScroll: true });

export function open(details) {
  details.open = true;
  enter(details); // at once: "toggle" comes too late for somebody who types on
}

document.addEventListener(
  "toggle",
  (event) => {
    const details = event.target;
    if (!(details instanceof Element) || !details.matches("details[data-popover]") || !details.open) return;
    for (const other of document.querySelectorAll(OPEN)) {
      if (other !== details) other.open = false;
    }
    for (const button of details.querySelectorAll("[data-popover-close]")) button.hidden = false;
    if (!details.contains(document.activeElement) || document.activeElement.matches("summary")) enter(details);
  },
  true,
);

document.addEventListener("click", (event) => {
  const summary = event.target.closest("details[data-popover] > summary");
  if (summary) {
    // `detail` counts a pointer's clicks; it is 0 when the keyboard opened it, and focus then returns here.
    const details = summary.parentElement;
    details.dataset.openedByKeyboard = event.detail === 0 ? "yes" : "";
    if (!details.open) {
      event.preventDefault(); // it would open only after this, and a space typed on at once would close it again
      open(details);
    }
    return;
  }
  const closing = event.target.closest("[data-popover-close]");
  for (const details of document.querySelectorAll(OPEN)) {
    if (closing ? details.contains(closing) : !details.contains(event.target)) close(details);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing) return;
  const details = document.querySelector(OPEN);
  if (!details) return;
  event.preventDefault();
  close(details);
});
