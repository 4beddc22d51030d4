/**
 * In what an answer is better: one row of choices for each criterion. Up and down go from row to row; of two answers,
 * left and right choose at once.
 */
import { onKeys } from "./keys.js";

const work = document.getElementById("work");
const panel = () => work.querySelector("[data-criteria]");
const rows = () => [...panel().querySelectorAll("[data-criterion]")];
const checked = (row) => row.querySelector("input:checked");
const isPair = () => panel().closest("form").dataset.comparison === "pair";

function say() {
  if (!panel()) return;
  const judged = rows().filter((row) => checked(row)?.value);
  const words = judged.map((row) => `${row.dataset.criterion}: ${checked(row).nextElementSibling.textContent.toLowerCase()}`);
  panel().querySelector("[data-criteria-said]").textContent = words.join(", ") || "optional";
}

function choose(row, value) {
  const input = row.querySelector(`input[value="${value}"]`);
  input.focus();
  if (input.checked) return;
  input.checked = true;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function goTo(row) {
  if (row) (checked(row) ?? row.querySelector("input")).focus();
}

onKeys({
  criteria: () => {
    if (!panel()) return false;
    panel().open = true;
    goTo(rows()[0]);
    return true;
  },
});

work.addEventListener("keydown", (event) => {
  const row = event.target.closest("[data-criterion]");
  if (!row || event.ctrlKey || event.altKey || event.metaKey) return;
  const place = rows().indexOf(row);
  const keys = {
    ArrowUp: () => goTo(rows()[place - 1]),
    ArrowDown: () => goTo(rows()[place + 1]),
    "=": () => choose(row, "equal"),
    Backspace: () => choose(row, ""),
    Escape: () => work.querySelector("[data-item-title]").focus({ preventScroll: true }),
  };
  if (isPair()) {
    keys.ArrowLeft = () => choose(row, "0");
    keys.ArrowRight = () => choose(row, "1");
  }
  if (Object.hasOwn(keys, event.key)) {
    event.preventDefault();
    keys[event.key]();
  } else if (event.key.startsWith("Arrow")) {
    event.stopPropagation(); // the browser goes along the row
  }
});

work.addEventListener("change", (event) => {
  if (event.target.closest("[data-criteria]")) say();
});
work.addEventListener("item:shown", say);
work.addEventListener("draft:restored", () => {
  say();
  if (panel() && rows().some((row) => checked(row)?.value)) panel().open = true;
});
say();
