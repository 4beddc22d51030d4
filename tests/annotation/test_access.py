"""Assignments are their owner's, lists hold one's own, and the gate knows roles; tests/api/test_doors.py tries every
door."""

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import Client
from django.urls import reverse

from annotation import access, labelling
from annotation.models import (
    Assignment,
    Event,
    Item,
    Label,
    Membership,
    Project,
    User,
)
from tests.annotation.making import a_comparison, a_demonstration, first_is_better, lease

ON_AN_ASSIGNMENT = ["submit", "skip", "draft", "release"]


@pytest.fixture
def held(project, bob):
    """An assignment of bob's."""
    a_demonstration(project)
    return lease(bob, "demonstration")


@pytest.fixture
def address(held):
    def find(page: str) -> str:
        return reverse(page, args=[held.pk])

    return find


@pytest.fixture
def as_(client):
    def sign_in(person: User | Membership) -> Client:
        client.force_login(person.person if isinstance(person, Membership) else person)
        return client

    return sign_in


def anything():
    """All that these pages could have changed."""
    return {model: list(model.objects.order_by("pk").values()) for model in (Assignment, Item, Label, Event)}


@pytest.mark.parametrize("page", ON_AN_ASSIGNMENT)
def test_a_member_reaches_their_own_assignment_until_they_leave_the_project(as_, address, bob, page):
    client = as_(bob)
    assert client.post(address(page)).status_code in (204, 302, 422)
    bob.delete()
    before = anything()
    assert client.post(address(page), {"verdict": "accept"}).status_code == 404
    assert anything() == before


@pytest.mark.parametrize("page", ON_AN_ASSIGNMENT)
def test_nobody_acts_on_an_assignment_of_somebody_else(as_, address, member, alice, charlie, page):
    said = {"client_uuid": "0190a6a2-0000-7000-8000-000000000001", "verdict": "accept", "text": "mine", "reason": "no"}
    people = (charlie, member("ben"), alice, User.objects.create_superuser("root"))
    before = anything()
    for person in people:
        assert as_(person).post(address(page), said).status_code == 404
    assert anything() == before


def test_an_outsider_cannot_tell_a_project_from_none(as_, charlie, project):
    client = as_(charlie)
    there, missing = (client.get(reverse("project", args=[slug])) for slug in ("desk", "none"))
    assert there.status_code == missing.status_code == 404
    token = rb'name="csrfmiddlewaretoken" value="\w+"'
    assert re.sub(token, b"", there.content) == re.sub(token, b"", missing.content)
    assert b"Desk" not in client.get(reverse("projects")).content


def test_the_list_has_only_ones_own_projects(as_, bob, project):
    other = Project.objects.create(slug="other", name="Secret project")
    old = Project.objects.create(slug="old", name="Archived project", archived=True)
    Membership.objects.create(person=bob.person, project=old)
    page = as_(bob).get(reverse("projects")).content.decode()
    assert "Desk" in page
    assert other.name not in page
    assert old.name not in page


def test_a_superuser_sees_every_project_and_labels_only_as_a_member(as_, address, project):
    client = as_(User.objects.create_superuser("root"))
    assert b"Desk" in client.get(reverse("projects")).content
    answer = client.get(reverse("work", args=["desk", "demonstration"]))
    assert (answer.status_code, answer.url) == (302, "/projects/desk/")
    assert Assignment.objects.count() == 1  # bob's


def test_somebody_who_was_shut_out_is_out_at_once(as_, bob):
    client = as_(bob)
    assert client.get(reverse("projects")).status_code == 200
    User.objects.filter(pk=bob.person_id).update(is_active=False)
    assert client.get(reverse("projects")).status_code == 302


@pytest.mark.parametrize("number", ["0", "999999999", "9" * 30, "-1", "1e3", "٣"])
def test_an_assignment_that_is_not_there_is_not_found(as_, bob, number):
    for verb in ON_AN_ASSIGNMENT:
        assert as_(bob).post(f"/assignments/{number}/{verb}/").status_code == 404


def test_an_unknown_kind_of_work_is_not_found(as_, bob):
    assert as_(bob).get("/projects/desk/label/nonsense/").status_code == 404


# The gate itself


def test_a_role_includes_the_lower_ones(project, member, alice):
    people = {"annotator": member("ben"), "reviewer": member("rita", "reviewer"), "lead": alice}
    roles = list(people)
    for role, member_ in people.items():
        for wanted in roles:
            if roles.index(role) >= roles.index(wanted):
                assert access.membership(member_.person, "desk", wanted) == member_
            else:
                with pytest.raises(PermissionDenied):
                    access.membership(member_.person, "desk", wanted)


def test_an_outsider_and_an_unknown_project_are_alike(project, charlie, bob):
    for person, slug in ((charlie, "desk"), (bob.person, "nothing")):
        with pytest.raises(Http404):
            access.membership(person, slug)


def test_a_superuser_is_a_lead_without_being_a_member(project):
    root = User.objects.create_superuser("root")
    member = access.membership(root, "desk", "lead")
    assert (member.pk, member.role, member.project) == (None, "lead", project)
    assert access.is_lead(root, project)
    assert not Membership.objects.filter(person=root).exists()


def test_only_leads_are_leads(project, bob, alice, charlie):
    assert [access.is_lead(person, project) for person in (charlie, bob.person, alice.person)] == [False, False, True]
    other = Project.objects.create(slug="other", name="Other")
    assert not access.is_lead(alice.person, other)
    assert list(Project.objects.led_by(alice.person)) == [project]
    assert not Project.objects.led_by(bob.person).exists()


def test_annotators_see_their_own_labels_and_reviewers_all(project, bob, bea, member, charlie):
    a_comparison(project, wanted=2)
    mine, theirs = (labelling.submit(assignment=lease(one), said=first_is_better()) for one in (bob, bea))
    assert list(access.labels(bob.person, "desk")) == [mine]
    assert set(access.labels(member("rita", "reviewer").person, "desk")) == {mine, theirs}
    with pytest.raises(Http404):
        access.labels(charlie, "desk")


def test_a_label_is_withdrawn_by_its_author_or_a_lead(project, bob, bea, alice, member, charlie):
    a_comparison(project)
    label = labelling.submit(assignment=lease(bob), said=first_is_better())
    for person in (bob, alice):
        assert access.label_to_withdraw(person.person, label.pk)[0] == label
    with pytest.raises(PermissionDenied):
        access.label_to_withdraw(member("rita", "reviewer").person, label.pk)
    for stranger in (bea.person, charlie):
        with pytest.raises(Http404):
            access.label_to_withdraw(stranger, label.pk)
    bob.delete()
    with pytest.raises(Http404):
        access.label_to_withdraw(User.objects.get(username="bob"), label.pk)
