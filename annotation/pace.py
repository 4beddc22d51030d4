"""One person's own work in a project: how much, how fast, on which days. For them alone: people are not ranked.

Gold is counted with the rest, since a count that stands still would tell which item was gold. Days are calendar days in
the server's time zone.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from annotation.models import Label, Membership
from annotation.models.items import Kind
from annotation.standing import Score, score_of

DAYS = 14
RECENT = 500  # labels from which the pace is taken
LONGEST = 600.0  # seconds that one item counts for: somebody was called away


@dataclass(frozen=True)
class Glance:
    """What stands above an item: labels in all and today."""

    total: int
    today: int


@dataclass(frozen=True)
class Day:
    day: date
    labels: int


@dataclass(frozen=True, kw_only=True)
class Work:
    total: int
    today: int
    week: int
    by_kind: dict[str, int]
    streak: int
    seconds: float | None
    per_hour: int | None
    days: list[Day]
    gold: Score | None

    @property
    def most(self) -> int:
        """The tallest of the days, for a chart."""
        return max((day.labels for day in self.days), default=0)


def at_a_glance(membership: Membership) -> Glance:
    """In one statement, as it is asked for every item."""
    midnight = timezone.make_aware(datetime.combine(timezone.localdate(), time()))
    today = Q(created_at__gte=midnight)
    return Glance(**_labels(membership).aggregate(total=Count("id"), today=Count("id", filter=today)))


def of(membership: Membership) -> Work:
    """The person's work up to now; their score on gold only where the project tells people what was right."""
    labels = _labels(membership)
    today = timezone.localdate()
    counts: dict[date, int] = dict(
        labels.annotate(day=TruncDate("created_at")).values_list("day").annotate(n=Count("id")).order_by("day")
    )
    monday = today - timedelta(days=today.weekday())
    timed = labels.filter(seconds__gt=0).order_by("-id").values_list("seconds", flat=True)[:RECENT]
    recent = [float(one) for one in timed if one is not None]
    kinds = dict(labels.values_list("item__kind").annotate(n=Count("id")))
    return Work(
        total=sum(counts.values()),
        today=counts.get(today, 0),
        week=sum(n for day, n in counts.items() if day >= monday),
        by_kind={kind: kinds.get(kind, 0) for kind in Kind.values},
        streak=streak(set(counts), today),
        seconds=median(recent) if recent else None,
        per_hour=round(3600 * len(recent) / sum(min(one, LONGEST) for one in recent)) if recent else None,
        days=[Day(day, counts.get(day, 0)) for day in (today - timedelta(days=n) for n in reversed(range(DAYS)))],
        gold=score_of(membership) if membership.project.gold_feedback else None,
    )


def _labels(membership: Membership) -> QuerySet[Label]:
    return Label.objects.live().filter(person_id=membership.person_id, project_id=membership.project_id)


def streak(days: set[date], today: date) -> int:
    """Days with labels up to today, one after the other; neither a weekend nor a day that is not over breaks it.

    >>> streak({date(2026, 11, 20), date(2026, 11, 23)}, date(2026, 11, 24))  # Friday and Monday, on Tuesday
    2
    >>> streak({date(2026, 11, 19), date(2026, 11, 23)}, date(2026, 11, 24))  # Friday is missing
    1
    """
    found, day = 0, today
    while days and day >= min(days):
        if day in days:
            found += 1
        elif day != today and day.weekday() < 5:
            break
        day -= timedelta(days=1)
    return found
