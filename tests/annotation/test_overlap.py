"""How many people judge an item in the queue."""

import pytest
from django.core.exceptions import ValidationError

from annotation import labelling
from annotation.models import Event, Item, Project
from annotation.overlap import ask_people
from tests.annotation.making import a_comparison, a_demonstration, first_is_better, lease
from tests.annotation.test_gold import golden


def test_items_are_judged_by_as_many_as_a_lead_says(project, bob, bea, alice):
    item = a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    assert ask_people(project=project, items=Item.objects.all(), people=2, actor=alice.person) == 1
    assert lease(bea).item == item
    assert Event.objects.get(verb="people per item set").data == {"people": 2, "items": 1}


def test_never_by_fewer_than_have_it_already(project, bob, bea):
    full, free = a_comparison(project, wanted=3), a_comparison(project, wanted=3)
    for person in (bob, bea):
        labelling.submit(assignment=lease(person), said=first_is_better())
    assert ask_people(project=project, items=Item.objects.all(), people=1) == 2
    assert [Item.objects.get(pk=item.pk).wanted for item in (full, free)] == [2, 1]
    assert ask_people(project=project, items=Item.objects.all(), people=1) == 0


def test_gold_dropped_items_and_other_projects_stay_as_they_are(project):
    golden(project)
    a_comparison(project, wanted=1)
    Item.objects.filter(purpose="train").update(dropped=True)
    a_comparison(Project.objects.create(slug="other", name="Other"))
    before = list(Item.objects.order_by("pk").values_list("wanted", flat=True))
    assert ask_people(project=project, items=Item.objects.all(), people=5) == 0
    assert list(Item.objects.order_by("pk").values_list("wanted", flat=True)) == before


@pytest.mark.parametrize("people", [0, 51])
def test_a_number_that_makes_no_sense_is_refused(project, people):
    with pytest.raises(ValidationError):
        ask_people(project=project, items=Item.objects.all(), people=people)


def test_a_lead_does_it_in_the_list_of_the_admin(client, project, alice, bob):
    alice.person.is_staff = bob.person.is_staff = True
    for one in (alice, bob):
        one.person.save()
    item = a_demonstration(project)
    theirs = a_comparison(Project.objects.create(slug="other", name="Other"))
    chosen = {"action": "ask_three", "_selected_action": [item.pk, theirs.pk]}
    client.force_login(bob.person)
    client.post("/admin/annotation/item/", chosen)
    assert not Item.objects.filter(wanted=3).exists()
    client.force_login(alice.person)
    assert "Ask 3 people" in client.get("/admin/annotation/item/").content.decode()
    client.post("/admin/annotation/item/", chosen)
    assert list(Item.objects.filter(wanted=3)) == [item]
