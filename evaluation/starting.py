"""Rounds that start by themselves, when a project's policy finds that enough was said.

`look` tells what the policy sees, condition by condition, and starts nothing: it is the dry run on the leads' page.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Sum
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from annotation import kept
from annotation.models import Label, Project, User
from annotation.models.events import record
from annotation.models.items import Kind
from annotation.statistics import percent
from evaluation import report, rounds
from evaluation.models import Round, RoundPolicy
from training.models import Run


@dataclass(frozen=True)
class Condition:
    """One thing that must hold, in words: what is there, and what is wanted."""

    name: str
    value: str
    goal: str
    met: bool


@dataclass(frozen=True)
class Outlook:
    """What the policy sees. A round would start if all conditions are met; it does if the policy is enabled, too."""

    conditions: list[Condition]

    @property
    def would_start(self) -> bool:
        return all(condition.met for condition in self.conditions)


def policy_of(project: Project) -> RoundPolicy:
    """The project's policy; the defaults, not stored, where nobody has set one."""
    return RoundPolicy.objects.filter(project=project).first() or RoundPolicy(project=project)


def set_policy(*, policy: RoundPolicy, actor: User | None = None) -> RoundPolicy:
    """Store a policy that a form has validated."""
    policy.save()
    rule = {field.name: field.value_from_object(policy) for field in policy._meta.fields[2:]}
    record("round policy set", policy.project, project=policy.project, actor=actor, **rule)
    return policy


def look(project: Project, policy: RoundPolicy | None = None, *, ready: dict[str, Any] | None = None) -> Outlook:
    """The dry run, by this policy or the project's own; `ready` is `report.readiness`, where that is known."""
    policy = policy or policy_of(project)
    last = Round.objects.filter(project=project).first()
    ready = ready or report.readiness(project)
    conditions = [
        Condition("A round can start", ready["reason"] or "yes", "yes", ready["can_start"]),
        _new_labels(project, policy, last),
        _agreement(project, policy),
        _cooldown(policy, last),
    ]
    if policy.label_budget is not None:
        spent = Label.objects.live().filter(project=project, item__kind=Kind.COMPARISON, simulated=False).count()
        budget = policy.label_budget
        conditions.append(Condition("Labels spent", str(spent), f"fewer than {budget}", spent < budget))
    if policy.minutes_budget is not None:
        minutes = _minutes(project)
        goal = f"fewer than {policy.minutes_budget}"
        conditions.append(
            Condition("Minutes of computing spent", f"{minutes:.0f}", goal, minutes < policy.minutes_budget)
        )
    return Outlook(conditions)


def start_if_due(project: Project) -> Round | None:
    """Start the next round with the last one's settings, if the policy is enabled and all is met; safe at any time."""
    policy = RoundPolicy.objects.filter(project=project, enabled=True).first()
    if policy is None or not (outlook := look(project, policy)).would_start:
        return None
    last = Round.objects.filter(project=project).first()
    try:
        new = rounds.start(project=project, settings=last.settings if last else None)
    except ValidationError:  # somebody was quicker, or the last round's settings are out of date
        return None
    seen = {condition.name: condition.value for condition in outlook.conditions}
    record("round started by policy", new, project=project, actor=None, conditions=seen)
    return new


def _new_labels(project: Project, policy: RoundPolicy, last: Round | None) -> Condition:
    labels = Label.objects.trainable().filter(project=project, item__kind=Kind.COMPARISON)
    new = labels.filter(created_at__gt=last.created_at).count() if last else labels.count()
    return Condition("New comparisons", str(new), f"{policy.new_labels} or more", new >= policy.new_labels)


def _agreement(project: Project, policy: RoundPolicy) -> Condition:
    goal = f"{percent(policy.minimum_agreement)} or more"
    overall = kept.reports(project)[0][Kind.COMPARISON].overall
    if overall.interval is None:
        return Condition("Agreement", "nothing is judged twice yet", goal, policy.minimum_agreement == 0)
    value = overall.interval.value
    return Condition("Agreement", percent(value), goal, value >= policy.minimum_agreement)


def _cooldown(policy: RoundPolicy, last: Round | None) -> Condition:
    goal = f"{policy.cooldown_hours:g} hours or more"
    if last is None:
        return Condition("Since the last round", "there was none", goal, True)
    ended = last.finished_at or last.steps.order_by("-pk").values_list("finished_at", flat=True).first()
    since = timezone.now() - (ended or last.created_at)
    hours = since / timedelta(hours=1)
    return Condition("Since the last round", f"{hours:.1f} hours", goal, hours >= policy.cooldown_hours)


def _minutes(project: Project) -> float:
    """How long the project's runs have taken together."""
    began = Run.objects.filter(project=project, started_at__isnull=False)
    total = began.aggregate(total=Sum(Coalesce("finished_at", Now()) - F("started_at")))["total"]
    return float(total / timedelta(minutes=1)) if total else 0.0
