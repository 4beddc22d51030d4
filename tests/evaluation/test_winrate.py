"""Blind win rates from labels made by hand."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from annotation import labelling
from annotation.asking import add_response, ask
from annotation.labelling import Said
from annotation.models import Assignment, Prompt, Response
from annotation.text import sha256
from evaluation import winrate
from training.models import Generation, ModelVersion, Run, Sample


@pytest.fixture
def models(project: Any) -> tuple[ModelVersion, ModelVersion]:
    """The old model and the new one."""
    old, new = (
        ModelVersion.objects.create(project=project, name=name, kind="policy", format="full", location=name)
        for name in ("old", "new")
    )
    return old, new


@pytest.fixture
def sampled(project: Any) -> Callable[..., Response]:
    """An answer to a prompt, sampled by these models."""

    def make(prompt: Prompt, text: str, *by: ModelVersion) -> Response:
        response, _ = add_response(prompt=prompt, text=text, origin="model")
        for version in by:
            run = Run.objects.create(project=project, method="generate", base=version)
            generation = Generation.objects.create(project=project, run=run, model_version=version, seed=1)
            Sample.objects.create(generation=generation, response=response, index=0)
        return response

    return make


@pytest.fixture
def item(project: Any) -> Callable[..., Any]:
    def make(*responses: Response, purpose: str = "train") -> Any:
        prompt = responses[0].prompt
        made, _ = ask(project=project, prompt=prompt, kind="comparison", responses=responses, purpose=purpose, wanted=5)
        return made

    return make


def a_prompt(project: Any, number: int) -> Prompt:
    messages = [{"role": "user", "content": f"Question {number}?"}]
    return Prompt.objects.create(project=project, messages=messages, sha256=sha256(messages), split="train")


def judge(member: Any, item: Any, ranks: tuple[int, ...], **more: Any) -> Any:
    """The person ranks the answers in the item's own order."""
    now = timezone.now()
    item.__class__.objects.filter(pk=item.pk).update(taken=item.assignments.count() + 1)
    order = list(item.answers.order_by("order").values_list("response_id", flat=True))
    assignment = Assignment.objects.create(
        item=item, person=member.person, leased_at=now, lease_until=now + timezone.timedelta(hours=1), order=order
    )
    said = Said(client_uuid=uuid.uuid4(), ranks=ranks, **more)
    return labelling.submit(assignment=assignment, said=said)


def test_wins_losses_and_ties_of_people(project: Any, models: Any, sampled: Any, item: Any, bob: Any, bea: Any) -> None:
    old, new = models
    for number, ranks in enumerate([(1, 2), (1, 2), (2, 1), (1, 1)]):
        prompt = a_prompt(project, number)
        judge(bob, item(sampled(prompt, "new", new), sampled(prompt, "old", old)), ranks)
    found = winrate.between(new, old)
    assert found.simulated is None
    assert found.human is not None
    assert (found.human.wins, found.human.losses, found.human.ties, found.human.people) == (2, 1, 1, 1)
    assert found.human.interval.value == pytest.approx(2.5 / 4)
    assert found.human.interval.n == 4
    assert found.human.interval.lower < 0.625 < found.human.interval.upper

    turned = winrate.between(old, new).human
    assert turned is not None
    assert turned.interval.value == pytest.approx(1.5 / 4)


def test_two_unacceptable_answers_are_a_tie_and_are_told(
    project: Any, models: Any, sampled: Any, item: Any, bob: Any
) -> None:
    old, new = models
    prompt = a_prompt(project, 1)
    judge(bob, item(sampled(prompt, "new", new), sampled(prompt, "old", old)), (1, 1), unacceptable=(True, True))
    found = winrate.between(new, old).human
    assert found is not None
    assert (found.ties, found.both_unacceptable, found.interval.value) == (1, 1, 0.5)


def test_people_who_judged_the_same_item_count_as_one_observation(
    project: Any, models: Any, sampled: Any, item: Any, bob: Any, bea: Any
) -> None:
    old, new = models
    prompt = a_prompt(project, 1)
    one = item(sampled(prompt, "new", new), sampled(prompt, "old", old))
    judge(bob, one, (1, 2))
    judge(bea, one, (2, 1))
    found = winrate.between(new, old).human
    assert found is not None
    assert (found.interval.value, found.interval.n, found.labels, found.people) == (0.5, 1, 2, 2)


def test_what_both_models_said_and_what_neither_said_is_left_out(
    project: Any, models: Any, sampled: Any, item: Any, bob: Any
) -> None:
    old, new = models
    first, second, third = (a_prompt(project, number) for number in (1, 2, 3))
    judge(bob, item(sampled(first, "same", new, old), sampled(first, "old", old)), (1, 2))
    judge(bob, item(sampled(second, "new", new), sampled(second, "by hand")), (1, 2))
    judge(bob, item(sampled(third, "new", new), sampled(third, "newer", new)), (1, 2))
    assert winrate.between(new, old) == winrate.BlindComparison(human=None, simulated=None)


def test_withdrawn_labels_and_gold_items_do_not_count(
    project: Any, models: Any, sampled: Any, item: Any, alice: Any, bob: Any
) -> None:
    old, new = models
    first, second = a_prompt(project, 1), a_prompt(project, 2)
    label = judge(bob, item(sampled(first, "new", new), sampled(first, "old", old)), (1, 2))
    judge(bob, item(sampled(second, "new", new), sampled(second, "old", old), purpose="gold"), (1, 2))
    found = winrate.between(new, old).human
    assert found is not None
    assert found.labels == 1
    labelling.retract(label=label, actor=alice)
    assert winrate.between(new, old).human is None


def test_simulated_labels_are_counted_apart(
    project: Any, models: Any, sampled: Any, item: Any, member: Any, bob: Any
) -> None:
    old, new = models
    robot = member("robot", simulated=True)
    for number in range(3):
        prompt = a_prompt(project, number)
        one = item(sampled(prompt, "new", new), sampled(prompt, "old", old))
        judge(robot, one, (1, 2))
        if not number:
            judge(bob, one, (2, 1))
    found = winrate.between(new, old)
    assert found.human is not None
    assert found.simulated is not None
    assert (found.human.interval.value, found.human.interval.n) == (0.0, 1)
    assert (found.simulated.interval.value, found.simulated.interval.n) == (1.0, 3)


def test_of_three_answers_a_label_still_counts_once(
    project: Any, models: Any, sampled: Any, item: Any, bob: Any
) -> None:
    old, new = models
    prompt = a_prompt(project, 1)
    three = item(sampled(prompt, "new", new), sampled(prompt, "old", old), sampled(prompt, "older", old))
    judge(bob, three, (2, 1, 3))
    found = winrate.between(new, old).human
    assert found is not None
    assert (found.interval.value, found.interval.n) == (0.5, 1)
