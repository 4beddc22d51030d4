/**
 * Shortcuts: one listener for the page, maps of actions from each behaviour. Which key does what stands in #keys, as
 * the person has chosen. They rest while somebody types, with ctrl, alt or meta held, and under an open dialog; a person
 * can turn them off.
 */
const SETTING = "touchstone.keys";
const TYPING =
  "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=file], [type=submit], [type=button])";
const maps = [];
const actions = JSON.parse(document.getElementById("keys")?.textContent ?? "{}");

export const isTyping = (element) => element instanceof Element && element.matches(TYPING);

export const keysAreOn = () => localStorage.getItem(SETTING) !== "off";

export function setKeys(on) {
  localStorage.setItem(SETTING, on ? "on" : "off");
}

/**
 * `map` goes from an action's name (annotation/keys.py), or the name of a key that nobody can change, to what it does; a
 * function that returns false leaves the key to the browser.
 */
export function onKeys(map) {
  maps.push(map);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]") || !keysAreOn()) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const name = Object.hasOwn(actions, key) ? actions[key] : key;
  for (const map of maps) {
    if (Object.hasOwn(map, name) && map[name](event) !== false) {
      event.preventDefault();
      return;
    }
  }
});
