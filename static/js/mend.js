/**
 * Mending earlier turns of the assistant: each is a text area in a <details>, open while it is worked on; what was changed
 * is shown in its place. A changed turn makes the label an edit (demonstration.js).
 */
import { changes } from "./changes.js";
import { onKeys } from "./keys.js";

const work = document.getElementById("work");
const turns = () => [...work.querySelectorAll("[data-turn]")];
const part = (field, name) => field.closest(".turn-words").querySelector(`[data-turn-${name}]`);

export const isMended = (field) => field.value.trim() !== field.dataset.original.trim();

function refresh(field) {
  const mended = isMended(field);
  part(field, "restore").hidden = !mended;
  const shown = part(field, "changes");
  shown.hidden = !mended;
  if (mended) shown.replaceChildren(...changes(field.dataset.original, field.value));
}

/** The last turn first; again for the one before it. */
function next(event) {
  const fields = turns();
  if (!fields.length) return false;
  const from = fields.findIndex((field) => field.closest("[data-mend]").open && !isMended(field));
  const field = fields.at(from > 0 ? from - 1 : -1);
  if (from >= 0 && from !== fields.indexOf(field)) fields[from].closest("[data-mend]").open = false;
  field.closest("[data-mend]").open = true;
  field.focus();
  field.scrollIntoView({ block: "nearest", behavior: "instant" });
  return !event.repeat;
}

onKeys({ mend: next });

work.addEventListener("input", (event) => {
  if (event.target.matches("[data-turn]")) refresh(event.target);
});

work.addEventListener("click", (event) => {
  if (!event.target.closest("[data-turn-restore]")) return;
  const field = event.target.closest(".mend-field").querySelector("[data-turn]");
  field.value = field.dataset.original;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});

work.addEventListener(
  "toggle",
  (event) => {
    const details = event.target;
    if (details.matches?.("[data-mend]") && details.open && details.contains(document.activeElement)) {
      details.querySelector("textarea").focus();
    }
  },
  true,
);

function begin() {
  for (const field of turns()) refresh(field);
}

work.addEventListener("item:shown", begin);
begin();
