"""Many prompts are changed at once, batch by batch, on record, and the way back is exact."""

import pytest
from django.core.exceptions import ValidationError
from django_q.models import OrmQ

from annotation import bulk, leasing, tasks, webhooks
from annotation.models import BulkChange, Delivery, Event, Item, Project, Prompt
from tests.annotation.making import a_comparison, a_demonstration, a_prompt, all_at_once, an_answer, lease


def tags(prompt):
    return Prompt.objects.get(pk=prompt.pk).tags


def start(alice, **what):
    return bulk.start(project=alice.project, actor=alice.person, **what)


def test_chosen_prompts_are_changed_at_once(project, alice):
    one, other, third = a_prompt(project, tags=["old"]), a_prompt(project, tags=["tea", "old"]), a_prompt(project)
    made = start(alice, prompts=[one.pk, other.pk], add_tags=["tea", " tea "], remove_tags=["old"])
    assert (tags(one), tags(other), tags(third)) == (["tea"], ["tea"], [])
    assert (made.looked_at, made.changed) == (2, 3)
    assert made.finished_at is not None
    events = Event.objects.filter(verb="tags changed").order_by("pk")
    assert [(one.data["way"], one.data["tag"], one.data["prompts"]) for one in events] == [
        ("added", "tea", [one.pk]),
        ("removed", "old", [one.pk, other.pk]),
    ]
    assert {one.actor for one in events} == {alice.person}


def test_everything_that_is_found_is_changed_by_the_queue_batch_by_batch(project, alice, monkeypatch):
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    found = [a_prompt(project, language="de") for _ in range(5)]
    other = a_prompt(project, language="en")
    made = start(alice, query={"language": "de"}, add_tags=["tea"])
    assert made.finished_at is None
    assert all(tags(one) == [] for one in found)
    tasks.change(made.pk)
    made.refresh_from_db()
    assert all(tags(one) == ["tea"] for one in found)
    assert tags(other) == []
    assert (made.looked_at, made.changed) == (5, 5)
    assert Event.objects.filter(target=f"bulkchange:{made.pk}").count() == 3
    tasks.change(made.pk)  # delivered again
    assert Event.objects.filter(target=f"bulkchange:{made.pk}").count() == 3


@pytest.mark.django_db(transaction=True)
def test_the_queue_is_told(project, alice):
    a_prompt(project)
    start(alice, query={"view": "prompts"}, add_tags=["tea"])
    assert [one.func() for one in OrmQ.objects.all()] == [bulk.TASK]


def test_other_servers_are_told_of_each_batch(project, alice, monkeypatch):
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    webhooks.make(project=project, actor=alice.person, url="https://hooks.example/", groups=["data"])
    prompts = [a_comparison(project).prompt_id for _ in range(3)]
    bulk.go_on(change_id=start(alice, query={"view": "prompts"}, add_tags=["tea"], priority=4).pk)
    told = list(Delivery.objects.order_by("pk").values_list("verb", "payload__data__prompts"))
    assert [verb for verb, _ in told] == ["tags changed", "priority changed"] * 2
    assert sorted(pk for _, some in told[::2] for pk in some) == prompts
    assert Delivery.objects.first().payload["actor"] == "alice"


def test_a_change_whose_worker_died_is_gone_on_with(project, alice, monkeypatch):
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    prompts = [a_prompt(project) for _ in range(5)]
    made = start(alice, query={"view": "prompts"}, add_tags=["tea"])
    assert bulk._batch(made.pk)
    assert sum(tags(one) == ["tea"] for one in prompts) == 2
    assert tasks.go_on_with_changes() == 1
    assert all(tags(one) == ["tea"] for one in prompts)
    assert tasks.go_on_with_changes() == 0


@pytest.mark.django_db(transaction=True)
def test_two_workers_do_a_change_once(project, alice, monkeypatch):
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    for _ in range(6):
        a_prompt(project)
    made = start(alice, query={"view": "prompts"}, add_tags=["tea"])
    all_at_once(*[lambda: bulk.go_on(change_id=made.pk)] * 2)
    bulk.go_on(change_id=made.pk)
    made.refresh_from_db()
    assert (made.looked_at, made.changed) == (6, 6)


def test_undoing_puts_back_what_was_changed_and_no_more(project, alice):
    had, new, since = a_prompt(project, tags=["tea"]), a_prompt(project), a_prompt(project)
    made = start(alice, prompts=[had.pk, new.pk, since.pk], add_tags=["tea"])
    Prompt.objects.filter(pk=since.pk).update(tags=["other"])
    back = bulk.undo(change=made, actor=alice.person)
    bulk.go_on(change_id=back.pk)
    assert (tags(had), tags(new), tags(since)) == (["tea"], [], ["other"])
    with pytest.raises(ValidationError, match="already"):
        bulk.undo(change=made, actor=alice.person)
    back.refresh_from_db()
    with pytest.raises(ValidationError, match="make the change again"):
        bulk.undo(change=back, actor=alice.person)


def test_what_still_goes_on_is_not_undone(project, alice):
    a_prompt(project)
    made = start(alice, query={"view": "prompts"}, add_tags=["tea"])
    with pytest.raises(ValidationError, match="still going on"):
        bulk.undo(change=made, actor=alice.person)


def test_items_are_asked_first_and_as_before(project, alice, bob):
    first, second = a_comparison(project, priority=0.5), a_comparison(project, priority=0.25)
    made = start(alice, prompts=[second.prompt_id], priority=10)
    assert lease(bob).item == second
    leasing.release(assignment=second.assignments.get())
    assert Event.objects.get(verb="priority changed").data["before"] == [0.25]
    bulk.go_on(change_id=bulk.undo(change=made, actor=alice.person).pk)
    assert list(Item.objects.order_by("pk").values_list("priority", flat=True)) == [0.5, 0.25]
    assert first.pk < second.pk


def test_gold_and_what_is_done_keep_their_places(project, alice):
    items = [a_demonstration(project) for _ in range(3)]
    Item.objects.filter(pk=items[0].pk).update(purpose="gold")
    Item.objects.filter(pk=items[1].pk).update(dropped=True)
    start(alice, prompts=[one.prompt_id for one in items], priority=10)
    assert list(Item.objects.order_by("pk").values_list("priority", flat=True)) == [0, 0, 10]


def test_rows_of_answers_and_labels_stand_for_their_prompts(project, alice):
    prompt = a_prompt(project, language="de")
    for text in ("one", "two"):
        an_answer(prompt, text)
    made = start(alice, query={"view": "answers", "language": "de"}, add_tags=["tea"])
    bulk.go_on(change_id=made.pk)
    assert tags(prompt) == ["tea"]
    made.refresh_from_db()
    assert (made.looked_at, made.changed) == (1, 1)


def test_prompts_of_another_project_are_left_alone(project, alice):
    theirs = a_prompt(Project.objects.create(slug="other", name="Other"), tags=["old"])
    start(alice, prompts=[theirs.pk], add_tags=["mine"], remove_tags=["old"])
    bulk.go_on(change_id=start(alice, query={"view": "prompts"}, add_tags=["mine"]).pk)
    assert tags(theirs) == ["old"]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"add_tags": []}, "Say what to change"),
        ({"add_tags": ["a"], "remove_tags": ["a"]}, "at once"),
        ({"priority": 1e9}, "number from"),
        ({"add_tags": ["x" * 65]}, "64"),
        ({"add_tags": ["a\0"]}, "NUL"),
        ({"add_tags": [str(number) for number in range(21)]}, "20"),
        ({"add_tags": ["a"], "prompts": []}, "at least one"),
        ({"add_tags": ["a"], "prompts": range(1, 600)}, "by hand"),
        ({"add_tags": ["a"], "prompts": [], "query": {"colour": "red"}}, "no filter"),
        ({"add_tags": ["a"], "prompts": [], "query": {"split": "red"}}, "Split"),
    ],
)
def test_what_cannot_be_changed_is_refused(project, alice, what, why):
    with pytest.raises(ValidationError, match=why):
        start(alice, **{"prompts": [1], **what})
    assert not BulkChange.objects.exists()
