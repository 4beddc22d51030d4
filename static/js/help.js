/** The dialog that lists the keys, and the switch that turns them off. */
import { keysAreOn, onKeys, setKeys } from "./keys.js";

const dialog = document.getElementById("help");
const work = document.getElementById("work");

function offer() {
  for (const button of work.querySelectorAll("[data-help]")) button.hidden = false;
}

onKeys({
  help: () => {
    dialog.showModal();
    return true;
  },
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-help]");
  if (button) {
    if (event.detail > 0) button.blur();
    dialog.showModal();
  } else if (event.target === dialog) {
    dialog.close(); // a click on the veil
  }
});

const use = dialog.querySelector("[data-use-keys]");
use.checked = keysAreOn();
use.addEventListener("change", () => setKeys(use.checked));

work.addEventListener("item:shown", offer);
offer();
