/** Seconds in words: `<span data-seconds="83">` becomes "1 min 23 s". */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (hours) return `${hours} h ${minutes} min`;
  if (minutes) return `${minutes} min ${whole % 60} s`;
  return `${whole} s`;
}

function rewrite(root) {
  for (const element of root.querySelectorAll("[data-seconds]:not(input)")) {
    const words = duration(Number.parseFloat(element.dataset.seconds));
    if (words && element.textContent !== words) element.textContent = words;
  }
}

rewrite(document);
document.addEventListener("htmx:afterSwap", () => rewrite(document));
