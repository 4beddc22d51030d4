/** What the scripts of a comparison tell each other: which answer is the one best, what it says, and a word in time. */
const work = document.getElementById("work");

export const comparison = () => work.querySelector("form[data-comparison]");

/** The place of the one best answer, as text; empty while there is none. */
export const best = () => comparison()?.dataset.best ?? "";

/** Tells everybody who listens for "best" when another answer is the best. */
export function setBest(place) {
  const form = comparison();
  if (form.dataset.best === place) return;
  form.dataset.best = place;
  form.dispatchEvent(new CustomEvent("best", { bubbles: true }));
}

export const answer = (place) => comparison()?.querySelector(`[data-answer="${place}"]`) ?? null;
export const source = (place) => answer(place)?.querySelector("[data-answer-source]").value ?? "";

export function hint(text) {
  const shown = comparison()?.querySelector("[data-hint]");
  if (shown && shown.textContent !== text) shown.textContent = text;
}

/** Check a button as a person would. */
export function press(input) {
  if (!input || input.checked) return;
  input.checked = true;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

const levels = () => [...comparison().querySelectorAll("[name=strength]")];

/** The usual strength, of four the third, "better", unless there is one already (or `again`). */
export function usualStrength({ again = false } = {}) {
  const all = levels();
  if (all.length && (again || !all.some((level) => level.checked))) all[Math.ceil(all.length * 0.6) - 1].checked = true;
}

/** The next level up; from the last one on to the first if `around`. */
export function stronger({ around = false } = {}) {
  const all = levels();
  const next = all[all.findIndex((level) => level.checked) + 1];
  press(next ?? (around ? all[0] : null));
}

/** A form that is not complete says so in a kind word, not in the browser's bubble. */
export function holdBack(form, why) {
  document.addEventListener(
    "submit",
    (event) => {
      if (!event.target || event.target !== form()) return;
      const reason = why();
      if (!reason) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      hint(reason);
    },
    true,
  );
}
