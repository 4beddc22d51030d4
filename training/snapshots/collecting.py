"""From labels to rows: first what was said, as numbers and without the texts, then the texts a few thousand prompts at
a time, in the order of the file. So a hundred thousand comparisons take no more memory than their numbers do."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import groupby
from typing import Any, NamedTuple

from annotation import aggregating
from annotation.aggregating import About, Judged, Outcome, Pairs, Verdicts, Vote, Votes
from annotation.models import ItemResponse, Judgement, Project, Prompt, Response
from annotation.models.items import Kind
from annotation.models.labels import LabelQuerySet, Verdict
from annotation.text import canonical
from training import made, paraphrasing
from training.models.snapshots import SnapshotKind
from training.snapshots import filters
from training.snapshots.rules import MADE, Rule

Row = dict[str, Any]
Progress = Callable[[int, int], None]  # rows done, of how many

CHUNK = 2000  # rows whose texts are fetched at once
FETCHED = 10_000
WEIGHTLESS = "a weight of nothing"


class Draft(NamedTuple):
    """A row without its texts: by column the ids of its answers, and what else it says."""

    prompt: int
    answers: dict[str, int]
    more: Row
    labels: list[int]


@dataclass
class Collected:
    """All drafts of a rule, and what became of the rest."""

    about: dict[int, About] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def is_decision(self, label: int) -> bool:
        return self.about[label].decision

    def people(self) -> set[int]:
        return {self.about[label].person for draft in self.drafts for label in draft.labels}

    def add(self, prompt: int, outcomes: list[Outcome] | str, answers: Callable[[Outcome], dict[str, int]]) -> None:
        if isinstance(outcomes, str):
            self.dropped[outcomes] += 1
            return
        for one in outcomes:
            said: Row = {"agreement": one.agreement}
            found = answers(one)
            said |= {"label": one.winner == 1} if "completion" in found else {"margin": one.margin}
            self.drafts.append(Draft(prompt, found, said, one.labels))


def collect(*, project: Project, kind: str, rule: Rule) -> list[Row]:
    """The rows a snapshot would have, in a fixed order: by prompt, then by answer."""
    return list(stream(project=project, kind=kind, rule=rule))


def stream(*, project: Project, kind: str, rule: Rule, progress: Progress | None = None) -> Iterator[Row]:
    """The same, a few at a time. Raises ValidationError if the rule names what the project has not."""
    rows = _written(drafts(project=project, kind=kind, rule=rule), progress)
    if not makers(kind, rule):
        yield from rows
        return
    people = list(rows)
    by_models = list(made_rows(project, kind, rule))
    if rule.paraphrased_by:
        people, by_models = ([{**row, "paraphrase": None} for row in some] for some in (people, by_models))
        by_models += _reworded(project, people, rule)
    both = made.with_models(people, by_models, share=rule.most_made)
    yield from sorted(both, key=lambda row: (row["prompt_sha256"], canonical(row)))


def makers(kind: str, rule: Rule) -> list[int]:
    """The models that may make rows of this kind."""
    by_kind = {SnapshotKind.DEMONSTRATIONS: rule.taught_by, SnapshotKind.PREFERENCES: rule.guessed_by}
    return by_kind.get(SnapshotKind(kind), []) + rule.paraphrased_by


def drafts(*, project: Project, kind: str, rule: Rule) -> Collected:
    """What was said, put together by the rule. Raises ValidationError as `stream` does."""
    filters.check(project, rule)
    collected = {
        SnapshotKind.DEMONSTRATIONS: _demonstrations,
        SnapshotKind.PREFERENCES: _preferences,
        SnapshotKind.UNPAIRED: _unpaired,
    }[SnapshotKind(kind)](project, rule)
    if rule.weights:
        _weigh(project, collected, rule)
    return collected


def _demonstrations(project: Project, rule: Rule) -> Collected:
    rows = filters.labels(project, rule).filter(response__isnull=False)  # of comparisons too: the best answer, edited
    collected = Collected(_about(rows))
    behind: dict[int, list[int]] = {}
    for one in collected.about.values():
        assert one.response is not None
        behind.setdefault(one.response, []).append(one.id)
    for response, labels in behind.items():
        prompt = collected.about[labels[0]].answered
        assert prompt is not None
        if len(labels) < rule.minimum_votes and not any(map(collected.is_decision, labels)):
            collected.dropped[aggregating.FEW] += 1
            continue
        apart = [[label] for label in labels] if rule.aggregation == "all_votes" else [labels]
        collected.drafts += [Draft(prompt, {"completion": response}, {}, some) for some in apart]
    return collected


def _preferences(project: Project, rule: Rule) -> Collected:
    rows = filters.labels(project, rule)
    collected = Collected(_about(rows.filter(item__kind=Kind.COMPARISON)))
    pairs: Pairs = {}
    levels = max(1, len(project.strength_levels))
    for about, judged in _with_rankings(collected.about):
        strength = aggregating.share_of(about.strength, levels)
        aggregating.count(pairs, about.prompt, about.id, judged, strength)
    if rule.edits_as_preferences:
        edits = rows.filter(response__isnull=False).exclude(verdict=Verdict.ACCEPT)
        for about, shown, judged in _edits(edits):
            collected.about[about.id] = about
            aggregating.count_edit(pairs, about, shown, judged)
    worth = _worth(rule, collected, list(pairs.values()))
    for pair in pairs.values():
        outcomes = aggregating.of_pair(pair, rule.terms, worth, collected.is_decision)
        collected.add(pair.prompt, outcomes, lambda one, pair=pair: _chosen(pair, one))  # type: ignore[misc]
    return collected


def _chosen(pair: Votes, outcome: Outcome) -> dict[str, int]:
    return {"chosen": outcome.winner, "rejected": pair.other(outcome.winner)}


def _unpaired(project: Project, rule: Rule) -> Collected:
    """Answers by themselves, with `label`: true for good ones, false for bad ones."""
    rows = filters.labels(project, rule)
    collected = Collected(_about(rows))
    found: dict[int, Verdicts] = {}
    rejected = _shown({one.item for one in collected.about.values() if one.verdict == Verdict.REJECT})
    for about, judged in _with_rankings(collected.about):
        for prompt, response, good in aggregating.good_or_bad(about, rejected.get(about.item, []), judged):
            found.setdefault(response, Verdicts(prompt, response)).said.append(Vote(about.id, int(good), 0.0))
    worth = _worth(rule, collected, list(found.values()))
    for verdicts in found.values():
        outcomes = aggregating.of_answer(verdicts, rule.terms, worth, collected.is_decision)
        answers = {"completion": verdicts.response}
        collected.add(verdicts.prompt, outcomes, lambda one, answers=answers: answers)  # type: ignore[misc]
    return collected


def _worth(rule: Rule, collected: Collected, units: list[Any]) -> aggregating.Worth:
    if rule.aggregation != "weighted":
        return aggregating.the_same
    person_of = {pk: one.person for pk, one in collected.about.items()}
    worth = aggregating.reliability(units, person_of)
    return lambda label: worth[person_of[label]]


def _weigh(project: Project, collected: Collected, rule: Rule) -> None:
    """Give each draft its weight; those that weigh nothing are dropped."""
    origin: dict[int, str] = {}
    better = [one.answers.get("chosen") or one.answers["completion"] for one in collected.drafts]
    for some in _parts(sorted(set(better))):
        origin |= dict(Response.objects.filter(pk__in=some).values_list("pk", "origin"))
    imported = set(project.memberships.filter(imported=True).values_list("person", flat=True))
    kept = []
    for one, answered in zip(collected.drafts, better, strict=True):
        behind = [_kinds(collected.about[label], imported) for label in one.labels]
        if weight := rule.weight(origin[answered], behind):
            kept.append(one._replace(more={**one.more, "weight": weight}))
        else:
            collected.dropped[WEIGHTLESS] += 1
    collected.drafts = kept


def _kinds(label: About, imported: set[int]) -> list[str]:
    """All that a label is which a rule may weigh."""
    told = {"simulated": label.simulated, "decision": label.decision, "imported": label.person in imported}
    return [label.kind, *(name for name, holds in told.items() if holds)]


# What was said


def _about(rows: LabelQuerySet) -> dict[int, About]:
    """All at once, and through no cursor: PostgreSQL plans for the first rows of one, and took minutes for the rest."""
    columns = rows.order_by("id").values_list(*aggregating.COLUMNS)
    return {row[0]: About(*row) for row in columns}


def _judged(labels: Iterable[int]) -> Iterator[tuple[int, list[Judged]]]:
    """Each label's ranking of the answers not excluded, in the order of the labels; those without one are left out."""
    for some in _parts(list(labels)):
        found = Judgement.objects.filter(label__in=some, response__excluded_at=None).order_by("label_id", "position")
        columns = found.values_list("label_id", "response_id", "rank", "unacceptable")
        for label, judged in groupby(columns, key=lambda row: row[0]):
            yield label, [Judged(*row[1:]) for row in judged]


def _with_rankings(about: dict[int, About]) -> Iterator[tuple[About, list[Judged]]]:
    """Each label with its ranking, empty if it has none; both come in the order of the labels."""
    rankings = _judged(one.id for one in about.values() if one.kind == Kind.COMPARISON)
    label, ranked = next(rankings, (0, []))
    for one in about.values():
        while 0 < label < one.id:
            label, ranked = next(rankings, (0, []))
        yield one, ranked if label == one.id else []


def _shown(items: Iterable[int]) -> dict[int, list[int]]:
    """The answers of these items, those that are excluded left out."""
    found: dict[int, list[int]] = {}
    for some in _parts(sorted(items)):
        shown = ItemResponse.objects.filter(item__in=some, response__excluded_at=None).order_by("item_id", "order")
        for item, response in shown.values_list("item_id", "response_id"):
            found.setdefault(item, []).append(response)
    return found


def _edits(rows: LabelQuerySet) -> Iterator[tuple[About, list[int], list[Judged]]]:
    """Each edit with the answers that its demonstration showed, or its ranking. (What the edit was made from, as the
    answer has it, is what the first to write this text saw.)"""
    edits = _about(rows)
    shown = _shown({one.item for one in edits.values() if one.kind == Kind.DEMONSTRATION})
    for about, judged in _with_rankings(edits):
        yield about, shown.get(about.item, []), judged


# With texts


def _written(collected: Collected, progress: Progress | None) -> Iterator[Row]:
    """The drafts as rows, in order. One of whose answers is there no more (excluded, say) is left out."""
    order = _order(collected)
    total = len(collected.drafts)
    in_line = sorted((one for one in collected.drafts if one.prompt in order), key=lambda one: order[one.prompt])
    done = 0
    for chunk in _chunks(in_line):
        rows = _rows(chunk)
        yield from sorted(rows, key=lambda row: (row["prompt_sha256"], canonical(row)))
        done += len(chunk)
        if progress is not None:
            progress(done, total)


def first(collected: Collected, most: int) -> list[Row]:
    """The first rows, more or less: those of one prompt may stand in another order."""
    order = _order(collected)
    some = nsmallest(most, collected.drafts, key=lambda one: order[one.prompt])
    return _rows(some)


def _order(collected: Collected) -> dict[int, str]:
    """The hash of each prompt, by which rows are ordered."""
    found: dict[int, str] = {}
    for some in _parts(sorted({one.prompt for one in collected.drafts})):
        found |= dict(Prompt.objects.filter(pk__in=some).values_list("pk", "sha256"))
    return found


def _parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), FETCHED):
        yield ids[start : start + FETCHED]


def _chunks(in_line: list[Draft]) -> Iterator[list[Draft]]:
    """Some at a time, and all of one prompt together."""
    chunk: list[Draft] = []
    for _, some in groupby(in_line, key=lambda one: one.prompt):
        chunk += some
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _rows(chunk: list[Draft]) -> list[Row]:
    prompts = Prompt.objects.in_bulk({one.prompt for one in chunk})
    wanted = {pk for one in chunk for pk in one.answers.values()}
    texts = dict(Response.objects.filter(pk__in=wanted).values_list("pk", "text"))
    rows = []
    for one in chunk:
        if not all(pk in texts for pk in one.answers.values()):
            continue
        rows.append(
            {
                **prompt_columns(prompts[one.prompt]),
                **{column: answer(texts[pk]) for column, pk in one.answers.items()},
                **one.more,
                "labels": one.labels,
            }
        )
    return rows


def made_rows(project: Project, kind: str, rule: Rule) -> Iterator[Row]:
    """All that models would make by themselves, on prompts that the rule lets in; fewer of them may enter."""
    found = {SnapshotKind.DEMONSTRATIONS: _taught, SnapshotKind.PREFERENCES: _guessed}.get(SnapshotKind(kind))
    if found is None:
        return
    allowed = set(filters.prompts(project, rule).values_list("sha256", flat=True))
    weight = rule.weight("model", []) if rule.weights else None
    for row in found(project, rule):
        if row["prompt_sha256"] in allowed and weight != 0:
            yield row if weight is None else {**row, "weight": weight}


def _reworded(project: Project, people: list[Row], rule: Rule) -> Iterator[Row]:
    """The rows of people once more for each paraphrase of their prompts."""
    wordings = paraphrasing.to_learn_from(project, rule.paraphrased_by)
    factor = rule.weights.get(MADE, 1.0)
    for row in people:
        for one in paraphrasing.in_other_words(row, wordings.get(row["prompt_sha256"], [])):
            if not rule.weights:
                yield one
            elif weight := round(one["weight"] * factor, 6):
                yield {**one, "weight": weight}


def reworded(project: Project, collected: Collected, rule: Rule) -> int:
    """How many rows that would be."""
    if not rule.paraphrased_by or not rule.weights.get(MADE, 1.0):
        return 0
    found = paraphrasing.to_learn_from(project, rule.paraphrased_by)
    each = {wordings[0].prompt_id: len(wordings) for wordings in found.values()}
    return sum(each.get(one.prompt, 0) for one in collected.drafts)


def _taught(project: Project, rule: Rule) -> Iterator[Row]:
    for response, version in made.taught(project, rule.taught_by, simulated=rule.simulated):
        columns = {**prompt_columns(response.prompt), "completion": answer(response.text)}
        yield {**columns, "labels": [], "made_by": version}


def _guessed(project: Project, rule: Rule) -> Iterator[Row]:
    guesses = made.guessed(project, rule.guessed_by, confidence=rule.confidence, simulated=rule.simulated)
    for chosen, rejected, sure, version in guesses:
        columns = {
            **prompt_columns(chosen.prompt),
            "chosen": answer(chosen.text),
            "rejected": answer(rejected.text),
        }
        yield {**columns, "margin": 0.0, "agreement": round(sure, 6), "labels": [], "made_by": version}


def prompt_columns(prompt: Prompt) -> Row:
    messages = [{"role": m["role"], "content": m["content"]} for m in prompt.messages]
    return {
        "prompt": messages,
        "prompt_sha256": prompt.sha256,
        "language": prompt.language,
        "tags": sorted(prompt.tags),
    }


def answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
