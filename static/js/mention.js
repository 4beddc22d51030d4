/**
 * Members are offered while somebody writes an @ in a field with `data-mentions`, which names the list of them. Arrows
 * choose, Enter or Tab takes, Escape closes the list alone; the field says to screen readers what is chosen. Without
 * this script names are typed.
 */
const MOST = 6;
const BEGUN = /(?<![\p{L}\p{N}_.@+/\\=#%?&~-])[@＠]([\p{L}\p{N}_.@+-]*)$/u; // as in annotation/mentions.py

const listOf = (field) => document.getElementById(field.dataset.mentions);
const fieldOf = (list) => list.parentElement.querySelector(`[data-mentions="${list.id}"]`);
const offered = (list) => [...list.querySelectorAll("[role=option]:not([hidden])")];
const chosen = (list) => list.querySelector("[aria-selected=true]");

function written(field) {
  const before = field.value.slice(0, field.selectionStart);
  return field.selectionStart === field.selectionEnd ? BEGUN.exec(before) : null;
}

function choose(field, list, option) {
  chosen(list)?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
}

function close(field, list) {
  choose(field, list, null);
  list.hidden = true;
  field.setAttribute("aria-expanded", "false");
}

function offer(field) {
  const list = listOf(field);
  const begun = written(field)?.[1].toLocaleLowerCase();
  let left = MOST;
  let whole = false;
  for (const option of list.children) {
    const name = option.textContent.toLocaleLowerCase();
    const fits = begun !== undefined && left > 0 && name.startsWith(begun);
    option.hidden = !fits;
    if (fits) left -= 1;
    whole ||= name === begun;
  }
  const found = offered(list);
  if (!found.length || (whole && found.length === 1)) {
    close(field, list); // nothing to add to what stands there
    return;
  }
  list.hidden = false;
  field.setAttribute("aria-expanded", "true");
  choose(field, list, found[0]);
}

function take(field, list, option) {
  const begun = written(field);
  if (begun) {
    const end = field.selectionStart;
    const space = field.value[end] === " " ? "" : " ";
    field.setRangeText(`@${option.textContent}${space}`, begun.index, end, "end");
  }
  close(field, list);
}

document.addEventListener("focusin", ({ target }) => {
  if (!target.matches("[data-mentions]") || target.hasAttribute("role")) return;
  target.setAttribute("role", "combobox");
  target.setAttribute("aria-autocomplete", "list");
  target.setAttribute("aria-controls", target.dataset.mentions);
  target.setAttribute("aria-expanded", "false");
});

document.addEventListener("focusout", ({ target }) => {
  if (target.matches("[data-mentions]")) close(target, listOf(target));
});

document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-mentions]")) offer(target);
});

// Before anybody else hears of a key: Escape would close the form around it, and Enter send it.
document.addEventListener(
  "keydown",
  (event) => {
    const field = event.target;
    if (!(field instanceof Element) || !field.matches("[data-mentions]") || event.isComposing) return;
    const list = listOf(field);
    if (list.hidden || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const found = offered(list);
    const place = found.indexOf(chosen(list));
    const count = found.length;
    const move = { ArrowDown: (place + 1) % count, ArrowUp: (place + count - 1) % count }[event.key];
    if (move !== undefined) choose(field, list, found[move]);
    else if (event.key === "Enter" || event.key === "Tab") take(field, list, found[place]);
    else if (event.key === "Escape") close(field, list);
    else {
      if (event.key.length > 1) close(field, list); // the caret may go elsewhere; who deletes is offered names anew
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);

document.addEventListener("mousedown", (event) => {
  const option = event.target.closest("[role=option]");
  const field = option && fieldOf(option.parentElement);
  if (!field) return;
  event.preventDefault(); // the field keeps the focus
  take(field, option.parentElement, option);
});
