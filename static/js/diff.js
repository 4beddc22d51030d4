/** Differences between two texts, word by word. */
const MOST = 1_000_000; // cells of the table; beyond that the middle is shown as one replacement

const words = (text) => text.match(/\S+\s*/g) ?? [];
const same = (a, b) => a.trimEnd() === b.trimEnd() && a.includes("\n") === b.includes("\n");

/** `[["same" | "out" | "in", text], …]` that turns `before` into `after`. */
export function diff(before, after) {
  const a = words(before);
  const b = words(after);
  let start = 0;
  while (start < a.length && start < b.length && same(a[start], b[start])) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && same(a.at(-1 - end), b.at(-1 - end))) end += 1;
  const middle = calm(align(a.slice(start, a.length - end), b.slice(start, b.length - end)));
  return merge([
    ...b.slice(0, start).map((word) => ["same", word]),
    ...middle,
    ...b.slice(b.length - end).map((word) => ["same", word]),
  ]);
}

/** By the longest common subsequence. */
function align(a, b) {
  if (a.length * b.length > MOST) return [...a.map((word) => ["out", word]), ...b.map((word) => ["in", word])];
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = same(a[i], b[j])
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const found = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && same(a[i], b[j])) {
      found.push(["same", b[j]]);
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
      found.push(["out", a[i]]);
      i += 1;
    } else {
      found.push(["in", b[j]]);
      j += 1;
    }
  }
  return found;
}

/** A word or two that happen to be the same amid a rewriting tell nothing: they join the replacement. */
function calm(parts) {
  const calmer = [];
  for (let from = 0; from < parts.length; ) {
    let to = from;
    while (to < parts.length && (parts[to][0] === "same") === (parts[from][0] === "same")) to += 1;
    const run = parts.slice(from, to);
    const lonely = run[0][0] === "same" && run.length <= 2 && from > 0 && to < parts.length;
    const around = lonely ? Math.min(changesBefore(parts, from), changesAfter(parts, to)) : 0;
    calmer.push(...(around > 2 * run.length ? run.flatMap(([, word]) => [["out", word], ["in", word]]) : run));
    from = to;
  }
  return calmer;
}

function changesBefore(parts, place) {
  let length = 0;
  while (place - length > 0 && parts[place - length - 1][0] !== "same") length += 1;
  return length;
}

function changesAfter(parts, place) {
  let length = 0;
  while (place + length < parts.length && parts[place + length][0] !== "same") length += 1;
  return length;
}

/** Neighbours of one kind become one piece; within a replacement what goes comes before what is new. */
function merge(parts) {
  const merged = [];
  let out = "";
  let added = "";
  const flush = () => {
    if (out) merged.push(["out", out]);
    if (added) merged.push(["in", added]);
    out = "";
    added = "";
  };
  for (const [kind, text] of parts) {
    if (kind === "out") {
      out += text;
    } else if (kind === "in") {
      added += text;
    } else {
      flush();
      if (merged.at(-1)?.[0] === "same") merged.at(-1)[1] += text;
      else merged.push(["same", text]);
    }
  }
  flush();
  return merged;
}
