/** The difference between two texts as nodes of a page: what went is struck out, what came is marked. */
import { diff } from "./diff.js";

const TAGS = { in: "ins", out: "del", only: "mark" };

function piece(kind, text) {
  const end = text.trimEnd();
  const element = document.createElement(TAGS[kind]);
  element.textContent = end;
  const found = document.createDocumentFragment();
  found.append(element, text.slice(end.length) || " ");
  return found;
}

/** One text turned into another. */
export const changes = (from, to) =>
  diff(from, to).map(([kind, text]) => (kind === "same" ? document.createTextNode(text) : piece(kind, text)));

/** Two texts side by side: each as it is, with the words marked that the other one does not have. */
export function apart(left, right) {
  const pieces = diff(left, right);
  const side = (own) =>
    pieces
      .filter(([kind]) => kind === "same" || kind === own)
      .map(([kind, text]) => (kind === "same" ? document.createTextNode(text) : piece("only", text)));
  return [side("out"), side("in")];
}
