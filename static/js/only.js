/* Shows a setting only where it matters: its field names another (`data-only-with`) and the values of that one
   (`data-only-for`). Without this script all are shown. */

function update(form) {
  for (const input of form.querySelectorAll("[data-only-with]")) {
    const other = form.elements[input.dataset.onlyWith];
    const fits = ` ${input.dataset.onlyFor} `.includes(` ${other.value} `);
    input.closest(".field").hidden = !fits && input.ariaInvalid !== "true"; // what was refused can be mended
  }
  for (const group of form.querySelectorAll("details.more")) {
    const fields = [...group.querySelectorAll(".field")];
    group.hidden = fields.length > 0 && fields.every((field) => field.hidden);
  }
}

for (const form of document.querySelectorAll("[data-only]")) {
  form.addEventListener("change", () => update(form));
  update(form);
}
