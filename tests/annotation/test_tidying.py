"""A lead decides about findings, one or many at once: fine, mended, left out, sent to people; and takes it back."""

import pytest
from django.core.exceptions import ValidationError

from annotation import cleaning, labelling, leasing, tidying
from annotation.labelling import Said
from annotation.models import Event, Finding, Item, Project, Prompt, Response
from tests.annotation.making import a_comparison, a_demonstration, a_prompt, an_answer, lease, miscounted
from training import snapshots

MAIL = "Write to anna@shop.org, please, and we will answer."
MASKED = "Write to (e-mail address removed), please, and we will answer."


@pytest.fixture(autouse=True)
def _no_other_rooms(settings):
    settings.MORE_CHECKS = []


def found(project, **of):
    cleaning.check(project=project)
    return Finding.objects.filter(project=project, **of)


def rows_of(project):
    return snapshots.collect(project=project, kind="demonstrations", rule=snapshots.Rule())


def test_what_is_fine_is_not_told_again(project, alice):
    a_demonstration(project, MAIL)
    done = tidying.accept(project=project, findings=found(project), actor=alice.person)
    assert done == tidying.Outcome(1)
    finding = Finding.objects.get()
    assert (finding.state, finding.decided_by) == ("accepted", alice.person)
    assert tidying.accept(project=project, findings=Finding.objects.all()) == tidying.Outcome(0, 1)
    assert Event.objects.get(verb="findings accepted").data == {"findings": [finding.pk]}


def test_a_mend_stands_in_for_its_original_and_is_asked_instead(project, alice, bob):
    item = a_demonstration(project, MAIL, wanted=2)
    assert tidying.mend(project=project, findings=found(project), actor=alice.person).done == 1
    original, edit = Response.objects.order_by("pk")
    assert (edit.text, edit.origin, edit.edited_from) == (MASKED, "edit", original)
    assert original.excluded_because
    held = lease(bob, "demonstration")
    assert held.item != item
    assert held.item.wanted == 2
    assert held.shown() == [edit]
    labelling.submit(assignment=held, said=Said(verdict="accept"))
    (row,) = rows_of(project)
    assert row["completion"][0]["content"] == MASKED
    assert Finding.objects.get().state == "mended"


def test_a_mend_can_be_taken_back(project, bob):
    item = a_demonstration(project, MAIL)
    tidying.mend(project=project, findings=found(project))
    assert tidying.bring_back(project=project, findings=Finding.objects.all()).done == 1
    original, edit = Response.objects.order_by("pk")
    assert original.excluded_at is None
    assert edit.excluded_at is not None
    assert Finding.objects.get().state == "open"
    assert lease(bob, "demonstration").item == item
    tidying.mend(project=project, findings=Finding.objects.all())  # and again: the edit of the first time returns
    edit.refresh_from_db()
    assert edit.excluded_at is None
    assert Response.objects.count() == 2


def test_broken_letters_are_put_right(project):
    item = a_demonstration(project, "The cafÃ© is open, itâ€™s fine.")
    tidying.mend(project=project, findings=found(project))
    assert Response.objects.filter(prompt=item.prompt).latest("pk").text == "The café is open, it’s fine."


def test_a_mended_prompt_takes_its_answers_along_and_stays_on_its_side(project, bob):
    item = a_comparison(project, ("first answer", MAIL))
    prompt = item.prompt
    prompt.messages = [{"role": "user", "content": "My address is anna@shop.org: where is it?"}]
    prompt.save()
    Prompt.objects.update(split="heldout", tags=["parcels"], metadata={"source": "letters"}, language="en")
    assert tidying.mend(project=project, findings=found(project)).done == 2
    new = Prompt.objects.get(edited_from=prompt)
    assert new.last_turn == "My address is (e-mail address removed): where is it?"
    assert (new.split, new.tags, new.metadata, new.language) == ("heldout", ["parcels"], {"source": "letters"}, "en")
    assert sorted(new.responses.values_list("text", flat=True)) == [MASKED, "first answer"]
    held = lease(bob)
    assert held.item.prompt == new
    assert Prompt.objects.kept().originals().get() == new
    tidying.bring_back(project=project, findings=Finding.objects.all())
    assert Prompt.objects.kept().originals().get() == prompt
    assert not miscounted()


def test_a_wrong_language_is_put_right(project):
    german = a_prompt(project, "Wo ist mein Paket? Es sollte gestern ankommen und ist noch nicht da.", language="en")
    tidying.mend(project=project, findings=found(project, kind="language"))
    german.refresh_from_db()
    assert (german.language, german.excluded_at) == ("de", None)
    tidying.bring_back(project=project, findings=Finding.objects.all())
    german.refresh_from_db()
    assert german.language == "en"


def test_what_cannot_be_mended_is_passed_over(project):
    a_demonstration(project, "Dear [NAME], thank you.")
    a_demonstration(project, MAIL)
    assert tidying.mend(project=project, findings=found(project)) == tidying.Outcome(1, 1)


def test_excluding_needs_a_reason_and_settles_all_that_was_found_there(project, alice, bob):
    item = a_demonstration(project, f"Dear [NAME]. {MAIL}")
    findings = found(project, kind="personal")
    with pytest.raises(ValidationError, match="Say why"):
        tidying.exclude(project=project, findings=findings, because="")
    assert tidying.exclude(project=project, findings=findings, because="Private.", actor=alice.person).done == 1
    assert set(Finding.objects.values_list("state", flat=True)) == {"excluded"}
    assert leasing.next_assignment(membership=bob, kind="demonstration") is None
    assert tidying.bring_back(project=project, findings=Finding.objects.filter(kind="personal")).done == 1
    assert set(Finding.objects.values_list("state", flat=True)) == {"open"}
    assert lease(bob, "demonstration").item == item


def test_people_are_asked_before_all_else(project, bob):
    a_demonstration(project, "Already waiting.", priority=2)
    prompt = a_prompt(project)
    answer = an_answer(prompt, "Dear [NAME], thank you.")
    assert tidying.send(project=project, findings=found(project)).done == 1
    held = lease(bob, "demonstration")
    assert held.shown() == [answer]
    labelling.submit(assignment=held, said=Said(verdict="edit", text="Dear Anna, thank you."))
    assert Finding.objects.get().state == "sent"
    tidying.bring_back(project=project, findings=Finding.objects.all())
    tidying.send(project=project, findings=Finding.objects.all())
    assert Item.objects.get(pk=held.item_id).wanted == 2


def test_what_is_excluded_is_sent_to_nobody(project):
    item = a_demonstration(project, "Dear [NAME], thank you.")
    tidying.exclude(project=project, findings=found(project), because="Not ours.")
    assert tidying.send(project=project, findings=Finding.objects.all()) == tidying.Outcome(0, 1)
    assert Item.objects.get() == item


def test_findings_of_another_project_are_left_alone(project):
    other = Project.objects.create(slug="other", name="Other")
    a_demonstration(other, MAIL)
    findings = found(other)
    for verb in (tidying.accept, tidying.mend, tidying.send, tidying.bring_back):
        assert verb(project=project, findings=findings) == tidying.Outcome(0)
    assert tidying.exclude(project=project, findings=findings, because="Mine.") == tidying.Outcome(0)
    assert Finding.objects.get().state == "open"


def test_so_many_at_a_time_and_the_rest_is_told(project, monkeypatch):
    monkeypatch.setattr(tidying, "MOST", 2)
    for number in range(5):
        a_demonstration(project, f"Dear [NAME], thank you, {number}.")
    findings = found(project, kind="placeholder").filter(state="open")
    assert [tidying.accept(project=project, findings=findings) for _ in range(3)] == [
        tidying.Outcome(2, 0, 3),
        tidying.Outcome(2, 0, 1),
        tidying.Outcome(1),
    ]


def test_findings_are_told_apart(project):
    tagged = a_prompt(project, language="de", tags=["parcels"])
    an_answer(tagged, "Dear [NAME], thank you.")
    a_prompt(project, MAIL)
    rows = found(project)
    for wanted, number in (
        ({"kind": "placeholder"}, 1),
        ({"language": "de"}, 1),
        ({"tag": "parcels"}, 1),
        ({"text": "prompt"}, 1),
        ({"text": "answer", "kind": "personal"}, 0),
        ({"state": "accepted"}, 0),
        ({}, 2),
    ):
        assert tidying.matching(rows, **wanted).count() == number, wanted
