/**
 * Ranking two answers. The radio buttons hold the state; keys and clicks only press them.
 */
import { onKeys } from "./keys.js";

const work = document.getElementById("work");
const form = () => work.querySelector("form.comparison");
const chosen = () => form()?.querySelector("[name=choice]:checked")?.value;
const strengths = () => [...form().querySelectorAll("[name=strength]")];
const isSide = (choice) => choice === "left" || choice === "right";
const usual = (levels) => levels[Math.ceil(levels.length * 0.6) - 1]; // of four the third, "better"

let before; // the choice before this one: a change of sides starts again at the usual strength

function refresh() {
  if (!form()) return;
  const choice = chosen();
  const levels = strengths();
  if (isSide(choice)) {
    const flipped = isSide(before) && before !== choice;
    if (levels.length && (flipped || !levels.some((level) => level.checked))) usual(levels).checked = true;
  }
  before = choice;
  const level = levels.find((one) => one.checked)?.dataset.level ?? "";
  for (const output of form().querySelectorAll("[data-strength-of]")) {
    output.value = output.dataset.strengthOf === choice ? level : "";
  }
  if (choice) hint("");
}

function hint(text) {
  const place = form().querySelector("[data-hint]");
  if (place.textContent !== text) place.textContent = text;
}

function press(radio) {
  if (!radio || radio.checked) return;
  radio.checked = true;
  radio.dispatchEvent(new Event("change", { bubbles: true }));
}

const choose = (value) => press(form().querySelector(`[name=choice][value=${value}]`));

function side(event, value) {
  if (!form() || event.target.matches("[name=strength]")) return false; // arrows move within the scale there
  if (chosen() !== value) {
    choose(value);
  } else if (!event.repeat) {
    const levels = strengths();
    press(levels[levels.findIndex((level) => level.checked) + 1]);
  }
  return true;
}

function tie(event) {
  const radio = form()?.querySelector("[name=choice][value=tie]");
  if (!radio) return false;
  if (event.key === "ArrowDown" && event.target.closest("[data-conversation], .guide-text, [name=strength]")) return false;
  press(radio);
  return true;
}

const keys = {
  left: (event) => side(event, "left"),
  right: (event) => side(event, "right"),
  tie,
  unacceptable: () => (form() ? choose("unacceptable") : false),
};
for (let number = 1; number <= 9; number += 1) {
  keys[number] = () => {
    const level = form() ? strengths()[number - 1] : null;
    if (!level) return false;
    press(level);
    return true;
  };
}
onKeys(keys);

work.addEventListener("change", refresh);
work.addEventListener("item:shown", () => {
  before = chosen();
  if (!form()) return;
  form().noValidate = true; // the hint below is kinder than the browser's bubble
  refresh();
});

// Clicking anywhere in an answer chooses it, unless the click was to select some of its text.
work.addEventListener("click", (event) => {
  const answer = event.target.closest(".answer");
  if (!answer || event.target.closest("label") || !document.getSelection().isCollapsed) return;
  choose(answer.dataset.side);
});

document.addEventListener(
  "submit",
  (event) => {
    if (event.target !== form() || chosen()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    hint("Choose the better answer first: ← or →.");
  },
  true,
);

if (form()) form().noValidate = true;
refresh();
