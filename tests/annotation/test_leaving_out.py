"""What is excluded is asked, trained on and measured no more; its labels stay, and it can return."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from annotation import gold, labelling, leasing, leaving_out, talk
from annotation.asking import ask
from annotation.exporting import labelled_rows
from annotation.gold import Right
from annotation.labelling import Said
from annotation.models import Event, Item, Label, Project, Prompt, Response
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    a_prompt,
    an_answer,
    first_is_better,
    lease,
    miscounted,
)
from training import snapshots

BECAUSE = "Somebody's address is in it."


def leave_out(project, actor=None, **what):
    return leaving_out.exclude(project=project, because=BECAUSE, actor=actor, **what)


def rows_of(project, kind):
    return snapshots.collect(project=project, kind=kind, rule=snapshots.Rule())


def test_an_excluded_prompt_is_asked_of_nobody_and_comes_back(project, bob, alice):
    item = a_comparison(project)
    assert leave_out(project, alice.person, prompts=[item.prompt_id]) == 1
    assert leasing.next_assignment(membership=bob, kind="comparison") is None
    assert leave_out(project, prompts=[item.prompt_id]) == 0
    assert leaving_out.bring_back(project=project, prompts=[item.prompt_id], actor=alice.person) == 1
    assert lease(bob).item == item
    told = Event.objects.filter(target=f"prompt:{item.prompt_id}").order_by("id")
    assert [(one.verb, one.actor, one.data) for one in told] == [
        ("prompt excluded", alice.person, {"because": BECAUSE}),
        ("prompt brought back", alice.person, {}),
    ]


def test_an_item_waits_for_the_last_of_its_answers_to_return(project, bob):
    item = a_comparison(project)
    first, second = item.responses.all()
    leave_out(project, responses=[first.pk])
    leave_out(project, responses=[second.pk])
    leaving_out.bring_back(project=project, responses=[first.pk])
    assert leasing.next_assignment(membership=bob, kind="comparison") is None
    leaving_out.bring_back(project=project, responses=[second.pk])
    assert lease(bob).item == item
    assert not miscounted()


def test_a_reason_is_needed_and_the_database_asks_for_it_too(project):
    prompt = a_prompt(project)
    with pytest.raises(ValidationError, match="Say why"):
        leaving_out.exclude(project=project, prompts=[prompt.pk], because="  ")
    for wrong in ({"excluded_because": "why"}, {"excluded_at": "2026-11-29T00:00Z"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Prompt.objects.filter(pk=prompt.pk).update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        Item.objects.filter(pk=a_comparison(project).pk).update(set_aside=True)


def test_rows_of_another_project_are_left_alone(project):
    other = Project.objects.create(slug="other", name="Other")
    item = a_comparison(other)
    answer = item.responses.first()
    assert leave_out(project, prompts=[item.prompt_id], responses=[answer.pk]) == 0
    assert leave_out(other, prompts=[item.prompt_id], responses=[answer.pk]) == 2
    assert leaving_out.bring_back(project=project, prompts=[item.prompt_id], responses=[answer.pk]) == 0


def test_whoever_is_at_it_may_finish_and_the_label_stays(project, bob):
    item = a_demonstration(project)
    held = lease(bob, "demonstration")
    leave_out(project, prompts=[item.prompt_id])
    label = labelling.submit(assignment=held, said=Said(verdict="accept"))
    assert Label.objects.live().get() == label
    assert rows_of(project, "demonstrations") == []
    leaving_out.bring_back(project=project, prompts=[item.prompt_id])
    assert len(rows_of(project, "demonstrations")) == 1
    assert not miscounted()


def test_an_excluded_answer_is_in_no_row_and_the_others_still_are(project, bob):
    item = a_comparison(project, ("one", "two", "three"))
    held = lease(bob)
    labelling.submit(assignment=held, said=Said(ranks=(1, 2, 3), unacceptable=(False, False, True)))
    best, middle, _ = held.shown()
    assert len(rows_of(project, "preferences")) == 3
    leave_out(project, responses=[best.pk])
    (row,) = rows_of(project, "preferences")
    assert row["chosen"][0]["content"] == middle.text
    assert best.text not in [row["completion"][0]["content"] for row in rows_of(project, "unpaired")]
    (exported,) = labelled_rows(project=project)
    assert {one["text"]: one["excluded"] for one in exported["answers"]}[best.text] == BECAUSE
    assert exported["excluded"] == ""
    leave_out(project, prompts=[item.prompt_id])
    assert rows_of(project, "preferences") == rows_of(project, "unpaired") == []


def test_an_excluded_held_out_prompt_measures_nothing(project, bob):
    from evaluation import heldout

    prompt = a_prompt(project, split="heldout")
    answers = [an_answer(prompt, text) for text in ("one", "two")]
    ask(project=project, prompt=prompt, kind="comparison", responses=answers)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    assert len(heldout.pairs(project=project)) == len(heldout.prompts(project=project, number=9)) == 1
    leave_out(project, prompts=[prompt.pk])
    assert heldout.pairs(project=project) == heldout.prompts(project=project, number=9) == []


def test_excluded_prompts_are_not_sampled(project):
    from tests.training.making import a_model
    from training.sampling import sample

    prompts = [a_prompt(project) for _ in range(2)]
    leave_out(project, prompts=[prompts[0].pk])
    run = sample(project=project, model=a_model(project), prompts=Prompt.objects.all())
    assert [one["id"] for one in run.inputs["prompts"]] == [prompts[1].pk]
    leave_out(project, prompts=[prompts[1].pk])
    with pytest.raises(ValidationError, match="no prompt to answer"):
        sample(project=project, model=a_model(project, "other"), prompts=Prompt.objects.all())


def test_what_is_asked_about_it_later_is_set_aside_from_the_start(project, bob):
    prompt = a_prompt(project)
    leave_out(project, prompts=[prompt.pk])
    prompt.refresh_from_db()
    item, new = ask(project=project, prompt=prompt, kind="demonstration", responses=[an_answer(prompt, "A draft.")])
    assert (new, item.set_aside) == (True, True)
    brought_in = a_comparison(project)  # as an import makes it, that knew nothing of it
    Prompt.objects.filter(pk=brought_in.prompt_id).update(excluded_at=prompt.excluded_at, excluded_because=BECAUSE)
    assert leaving_out.set_aside(project) == 1
    assert leasing.next_assignment(membership=bob, kind="comparison") is None
    assert leaving_out.set_aside(project) == 0


def test_an_item_that_a_lead_dropped_does_not_come_back(project, alice, bob):
    item, other = a_comparison(project), a_comparison(project)
    talk.drop(item=item, actor=alice)
    leave_out(project, prompts=[item.prompt_id, other.prompt_id])
    talk.drop(item=other, actor=alice)
    leaving_out.bring_back(project=project, prompts=[item.prompt_id, other.prompt_id])
    assert leasing.next_assignment(membership=bob, kind="comparison") is None


def test_gold_on_it_is_asked_again_only_when_it_returns(project, alice):
    item = a_demonstration(project)
    known = gold.mark(item=item, right=Right(verdicts=["accept"]))
    leave_out(project, responses=[item.responses.get().pk])
    known.item.refresh_from_db()
    assert known.item.dropped
    with pytest.raises(ValidationError, match="bring that back"):
        gold.retire(gold=known, again=True)
    with pytest.raises(ValidationError, match="bring that back"):
        gold.mark(item=Item.objects.get(pk=_aside(project).pk), right=Right(verdicts=["accept"]))
    gold.retire(gold=known, actor=alice.person)
    leaving_out.bring_back(project=project, responses=list(Response.objects.values_list("pk", flat=True)))
    known.item.refresh_from_db()
    assert known.item.dropped


def _aside(project):
    item = a_demonstration(project)
    leave_out(project, prompts=[item.prompt_id])
    return item


def test_the_admin_does_not_ask_it_again(project, alice, client):
    item = _aside(project)
    alice.person.is_staff = True
    alice.person.save()
    client.force_login(alice.person)
    address = f"/admin/annotation/item/{item.pk}/change/"
    sent = {"priority": "0", "wanted": "1"}
    for name in ("answers", "assignments"):
        sent |= {f"{name}-{key}": "0" for key in ("TOTAL_FORMS", "INITIAL_FORMS")}
    assert "bring that back" in client.post(address, sent).content.decode()
    item.refresh_from_db()
    assert item.set_aside
