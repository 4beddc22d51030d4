"""Rows to train on, made of what people said: good answers, preferences, answers good or bad by themselves.

They are the rows that a snapshot of the same labels has (training/snapshots/), counted by the same rules
(annotation/aggregating.py) but read prompt by prompt, so that memory stays flat: votes on the same two answers count
together, whichever items they were asked in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from django.db.models import Exists, OuterRef

from annotation import aggregating
from annotation.aggregating import About, Judged, Pairs, Verdicts, Vote
from annotation.exporting import ids
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import ItemResponse, Judgement, Label, Project, Prompt, Response
from annotation.models.items import Kind

BATCH = 500  # prompts in memory at once

Row = dict[str, Any]  # prompt: messages; chosen, rejected, completion: texts


def demonstrations(project: Project, wanted: Wanted, tally: Tally) -> Iterator[Row]:
    """Accepted, edited and written answers, edits of a comparison's best answer too, each once."""
    labels = wanted.learnable(project)
    found = Response.objects.filter(Exists(labels.filter(response=OuterRef("pk"))), prompt__project=project)
    chosen = ids.read(found.order_by("prompt_id", "id").values_list("pk"))
    tally.total += len(chosen)
    for start in range(0, len(chosen), BATCH):
        batch = Response.objects.filter(pk__in=chosen[start : start + BATCH].tolist()).order_by("prompt_id", "id")
        columns = batch.values_list("text", "prompt__messages", "prompt__sha256", "prompt__language", "prompt__tags")
        for text, *prompt in columns:
            yield {**_prompt(*prompt), "completion": text}
        tally.step(min(BATCH, len(chosen) - start))


def preferences(project: Project, wanted: Wanted, tally: Tally) -> Iterator[Row]:
    """Each two answers of which most people preferred one; an edited answer counts as preferred to its original."""
    for heard in _heard(project, wanted, tally):
        for votes in sorted(heard.pairs().values(), key=attrgetter("prompt", "first", "second")):
            outcomes = aggregating.of_pair(votes, wanted.terms)
            for one in outcomes if isinstance(outcomes, list) else ():
                chosen, rejected = heard.texts[one.winner], heard.texts[votes.other(one.winner)]
                said = {"margin": one.margin, "agreement": one.agreement}
                yield {**heard.prompts[votes.prompt], "chosen": chosen, "rejected": rejected, **said}


def unpaired(project: Project, wanted: Wanted, tally: Tally) -> Iterator[Row]:
    """Each answer that most people found good, or bad, by itself."""
    for heard in _heard(project, wanted, tally):
        for found in sorted(heard.verdicts().values(), key=attrgetter("prompt", "response")):
            outcomes = aggregating.of_answer(found, wanted.terms)
            for one in outcomes if isinstance(outcomes, list) else ():
                said = {"label": one.winner == 1, "agreement": one.agreement}
                yield {**heard.prompts[found.prompt], "completion": heard.texts[found.response], **said}


@dataclass
class Heard:
    """What people said about the answers to a batch of prompts."""

    levels: int
    prompts: dict[int, Row]
    labels: list[About]
    judged: dict[int, list[Judged]]  # by label
    shown: dict[int, list[int]]  # by item: the answers of a demonstration
    texts: dict[int, str]

    def pairs(self) -> Pairs:
        found: Pairs = {}
        for label in self.labels:
            if label.prompt in self.prompts:  # the others come with a batch of their own
                judged = self.judged.get(label.id, [])
                strength = aggregating.share_of(label.strength, self.levels)
                aggregating.count(found, label.prompt, label.id, judged, strength)
                aggregating.count_edit(found, label, self.shown.get(label.item, []), judged)
        return found

    def verdicts(self) -> dict[int, Verdicts]:
        found: dict[int, Verdicts] = {}
        for label in self.labels:
            shown, judged = self.shown.get(label.item, []), self.judged.get(label.id, [])
            for prompt, response, good in aggregating.good_or_bad(label, shown, judged):
                if prompt in self.prompts:
                    found.setdefault(response, Verdicts(prompt, response)).said.append(Vote(label.id, int(good), 0.0))
        return found


def _heard(project: Project, wanted: Wanted, tally: Tally) -> Iterator[Heard]:
    """Which labels count is asked once, of all of them; then they are read in the order of their prompts."""
    labels = wanted.learnable(project).order_by().values_list("pk", "item__prompt_id", "response__prompt_id")
    found = np.array(ids.read(labels), np.int64).reshape(-1, 3)
    mended = found[(found[:, 2] != 0) & (found[:, 2] != found[:, 1])]  # earlier turns too: another conversation
    pairs = np.concatenate([found[:, [1, 0]], mended[:, [2, 0]]])  # prompt and label
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    prompts, starts = np.unique(pairs[:, 0], return_index=True)
    ends = np.append(starts, len(pairs))
    tally.total += len(prompts)
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        said = pairs[ends[start] : ends[min(start + BATCH, len(prompts))], 1]
        yield _batch(project, batch.tolist(), np.unique(said).tolist())
        tally.step(len(batch))


def _batch(project: Project, prompts: list[int], said: list[int]) -> Heard:
    found = Label.objects.filter(pk__in=said).order_by("id")
    labels = [About(*row) for row in found.values_list(*aggregating.COLUMNS)]
    judged: defaultdict[int, list[Judged]] = defaultdict(list)
    ranked = [one.id for one in labels if one.kind == Kind.COMPARISON]
    rows = Judgement.objects.filter(label__in=ranked, response__excluded_at=None)
    columns = ("label_id", "response_id", "rank", "unacceptable")
    for label, response, rank, bad in rows.order_by("position").values_list(*columns):
        judged[label].append(Judged(response, rank, bad))
    shown: defaultdict[int, list[int]] = defaultdict(list)
    cleaned = {one.item for one in labels if one.kind == Kind.DEMONSTRATION}
    drafts = ItemResponse.objects.filter(item__in=cleaned, response__excluded_at=None)
    for item, response in drafts.order_by("order").values_list("item_id", "response_id"):
        shown[item].append(response)
    written = {one.response for one in labels if one.response is not None}
    ranked_answers = {one.response for some in judged.values() for one in some}
    answers = written.union(ranked_answers, *shown.values())
    return Heard(
        levels=max(1, len(project.strength_levels)),
        prompts={pk: _prompt(*row) for pk, *row in _columns(prompts)},
        labels=labels,
        judged=judged,
        shown=shown,
        texts=dict(Response.objects.filter(pk__in=answers).values_list("pk", "text")),
    )


def _columns(prompts: list[int]) -> Iterable[tuple[Any, ...]]:
    return Prompt.objects.filter(pk__in=prompts).values_list("pk", "messages", "sha256", "language", "tags")


def _prompt(messages: list[dict[str, str]], sha256: str, language: str, tags: list[str]) -> Row:
    turns = [{"role": one["role"], "content": one["content"]} for one in messages]
    return {"prompt": turns, "prompt_sha256": sha256, "language": language, "tags": sorted(tags)}
