"""Invitations: people join by a link, as often as it was made for, and never under a lower role than they had."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from annotation import invitations, people
from annotation.invitations import Closed
from annotation.models import Event, Invitation, Membership, Team, User
from tests.annotation.making import all_at_once

NEW = {
    "with": "account",
    "new-username": "dora",
    "new-password1": "a-long-secret-7",
    "new-password2": "a-long-secret-7",
}


@pytest.fixture
def invite(project, alice):
    def make(role="annotator", **more) -> Invitation:
        return invitations.invite(project=project, actor=alice, role=role, **more)

    return make


@pytest.fixture
def page():
    return lambda invitation: reverse("join", args=[invitation.token])


def over(invitation, **changes) -> Invitation:
    Invitation.objects.filter(pk=invitation.pk).update(**changes)
    return invitation


# Making and taking back


def test_a_lead_makes_a_link_on_the_page_and_takes_it_back(client, project, alice):
    team = Team.objects.create(project=project, name="Letters")
    client.force_login(alice.person)
    where = reverse("people", args=["desk"])
    sent = {"role": "reviewer", "team": team.pk, "uses": 3, "days": 2}
    assert client.post(where, sent).status_code == 302
    made = Invitation.objects.get()
    assert (made.role, made.team, made.uses, made.author) == ("reviewer", team, 3, alice.person)
    assert timedelta(days=1.9) < made.expires_at - timezone.now() <= timedelta(days=2)
    assert f'value="http://testserver/join/{made.token}/"' in client.get(where).content.decode()
    client.post(reverse("revoke_invitation", args=["desk", made.pk]))
    shown = client.get(where).content.decode()
    assert made.token not in shown
    assert "taken back by a lead" in shown
    assert list(Event.objects.values_list("verb", flat=True)) == ["invitation made", "invitation revoked"]


@pytest.mark.parametrize(
    "wrong", [{"uses": 0}, {"uses": 501}, {"days": 0}, {"days": 91}, {"role": "king"}, {"team": 10**6}]
)
def test_what_a_link_cannot_be_is_said_in_the_form(client, alice, wrong):
    client.force_login(alice.person)
    sent = {"role": "annotator", "uses": 1, "days": 1, **wrong}
    assert client.post(reverse("people", args=["desk"]), sent).status_code == 422
    assert not Invitation.objects.exists()


def test_nobody_invites_above_their_own_role(project, member, alice):
    with pytest.raises(ValidationError, match="above your own"):
        invitations.invite(project=project, actor=member("rita", "reviewer"), role="lead")
    assert invitations.invite(project=project, actor=alice, role="lead").role == "lead"


def test_a_token_cannot_be_guessed(invite):
    assert len(invite().token) == 32
    assert invite().token != invite().token


# Opening a link


def test_who_is_signed_in_confirms(client, invite, page, charlie, project):
    link = invite(role="reviewer", team=Team.objects.create(project=project, name="Letters"))
    client.force_login(charlie)
    shown = client.get(page(link)).content.decode()
    assert "Join as charlie" in shown
    assert "Letters" in shown
    assert not Membership.objects.filter(person=charlie).exists(), "a link that is opened changes nothing"
    answer = client.post(page(link))
    assert answer["Location"] == "/projects/desk/"
    joined = Membership.objects.get(person=charlie)
    assert (joined.role, [team.name for team in joined.teams.all()]) == ("reviewer", ["Letters"])
    link.refresh_from_db()
    assert link.used == 1
    used = Event.objects.get(verb="invitation used")
    assert (used.actor, used.target) == (charlie, f"invitation:{link.pk}")
    assert invitations.who_came(project) == {link.pk: ["charlie"]}


def test_who_is_signed_out_signs_in_on_the_page(client, invite, page, charlie):
    link = invite()
    wrong = client.post(page(link), {"with": "sign-in", "in-username": "charlie", "in-password": "no"})
    assert wrong.status_code == 422
    assert not Membership.objects.filter(person=charlie).exists()
    right = {"with": "sign-in", "in-username": "charlie", "in-password": "charlie-has-a-secret"}
    assert client.post(page(link), right)["Location"] == "/projects/desk/"
    assert Membership.objects.filter(person=charlie).exists()
    assert client.get("/projects/desk/").status_code == 200


def test_who_has_no_account_makes_one_on_the_page(client, invite, page):
    link = invite()
    assert client.post(page(link), {**NEW, "new-email": "dora@example.com"})["Location"] == "/projects/desk/"
    dora = User.objects.get(username="dora")
    assert (dora.email, dora.is_staff, dora.is_superuser) == ("dora@example.com", False, False)
    assert dora.check_password("a-long-secret-7")
    assert Membership.objects.get(person=dora).role == "annotator"
    assert client.get("/projects/desk/").status_code == 200, "they are signed in"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"new-password1": "12345678", "new-password2": "12345678"}, "too common"),
        (
            {"new-username": "dorothea-7", **dict.fromkeys(["new-password1", "new-password2"], "dorothea-71")},
            "too similar",
        ),
        ({"new-password2": "another-long-1"}, "match"),
        ({"new-username": "ALICE"}, "already exists"),
        ({"new-username": "a b"}, "valid username"),
        ({"new-email": "nowhere"}, "valid email"),
    ],
)
def test_an_account_follows_the_rules_for_names_and_passwords(client, invite, page, wrong, reason):
    link = invite()
    answer = client.post(page(link), {**NEW, **wrong})
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    assert User.objects.count() == 1
    link.refresh_from_db()
    assert link.used == 0


def test_a_new_lead_may_use_the_admin(client, invite, page):
    client.post(page(invite(role="lead")), NEW)
    dora = User.objects.get(username="dora")
    assert (dora.memberships.get().role, dora.is_staff) == ("lead", True)
    assert client.get(reverse("admin:index")).status_code == 200


def test_joining_raises_a_role_and_never_lowers_it(invite, bob, alice):
    assert invitations.join(invitation=invite(role="reviewer"), person=bob.person)
    bob.refresh_from_db()
    assert bob.role == "reviewer"
    low = invite(role="annotator")
    for one in (bob, alice):
        assert not invitations.join(invitation=low, person=one.person)
        role = one.role
        one.refresh_from_db()
        assert one.role == role
    low.refresh_from_db()
    assert low.used == 0, "who was in already takes no use"


def test_a_member_who_opens_it_again_is_told_that_they_are_in(client, invite, page, charlie):
    link = invite()
    invitations.join(invitation=link, person=charlie)
    client.force_login(charlie)
    shown = client.get(page(link))
    assert shown.status_code == 200
    assert "You are in Desk" in shown.content.decode()
    assert client.post(page(link))["Location"] == "/projects/desk/"


# Closed links


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"revoked_at": timezone.now()}, "taken back"),
        ({"used": 1}, "used already"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "time is over"),
    ],
)
def test_a_closed_link_says_why_and_what_to_do(client, invite, page, charlie, changes, reason):
    link = over(invite(), **changes)
    for sent in (None, NEW):
        answer = client.post(page(link), sent) if sent else client.get(page(link))
        assert answer.status_code == 410
        shown = answer.content.decode()
        assert reason in shown
        assert "Ask alice" in shown
        assert "Create my account" not in shown
    with pytest.raises(Closed, match=reason):
        invitations.join(invitation=link, person=charlie)
    assert not User.objects.filter(username="dora").exists()


def test_a_project_that_was_put_away_admits_nobody(client, invite, page, project, charlie):
    link = invite()
    project.archived = True
    project.save()
    assert b"put away" in client.get(page(link)).content
    with pytest.raises(Closed, match="put away"):
        invitations.join(invitation=link, person=charlie)


def test_who_was_taken_out_does_not_come_back_by_an_older_link(invite, alice, charlie, project):
    link = invite(uses=9)
    invitations.join(invitation=link, person=charlie)
    people.remove(membership=charlie.memberships.get(), actor=alice.person)
    with pytest.raises(Closed, match="took you out"):
        invitations.join(invitation=link, person=charlie)
    link.refresh_from_db()
    assert link.used == 1
    assert invitations.join(invitation=invite(), person=charlie), "a new link is a new decision"


def test_nobody_made_this_link(client, db):
    for token in ("x" * 32, "x", "%00", "ü"):
        assert client.get(f"/join/{token}/").status_code == 404


# Many at once


@pytest.mark.django_db(transaction=True)
def test_a_link_for_three_admits_three_however_many_come_at_once(project, member):
    link = invitations.invite(project=project, actor=member("alice", "lead"), role="annotator", uses=3)
    crowd = [User.objects.create_user(f"c{number}") for number in range(12)]

    def come(person):
        try:
            return invitations.join(invitation=link, person=person)
        except Closed:
            return False

    assert sum(all_at_once(*(lambda one=one: come(one) for one in crowd))) == 3
    link.refresh_from_db()
    assert link.used == 3 == project.memberships.filter(role="annotator").count()
    assert len(invitations.who_came(project)[link.pk]) == 3


@pytest.mark.django_db(transaction=True)
def test_a_person_who_confirms_twice_at_once_takes_one_use(project, member, charlie):
    link = invitations.invite(project=project, actor=member("alice", "lead"), role="annotator", uses=5)
    joined = all_at_once(*[lambda: invitations.join(invitation=link, person=charlie)] * 6)
    assert sum(joined) == 1
    link.refresh_from_db()
    assert link.used == 1


@pytest.mark.django_db(transaction=True)
def test_an_account_that_came_too_late_is_not_made(project, member):
    link = invitations.invite(project=project, actor=member("alice", "lead"), role="annotator")

    def come(name):
        try:
            invitations.join_anew(invitation=link, username=name, password="a-long-secret-7")
        except Closed:
            return False
        return True

    assert sum(all_at_once(*(lambda name=name: come(name) for name in ("dora", "dan", "dave")))) == 1
    assert User.objects.filter(username__startswith="d").count() == 1
