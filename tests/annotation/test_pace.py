"""A person's own work: how much, how fast, on which days."""

from datetime import UTC, date, datetime

import pytest
from django.utils import timezone

from annotation import labelling, pace
from annotation.models import Label, Project
from annotation.pace import streak
from tests.annotation.making import a_comparison, a_demonstration, first_is_better, lease
from tests.annotation.test_gold import answer, golden

TUESDAY = date(2026, 11, 24)


@pytest.fixture
def at(monkeypatch):
    """Let it be this moment: `at(2026, 11, 24, 9)`, in UTC."""

    def set_clock(*moment):
        now = datetime(*moment, tzinfo=UTC)
        monkeypatch.setattr(timezone, "now", lambda: now)
        return now

    return set_clock


def label(member, seconds=None, kind="comparison"):
    said = first_is_better(seconds=seconds) if kind == "comparison" else labelling.Said(verdict="accept")
    return labelling.submit(assignment=lease(member, kind), said=said)


def test_labels_are_counted_by_day_week_and_kind(project, bob, bea, at):
    for _ in range(5):
        a_comparison(project, wanted=2)
    a_demonstration(project)
    at(2026, 11, 20, 12)  # Friday
    label(bob)
    at(2026, 11, 23, 12)
    label(bob), label(bob, kind="demonstration")
    at(2026, 11, 24, 12)
    label(bob), label(bob), label(bea)
    found = pace.of(bob)
    assert (found.today, found.week, found.total, found.streak) == (2, 4, 5, 3)
    assert found.by_kind == {"comparison": 4, "demonstration": 1}
    assert [(day.day.day, day.labels) for day in found.days if day.labels] == [(20, 1), (23, 2), (24, 2)]
    assert (len(found.days), found.days[-1].day, found.most) == (14, TUESDAY, 2)
    assert pace.at_a_glance(bob) == pace.Glance(total=5, today=2)


def test_days_are_those_of_the_servers_time_zone(project, bob, at, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    a_comparison(project)
    at(2026, 11, 23, 12)  # one in the morning of the 24th there
    label(bob)
    assert [day.day for day in pace.of(bob).days if day.labels] == [TUESDAY]
    at(2026, 11, 24, 10)
    assert pace.at_a_glance(bob).today == 1
    at(2026, 11, 24, 12)
    assert pace.at_a_glance(bob).today == 0


def test_pace_is_items_in_an_hour_on_the_screen_and_a_long_absence_counts_for_ten_minutes(project, bob):
    for seconds in (10, 20, 30, 3600, None):
        a_comparison(project)
        label(bob, seconds)
    found = pace.of(bob)
    assert found.seconds == 25
    assert found.per_hour == round(3600 * 4 / (10 + 20 + 30 + 600))


def test_withdrawn_labels_and_those_of_other_projects_do_not_count(project, bob):
    a_comparison(project)
    labelling.retract(label=label(bob), actor=bob)
    assert pace.of(bob).total == pace.at_a_glance(bob).total == 0
    assert (pace.of(bob).streak, pace.of(bob).per_hour, pace.of(bob).most) == (0, None, 0)


def test_gold_counts_like_any_other_item_and_its_score_is_told_only_where_the_project_tells(project, bob):
    answer(golden(project), bob)
    assert (pace.of(bob).total, pace.of(bob).gold) == (1, None)
    Project.objects.update(gold_feedback=True)
    bob.project.refresh_from_db()
    assert (pace.of(bob).gold.answered, pace.of(bob).gold.right) == (1, 1)
    assert Label.objects.count() == 1


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], 0),
        ([24], 1),
        ([23], 1),  # today is not over
        ([24, 23, 20, 19], 4),  # over a weekend
        ([24, 23, 22, 20], 4),  # Sunday's labels count, its absence would not
        ([24, 20], 1),  # Monday is missing
        ([19, 18], 0),
    ],
)
def test_a_streak_is_days_one_after_the_other_and_weekends_do_not_break_it(days, expected):
    assert streak({date(2026, 11, day) for day in days}, TUESDAY) == expected
