/**
 * Judging two answers. The form's fields hold the state; keys and clicks only press them.
 */
import { hint, holdBack, press, setBest, stronger, usualStrength } from "./best.js";
import { onKeys } from "./keys.js";

const work = document.getElementById("work");
const form = () => work.querySelector('form[data-comparison="pair"]');
const chosen = () => form()?.querySelector("[name=choice]:checked")?.value;
const isSide = (choice) => choice === "left" || choice === "right";
const marks = () => [...form().querySelectorAll("[data-unacceptable]")];
const SIDES = ["left", "right"];

let before; // the choice before this one: a change of sides starts again at the usual strength

function refresh() {
  if (!form()) return;
  const choice = chosen();
  if (isSide(choice)) usualStrength({ again: isSide(before) && before !== choice });
  if (choice !== before && (choice === "unacceptable" || before === "unacceptable")) {
    for (const box of marks()) box.checked = choice === "unacceptable";
  }
  before = choice;
  const level = form().querySelector("[name=strength]:checked")?.dataset.level ?? "";
  for (const output of form().querySelectorAll("[data-strength-of]")) {
    output.value = output.dataset.strengthOf === choice ? level : "";
  }
  setBest(isSide(choice) ? String(SIDES.indexOf(choice)) : "");
  hint(choice ? conflict() : "");
}

/** Why the marks and the choice do not fit together; empty if they do. */
function conflict() {
  const [left, right] = marks().map((box) => box.checked);
  const choice = chosen();
  if (choice === "left" && left && !right) return "The left answer is marked unacceptable: choose the right one, or unmark it.";
  if (choice === "right" && right && !left) return "The right answer is marked unacceptable: choose the left one, or unmark it.";
  return "";
}

const choose = (value) => press(form().querySelector(`[name=choice][value=${value}]`));

function side(event, value) {
  if (!form() || event.target.matches("[name=strength]")) return false; // arrows move within the scale there
  if (chosen() !== value) choose(value);
  else if (!event.repeat) stronger();
  return true;
}

function tie(event) {
  const radio = form()?.querySelector("[name=choice][value=tie]");
  if (!radio) return false;
  if (event.key === "ArrowDown" && event.target.closest("[data-conversation], [data-answer-text], .guide-text, [name=strength]")) {
    return false;
  }
  press(radio);
  return true;
}

function mark(place) {
  if (!form()) return false;
  marks()[place].click();
  return true;
}

/** Of two answers one of which will not do, the other is better, unless the person says otherwise. */
function marked(box) {
  const [left, right] = marks().map((one) => one.checked);
  if (chosen() === "unacceptable" && left !== right) {
    before = undefined; // the mark that is left stays
    choose(left ? "right" : "left");
  } else if (box.checked && left !== right && !chosen()) {
    choose(left ? "right" : "left");
  }
}

const keys = {
  left: (event) => side(event, "left"),
  right: (event) => side(event, "right"),
  tie,
  unacceptable: () => (form() ? choose("unacceptable") : false),
  left_unacceptable: () => mark(0),
  right_unacceptable: () => mark(1),
};
for (let number = 1; number <= 9; number += 1) {
  keys[number] = () => {
    const level = form()?.querySelectorAll("[name=strength]")[number - 1];
    if (!level) return false;
    press(level);
    return true;
  };
}
onKeys(keys);

work.addEventListener("change", (event) => {
  if (!form()) return;
  if (event.target.matches("[data-unacceptable]")) marked(event.target);
  refresh();
});

// Clicking anywhere in an answer chooses it, unless the click was to select some of its text.
work.addEventListener("click", (event) => {
  const answer = form() && event.target.closest(".answer");
  if (!answer || event.target.closest("label") || !document.getSelection().isCollapsed) return;
  choose(answer.dataset.side);
});

holdBack(form, () => (chosen() ? conflict() : "Choose the better answer first: ← or →."));

function begin() {
  before = chosen();
  if (!form()) return;
  form().noValidate = true; // the hint is kinder than the browser's bubble
  refresh();
}

work.addEventListener("item:shown", begin);
work.addEventListener("draft:restored", begin);
begin();
