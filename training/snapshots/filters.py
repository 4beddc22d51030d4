"""Which labels a rule lets in. Whatever it says, only those that may be trained on: no gold, no held-out prompt, none
that was withdrawn, replaced or overruled, nobody excluded. Filters only ever take away from that.
"""

from datetime import datetime, time, timedelta

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q
from django.utils.timezone import make_aware

from annotation.models import Label, Project, Prompt, User
from annotation.models.labels import LabelQuerySet
from annotation.models.prompts import PromptQuerySet
from training.models import ModelVersion, Sample
from training.snapshots.rules import Rule


def trainable(project: Project, rule: Rule) -> LabelQuerySet:
    """What there is before the filters."""
    return Label.objects.trainable(simulated=rule.simulated).filter(project=project)


def labels(project: Project, rule: Rule) -> LabelQuerySet:
    """The labels a rule lets in."""
    rows = trainable(project, rule).filter(_of_prompt(rule, "item__prompt__"))
    if rule.purposes:
        rows = rows.filter(item__purpose__in=rule.purposes)
    if rule.people:
        rows = rows.filter(person__username__in=rule.people)
    if rule.without_people:
        rows = rows.exclude(person__username__in=rule.without_people)
    if rule.since:
        rows = rows.filter(created_at__gte=make_aware(datetime.combine(rule.since, time.min)))
    if rule.until:
        rows = rows.filter(created_at__lt=make_aware(datetime.combine(rule.until, time.min) + timedelta(days=1)))
    if rule.flags:
        rows = rows.filter(_flagged(rule.flags))
    if rule.without_flags:
        rows = rows.exclude(_flagged(rule.without_flags))
    if rule.answered_by:
        of_these = Sample.objects.filter(
            generation__model_version__in=rule.answered_by, response__item_answers__item=OuterRef("item")
        )
        rows = rows.filter(Exists(of_these))
    return rows


def prompts(project: Project, rule: Rule) -> PromptQuerySet:
    """The training prompts a rule lets in; rows that models make are held to them, too."""
    return Prompt.objects.train().filter(_of_prompt(rule, ""), project=project)


def check(project: Project, rule: Rule) -> None:
    """Raises ValidationError if the rule names people or models that the project has not: a name that is misspelt
    would let in, or leave out, what nobody meant."""
    names = {*rule.people, *rule.without_people}
    known = User.objects.filter(Q(memberships__project=project) | Q(labels__project=project), username__in=names)
    if missing := names - set(known.values_list("username", flat=True)):
        raise ValidationError(f"Nobody in this project is called {', '.join(sorted(missing))}.")
    models = ModelVersion.objects.filter(project=project, pk__in=rule.answered_by)
    if lost := set(rule.answered_by) - set(models.values_list("pk", flat=True)):
        raise ValidationError(f"This project has no model {', '.join(map(str, sorted(lost)))}.")


def left_out(project: Project, rule: Rule) -> list[tuple[str, int]]:
    """Why labels of the project do not count under this rule, each under the first reason that holds."""
    every = Label.objects.filter(project=project)
    work = every.live().exclude(item__purpose="gold")
    steps = [
        ("withdrawn or replaced", every.live()),
        ("of gold items", work),
        ("on held-out prompts", work.filter(item__prompt__split="train").exclude(response__prompt__split="heldout")),
        (
            "of people whose labels do not count, or overruled by a reviewer",
            Label.objects.trainable(simulated=True).filter(project=project),
        ),
        ("of simulated annotators", trainable(project, rule)),
        ("by the filters", labels(project, rule)),
    ]
    found, before = [], every.count()
    for why, rows in steps:
        left = rows.count()
        if before > left:
            found.append((why, before - left))
        before = left
    return found


def _of_prompt(rule: Rule, prefix: str) -> Q:
    wanted = Q()
    if rule.languages:
        wanted &= Q(**{f"{prefix}language__in": rule.languages})
    if rule.tags:
        wanted &= Q(**{f"{prefix}tags__overlap": rule.tags})
    if rule.without_tags:
        wanted &= ~Q(**{f"{prefix}tags__overlap": rule.without_tags})
    if rule.metadata:
        wanted &= Q(**{f"{prefix}metadata__contains": rule.metadata})
    return wanted


def _flagged(flags: list[str]) -> Q:
    """With any of these."""
    wanted = Q()
    for flag in flags:
        wanted |= Q(flags__contains=[flag])
    return wanted
