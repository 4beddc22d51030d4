/**
 * Ranking more than two answers. The select in each answer's head holds its rank; keys, buttons and dragging on the
 * board only change those. `order.js` knows what a move does to the ranks.
 */
import { hint, holdBack, setBest, stronger, usualStrength } from "./best.js";
import { dragging } from "./dragging.js";
import { onKeys } from "./keys.js";
import { give, insert, join, move, tie, tiers, waiting } from "./order.js";

const work = document.getElementById("work");
const form = () => work.querySelector('form[data-comparison="list"]');
const board = () => form()?.querySelector("[data-board]");
const answers = () => [...form().querySelectorAll("[data-answer]")];
const selects = () => [...form().querySelectorAll("[data-rank]")];
const name = (place) => answers()[place].dataset.name;
const bad = () => answers().map((answer) => answer.querySelector("[data-unacceptable]").checked);
const ranks = () => selects().map((select) => Number(select.value));
const tiesAllowed = () => board().hasAttribute("data-ties");

let at = 0; // the place of the answer that keys are about

const list = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? ""));

function write(next) {
  if (!next) return false;
  const before = ranks();
  selects().forEach((select, place) => {
    select.value = next[place] ? String(next[place]) : "";
  });
  const changed = selects().filter((select, place) => Number(select.value) !== before[place]);
  for (const select of changed) select.dispatchEvent(new Event("change", { bubbles: true }));
  if (changed.length) announce();
  return true;
}

function announce() {
  const order = tiers(ranks()).map((tier) => (tier.length > 1 ? `${list(tier.map(name))} tied` : name(tier[0])));
  const left = waiting(ranks()).map(name);
  form().querySelector("[data-ranking-said]").textContent =
    `Order: ${order.join(", then ")}.${left.length ? ` Not ranked yet: ${list(left)}.` : ""}`;
}

/** Why the ranks cannot be sent as they are; empty if they can. */
function problem() {
  const left = waiting(ranks()).map(name);
  if (left.length) return `Rank every answer first: ${list(left)} ${left.length > 1 ? "have" : "has"} no rank yet.`;
  if (!ranks().includes(1)) return "Which answer is best? Give one of them rank 1.";
  return conflict();
}

function conflict() {
  const marks = bad();
  const all = ranks();
  for (const [place, rank] of all.entries()) {
    if (!marks[place] || !rank) continue;
    const below = all.findIndex((other, one) => other > rank && !marks[one]);
    if (below >= 0) return `${name(place)} is marked unacceptable and stands above ${name(below)}: rank it lower, or unmark it.`;
  }
  return "";
}

function chip(place, rank) {
  const made = form().querySelector("[data-chip-template]").content.cloneNode(true).firstElementChild;
  const says = answers()[place].querySelector("[data-answer-source]").value.replaceAll(/\s+/g, " ").trim();
  made.dataset.chip = place;
  made.toggleAttribute("data-bad", bad()[place]);
  made.querySelector("[data-chip-letter]").textContent = name(place);
  made.querySelector("[data-chip-text]").textContent = says.slice(0, 80);
  made.querySelector("[data-grip]").setAttribute("aria-label", `Answer ${name(place)}${rank ? `, rank ${rank}` : ""}: read it`);
  made.querySelector("[data-move=up]").setAttribute("aria-label", rank ? `Move ${name(place)} up` : `Rank ${name(place)} next`);
  made.querySelector("[data-move=down]").setAttribute("aria-label", `Move ${name(place)} down`);
  made.querySelector("[data-move=down]").hidden = !rank;
  return made;
}

function row(places, rank) {
  const made = document.createElement("li");
  made.className = rank ? "tier" : "tier tier--waiting";
  if (rank) made.dataset.tier = rank;
  made.append(...places.map((place) => chip(place, rank)));
  return made;
}

function refresh() {
  if (!form()) return;
  const all = ranks();
  const left = waiting(all);
  const focused = document.activeElement?.closest("[data-chip]");
  const kept = focused && [focused.dataset.chip, document.activeElement.dataset.move];
  board().hidden = false;
  board()
    .querySelector("[data-tiers]")
    .replaceChildren(...tiers(all).map((tier) => row(tier, all[tier[0]])));
  board()
    .querySelector("[data-waiting]")
    .replaceChildren(...left.map((place) => row([place], 0)));
  board().querySelector("[data-waiting-title]").hidden = !left.length;
  board().querySelector("[data-board-count]").textContent = left.length ? `${all.length - left.length} of ${all.length}` : "";
  if (kept) {
    const again = board().querySelector(`[data-chip="${kept[0]}"]`);
    const button = again.querySelector(`[data-move="${kept[1]}"]:not([hidden])`) ?? again.querySelector("[data-grip]");
    button.focus({ preventScroll: true });
  }
  const first = all.flatMap((rank, place) => (rank === 1 ? [place] : []));
  const single = first.length === 1 && !left.length;
  if (single) usualStrength();
  setBest(first.length === 1 ? String(first[0]) : "");
  form().toggleAttribute("data-no-best", !single);
  hint(conflict());
  current(at);
}

function current(place) {
  at = place;
  for (const element of form().querySelectorAll("[data-answer], [data-chip]")) {
    element.toggleAttribute("data-current", Number(element.dataset.answer ?? element.dataset.chip) === place);
  }
}

function goTo(place) {
  current(place);
  answers()[place].focus({ preventScroll: true });
  answers()[place].scrollIntoView({ block: "nearest" });
}

/** Give the current answer a rank and go on to the next that has none. */
function giveRank(number) {
  if (!form() || number > answers().length) return false;
  write(give(ranks(), at, number, tiesAllowed()));
  const left = waiting(ranks());
  if (left.length) goTo(left.find((place) => place > at) ?? left[0]);
  return true;
}

function step(event, by) {
  if (!form() || event.target.closest("[data-conversation], .guide-text, [name=strength]")) return false;
  if (event.shiftKey) {
    const moved = write(move(ranks(), at, by));
    if (!moved) hint(by < 0 ? `${name(at)} is first already.` : `There is nothing to move ${name(at)} below.`);
  } else {
    goTo((at + by + answers().length) % answers().length);
  }
  return true;
}

function tieWithAbove() {
  if (!form()) return false;
  const marks = bad();
  const next = tie(ranks(), at);
  const together = next && next.flatMap((one, place) => (one === next[at] ? [place] : []));
  if (!next) hint(`Nothing stands above ${name(at)} that it could be tied with.`);
  else if (!tiesAllowed() && together.some((place) => !marks[place])) hint("This project allows no ties.");
  else write(next);
  return true;
}

const keys = {
  next_answer: (event) => step(event, 1),
  previous_answer: (event) => step(event, -1),
  ArrowDown: (event) => step(event, 1), // for those who have given "tie" another key
  ArrowUp: (event) => step(event, -1),
  tie: (event) => (event.key === "ArrowDown" ? step(event, 1) : tieWithAbove()),
  stronger: () => {
    if (!form()) return false;
    stronger({ around: true });
    return true;
  },
  unacceptable: () => {
    if (!form()) return false;
    answers()[at].querySelector("[data-unacceptable]").click();
    return true;
  },
};
for (let number = 1; number <= 8; number += 1) keys[number] = () => giveRank(number);
onKeys(keys);

work.addEventListener("change", (event) => {
  if (form() && event.target.matches("[data-rank], [data-unacceptable]")) refresh();
});

work.addEventListener("focusin", (event) => {
  const answer = form() && event.target.closest("[data-answer], [data-chip]");
  if (answer) current(Number(answer.dataset.answer ?? answer.dataset.chip));
});

work.addEventListener("click", (event) => {
  const answer = form() && event.target.closest("[data-answer]");
  if (answer) current(Number(answer.dataset.answer));
  const shown = event.target.closest("[data-chip]");
  if (!form() || !shown) return;
  const place = Number(shown.dataset.chip);
  const button = event.target.closest("[data-move]");
  current(place);
  if (button) write(move(ranks(), place, button.dataset.move === "up" ? -1 : 1));
  else answers()[place].scrollIntoView({ block: "nearest" });
});

dragging(work, {
  ties: () => tiesAllowed(),
  drop(place, where, rank) {
    current(place);
    if (where === "waiting") write(ranks().map((one, other) => (other === place ? 0 : one)));
    else if (where === "into") write(join(ranks(), place, rank));
    else write(insert(ranks(), place, where, rank));
  },
});

holdBack(form, problem);

function begin() {
  at = 0;
  if (!form()) return;
  form().noValidate = true;
  refresh();
}

work.addEventListener("item:shown", begin);
work.addEventListener("draft:restored", begin);
begin();
