"""Rows to train on, made of what people said: good answers, preferences, answers good or bad by themselves.

They are the rows that a snapshot of the same labels has (training/snapshots/), read prompt by prompt, so that memory
stays flat: votes on the same two answers count together, whichever items they were asked in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db.models import Exists, OuterRef

from annotation.exporting import ids
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import ItemResponse, Judgement, Label, Project, Prompt, Response
from annotation.models.items import Kind
from annotation.models.labels import Verdict

BATCH = 500  # prompts in memory at once

Judged = dict[int, list[tuple[int, int, bool]]]  # by label: answer, rank, whether it is unacceptable
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
        for prompt, votes in heard.pairs():
            for pair in sorted(votes):
                row = votes[pair].row(*pair, wanted.minimum_agreement)
                if row is not None:
                    chosen, rejected = (heard.texts[pk] for pk in row.pop("answers"))
                    yield {**heard.prompts[prompt], "chosen": chosen, "rejected": rejected, **row}


def unpaired(project: Project, wanted: Wanted, tally: Tally) -> Iterator[Row]:
    """Each answer that most people found good, or bad, by itself."""
    for heard in _heard(project, wanted, tally):
        for prompt, verdicts in heard.verdicts():
            for response in sorted(verdicts):
                share = sum(verdicts[response]) / len(verdicts[response])
                agreement = max(share, 1 - share)
                if share != 0.5 and agreement >= wanted.minimum_agreement:
                    said = {"label": share > 0.5, "agreement": round(agreement, 6)}
                    yield {**heard.prompts[prompt], "completion": heard.texts[response], **said}


@dataclass
class Pair:
    """What people said of two answers: how often each won, how much better it was, and how often neither."""

    wins: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    strengths: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    votes: int = 0

    def vote(self, winner: int | None, strength: float) -> None:
        self.votes += 1
        if winner is not None:
            self.wins[winner] += 1
            self.strengths[winner] += strength

    def row(self, first: int, second: int, minimum_agreement: float) -> Row | None:
        if self.wins[first] == self.wins[second]:
            return None
        chosen, rejected = (first, second) if self.wins[first] > self.wins[second] else (second, first)
        agreement = self.wins[chosen] / self.votes
        if agreement < minimum_agreement:
            return None
        margin = max(0.0, (self.strengths[chosen] - self.strengths[rejected]) / self.votes)
        return {"answers": (chosen, rejected), "margin": round(margin, 6), "agreement": round(agreement, 6)}


@dataclass(frozen=True)
class Said:
    """One label: what it says of the answers to `prompt`, and the answer that its author wrote, to `own_prompt`."""

    pk: int
    item: int
    prompt: int
    kind: str
    verdict: str
    strength: int | None
    response: int | None
    own_prompt: int | None


@dataclass
class Heard:
    """What people said about the answers to a batch of prompts."""

    levels: int
    prompts: dict[int, Row]
    labels: list[Said]
    judged: Judged
    drafts: dict[int, list[int]]  # by item: the answers it shows
    texts: dict[int, str]

    def pairs(self) -> Iterator[tuple[int, dict[tuple[int, int], Pair]]]:
        found: defaultdict[int, dict[tuple[int, int], Pair]] = defaultdict(dict)
        for label in self.labels:
            if label.prompt not in self.prompts:
                continue
            pairs = found[label.prompt]
            judged = self.judged.get(label.pk, [])
            for place, (one, rank, bad) in enumerate(judged):
                for other, other_rank, other_bad in judged[place + 1 :]:
                    if bad and other_bad:
                        continue
                    pair = pairs.setdefault((min(one, other), max(one, other)), Pair())
                    if rank == other_rank:
                        pair.vote(None, 0.0)
                    else:
                        pair.vote(one if rank < other_rank else other, (label.strength or self.levels) / self.levels)
            if label.response is None or label.own_prompt != label.prompt or label.verdict == Verdict.ACCEPT:
                continue
            best = [response for response, rank, _ in judged if rank == 1]
            for original in self.drafts[label.item] if label.kind == Kind.DEMONSTRATION else best:
                key = (min(label.response, original), max(label.response, original))
                pairs.setdefault(key, Pair()).vote(label.response, 1.0)
        yield from sorted(found.items())

    def verdicts(self) -> Iterator[tuple[int, dict[int, list[bool]]]]:
        found: defaultdict[int, defaultdict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
        for label in self.labels:
            for prompt, response, good in self._verdicts(label):
                if prompt in self.prompts:  # the others come with a batch of their own
                    found[prompt][response].append(good)
        yield from sorted(found.items())

    def _verdicts(self, label: Said) -> Iterator[tuple[int, int, bool]]:
        """An answer that somebody edited is neither good nor bad; nor is one that is best only because all are tied."""
        if label.response is not None and label.own_prompt is not None:
            yield label.own_prompt, label.response, True
        elif label.verdict == Verdict.REJECT:
            yield from ((label.prompt, response, False) for response in self.drafts[label.item])
        judged = self.judged.get(label.pk, [])
        last = max((rank for _, rank, _ in judged), default=1)
        for response, rank, bad in judged:
            if bad:
                yield label.prompt, response, False
            elif rank == 1 < last and label.response is None:
                yield label.prompt, response, True


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
    columns = ("pk", "item_id", "item__prompt_id", "item__kind", "verdict", "strength", "response_id")
    found = Label.objects.filter(pk__in=said).order_by("id")
    labels = [Said(*row) for row in found.values_list(*columns, "response__prompt_id")]
    judged: defaultdict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    ranked = [one.pk for one in labels if one.kind == Kind.COMPARISON]
    rows = Judgement.objects.filter(label__in=ranked, response__excluded_at=None)
    for label, response, rank, bad in rows.order_by("position").values_list(
        "label_id", "response_id", "rank", "unacceptable"
    ):
        judged[label].append((response, rank, bad))
    drafts: defaultdict[int, list[int]] = defaultdict(list)
    cleaned = {one.item for one in labels if one.kind == Kind.DEMONSTRATION}
    shown = ItemResponse.objects.filter(item__in=cleaned, response__excluded_at=None)
    for item, response in shown.order_by("order").values_list("item_id", "response_id"):
        drafts[item].append(response)
    return Heard(
        levels=max(1, len(project.strength_levels)),
        prompts={pk: _prompt(*row) for pk, *row in _columns(prompts)},
        labels=labels,
        judged=judged,
        drafts=drafts,
        texts=dict(Response.objects.filter(pk__in=_answers(labels, judged, drafts)).values_list("pk", "text")),
    )


def _answers(labels: list[Said], judged: Judged, drafts: dict[int, list[int]]) -> set[int]:
    """All answers of which something is said."""
    written = {one.response for one in labels if one.response is not None}
    shown = {response for rows in judged.values() for response, _, _ in rows}
    return written.union(shown, *drafts.values())


def _columns(prompts: list[int]) -> Iterable[tuple[Any, ...]]:
    return Prompt.objects.filter(pk__in=prompts).values_list("pk", "messages", "sha256", "language", "tags")


def _prompt(messages: list[dict[str, str]], sha256: str, language: str, tags: list[str]) -> Row:
    turns = [{"role": one["role"], "content": one["content"]} for one in messages]
    return {"prompt": turns, "prompt_sha256": sha256, "language": language, "tags": sorted(tags)}
