"""Each person's ways of judging, and what is unusual about them.

Nobody is measured against a truth, which nobody knows, but against the others who judged the same items. Each rule
below has a limit from reason and not from data, and says somebody's name only where chance is an unlikely excuse:
of the people named by a rule, at most one in twenty (`WRONGLY`) is expected to be named wrongly. An honest person who
is often unsure is not unusual; one who answers without looking is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db.models import Count, Q
from numpy.typing import NDArray

from annotation import competence, votes
from annotation.competence import Competence
from annotation.models import Label, Membership, Project
from annotation.statistics import Array, Interval, benjamini_hochberg, percent, wilson
from annotation.votes import VERDICTS, Integers, Votes

WRONGLY = 0.05
MINIMUM = 20  # judgements before anything is said of a person
# Less than two fifths as far above guessing as the better quarter of the people here: at that, six of somebody's
# judgements carry about as much as one of theirs, since what a judgement carries goes with the square.
GUESSING = 0.4
SIDE_MARGIN = 0.1  # the sides are drawn by lot: everybody's share is a half, less or more by small habits
LENGTH_MARGIN = 0.1
TIE_MARGIN = VERDICT_MARGIN = 0.2
STREAK_MARGIN = 0.15
# Adults read 238 words a minute on average (Brysbaert 2019), and faster than twice that they skim (Rayner et al. 2016).
READING_LIMIT = 1000.0  # words a minute that nobody reads
FAST_SHARE = 0.2  # of a person's labels: now and then an answer is plain at a glance
WORD_BYTES = 6.0  # of English with its space; also about what a word takes in other scripts
FEWEST_WORDS = 30  # below that the clock says little


@dataclass(frozen=True)
class Finding:
    """What is unusual about a person: by which rule, and in words."""

    name: str
    words: str


@dataclass
class Figures:
    """What there is to say of how one person judges. Shares are None where there is nothing to tell them from."""

    labels: int = 0
    right: Interval | None = None  # how often they pick the better answer, by what the others say
    agreement: Interval | None = None  # with each other person on the same pairs or drafts
    left: Interval | None = None
    longer: Interval | None = None
    longer_others: float | None = None  # what the others do on the same pairs
    tie: Interval | None = None
    tie_others: float | None = None
    accept: Interval | None = None
    accept_others: float | None = None
    fast: Interval | None = None  # labels given faster than anybody reads
    pace: float | None = None  # words a minute, the median
    streak: Interval | None = None  # the same side as the time before
    gold: Interval | None = None
    findings: list[Finding] = field(default_factory=list)


@dataclass(kw_only=True)
class Ways(Figures):
    """How one person of the project judges."""

    membership: Membership

    @property
    def person(self) -> str:
        return self.membership.person.username


@dataclass(frozen=True)
class Judged:
    """Votes with a number for each person and for each unit, and who counts."""

    said: Votes
    unit: Integers
    who: Integers
    voice: Array
    alone: NDArray[np.bool_]  # rows that are all there is of their label: no pairs of a ranking

    def others(self, value: Array) -> Array:
        return competence.others_mean(value, self.unit, self.who, self.voice)


def of_project(project: Project, *, simulated: bool = False) -> list[Ways]:
    """Everybody who has labelled in the project, those with something unusual first.

    The labels of people who were excluded are shown, and are not what others are measured against.
    """
    compared = votes.comparisons(project, simulated=simulated).asked_anyway()
    drafts = votes.demonstrations(project, simulated=simulated)
    people = {one.membership.person_id: one for one in _people(project, simulated)}
    ids = np.array(sorted(people), np.int64)
    ways = [people[int(pk)] for pk in ids]
    voice = np.array([one.membership.excluded_at is None for one in ways], float)
    pairs, clean = (_judged(said, ids, voice) for said in (compared, drafts))
    _rightness(pairs, ways)
    _sides(pairs, ways)
    _lengths(pairs, ways)
    _ties(pairs, ways)
    _verdicts(clean, ways)
    _speed(pairs, clean, ways)
    _agreements(pairs, clean, ways)
    return sorted(ways, key=lambda one: (-len(one.findings), one.person))


def together(ways: list[Ways]) -> list[tuple[str, Interval]]:
    """The shares of all these people's labels: what is a habit of the whole project."""
    found = []
    for name in ("left", "longer", "tie", "accept", "fast"):
        shares = [share for one in ways if (share := getattr(one, name)) and one.membership.excluded_at is None]
        if shares:
            n = sum(share.n for share in shares)
            found.append((name, wilson(round(sum(share.value * share.n for share in shares)), n)))
    return found


def _people(project: Project, simulated: bool) -> Iterator[Ways]:
    rows = Label.objects.live().filter(project=project, decision=False)
    if not simulated:
        rows = rows.filter(simulated=False)
    right = Count("id", filter=Q(gold_correct=True))
    told = Count("id", filter=Q(gold_correct__isnull=False))
    counts = {row["person"]: row for row in rows.values("person").annotate(n=Count("id"), right=right, told=told)}
    for member in project.memberships.filter(person__in=counts).select_related("person"):
        row = counts[member.person_id]
        gold = wilson(row["right"], row["told"]) if row["told"] else None
        yield Ways(membership=member, labels=row["n"], gold=gold)


def _judged(said: Votes, ids: Integers, voice: Array) -> Judged:
    """Without the votes of people who have left the project."""
    said = said.where(np.isin(said.person, ids))
    _, place, rows = np.unique(said.label, return_inverse=True, return_counts=True)
    return Judged(said, said.unit(), np.searchsorted(ids, said.person), voice, rows[place] == 1)


def _of_labels(label: Integers, who: Integers, did: NDArray[Any]) -> tuple[Integers, Array]:
    """One row for each label: whose it is, and in what share of its pairs; those of a ranking are one judgement."""
    _, first, place, n = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    return who[first], np.bincount(place, did.astype(float), minlength=len(n)) / n


def _shares(did: NDArray[Any], who: Integers, people: int) -> tuple[Array, Integers, list[Interval | None]]:
    """Of each person: how often they did it, of how many, and the share with its interval."""
    n = np.bincount(who, minlength=people)
    k = np.asarray(np.bincount(who, did.astype(float), minlength=people), np.float64)
    return k, n, [wilson(float(min(a, b)), int(b)) if b else None for a, b in zip(k, n, strict=True)]


def _named(p_values: Any) -> Integers:
    return np.nonzero(benjamini_hochberg(p_values, WRONGLY))[0]


def _rightness(pairs: Judged, ways: list[Ways]) -> None:
    """Who guesses, or says the opposite of the others."""
    weight = 2 / _answers(pairs)  # of n answers: n - 1 free judgements
    found: Competence = competence.measure(pairs.unit, pairs.who, pairs.said.value, pairs.voice, weight)
    for one, chance, lower, upper, n in zip(
        ways, found.chance, found.lower, found.upper, found.informative, strict=True
    ):
        one.right = None if np.isnan(chance) else Interval(float(chance), float(lower), float(upper), int(n))
    known = found.chance[found.informative >= MINIMUM]
    if not len(known):
        return
    good = float(np.percentile(known, 75))
    limit = 0.5 + max(0.0, good - 0.5) * GUESSING
    for place in np.nonzero(competence.below(found, limit, WRONGLY, MINIMUM))[0]:
        one = ways[place]
        assert one.right is not None
        share, usual = percent(one.right.value), percent(good)
        if one.right.upper < 0.5:
            said = f"Mostly prefers the answer that the others find worse: right in {share} of pairs by what they say."
            one.findings.append(Finding("contradicts", said))
        else:
            said = f"Might as well guess: right in {share} of pairs by what the others say; good people here: {usual}."
            one.findings.append(Finding("guesses", said))


def _sides(pairs: Judged, ways: list[Ways]) -> None:
    """Who prefers a side, or chooses sides in a pattern."""
    rows = pairs.said.value != 0
    left = (pairs.said.value[rows] == 1) == (pairs.said.first_left[rows] == 1)
    who, share_left = _of_labels(pairs.said.label[rows], pairs.who[rows], left)
    k, n, shares = _shares(share_left, who, len(ways))
    for one, share in zip(ways, shares, strict=True):
        one.left = share
    # The share of a ranking's pairs is no wider spread than a coin, so the binomial names nobody more for it.
    p = [
        competence.tail(int(b), int(max(a, b - a)), 0.5 + SIDE_MARGIN) if b >= MINIMUM else np.nan
        for a, b in zip(k, n, strict=True)
    ]
    for place in _named(p):
        share = ways[place].left
        assert share is not None
        side, part = ("left", share.value) if share.value > 0.5 else ("right", 1 - share.value)
        said = f"Takes the {side} answer in {percent(part)} of pairs, though the sides are drawn by lot."
        ways[place].findings.append(Finding("side", said))
    two = pairs.alone[rows]
    _streaks(pairs.said.label[rows][two], pairs.who[rows][two], left[two], ways)


def _streaks(label: Integers, who: Integers, left: NDArray[np.bool_], ways: list[Ways]) -> None:
    """Who chooses the same side again and again, or in turn: with sides drawn by lot, one choice of a side says nothing
    about the next, whatever somebody likes."""
    order = np.lexsort((label, who))
    who, left = who[order], left[order]
    follows = who[1:] == who[:-1]
    k, n, shares = _shares((left[1:] == left[:-1])[follows], who[1:][follows], len(ways))
    p = np.full(len(ways), np.nan)
    for place, one in enumerate(ways):
        one.streak = shares[place]
        if n[place] >= MINIMUM and one.left is not None:
            usual = one.left.value**2 + (1 - one.left.value) ** 2
            away = abs(k[place] / n[place] - usual) - STREAK_MARGIN
            error = np.sqrt(max(usual * (1 - usual), 1 / (n[place] + 2)) / n[place])
            p[place] = 2 * competence.NORMAL.cdf(-away / error) if away > 0 else 1.0
    for place in _named(np.minimum(p, 1.0)):
        share = k[place] / n[place]
        said = f"Chooses the same side as the time before in {percent(share)} of pairs: a pattern, not a judgement."
        ways[place].findings.append(Finding("pattern", said))


def _lengths(pairs: Judged, ways: list[Ways]) -> None:
    """Who takes the longer answer more often than the others do on the same pairs: what all prefer is no bias."""
    said = pairs.said
    rows = (said.value != 0) & (said.first_bytes != said.second_bytes)
    longer = (said.value == 1) == (said.first_bytes > said.second_bytes)
    own, others, who, shares = _beside(pairs, rows, longer, len(ways))
    usual = _mean(others, who, len(ways))
    for one, share, mean in zip(ways, shares, usual, strict=True):
        one.longer, one.longer_others = share, mean
    for place in _drifting(own, others, who, len(ways), LENGTH_MARGIN):
        mine, theirs = percent(_share(own, who, place)), percent(usual[place] or 0)
        said_so = f"Takes the longer answer in {mine} of pairs; the others on the same pairs: {theirs}."
        ways[place].findings.append(Finding("length", said_so))


def _ties(pairs: Judged, ways: list[Ways]) -> None:
    """Who calls a tie more often than the others do on the same pairs."""
    every = np.ones(len(pairs.said), bool)
    own, others, who, shares = _beside(pairs, every, pairs.said.value == 0, len(ways))
    usual = _mean(others, who, len(ways))
    for one, share, mean in zip(ways, shares, usual, strict=True):
        one.tie, one.tie_others = share, mean
    for place in _drifting(own, others, who, len(ways), TIE_MARGIN):
        mine, theirs = percent(_share(own, who, place)), percent(usual[place] or 0)
        said = f"Calls a tie in {mine} of pairs; the others on the same pairs: {theirs}."
        ways[place].findings.append(Finding("ties", said))


def _verdicts(drafts: Judged, ways: list[Ways]) -> None:
    """Who accepts, edits or rejects more often than the others do with the same drafts."""
    every = np.ones(len(drafts.said), bool)
    for number, verdict in enumerate(VERDICTS):
        own, others, who, shares = _beside(drafts, every, drafts.said.value == number, len(ways))
        usual = _mean(others, who, len(ways))
        if verdict == "accept":
            for one, share, mean in zip(ways, shares, usual, strict=True):
                one.accept, one.accept_others = share, mean
        for place in _drifting(own, others, who, len(ways), VERDICT_MARGIN):
            mine, theirs = percent(_share(own, who, place)), percent(usual[place] or 0)
            said = f"{verdict.capitalize()}s {mine} of the drafts; the others with the same drafts: {theirs}."
            ways[place].findings.append(Finding("verdicts", said))


def _beside(
    judged: Judged, rows: NDArray[np.bool_], did: NDArray[np.bool_], people: int
) -> tuple[Array, Array, Integers, list[Interval | None]]:
    """What a person and the others did on the same unit, where there are others; and each person's share of all."""
    part = Judged(judged.said.where(rows), judged.unit[rows], judged.who[rows], judged.voice, judged.alone[rows])
    own = did[rows].astype(float)
    others = part.others(own)
    who, share = _of_labels(part.said.label, part.who, own)
    met = ~np.isnan(others)
    label, person = part.said.label[met], part.who[met]
    theirs, usual = _of_labels(label, person, others[met])
    return _of_labels(label, person, own[met])[1], usual, theirs, _shares(share, who, people)[2]


def _drifting(own: Array, others: Array, who: Integers, people: int, margin: float) -> Integers:
    p = competence.drift(own, others, who, people, margin)[1]
    return _named(np.where(np.bincount(who, minlength=people) >= MINIMUM, p, np.nan))


def _mean(values: Array, who: Integers, people: int) -> list[float | None]:
    n = np.bincount(who, minlength=people)
    sums = np.bincount(who, values, minlength=people)
    return [float(a / b) if b else None for a, b in zip(sums, n, strict=True)]


def _share(values: Array, who: Integers, place: int) -> float:
    return float(values[who == place].mean())


def _speed(pairs: Judged, drafts: Judged, ways: list[Ways]) -> None:
    """Who is done before anybody could have read the answers."""
    quick = drafts.said.value != VERDICTS.index("edit")  # an edit takes its own time
    judge, read = _of_labels(pairs.said.label, pairs.who, _bytes(pairs.said) * _answers(pairs) / 2)
    who = np.concatenate([judge, drafts.who[quick]])
    seconds = np.concatenate(
        [_of_labels(pairs.said.label, pairs.who, pairs.said.seconds)[1], drafts.said.seconds[quick]]
    )
    size = np.concatenate([read, _bytes(drafts.said)[quick]])
    words = size / WORD_BYTES
    timed = ~np.isnan(seconds) & (seconds > 0) & (words >= FEWEST_WORDS)
    who, pace = who[timed], words[timed] * 60 / seconds[timed]
    k, n, shares = _shares(pace > READING_LIMIT, who, len(ways))
    p = [competence.tail(int(b), int(a), FAST_SHARE) if b >= MINIMUM else np.nan for a, b in zip(k, n, strict=True)]
    for place, one in enumerate(ways):
        one.fast = shares[place]
        one.pace = float(np.median(pace[who == place])) if n[place] else None
    for place in _named(p):
        share = percent(k[place] / n[place])
        said = f"Gave {share} of the labels faster than anybody reads ({READING_LIMIT:,.0f} words a minute)."
        ways[place].findings.append(Finding("speed", said))


def _answers(pairs: Judged) -> Array:
    """For each pair, how many answers its label is about: n of them make n (n - 1) / 2 pairs."""
    _, place, rows = np.unique(pairs.said.label, return_inverse=True, return_counts=True)
    return ((1 + np.sqrt(1 + 8 * rows)) / 2)[place] if len(rows) else np.zeros(0)


def _bytes(said: Votes) -> Array:
    return (said.first_bytes + said.second_bytes).astype(float)


def _agreements(pairs: Judged, drafts: Judged, ways: list[Ways]) -> None:
    """How often each person says what another one says of the same thing."""
    same, n = np.zeros(len(ways)), np.zeros(len(ways))
    for judged in (pairs, drafts):
        for value in np.unique(judged.said.value):
            own = (judged.said.value == value).astype(float)
            others = judged.others(own)
            here = (own == 1) & ~np.isnan(others)
            same += np.bincount(judged.who[here], others[here], minlength=len(ways))
            n += np.bincount(judged.who[here], minlength=len(ways))
    for place, one in enumerate(ways):
        one.agreement = wilson(float(min(same[place], n[place])), int(n[place])) if n[place] else None
