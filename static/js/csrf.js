/** The token that Django wants back. The cookie's is newer than the form's after a sign-in in another tab. */
export function csrfToken(form) {
  const cookie = /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie);
  return cookie ? decodeURIComponent(cookie[1]) : (form?.elements.csrfmiddlewaretoken?.value ?? "");
}
