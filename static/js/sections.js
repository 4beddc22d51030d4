/** On a narrow screen the row of sections scrolls: it begins where the current one can be seen. */
const current = document.querySelector(".sections [aria-current]");

if (current) {
  const row = current.closest(".sections");
  row.scrollLeft = current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
}
