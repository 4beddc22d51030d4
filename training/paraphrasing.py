"""Paraphrases: people's prompts in the words of a model, so that their answers are learnt from more than once.

A paraphrase tells no more about a held-out prompt than its original does, unless it is nearer to one. So one that is
nearly a held-out prompt, or that is near to one and nearer than its original, is refused for good; it is looked at when
it is written and again whenever labels are frozen, since prompts may be held out that came later.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation.models import Label, Project, Prompt, User
from annotation.models.events import record
from annotation.models.items import Kind
from annotation.models.prompts import PromptQuerySet
from annotation.text import storable
from training import rewording, runs
from training.models import ModelVersion, Paraphrase, Run
from training.models.paraphrases import Decision, Refusal

MOST_PROMPTS = 10_000
USUAL = 200  # prompts of a run, unless told otherwise
ABOUT = 200  # characters

Row = dict[str, Any]


def candidates(project: Project) -> PromptQuerySet:
    """Training prompts with something to learn from: accepted or edited demonstrations, or comparisons."""
    labels = Label.objects.trainable(simulated=True).filter(project=project)
    labels = labels.filter(Q(item__kind=Kind.COMPARISON) | Q(response__isnull=False))
    return Prompt.objects.train().kept().originals().filter(project=project, pk__in=labels.values("item__prompt"))


def paraphrase(
    *,
    project: Project,
    model: ModelVersion,
    prompts: int = USUAL,
    settings: dict[str, Any] | None = None,
    seed: int = 17,
    actor: User | None = None,
    wake: bool = True,
) -> Run:
    """Queue a run in which a model says so many prompts in other words, those first of which it has no paraphrase yet.

    Raises ValidationError if there is nothing to paraphrase, or if the settings or the model do not fit.
    """
    if not 1 <= prompts <= MOST_PROMPTS:
        raise ValidationError(f"Ask for 1 to {MOST_PROMPTS:,} prompts at a time.")
    there = Paraphrase.objects.filter(prompt=OuterRef("pk"), run__base=model)
    rows = candidates(project).annotate(done=Exists(there)).order_by("done", "id")[:prompts]
    asked = [{"id": one.pk, "messages": [{"role": "user", "content": one.last_turn}]} for one in rows]
    if not asked:
        raise ValidationError(
            "There is no prompt to say in other words: it takes training prompts with accepted or edited answers, or "
            "with comparisons."
        )
    return runs.start(
        project=project,
        method="paraphrase",
        base=model,
        inputs={"prompts": asked},
        settings=settings,
        seed=seed,
        actor=actor,
        wake=wake,
    )


# What a run wrote


@dataclass
class Checks:
    """What a paraphrase is held against, and what is known: what was kept so far, and what a person refused."""

    heldout: rewording.Heldout
    near: set[int]  # places of those that are nearly a held-out prompt
    known: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    def judge(self, one: Paraphrase, place: int) -> Paraphrase:
        original, text, language = one.prompt.last_turn, one.text, one.prompt.language
        nearer, one.nearness = self.heldout.nearer(original, text)
        if not text:
            one.refused_because = Refusal.EMPTY
        elif rewording.is_same(original, text):
            one.refused_because = Refusal.SAME
        elif place in self.near:
            one.refused_because = Refusal.HELDOUT
        elif nearer:
            one.refused_because = Refusal.NEARER
        elif changed := rewording.length(original, text):
            one.refused_because = changed
        elif rewording.other_language(original, text, language):
            one.refused_because = Refusal.LANGUAGE
        elif rewording.asks_no_more(original, text):
            one.refused_because = Refusal.QUESTION
        elif lost := rewording.lost(original, text, language):
            one.refused_because, one.about = Refusal.DETAIL, lost[:ABOUT]
        elif rewording.repeats(text, self.known[one.prompt_id]):
            one.refused_because = Refusal.REPEATED
        else:
            self.known[one.prompt_id].append(text)
        return one


def judged(run: Run, path: Path) -> list[Paraphrase]:
    """The finished paraphrases that a run wrote, each with why it is refused, if it is; not stored yet. Of prompts that
    may be trained on no more there are none."""
    with path.open() as lines:
        finished = [row for row in map(json.loads, lines) if row["finished"]]
    asked = [row["id"] for row in run.inputs["prompts"]]
    prompts = Prompt.objects.train().kept().filter(project=run.project).in_bulk(asked)
    found = [
        Paraphrase(
            run=run,
            prompt=prompts[row["prompt_id"]],
            index=row["sample"],
            text=rewording.bare(storable(row["text"])),
        )
        for row in finished
        if row["prompt_id"] in prompts
    ]
    checks = _checks(run.project, found)
    known = Paraphrase.objects.kept() | Paraphrase.objects.filter(decision=Decision.REFUSED)
    for one in known.filter(prompt__in=prompts).order_by("pk"):
        checks.known[one.prompt_id].append(one.text)
    return [checks.judge(one, place) for place, one in enumerate(found)]


def _checks(project: Project, found: list[Paraphrase]) -> Checks:
    """All held-out prompts are compared with, those that were excluded too."""
    rows = Prompt.objects.heldout().filter(project=project).order_by("pk").values_list("messages", flat=True)
    heldout = rewording.Heldout(str(messages[-1]["content"]) for messages in rows.iterator() if messages)
    return Checks(heldout, heldout.near([one.text for one in found]))


# What is learnt from


def to_learn_from(project: Project, models: Iterable[int]) -> dict[str, list[Paraphrase]]:
    """The paraphrases of these models that are kept, by the hash of their prompt; each wording of a prompt once."""
    rows = Paraphrase.objects.kept().by(models).filter(prompt__in=Prompt.objects.train().kept().filter(project=project))
    kept = list(rows.select_related("prompt", "run").defer("run__inputs").order_by("pk"))  # of which each has them all
    checks = _checks(project, kept)
    found: defaultdict[str, list[Paraphrase]] = defaultdict(list)
    for place, one in enumerate(kept):
        too_near = place in checks.near or checks.heldout.nearer(one.prompt.last_turn, one.text)[0]
        if not too_near and one.text not in [other.text for other in found[one.prompt.sha256]]:
            found[one.prompt.sha256].append(one)
    return dict(found)


def makers(project: Project) -> QuerySet[ModelVersion]:
    """The models of which some paraphrase is kept."""
    kept = Paraphrase.objects.kept().filter(run__base=OuterRef("pk"))
    return ModelVersion.objects.filter(Exists(kept), project=project)


def in_other_words(row: Row, wordings: list[Paraphrase]) -> list[Row]:
    """A row of people's, asked in other words: its answers and its labels stay as they are."""
    return [
        {
            **row,
            "prompt": [*row["prompt"][:-1], {"role": "user", "content": one.text}],
            "made_by": one.run.base_id,
            "paraphrase": True,
        }
        for one in wordings
    ]


# What people say of them


@transaction.atomic
def decide(*, paraphrase: Paraphrase, keep: bool, actor: User) -> bool:
    """Refuse a paraphrase, or take one back; False if it is so already.

    Raises ValidationError if it was refused for what nobody takes back.
    """
    fresh = Paraphrase.objects.select_for_update(of=["self"]).get(pk=paraphrase.pk)
    if fresh.is_kept == keep:
        return False
    if not fresh.can_change:
        why = fresh.get_refused_because_display()
        raise ValidationError(f"It stays refused, whatever anybody decides: {why[:1].lower()}{why[1:]}.")
    fresh.decision = Decision.KEPT if keep else Decision.REFUSED
    fresh.decided_by, fresh.decided_at = actor, timezone.now()
    fresh.save(update_fields=["decision", "decided_by", "decided_at"])
    what = "paraphrase taken back" if keep else "paraphrase refused"
    record(what, fresh, project=paraphrase.prompt.project, actor=actor, run=fresh.run_id)
    return True


@dataclass(frozen=True)
class Tally:
    kept: int
    refused: list[tuple[str, str, int]]  # reason, in words, how many; the most first

    @property
    def all(self) -> int:
        return self.kept + sum(count for *_, count in self.refused)


PERSON = "person"  # as a reason


def shown(run: Run, show: str) -> QuerySet[Paraphrase]:
    """A run's paraphrases: `kept`, `refused`, those refused for one reason, or all."""
    rows = run.paraphrases.all()
    if show == PERSON:
        return rows.filter(decision=Decision.REFUSED)
    if show in Refusal.values:
        return rows.filter(decision="", refused_because=show)
    return {"kept": rows.kept, "refused": rows.refused}.get(show, rows.all)()


def tally(run: Run) -> Tally:
    """How many of a run's paraphrases are kept, and why the others are not."""
    counts: Counter[str] = Counter()
    rows = run.paraphrases.values_list("decision", "refused_because").annotate(n=Count("pk"))
    rows = rows.order_by("decision", "refused_because")
    for decision, reason, number in rows:
        counts["" if decision == Decision.KEPT else PERSON if decision else reason] += number
    names = {**dict(Refusal.choices), PERSON: Decision.REFUSED.label}
    refused = [(reason, names[reason], count) for reason, count in counts.most_common() if reason]
    return Tally(counts[""], refused)
