/**
 * <form data-keep>: what is changed in it stays with this tab until the server has stored it or it is left by Cancel.
 * When the same person opens the form again, as after signing in anew, it is offered. [data-saved] stands on what is
 * said once it was stored, and names the form's address. Both have [data-person].
 */
const form = document.querySelector("[data-keep]");
const key = (person, address) => `kept ${person} ${address}`;
const ownKey = () => key(form.dataset.person, location.pathname);
const fields = () => [...form.querySelectorAll("textarea, input:is([type=text], [type=checkbox])")];
const valueOf = (field) => (field.type === "checkbox" ? field.checked : field.value);
const typed = () => Object.fromEntries(fields().map((field) => [field.name, valueOf(field)]));

function keep() {
  const { after } = form.elements; // the version that it was written after, lest a newer one is written over unseen
  sessionStorage.setItem(ownKey(), JSON.stringify({ fields: typed(), after: after.value }));
}

function forget() {
  sessionStorage.removeItem(ownKey());
}

function take(kept) {
  for (const field of fields()) {
    if (field.type === "checkbox") field.checked = kept.fields[field.name];
    else field.value = kept.fields[field.name];
  }
  form.elements.after.value = kept.after;
}

/** Until it is answered, what was kept is not written over. */
function offer(kept) {
  const note = form.querySelector("[data-keep-offer]");
  note.hidden = false;
  return new Promise((resolve) => {
    const answer = (verb) => () => {
      verb();
      note.hidden = true;
      form.querySelector("textarea").focus();
      resolve();
    };
    note.querySelector("[data-keep-take]").addEventListener(
      "click",
      answer(() => take(kept)),
    );
    note.querySelector("[data-keep-forget]").addEventListener("click", answer(forget));
  });
}

if (form) {
  const kept = JSON.parse(sessionStorage.getItem(ownKey()));
  form.querySelector("[data-keep-cancel]").addEventListener("click", forget);
  if (form.querySelector("[role=alert]")) keep(); // refused: what it says now has been seen
  else if (kept && Object.entries(typed()).some(([name, value]) => kept.fields[name] !== value)) await offer(kept);
  form.addEventListener("input", keep);
}

const saved = document.querySelector("[data-saved]");
if (saved) sessionStorage.removeItem(key(saved.dataset.person, saved.dataset.saved));
