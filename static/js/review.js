/** What people said in a case: their edits as differences from the original, and taking one over. */
import { diff } from "./diff.js";
import { onKeys } from "./keys.js";

const work = document.getElementById("work");
const texts = new Map(); // by the element that shows it
const original = work.querySelector("[data-original]")?.value;

for (const place of work.querySelectorAll("[data-voice-text]")) {
  texts.set(place, place.textContent);
  if (original === undefined) continue;
  const pieces = diff(original, place.textContent).map(([kind, text]) => {
    if (kind === "same") return document.createTextNode(text);
    const element = document.createElement(kind === "in" ? "ins" : "del");
    element.textContent = text.trimEnd();
    const piece = document.createDocumentFragment();
    piece.append(element, text.slice(text.trimEnd().length) || " ");
    return piece;
  });
  place.replaceChildren(...pieces);
}

function take(link) {
  const edit = work.querySelector("[data-edit]");
  if (!link || !edit) return false;
  edit.value = texts.get(link.closest(".voice").querySelector("[data-voice-text]"));
  edit.dispatchEvent(new Event("input", { bubbles: true }));
  edit.scrollIntoView({ block: "nearest" });
  return true;
}

work.addEventListener("click", (event) => {
  const link = event.target.closest("[data-take]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (take(link)) event.preventDefault();
});

const voices = [...work.querySelectorAll(".voice")];
const digits = Object.fromEntries(
  voices.slice(0, 9).map((voice, place) => [String(place + 1), () => take(voice.querySelector("[data-take]"))]),
);
if (work.querySelector("[data-take]")) onKeys(digits);
