"""Erasing a person: nothing says any more who they were, what they said stays, and there is no way back."""

import json
import zipfile
from io import BytesIO, StringIO

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import Error, connection, transaction
from django.test import Client
from django.urls import reverse

from annotation import accesskeys, invitations, labelling, personal, talk, teams
from annotation.erasing import erase
from annotation.models import Assignment, Comment, Event, Label, Membership, Notice, User
from annotation.models.events import record
from tests.annotation.making import a_comparison, a_demonstration, first_is_better, lease

# Every table that points at a person: whether its rows go with them, or stay with the pseudonym. A new one needs a
# line, and a thought: a key that opens something must go.
TABLES = {
    "annotation.User_groups.user": "goes",
    "annotation.User_user_permissions.user": "goes",
    "annotation.Membership.person": "goes",
    "annotation.Notice.person": "goes",
    "annotation.AccessKey.owner": "goes",
    "annotation.KeptAnswer.person": "goes",
    "annotation.SavedView.owner": "goes",
    "account.EmailAddress.user": "goes",
    "mfa.Authenticator.user": "goes",
    "socialaccount.SocialAccount.user": "goes",
    "usersessions.UserSession.user": "goes",
    "annotation.Invitation.author": "stays",
    "annotation.Guidelines.author": "stays",
    "annotation.Event.actor": "stays",
    "annotation.Assignment.person": "stays",
    "annotation.Label.person": "stays",
    "annotation.Gold.author": "stays",
    "annotation.Comment.author": "stays",
    "annotation.Comment.settled_by": "stays",
    "annotation.BulkChange.actor": "stays",
    "annotation.Cleaning.asked_by": "stays",
    "annotation.Export.created_by": "stays",
    "annotation.Finding.decided_by": "stays",
    "annotation.Import.actor": "stays",
    "annotation.Webhook.author": "stays",
    "training.Freezing.created_by": "stays",
    "training.Paraphrase.decided_by": "stays",
    "training.RecipeVersion.created_by": "stays",
    "training.Snapshot.created_by": "stays",
    "training.TagSuggestion.decided_by": "stays",
    "training.TrainingFile.created_by": "stays",
    "training.TuningJob.created_by": "stays",
    "training.Run.created_by": "stays",
    "evaluation.HeadToHead.started_by": "stays",
    "evaluation.Round.started_by": "stays",
    "admin.LogEntry.user": "stays",
}


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root", password="root-has-a-secret")


@pytest.fixture
def known(project, bob, alice):
    """Bob, who has left traces everywhere."""
    person = bob.person
    person.first_name, person.last_name, person.email = "Robert", "Builder", "bob@example.com"
    person.save()
    EmailAddress.objects.create(user=person, email="bob@example.com", primary=True)
    TOTP.activate(person, "A" * 32)
    a_comparison(project)
    a_demonstration(project)
    item = lease(bob)
    talk.comment(item=item.item, author=bob, text="Which one? @alice")
    talk.comment(item=item.item, author=alice, text="@Bob: the first. `@bob` Not @bobby.")
    labelling.submit(assignment=item, said=first_is_better())
    Assignment.objects.filter(pk=lease(bob, "demonstration").pk).update(draft={"text": "I am Robert"})
    Notice.objects.create(project=project, person=alice.person, text="bob has been paused.")
    teams.save(project=project, actor=alice.person, name="Letters", tags=[], languages=[], members=[bob])
    record("membership set", project, project=project, actor=alice.person, person="bob", role="annotator")
    return person


def everything():
    """The whole database as text, but for the tables of Django's own definitions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT row_to_json(one)::text FROM "{table}" one')
            for (row,) in cursor.fetchall():
                yield f"{table}: {row}"


def test_every_table_that_knows_people_is_thought_about():
    found = {personal.name_of(one): "goes" if personal.theirs_alone(one) else "stays" for one in personal.relations()}
    assert found == TABLES


def test_nothing_says_any_more_who_they_were(known, root):
    gone = erase(person=known, actor=root)
    assert gone.username.startswith("erased-")
    left = [row for row in everything() if any(word in row for word in ("Robert", "Builder", "bob@", '"bob"', "@bob:"))]
    assert left == []
    assert [row for row in everything() if "bob " in row] == []
    assert "@bobby" in Comment.objects.latest("pk").text, "somebody else keeps their name"


def test_what_they_said_stays_with_a_pseudonym(known, root, alice):
    before = list(Label.objects.order_by("pk").values())
    gone = erase(person=known, actor=root)
    assert list(Label.objects.order_by("pk").values()) == before != []
    assert Label.objects.get().person == gone
    assert Event.objects.filter(data__person=gone.username, verb="membership ended").exists()
    assert gone.username in json.dumps(list(Event.objects.values_list("data", flat=True)))
    assert f"@{gone.username}: the first. `@{gone.username}`" in Comment.objects.latest("pk").text
    assert Notice.objects.get(text__endswith="paused.").text == f"{gone.username} has been paused."
    done = Event.objects.get(verb="person erased")
    assert (done.actor, done.target) == (root, f"user:{gone.pk}")


def test_the_account_is_closed_and_its_keys_open_nothing(known, root, client):
    client.force_login(known)
    _, secret = accesskeys.make(owner=known, name="a script", scopes=["read"], days=30)
    asked = {"headers": {"Authorization": f"Bearer {secret}"}}
    assert Client().get("/api/v1/projects/", **asked).status_code == 200
    assert client.get("/account/").status_code == 200
    gone = erase(person=known, actor=root)
    assert client.get("/account/").status_code == 302
    assert Client().get("/api/v1/projects/", **asked).status_code == 401
    assert not gone.has_usable_password()
    assert not Authenticator.objects.filter(user=gone).exists()
    assert not Membership.objects.filter(person=gone).exists()
    answer = Client().post("/sign-in/", {"username": gone.username, "password": "bob-has-a-secret"})
    assert answer.status_code == 200


def test_what_they_held_goes_back_to_the_queue(known, root):
    held = Assignment.objects.get(person=known, state="leased")
    erase(person=known, actor=root)
    held.refresh_from_db()
    held.item.refresh_from_db()
    assert (held.state, held.draft, held.item.taken) == ("expired", {}, 0)


def test_a_link_that_they_made_lets_nobody_in_any_more(known, root, project, alice):
    Membership.objects.filter(person=known).update(role="lead")
    link = invitations.invite(project=project, actor=Membership.objects.get(person=known), role="lead")
    other = invitations.invite(project=project, actor=alice, role="annotator")
    erase(person=known, actor=root)
    link.refresh_from_db()
    other.refresh_from_db()
    assert invitations.why_closed(link)
    assert not invitations.why_closed(other)


def test_an_exclusion_outlives_its_person(known, root, project):
    Membership.objects.filter(person=known).update(excluded_at="2026-01-01T00:00Z", paused_because="bob is ill")
    gone = erase(person=known, actor=root)
    assert Membership.objects.get(person=gone).excluded_at
    assert not Label.objects.counted().exists()
    assert [row for row in everything() if "bob is ill" in row] == []


def test_the_last_lead_the_last_superuser_and_oneself_are_not_erased(alice, root, known):
    for person, actor, words in (
        (alice.person, root, "needs a lead"),
        (root, None, "last superuser"),
        (root, root, "themselves"),
    ):
        with pytest.raises(ValidationError, match=words):
            erase(person=person, actor=actor)
        person.refresh_from_db()
        assert person.erased_at is None
    gone = erase(person=known, actor=root)
    with pytest.raises(ValidationError, match="before"):
        erase(person=gone, actor=root)


def test_the_database_lets_events_change_in_nothing_but_an_erased_name(known, root):
    gone = erase(person=known, actor=root)
    event = Event.objects.filter(data__person=gone.username).first()
    change = "UPDATE annotation_event SET {} WHERE id = %s"
    tries = [
        ("", change.format("verb = 'x'")),
        (gone.username, change.format("verb = 'x'")),
        (gone.username, change.format("data = '{}'")),
        ("root", change.format("""data = data || '{"person": "root"}'""")),
        (gone.username, "DELETE FROM annotation_event WHERE id = %s"),
    ]
    for pseudonym, statement in tries:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('touchstone.erased_name', %s, true)", [gone.username])
            cursor.execute("SELECT set_config('touchstone.pseudonym', %s, true)", [pseudonym])
        with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [event.pk])


def test_an_erased_account_cannot_be_given_a_name_again(known, root):
    gone = erase(person=known, actor=root)
    for change in ({"email": "bob@example.com"}, {"is_active": True}, {"first_name": "Robert"}):
        with pytest.raises(Error, match="erased_person_is_nobody"), transaction.atomic():
            User.objects.filter(pk=gone.pk).update(**change)


# Doors


def test_the_command_asks_for_the_name_and_prints_the_pseudonym(known, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda _: "rob")
    with pytest.raises(CommandError, match="nobody was erased"):
        call_command("erase_person", "bob")
    with pytest.raises(CommandError, match="Nobody is called"):
        call_command("erase_person", "nobody", yes=True)
    said = StringIO()
    call_command("erase_person", "bob", yes=True, stdout=said)
    assert User.objects.get(pk=known.pk).username == said.getvalue().strip()


def admin(page, person):
    return reverse(f"admin:annotation_user_{page}", args=[person.pk])


def test_a_superuser_erases_in_the_admin_by_typing_the_name(known, root, alice, client):
    send = {"_form_submitted": "True"}
    User.objects.filter(pk=alice.person_id).update(is_staff=True)
    client.force_login(alice.person)
    assert client.post(admin("erase", known), {**send, "name": "bob"}).status_code == 403
    client.force_login(root)
    for name in ("", "rob"):
        client.post(admin("erase", known), {**send, "name": name})
        assert User.objects.get(pk=known.pk).erased_at is None
    assert client.post(admin("erase", known), {**send, "name": "bob"}).status_code == 302
    assert User.objects.get(pk=known.pk).erased_at
    assert client.get(admin("change", known)).status_code == 200
    assert client.post(admin("change", known), {"username": "bob"}).status_code == 403


# What is held


def unpacked(answer):
    with zipfile.ZipFile(BytesIO(b"".join(answer.streaming_content))) as archive:
        return {name: [json.loads(line) for line in archive.read(name).splitlines()] for name in archive.namelist()}


def signed_in(client, name):
    client.post("/sign-in/", {"username": name, "password": f"{name}-has-a-secret"})
    return client


def test_a_person_downloads_all_that_is_held_about_them(known, client):
    Authenticator.objects.all().delete()
    signed_in(client, "bob")
    files = unpacked(client.post("/account/data/"))
    assert files["account.jsonl"][0]["email"] == "bob@example.com"
    assert files["annotation.Membership.person.jsonl"][0]["role"] == "annotator"
    (label,) = files["annotation.Label.person.jsonl"]
    assert [one["rank"] for one in label["judgements"]] == [1, 2]
    assert files["annotation.Comment.author.jsonl"][0]["text"] == "Which one? @alice"
    assert any(one["draft"] for one in files["annotation.Assignment.person.jsonl"])
    assert any(one["verb"] == "membership set" for one in files["annotation.Event.data.jsonl"])


def test_nothing_in_it_opens_a_door_or_tells_what_is_gold(known, client):
    Authenticator.objects.all().delete()
    key, secret = accesskeys.make(owner=known, name="a script", scopes=["read"], days=30)
    signed_in(client, "bob")
    files = unpacked(client.post("/account/data/"))
    text = json.dumps(files)
    assert "a script" in text
    assert secret not in text
    assert key.sha256 not in text
    assert client.session.session_key not in text
    assert known.password not in text
    assert "gold_correct" not in text


def test_nobody_downloads_what_is_held_about_another(known, bea, root, alice, client):
    assert client.post("/account/data/").status_code == 302
    signed_in(client, "bea")
    assert "bob@example.com" not in json.dumps(unpacked(client.post("/account/data/")))
    assert client.get("/account/data/").status_code == 405
    User.objects.filter(pk=alice.person_id).update(is_staff=True)
    client.force_login(alice.person)
    assert client.get(admin("download", known)).status_code == 403
    client.force_login(root)
    assert unpacked(client.get(admin("download", known)))["account.jsonl"][0]["username"] == "bob"
    assert Event.objects.get(verb="personal data exported").actor == root


def test_it_asks_who_is_there_when_the_sign_in_was_long_ago(known, client):
    client.force_login(known)
    answer = client.post("/account/data/")
    assert answer["Location"].startswith(("/account/confirm/", "/account/confirm/code/"))
