/**
 * Dragging an answer's chip to its place on the board, by mouse, pen or finger. The buttons beside it and the keys do
 * the same. `ties` says whether an answer may be dropped on another, `drop` is told where.
 */
const START = 5; // pixels before a press is a drag

export function dragging(work, { ties, drop }) {
  let chip = null;
  let from = null;
  let target = null;
  let moved = false;

  const board = () => chip.closest("[data-board]");

  /** What is under the pointer: before, into or after a rank, last, or back among those without one. */
  function find(y) {
    const rows = [...board().querySelectorAll("[data-tier]")];
    const waiting = board().querySelector("[data-waiting]");
    if (waiting.children.length && y > waiting.getBoundingClientRect().top) return { where: "waiting", element: waiting };
    for (const row of rows) {
      const { top, height } = row.getBoundingClientRect();
      if (y > top + height && row !== rows.at(-1)) continue;
      const own = row.contains(chip) && row.querySelectorAll("[data-chip]").length === 1;
      const edge = ties() && !own ? height * 0.3 : height / 2;
      const where = y < top + edge ? "before" : y > top + height - edge ? "after" : "into";
      return { where, element: row, rank: Number(row.dataset.tier) };
    }
    return { where: "last", element: board().querySelector("[data-tiers]") };
  }

  function mark(next) {
    if (target) delete target.element.dataset.drop;
    target = next;
    if (target) target.element.dataset.drop = target.where;
  }

  function end() {
    mark(null);
    if (!chip) return;
    chip.style.removeProperty("translate");
    delete chip.dataset.dragged;
    chip = null;
  }

  work.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-grip]");
    if (!grip || event.button || chip) return;
    chip = grip.closest("[data-chip]");
    from = { x: event.clientX, y: event.clientY };
    moved = false;
    grip.setPointerCapture(event.pointerId);
  });

  work.addEventListener("pointermove", (event) => {
    if (!chip) return;
    const x = event.clientX - from.x;
    const y = event.clientY - from.y;
    moved ||= Math.hypot(x, y) > START;
    if (!moved) return;
    chip.dataset.dragged = "";
    chip.style.translate = `${x}px ${y}px`;
    mark(find(event.clientY));
  });

  work.addEventListener("pointerup", () => {
    if (!chip) return;
    const place = Number(chip.dataset.chip);
    const found = moved ? target : null;
    end();
    if (found) drop(place, found.where, found.rank);
  });

  work.addEventListener("pointercancel", end);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chip) end();
  });
  // The click that ends a drag is no click.
  work.addEventListener(
    "click",
    (event) => {
      if (!moved || !event.target.closest("[data-grip]")) return;
      moved = false;
      event.stopPropagation();
      event.preventDefault();
    },
    true,
  );
}
