"""Rounds that start by themselves: only where a lead has said so, and everything that was asked for is there."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from annotation.models import Event
from evaluation import report, rounds, starting, tasks
from evaluation.models import Round, RoundPolicy, Steering
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, compares, says
from training import runs
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def ready(project, bob, base):
    for _ in range(2):
        a_preference(bob)
    return project


def rule(project, **more) -> RoundPolicy:
    values = {"enabled": True, "new_labels": 2, "cooldown_hours": 0, **more}
    return RoundPolicy.objects.update_or_create(project=project, defaults=values)[0]


def unmet(project) -> list[str]:
    return [condition.name for condition in starting.look(project).conditions if not condition.met]


def over(project, *, hours: float) -> Round:
    """The active round, ended so long ago."""
    ended = timezone.now() - timedelta(hours=hours)
    Round.objects.active().filter(project=project).update(status="done", step="done", finished_at=ended)
    return Round.objects.filter(project=project).first()


def test_a_round_starts_by_itself_and_one_at_a_time(ready):
    rule(ready)
    assert tasks.start_rounds() == 1
    started = Round.objects.get()
    assert (started.number, started.started_by, started.status) == (1, None, "active")
    event = Event.objects.get(verb="round started by policy")
    assert event.data["conditions"]["New comparisons"] == "2"
    assert tasks.start_rounds() == 0
    assert "A round is under way" in starting.look(ready).conditions[0].value


def test_it_has_the_settings_of_the_last(ready, bob):
    rounds.start(project=ready, settings={"new_items": 7, "seed": 5})
    over(ready, hours=1)
    rule(ready)
    for _ in range(2):
        a_preference(bob)
    assert tasks.start_rounds() == 1
    assert Round.objects.first().settings["new_items"] == 7


def test_nothing_starts_unless_a_lead_has_said_so(ready):
    assert starting.look(ready, RoundPolicy(project=ready, new_labels=2)).would_start
    assert not RoundPolicy.objects.exists()
    assert tasks.start_rounds() == 0
    rule(ready, enabled=False)
    assert starting.look(ready).would_start
    assert tasks.start_rounds() == 0


def test_labels_are_waited_for_and_counted_from_the_last_round(ready, bob, member):
    rule(ready, new_labels=3)
    a_preference(member("robot", simulated=True))
    a_preference(bob, purpose="gold")
    a_preference(bob, prompt=a_prompt(ready, split="heldout"))
    assert unmet(ready) == ["New comparisons"]
    a_preference(bob)
    assert unmet(ready) == []
    assert tasks.start_rounds() == 1
    over(ready, hours=1)
    assert unmet(ready) == ["New comparisons"]


def test_people_must_agree(ready, bob, bea):
    rule(ready, minimum_agreement=0.8)
    assert unmet(ready) == ["Agreement"]
    assert starting.look(ready).conditions[2].value == "nothing is judged twice yet"
    item = compares(a_prompt(ready), "good", "bad")
    says(bob, item, ranks=(1, 2), strength=1)
    says(bea, item, ranks=(2, 1), strength=1)
    assert unmet(ready) == ["Agreement"]
    for n in range(5):
        item = compares(a_prompt(ready), f"good {n}", f"bad {n}")
        for one in (bob, bea):
            says(one, item, ranks=(1, 2), strength=1)
    assert unmet(ready) == []
    assert starting.look(ready).conditions[2].value == "83 %"


def test_rounds_rest_in_between(ready, bob):
    rule(ready, cooldown_hours=5)
    assert tasks.start_rounds() == 1
    over(ready, hours=4)
    for _ in range(2):
        a_preference(bob)
    assert unmet(ready) == ["Since the last round"]
    over_since = timezone.now() - timedelta(hours=6)
    Round.objects.update(finished_at=over_since)
    assert unmet(ready) == []


def test_budgets_end_it(ready, base):
    rule(ready, label_budget=2)
    assert unmet(ready) == ["Labels spent"]
    rule(ready, label_budget=3, minutes_budget=30)
    assert unmet(ready) == []
    run = runs.start(project=ready, method="generate", base=base, wake=False)
    ended = timezone.now()
    Run.objects.filter(pk=run.pk).update(started_at=ended - timedelta(minutes=31), finished_at=ended)
    assert unmet(ready) == ["Minutes of computing spent"]
    assert tasks.start_rounds() == 0


def test_a_project_without_a_model_or_an_archived_one_starts_nothing(project, bob):
    for _ in range(2):
        a_preference(bob)
    rule(project)
    assert unmet(project) == ["A round can start"]
    a_model(project, stage="production")
    project.archived = True
    project.save()
    assert tasks.start_rounds() == 0


def test_a_policy_out_of_range_is_refused(project):
    for wrong in ({"new_labels": 0}, {"minimum_agreement": 1.5}, {"cooldown_hours": -1}):
        with pytest.raises(IntegrityError, match="round_policy_in_range"), transaction.atomic():
            RoundPolicy.objects.create(project=project, **wrong)


FILLED = {"enabled": "on", "new_labels": "30", "minimum_agreement": "70", "cooldown_hours": "6", "label_budget": "500"}


def test_a_lead_sets_the_rule_and_sees_what_it_would_do(ready, client, alice):
    client.force_login(alice.person)
    page = client.get(reverse("rounds", args=["desk"])).content.decode()
    assert "Nothing would start now." in page
    assert "100 or more" in page
    sent = client.post(reverse("round_policy", args=["desk"]), FILLED)
    assert sent.status_code == 302
    policy = RoundPolicy.objects.get()
    assert (policy.enabled, policy.new_labels, policy.minutes_budget, policy.label_budget) == (True, 30, None, 500)
    assert Event.objects.get(verb="round policy set").actor == alice.person
    for wrong, words in {"700": "less than or equal to 100", "0.7": "In percent: 70 is seven in ten."}.items():
        refused = client.post(reverse("round_policy", args=["desk"]), {**FILLED, "minimum_agreement": wrong})
        assert refused.status_code == 422
        assert words in refused.content.decode()
    assert RoundPolicy.objects.get().minimum_agreement == 0.7


@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("charlie", 404), (None, 302)])
def test_nobody_else_sets_it(request, ready, client, who, status):
    if who:
        person = request.getfixturevalue(who)
        client.force_login(getattr(person, "person", person))
    assert client.post(reverse("round_policy", args=["desk"]), FILLED).status_code == status
    assert not RoundPolicy.objects.exists()


def test_a_lead_reads_what_choosing_has_saved(ready):
    assert report.of_steering(ready) == []
    row = Steering.objects.create(project=ready, made_at=timezone.now())
    for saved, words in (
        (None, "Too few of the random ones are judged to tell whether choosing saves labels."),
        ([0.4, 0.1, 0.6], "Choosing saved 40 % of the labels (10 to 60 %)."),
        ([-0.5, -0.9, -0.1], "Choosing cost 50 % more labels (10 to 90 %), so that the next ones are asked at random."),
        ([0.2, -0.3, 0.5], "Nothing is saved for certain: of the labels 20 % would be (-30 to 50 %), judged by"),
    ):
        row.report = {"pairs": 80, "ordered": 1, "simulated": False, "saved": saved}
        row.save()
        sentences = report.of_steering(ready)
        assert sentences[0].startswith("1 open comparison was put in order by what people said of 80 pairs")
        assert sentences[1].startswith(words)
