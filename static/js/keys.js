/**
 * Shortcuts: one listener for the page, maps of keys from each behaviour.
 * They rest while somebody types, with ctrl, alt or meta held, and under an open dialog; a person can turn them off.
 */
const SETTING = "touchstone.keys";
const TYPING =
  "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=file], [type=submit], [type=button])";
const maps = [];

export const isTyping = (element) => element instanceof Element && element.matches(TYPING);

export const keysAreOn = () => localStorage.getItem(SETTING) !== "off";

export function setKeys(on) {
  localStorage.setItem(SETTING, on ? "on" : "off");
}

/** `map` goes from a key's name to what it does; a function that returns false leaves the key to the browser. */
export function onKeys(map) {
  maps.push(map);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]") || !keysAreOn()) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  for (const map of maps) {
    if (Object.hasOwn(map, key) && map[key](event) !== false) {
      event.preventDefault();
      return;
    }
  }
});
