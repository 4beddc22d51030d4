"""Whoever is taken out of a project while a request of theirs is under way is answered as any stranger, and nothing of
it is stored; whichever comes first, the request or the end of the membership, is whole."""

import threading
import uuid
from functools import partial

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from annotation import labelling, people, reviewing
from annotation.models import Assignment, Guidelines, Label, Membership, Response
from tests.annotation.making import (
    a_comparison,
    a_disagreement,
    all_at_once,
    first_is_better,
    lease,
    miscounted,
    until_somebody_waits,
)

pytestmark = pytest.mark.django_db(transaction=True)


def left_meanwhile(lead, member, request):
    """The answer to a request that waits for the end of this membership, which is on its way when it comes."""
    leaving = threading.Event()

    def leave():
        with transaction.atomic():
            people.remove(membership=member, actor=lead.person)
            leaving.set()
            until_somebody_waits()

    def ask():
        leaving.wait(60)
        return request()

    return all_at_once(leave, ask, patience=90)[1]


def back(member):
    return Membership.objects.create(project=member.project, person=member.person, role=member.role)


def held(project, member):
    a_comparison(project)
    return lease(member)


def form():
    return {"client_uuid": str(uuid.uuid4()), "choice": "left", "strength": "1", "seconds": "2"}


def test_a_label_is_not_stored_and_its_sender_is_a_stranger(project, bob, alice):
    page, program = Client(), APIClient()
    page.force_login(bob.person)
    program.force_authenticate(bob.person)
    for more in ({}, {"HTTP_X_TOUCHSTONE": "item"}):
        assignment = held(project, bob)
        address = reverse("submit", args=[assignment.pk])
        assert left_meanwhile(alice, bob, partial(page.post, address, form(), **more)).status_code == 404
        bob = back(bob)
    for more in ({}, {"text": "Better than both."}):
        assignment = held(project, bob)
        said = {"client_uuid": str(uuid.uuid4()), "ranks": [1, 2], "strength": 1, "next": True, **more}
        address = f"/api/v1/assignments/{assignment.pk}/submit/"
        answer = left_meanwhile(alice, bob, partial(program.post, address, said, format="json"))
        assert (answer.status_code, answer.json()) == (404, {"detail": "No such project"})
        bob = back(bob)
    assert not Label.objects.exists()
    assert not Response.objects.filter(origin="edit").exists()
    assert miscounted() == []


def test_nothing_more_is_given_and_no_case_decided(project, member, bob, bea, alice):
    a_disagreement(project, bob, bea)
    rita = member("rita", "reviewer")
    case = reviewing.next_case(membership=rita)
    page, program = Client(), APIClient()
    page.force_login(rita.person)
    program.force_authenticate(rita.person)
    decided = partial(page.post, reverse("decide", args=[case.assignment.pk]), form())
    assert left_meanwhile(alice, rita, decided).status_code == 404
    assert not Label.objects.filter(person=rita.person).exists()

    a_comparison(project)
    asked = partial(program.post, "/api/v1/projects/desk/next/", {"kind": "comparison"}, format="json")
    assert left_meanwhile(alice, back(rita), asked).status_code == 404
    asked = partial(page.get, reverse("work", args=["desk", "comparison"]))
    assert left_meanwhile(alice, back(rita), asked).status_code == 404
    assert left_meanwhile(alice, back(rita), partial(page.get, reverse("review", args=["desk"]))).status_code == 404
    assert not Assignment.objects.filter(person=rita.person, state="leased").exists()

    Guidelines.objects.create(project=project, number=2, text="# Be *brief*")
    read = partial(page.post, reverse("read_guidelines", args=["desk", 2]), {"kind": "comparison"})
    answer = left_meanwhile(alice, back(rita), read)
    assert page.get(answer["Location"]).status_code == 404
    assert miscounted() == []


def test_a_label_and_the_end_of_a_membership_at_once_leave_either_one_or_none(project, bob, alice):
    def say(assignment):
        try:
            return labelling.submit(assignment=assignment, said=first_is_better())
        except Membership.DoesNotExist:
            return None

    for _ in range(12):
        assignment = held(project, bob)
        _, label = all_at_once(
            partial(people.remove, membership=bob, actor=alice.person), partial(say, assignment), patience=60
        )
        assert Label.objects.filter(assignment=assignment).count() == (label is not None)
        assert miscounted() == []
        bob = back(bob)
