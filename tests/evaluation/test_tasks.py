"""What a clock does for all projects it does for each by itself: one that breaks holds up no other."""

from typing import Any

import pytest
from django.db import OperationalError

from annotation.models import Project
from evaluation import drift, rounds, starting, steering, tasks
from evaluation.models import Round
from tests.training.making import a_model

pytestmark = pytest.mark.django_db

FIRST = "desk"


@pytest.fixture
def seen(project, monkeypatch) -> list[str]:
    """The projects that were looked at, of which there are two; the first breaks."""
    other = Project.objects.create(slug="other", name="Other")
    for one in (project, other):
        model = a_model(one, "old")
        Round.objects.create(project=one, number=1, champion=model, step="collecting")
    found: list[str] = []

    def look(one: Project) -> Any:
        found.append(one.slug)
        if one.slug == FIRST:
            raise ValueError("a broken row")
        return []

    monkeypatch.setattr(drift, "watch", look)
    monkeypatch.setattr(starting, "start_if_due", look)
    monkeypatch.setattr(steering, "refresh_if_due", lambda one: bool(look(one)))
    monkeypatch.setattr(rounds, "advance", lambda round_id: look(Round.objects.get(pk=round_id).project))
    return found


@pytest.mark.parametrize("task", ["watch_drift", "steer", "start_rounds", "recover"])
def test_a_project_that_breaks_holds_up_no_other_and_is_told(seen, task, caplog):
    with pytest.raises(ExceptionGroup) as raised:
        getattr(tasks, task)()
    assert sorted(seen) == [FIRST, "other"]
    assert [str(one) for one in raised.value.exceptions] == ["a broken row"]
    assert "Could not" in caplog.text
    assert "a broken row" in caplog.text


def test_a_database_that_is_away_ends_it_at_once(seen, monkeypatch):
    def away(one: Project) -> int:
        seen.append(one.slug)
        raise OperationalError("gone")

    monkeypatch.setattr(steering, "refresh_if_due", away)
    with pytest.raises(OperationalError):
        tasks.steer()
    assert len(seen) == 1
