/** <button data-copy="id of a field">: copies what the field holds, and says so. Without this script it stays hidden. */
const FOR = 2500; // milliseconds

async function copied(field) {
  field.focus();
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    return document.execCommand("copy"); // where the address is not https, browsers give no clipboard
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const name = button.textContent;
  let back;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    const said = (await copied(field)) ? "Copied" : "Press Ctrl+C";
    button.textContent = said;
    document.querySelector("[data-copied]").textContent = said;
    if (said === "Copied") button.focus();
    clearTimeout(back);
    back = setTimeout(() => {
      button.textContent = name;
      document.querySelector("[data-copied]").textContent = "";
    }, FOR);
  });
}
