/** Spares the server: what htmx asks for again and again rests while the page is hidden. */
document.addEventListener("htmx:beforeRequest", (event) => {
  const asker = event.detail.elt;
  if (document.hidden && asker.getAttribute("hx-trigger")?.startsWith("every")) event.preventDefault();
});
