/** On the page of keys a field takes the key that is pressed in it. Tab and Escape stay what they are. */
const LEFT_ALONE = new Set(["Tab", "Escape", "Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Dead", "Process"]);

document.addEventListener("keydown", (event) => {
  if (!event.target.matches("[data-key]") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (LEFT_ALONE.has(event.key) || event.isComposing) return;
  event.preventDefault();
  const clears = event.key === "Backspace" || event.key === "Delete";
  event.target.value = clears ? "" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
});
