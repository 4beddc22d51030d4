"""Taking one's last label back: the item is held again, with what was said filled in."""

import pytest
from django.core.exceptions import ValidationError

from annotation import labelling, leasing
from annotation.labelling import Said
from annotation.models import Event, Item, Label
from tests.annotation.making import a_comparison, a_demonstration, lease, miscounted, overlabelled

FRAGMENT = {"X-Touchstone": "item"}


def test_the_item_comes_back_to_its_person_with_what_was_said(project, bob, bea):
    a_comparison(project)
    assignment = lease(bob)
    label = labelling.submit(assignment=assignment, said=Said(ranks=(2, 1), strength=3, comment="hasty"))
    undone = labelling.undo(assignment=assignment)
    assert (undone.pk, undone.state) == (assignment.pk, "leased")
    assert undone.draft == {"choice": "right", "strength": "3", "comment": "hasty"}
    label.refresh_from_db()
    assert label.retracted_at is not None
    assert not Label.objects.live().exists()
    assert leasing.next_assignment(membership=bea, kind="comparison") is None  # bob holds it
    assert lease(bob) == assignment
    assert Event.objects.filter(verb="label undone", actor=bob.person).count() == 1
    assert not miscounted()


def test_the_new_word_replaces_the_old_one(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    first = labelling.submit(assignment=assignment, said=Said(ranks=(2, 1)))
    labelling.undo(assignment=assignment)
    second = labelling.submit(assignment=assignment, said=Said(ranks=(1, 2)))
    assert second.supersedes == first
    assert list(Label.objects.live()) == [second]
    assert not overlabelled()


@pytest.mark.parametrize(
    ("said", "draft"),
    [
        (Said(verdict="accept"), {"verdict": "accept", "comment": ""}),
        (Said(verdict="reject", comment="no"), {"verdict": "reject", "comment": "no"}),
        (Said(verdict="edit", text="Mended."), {"verdict": "edit", "comment": "", "text": "Mended."}),
    ],
)
def test_a_cleaned_demonstration_comes_back_as_it_was(project, bob, said, draft):
    a_demonstration(project)
    assignment = lease(bob, "demonstration")
    labelling.submit(assignment=assignment, said=said)
    found = labelling.undo(assignment=assignment).draft
    assert {key: found[key] for key in draft} == draft


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        (Said(ranks=(1, 2)), "left"),
        (Said(ranks=(1, 1)), "tie"),
        (Said(ranks=(1, 1), unacceptable=(True, True)), "unacceptable"),
    ],
)
def test_a_ranking_comes_back_as_it_was(project, bob, said, choice):
    a_comparison(project)
    assignment = lease(bob)
    labelling.submit(assignment=assignment, said=said)
    assert labelling.undo(assignment=assignment).draft["choice"] == choice


def test_what_was_not_said_or_was_taken_back_cannot_be_undone(project, bob):
    a_comparison(project)
    assignment = lease(bob)
    with pytest.raises(ValidationError, match="no label"):
        labelling.undo(assignment=assignment)
    labelling.submit(assignment=assignment, said=Said(ranks=(1, 2)))
    labelling.undo(assignment=assignment)
    with pytest.raises(ValidationError, match="no label"):
        labelling.undo(assignment=assignment)


def test_who_was_told_the_answer_cannot_undo(project, bob):
    project.gold_feedback = True
    project.save()
    item = a_comparison(project)
    assignment = lease(bob)
    Item.objects.filter(pk=item.pk).update(purpose="gold")
    labelling.submit(assignment=assignment, said=Said(ranks=(1, 2)))
    with pytest.raises(ValidationError, match="told the answer"):
        labelling.undo(assignment=assignment)


# The pages


def test_the_page_shows_the_last_item_again(client, project, bob):
    for number in range(2):
        a_demonstration(project, f"Draft {number}.")
    client.force_login(bob.person)
    first = lease(bob, "demonstration")
    labelling.submit(assignment=first, said=Said(verdict="edit", text="Mended."))
    answer = client.post("/projects/desk/label/demonstration/undo/", headers=FRAGMENT)
    html = answer.content.decode()
    assert f'data-assignment="{first.pk}"' in html
    assert "Mended.</textarea>" in html


def test_with_nothing_to_take_back_the_page_says_so(client, project, bob, bea):
    a_comparison(project)
    labelling.submit(assignment=lease(bea), said=Said(ranks=(1, 2)))
    client.force_login(bob.person)
    address = "/projects/desk/label/comparison/undo/"
    assert client.post(address, headers=FRAGMENT).json() == {"problems": ["There is no label of yours to take back."]}
    assert "no label of yours" in client.post(address, follow=True).content.decode()
    assert Label.objects.live().count() == 1
