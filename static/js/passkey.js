/**
 * <form data-passkey="create"> (or "get"): asks the browser for a passkey with the options in #passkey-options, and sends
 * what it answers in the form's field `credential`. Where a browser cannot, the form's [data-passkey-unable] says so.
 */
const form = document.querySelector("[data-passkey]");
const options = JSON.parse(document.getElementById("passkey-options").textContent);
const button = form.querySelector("button");
const unable = form.querySelector("[data-passkey-unable]");
const refused = form.querySelector("[data-passkey-refused]");

function ask() {
  if (form.dataset.passkey === "create") {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.creation_options.publicKey);
    return navigator.credentials.create({ publicKey });
  }
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.request_options.publicKey);
  return navigator.credentials.get({ publicKey });
}

if (window.PublicKeyCredential?.parseCreationOptionsFromJSON) {
  unable.hidden = true;
  button.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    refused.hidden = true;
    button.disabled = true;
    try {
      form.elements.credential.value = JSON.stringify((await ask()).toJSON());
      form.submit();
    } catch {
      refused.hidden = false; // they said no, or took too long, or the key is known already
    } finally {
      button.disabled = false;
    }
  });
}
