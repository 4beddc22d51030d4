/**
 * Cleaning a demonstration. The verdict follows the text: changed is an edit, unchanged is accepted, until the
 * person says otherwise.
 */
import { diff } from "./diff.js";
import { onKeys } from "./keys.js";
import { isMended } from "./mend.js";

const SETTING = "touchstone.changes";
const work = document.getElementById("work");
const form = () => work.querySelector("form.demonstration");
const part = (name) => form()?.querySelector(`[data-${name}]`);
const radio = (verdict) => form()?.querySelector(`[name=verdict][value=${verdict}]`);
const chosen = () => form()?.querySelector("[name=verdict]:checked")?.value;
const plain = (text) => text.replaceAll("\r\n", "\n").trim();
const count = (text) => text.match(/\S+/g)?.length ?? 0;
const inWords = (number) => `${number} ${number === 1 ? "word" : "words"}`;

let waiting = 0;

const original = () => (part("original") ? part("original").value : null);
const mended = () => [...work.querySelectorAll("[data-turn]")].some(isMended);
const changed = () => original() === null || plain(part("edit").value) !== plain(original()) || mended();

function setVerdict(verdict) {
  const input = radio(verdict);
  if (input) input.checked = true;
}

function refresh() {
  const edit = part("edit");
  if (!edit) return;
  const now = count(edit.value);
  part("words").textContent = now || original() !== null ? inWords(now) : "";
  if (original() !== null) {
    part("original-words").textContent = inWords(count(original()));
    part("restore").hidden = edit.value === original();
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(showChanges);
  }
  part("verdict-note").textContent = note();
}

function note() {
  const verdict = chosen();
  if (verdict === "accept" && changed()) return "The original is accepted; your changes are left out.";
  if (verdict === "reject") return changed() && original() !== null ? "The answer is left out, your changes too." : "The answer is left out.";
  if (verdict === "edit" && original() !== null && !changed()) return "Nothing is changed yet.";
  if (verdict === "edit" && !plain(part("edit").value)) return "Nothing is written yet.";
  return "";
}

function showChanges() {
  const panel = part("changes");
  if (!panel) return;
  panel.hidden = plain(part("edit").value) === plain(original()) || localStorage.getItem(SETTING) === "hidden";
  if (panel.hidden) return;
  const pieces = diff(original(), part("edit").value).map(([kind, text]) => {
    if (kind === "same") return document.createTextNode(text);
    const element = document.createElement(kind === "in" ? "ins" : "del");
    const end = text.trimEnd();
    element.textContent = end;
    const piece = document.createDocumentFragment();
    piece.append(element, text.slice(end.length) || " ");
    return piece;
  });
  part("changes-text").replaceChildren(...pieces);
}

function judge(verdict) {
  if (!radio(verdict)) return false;
  setVerdict(verdict);
  radio(verdict).dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

function startEditing() {
  const edit = part("edit");
  if (!edit) return false;
  edit.focus();
  return true;
}

onKeys({
  accept: () => judge("accept"),
  reject: () => judge("reject"),
  edit: startEditing,
  changes: () => {
    if (!part("changes")) return false;
    localStorage.setItem(SETTING, localStorage.getItem(SETTING) === "hidden" ? "shown" : "hidden");
    refresh();
    return true;
  },
  ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => [number, () => tick(number)])),
});

/** The digits tick the project's quality flags. */
function tick(number) {
  const box = form()?.querySelectorAll("[name=flags]")[number - 1];
  if (!box) return false;
  box.click();
  return true;
}

work.addEventListener("input", (event) => {
  if (!event.target.matches("[data-edit], [data-turn]")) return;
  setVerdict(changed() ? "edit" : "accept");
  refresh();
});

work.addEventListener("change", (event) => {
  if (event.target.matches("[name=verdict]")) refresh();
});

work.addEventListener("click", (event) => {
  if (event.target.matches("[name=verdict][value=edit]")) startEditing();
  if (event.target.closest("[data-restore]")) {
    part("edit").value = original();
    part("edit").dispatchEvent(new Event("input", { bubbles: true }));
    part("edit").focus();
  }
});

// "Edit" without an edit is what "accept" says.
work.addEventListener("focusout", (event) => {
  if (event.target.matches("[data-edit]") && chosen() === "edit" && !changed()) {
    setVerdict("accept");
    refresh();
  }
});

function begin() {
  if (!form()) return;
  if (!chosen()) setVerdict(changed() ? "edit" : "accept");
  refresh();
}

work.addEventListener("item:shown", begin);
begin();
