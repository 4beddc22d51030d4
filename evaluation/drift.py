"""Whether what people ask, and how they judge, has moved away from what the production model learned from.

Three things are watched: the prompts that came in since against those it was trained on (their words, turns, script and
language, by an energy test, and their length by itself), people's agreement in the last weeks against the weeks before,
and the reward model's accuracy from round to round. Each says what to do. Leads are told once a week at most.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from annotation import agreement, notices
from annotation.models import Event, Project, Prompt, User
from annotation.models.events import record
from annotation.models.items import Kind
from annotation.models.people import Role
from annotation.statistics import percent, wilson
from evaluation import scoring, shift
from evaluation.models import Round
from training import registry
from training.models import ModelVersion

FEWEST = 20  # prompts on either side before anything is said
NEWEST = 500  # prompts that came since: these at most are looked at
LEVEL = 0.01  # of each test: leads are asked every day
WEEKS = 4
AGAIN_DAYS = 7
NOTICED = "drift noticed"


@dataclass(frozen=True)
class Finding:
    """What has moved, in words, and what to do about it."""

    name: str
    words: str
    advice: str


def findings(project: Project) -> list[Finding]:
    """Everything that has moved; empty where all is as it was or too little is there to tell."""
    return [*_prompts(project), *_agreement(project), *_accuracy(project)]


def watch(project: Project) -> list[Finding]:
    """Tell the project's leads what has moved, each kind once a week at most; returns what they were told."""
    since = timezone.now() - timedelta(days=AGAIN_DAYS)
    events = Event.objects.filter(project=project, verb=NOTICED, created_at__gt=since)
    known = {event.data.get("name") for event in events}
    new = [one for one in findings(project) if one.name not in known]
    if new:
        leads = User.objects.filter(memberships__project=project, memberships__role=Role.LEAD)
        for one in new:
            record(NOTICED, project, project=project, actor=None, name=one.name, words=one.words)
            notices.tell(
                people=leads,
                project=project,
                text=f"{one.words} {one.advice}",
                address=f"{reverse('history', args=[project.slug])}#drift-title",
            )
    return new


def _prompts(project: Project) -> Iterable[Finding]:
    model = ModelVersion.objects.filter(project=project).production().select_related("run").first()
    if model is None:
        return
    learned = registry.labels_behind(model).order_by()
    newest = learned.order_by("-created_at").values_list("created_at", flat=True).first()
    if newest is None:  # nothing was trained on yet
        return
    rows = Prompt.objects.kept().originals().filter(project=project)
    old = list(rows.filter(pk__in=learned.values("item__prompt")))
    new = list(rows.filter(created_at__gt=newest).order_by("-id")[:NEWEST])
    if min(len(old), len(new)) < FEWEST:
        return
    languages = [name for name, _ in Counter(one.language for one in (*old, *new)).most_common(6)]
    before, since = ([features(one, languages) for one in side] for side in (old, new))
    moved = shift.energy(before, since)
    if moved.p > LEVEL:
        return
    lengths = shift.kolmogorov_smirnov([one[0] for one in before], [one[0] for one in since])
    means = [math.exp(sum(one[0] for one in side) / len(side)) for side in (before, since)]
    how = []
    if lengths.p <= LEVEL and max(means) >= 1.25 * min(means):
        how.append(f"they have {means[1]:.0f} words where it was {means[0]:.0f}")
    if grown := _grown(old, new):
        how.append(f"more of them are in {grown}")
    said = f"The {len(new)} newest prompts differ from those the production model learned from"
    said = ": ".join([said, " and ".join(how)] if how else [said])
    yield Finding("prompts", f"{said}.", "Have some of them answered and ranked, then start a round.")


def _grown(old: list[Prompt], new: list[Prompt]) -> str:
    """The language whose share has grown most, if that is by a tenth of all or more."""
    before, since = (Counter(one.language for one in side) for side in (old, new))
    grown = {name: since[name] / len(new) - before[name] / len(old) for name in since if name}
    best = max(grown, key=lambda name: grown[name], default="")
    return best if best and grown[best] >= 0.1 else ""


def features(prompt: Prompt, languages: list[str]) -> list[float]:
    """What can be seen of a prompt without reading it: its size first, as the logarithm of its words."""
    text = prompt.last_turn
    size = max(1, len(text))
    return [
        math.log(max(1, len(text.split()))),
        math.log(max(1, len(prompt.messages))),
        sum(len(word) for word in text.split()) / max(1, len(text.split())),
        sum(ord(letter) > 0x24F for letter in text) / size,  # beyond Latin letters
        sum(letter.isdigit() for letter in text) / size,
        sum(letter in "{}[]()<>=;" for letter in text) / size,
        float("?" in text),
        *(float(prompt.language == name) for name in languages),
    ]


def _agreement(project: Project) -> Iterable[Finding]:
    weeks = agreement.reports(project)[Kind.COMPARISON].weeks
    last, before = weeks[-WEEKS:], weeks[:-WEEKS]
    if not before or not last:
        return
    rates = []
    for part in (before, last):
        total = sum(week.comparisons for week in part)
        if total < FEWEST:
            return
        rates.append(wilson(sum(week.agreed for week in part), total))
    if rates[1].upper < rates[0].lower:
        yield Finding(
            "agreement",
            f"People agree less than they did: on {percent(rates[1].value)} of comparisons in the last weeks, on "
            f"{percent(rates[0].value)} before.",
            "Look at the quality pages for whom and where, and sharpen the guidelines.",
        )


def _accuracy(project: Project) -> Iterable[Finding]:
    rounds = Round.objects.filter(project=project, reward_model__isnull=False).order_by("-number")
    scores = [scoring.score_of(one.reward_model, "reward accuracy") for one in rounds[:2] if one.reward_model]
    if len(scores) < 2:
        return
    now, before = scores
    if now is None or before is None:
        return
    if now.upper is not None and before.lower is not None and now.upper < before.lower:
        yield Finding(
            "accuracy",
            f"The newest reward model agrees with people on {percent(now.value)} of held-out pairs, the one before "
            f"it on {percent(before.value)}.",
            "Compare what was labelled since: new people, new prompts, or new guidelines.",
        )
