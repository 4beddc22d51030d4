/**
 * <form data-keep>: what is typed into it stays with this tab until it is saved or left by Cancel. When the form is
 * opened again, as after signing in anew, it is offered. [data-kept] names the form's address on the page that comes
 * after saving.
 */
const form = document.querySelector("[data-keep]");
const key = (address) => `kept ${address}`;
const typed = () => Object.fromEntries([...form.querySelectorAll("textarea, input[type=text]")].map((f) => [f.name, f.value]));
const same = (one, other) => Object.keys(one).every((name) => one[name] === other[name]);

function keep(sent) {
  sessionStorage.setItem(key(location.pathname), JSON.stringify({ fields: typed(), sent }));
}

function offer(fields) {
  const note = form.querySelector("[data-keep-offer]");
  note.hidden = false;
  const end = () => (note.hidden = true);
  note.querySelector("[data-keep-take]").addEventListener("click", () => {
    for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
    end();
    keep(false);
  });
  note.querySelector("[data-keep-forget]").addEventListener("click", () => {
    sessionStorage.removeItem(key(location.pathname));
    end();
  });
}

if (form) {
  const kept = JSON.parse(sessionStorage.getItem(key(location.pathname)));
  if (kept && !same(kept.fields, typed())) offer(kept.fields);
  form.addEventListener("input", () => keep(false));
  form.addEventListener("submit", () => keep(true));
  form.querySelector("[data-keep-cancel]").addEventListener("click", () => sessionStorage.removeItem(key(location.pathname)));
}

const after = document.querySelector("[data-kept]");
if (after && JSON.parse(sessionStorage.getItem(key(after.dataset.kept)))?.sent) {
  sessionStorage.removeItem(key(after.dataset.kept));
}
