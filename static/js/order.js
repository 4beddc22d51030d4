/** What moves do to ranks. Ranks go by place on the page: 1 is best, equal ranks are ties, 0 is no rank yet. */

const places = (ranks) => [...ranks.keys()];

/** The ranked places, best first, those of one rank together. */
export function tiers(ranks) {
  const levels = [...new Set(ranks.filter(Boolean))].toSorted((a, b) => a - b);
  return levels.map((level) => places(ranks).filter((place) => ranks[place] === level));
}

/** The places that have no rank yet. */
export const waiting = (ranks) => places(ranks).filter((place) => !ranks[place]);

/** Ranks again, counted through from 1. */
function counted(ranks, groups) {
  const next = ranks.map(() => 0);
  for (const [level, group] of groups.entries()) for (const place of group) next[place] = level + 1;
  return next;
}

/** A rank for one place, as said. Without ties whoever has it makes room, towards the nearest gap. */
export function give(ranks, place, rank, ties) {
  const next = [...ranks];
  next[place] = 0;
  if (!ties) {
    let gap = rank;
    while (gap <= ranks.length && next.includes(gap)) gap += 1;
    const by = gap <= ranks.length ? 1 : -1;
    if (by < 0) for (gap = rank; next.includes(gap); gap -= 1);
    for (const one of places(next)) {
      const between = by > 0 ? next[one] >= rank && next[one] < gap : next[one] <= rank && next[one] > gap;
      if (next[one] && between) next[one] += by;
    }
  }
  next[place] = rank;
  return next;
}

/** A rank of its own for one place, "before" or "after" those of `rank`; "last" for after all. */
export function insert(ranks, place, where, rank = 0) {
  const groups = tiers(ranks);
  const target = groups.findIndex((group) => ranks[group[0]] === rank);
  const at = target < 0 ? groups.length : target + (where === "after" ? 1 : 0);
  const split = [...groups.slice(0, at).map((group) => [...group]), [place], ...groups.slice(at)];
  return counted(
    ranks,
    split.map((group, level) => (level === at ? group : group.filter((one) => one !== place))).filter((group) => group.length),
  );
}

/**
 * One step up (-1) or down (1): out of a tie to a rank of its own, else past the whole next rank; without a rank, up is
 * to the end of those that have one. Null where there is no further.
 */
export function move(ranks, place, by) {
  const groups = tiers(ranks);
  if (!ranks[place]) return by < 0 ? insert(ranks, place, "last") : null;
  const level = groups.findIndex((group) => group.includes(place));
  if (groups[level].length > 1) return insert(ranks, place, by < 0 ? "before" : "after", ranks[place]);
  const other = level + by;
  if (other < 0 || other >= groups.length) return null;
  [groups[level], groups[other]] = [groups[other], groups[level]];
  return counted(ranks, groups);
}

/** The same rank as those of `rank`. */
export function join(ranks, place, rank) {
  const next = [...ranks];
  next[place] = rank;
  return counted(next, tiers(next));
}

/** The same rank as the one above; without a rank, as the last that has one. Null if there is none. */
export function tie(ranks, place) {
  const groups = tiers(ranks);
  const level = ranks[place] ? groups.findIndex((group) => group.includes(place)) : groups.length;
  return level < 1 ? null : join(ranks, place, ranks[groups[level - 1][0]]);
}
