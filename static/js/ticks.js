/**
 * <form data-ticks>: one box ticks all rows of the page, Shift ticks those between, and the button says how many.
 * Without this script each box is a plain one.
 */
for (const form of document.querySelectorAll("[data-ticks]")) {
  const boxes = [...form.querySelectorAll("input[name=row]")];
  const all = form.querySelector("[data-tick-all]");
  const count = form.querySelector("[data-tick-count]");
  if (!all || !count || boxes.length === 0) continue;
  const every = all.querySelector("input");
  let last = null;

  const tell = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    count.textContent = ticked ? `: ${ticked}` : "";
    every.checked = ticked === boxes.length;
    every.indeterminate = ticked > 0 && ticked < boxes.length;
  };

  form.addEventListener("click", (event) => {
    const place = boxes.indexOf(event.target);
    if (place < 0) return;
    if (event.shiftKey && last !== null) {
      for (const box of boxes.slice(Math.min(last, place), Math.max(last, place) + 1)) box.checked = event.target.checked;
    }
    last = place;
    tell();
  });
  every.addEventListener("change", () => {
    for (const box of boxes) box.checked = every.checked;
    tell();
  });
  all.hidden = false;
  tell(); // a browser keeps boxes ticked when one comes back to a page
}
