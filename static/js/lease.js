/** A person's hold on the items of the page: renewed while it is open, given back when it is left. */
import { csrfToken } from "./csrf.js";
import { post } from "./outbox.js";

const HEARTBEAT = 60_000;

/**
 * `items` gives the forms of the items that this page holds, the one that is shown first; `isBegun` says of the shown
 * one whether something was chosen or typed, which keeps it.
 */
export function hold(items, isBegun) {
  setInterval(async () => {
    if (document.hidden) return;
    for (const item of items()) {
      try {
        const answer = await post(item.dataset.draftUrl);
        if (answer.status === 409 && item.isConnected) document.querySelector("[data-lease-ended]").hidden = false;
      } catch {
        return; // no connection: the next beat will tell
      }
    }
  }, HEARTBEAT);

  window.addEventListener("pagehide", () => {
    for (const item of items()) {
      if (item.isConnected && isBegun()) continue;
      const farewell = new URLSearchParams({ csrfmiddlewaretoken: csrfToken(item), leased_at: item.dataset.leasedAt });
      navigator.sendBeacon(item.dataset.releaseUrl, farewell);
    }
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // what was on it was given back
  });
}
