"""Access keys: what each opens, for how long, and where; every endpoint asks for one of the scopes."""

import importlib
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.urls import URLResolver
from django.utils import timezone
from rest_framework.test import APIClient

from annotation import accesskeys
from annotation.endpoints import Endpoint
from annotation.models import AccessKey, Event, Membership, Project, User
from annotation.models.accesskeys import Scope
from config.api import urlpatterns
from tests.annotation.making import a_comparison, lease
from tests.api.test_doors import OWN, ROUTES, address

KEYS = "/api/v1/access-keys/"
OPEN = {"token/", "join/"}  # before anybody is known
WITHOUT_FILES = "projects/<slug:slug>/models/<int:model_id>/export/"  # there are none of the world's models


def views(patterns: list[Any] = urlpatterns, prefix: str = "") -> dict[str, type[Endpoint]]:
    found: dict[str, type[Endpoint]] = {}
    for one in patterns:
        route = prefix + str(one.pattern)
        found |= views(one.url_patterns, route) if isinstance(one, URLResolver) else {route: one.callback.view_class}
    return found


def sent_with(secret: str, word: str = "Bearer") -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"{word} {secret}")
    return client


def a_key(owner: Any, *scopes: str, **more: Any) -> tuple[AccessKey, str]:
    return accesskeys.make(owner=owner.person, name="A program", scopes=scopes or Scope.values, **{"days": 30, **more})


def test_every_endpoint_says_which_scope_it_needs():
    for route, view in views().items():
        assert issubclass(view, Endpoint), route
        assert view.scope in Scope, f"{route}: give {view.__name__} a scope, from annotation/models/accesskeys.py"
        assert view.read_scope in Scope


def test_a_key_without_the_scope_is_refused_everywhere(api, world, alice):
    known = views()
    for method, route in ROUTES:
        if route in OPEN:
            continue
        needed = known[route].needs(method.upper())
        client = api(alice, *(scope for scope in Scope.values if scope not in needed))
        answer = getattr(client, method)(address(route, world.ids))
        assert answer.status_code == 403, (method, route)
        assert f"lacks {next(iter(needed))}" in answer.content.decode()


def test_a_key_with_nothing_but_the_scope_passes(api, world, alice):
    known = views()
    for method, route in ROUTES:
        if method == "get" and not route.startswith(OWN):
            client = api(alice, *known[route].needs("GET"))
            expected = 400 if route == WITHOUT_FILES else 200
            assert client.get(address(route, world.ids)).status_code == expected, route


@pytest.mark.parametrize("word", ["Bearer", "Token", "bearer"])
def test_a_key_opens_the_api(bob, word):
    _, secret = a_key(bob)
    assert sent_with(secret, word).get("/api/v1/projects/").json()["results"][0]["slug"] == "desk"


def test_what_is_no_key_opens_nothing(bob):
    key, secret = a_key(bob)
    for wrong in (secret[:-1], "0123456789", f"{secret} {secret}", "", "tst_é"):
        answer = sent_with(wrong).get("/api/v1/projects/")
        assert answer.status_code == 401, wrong
        assert answer["WWW-Authenticate"] == "Bearer"
    AccessKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    assert sent_with(secret).get("/api/v1/projects/").status_code == 401
    _, another = a_key(bob)
    User.objects.filter(pk=bob.person_id).update(is_active=False)
    assert sent_with(another).get("/api/v1/projects/").status_code == 401


def test_the_secret_is_nowhere_but_with_its_owner(bob, caplog):
    caplog.set_level(logging.DEBUG)
    key, secret = a_key(bob)
    assert sent_with(secret).get("/api/v1/projects/").status_code == 200
    assert sent_with(secret).get("/api/v1/nowhere/").status_code == 404
    key.refresh_from_db()
    stored = repr(AccessKey.objects.values().get(pk=key.pk)) + repr(list(Event.objects.values())) + repr(key)
    assert secret.startswith(key.prefix)
    assert secret not in stored + caplog.text
    assert secret[len(key.prefix) :] not in stored


def test_a_person_makes_reads_and_revokes_their_keys(api, alice, bob):
    client = api(bob)
    said = {"name": "Nightly export", "scopes": ["data", "read"], "days": 7, "project": "desk"}
    made = client.post(KEYS, said, format="json")
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert made.json()["scopes"] == ["read", "data"]
    assert sent_with(secret).get("/api/v1/projects/desk/").status_code == 200

    rows = client.get(KEYS).json()["results"]
    assert [row["name"] for row in rows] == ["Nightly export", "Tests"]
    assert "secret" not in rows[0]
    assert rows[0]["last_used_at"]

    where = f"{KEYS}{made.json()['id']}/"
    assert api(alice).delete(where).status_code == 404
    assert client.delete(where).status_code == 204
    assert client.delete(where).status_code == 409
    assert sent_with(secret).get("/api/v1/projects/desk/").status_code == 401
    assert list(Event.objects.filter(verb__startswith="access key").values_list("verb", flat=True))[-1] == (
        "access key revoked"
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["all"]}, "scopes"),
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"project": "elsewhere"}, "project"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_be_a_key(api, bob, wrong, field):
    Project.objects.create(slug="elsewhere", name="Elsewhere")
    answer = api(bob).post(KEYS, {"name": "x", "scopes": ["read"], **wrong}, format="json")
    assert answer.status_code == 400
    assert field in answer.json()
    assert AccessKey.objects.filter(name="x").count() == 0


def test_a_key_passes_on_no_more_than_it_opens(api, bob):
    answer = api(bob, "manage").post(KEYS, {"name": "x", "scopes": ["manage", "train"]}, format="json")
    assert answer.status_code == 400
    assert "train" in str(answer.json()["non_field_errors"])
    assert api(bob, "manage").post(KEYS, {"name": "x", "scopes": ["manage"]}, format="json").status_code == 201
    assert api(bob, "read", "train").get(KEYS).status_code == 403


@pytest.fixture
def elsewhere(bob):
    """Another project of bob's."""
    made = Project.objects.create(slug="elsewhere", name="Elsewhere")
    return Membership.objects.create(person=bob.person, project=made, role="lead")


def test_a_key_of_one_project_knows_no_other(api, bob, elsewhere, project):
    a_comparison(project)
    held = lease(bob)
    inside, outside = api(bob, project=project), api(bob, project=elsewhere.project)
    assert [one["slug"] for one in outside.get("/api/v1/projects/").json()["results"]] == ["elsewhere"]
    assert outside.get("/api/v1/projects/elsewhere/").status_code == 200
    assert outside.get("/api/v1/projects/desk/").status_code == 404
    for path in ("skip/", "draft/", "comments/"):
        assert outside.post(f"/api/v1/assignments/{held.pk}/{path}", {}, format="json").status_code == 404
    assert inside.post(f"/api/v1/assignments/{held.pk}/draft/", {}, format="json").status_code == 204


def test_a_key_of_one_project_is_closed_to_what_belongs_to_none(api, bob, elsewhere):
    client = api(bob, project=elsewhere.project)
    assert client.get(KEYS).status_code == 403
    assert client.post(KEYS, {"name": "x", "scopes": ["read"]}, format="json").status_code == 403
    assert client.post("/api/v1/join/", {"token": "x"}, format="json").status_code == 403


def test_a_superusers_key_of_one_project_knows_no_other(project, elsewhere):
    root = User.objects.create_superuser("root", password="root-has-a-secret")
    _, secret = accesskeys.make(owner=root, name="x", scopes=Scope.values, days=1, project=project)
    client = sent_with(secret)
    assert client.get("/api/v1/projects/desk/").status_code == 200
    assert client.get("/api/v1/projects/elsewhere/").status_code == 404
    assert len(client.get("/api/v1/projects/").json()["results"]) == 1


def test_all_doors_of_other_projects_are_shut_to_a_key_of_one(api, world, alice):
    """The walk of test_doors, by a lead of both projects whose key opens the other one."""
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(person=alice.person, project=other, role="lead")
    client = api(alice, project=other)
    for method, route in ROUTES:
        if "<" in route and not route.startswith("access-keys/"):
            assert getattr(client, method)(address(route, world.ids)).status_code == 404, (method, route)


def test_its_last_use_is_noted_once_a_minute(bob, django_assert_num_queries):
    key, secret = a_key(bob)
    with django_assert_num_queries(2):
        assert accesskeys.holder(secret) == key
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        accesskeys.holder(secret)
    AccessKey.objects.filter(pk=key.pk).update(last_used_at=first - timedelta(minutes=2))
    accesskeys.holder(secret)
    key.refresh_from_db()
    assert key.last_used_at >= first


def test_nobody_has_more_than_fifty(bob, monkeypatch):
    monkeypatch.setattr(accesskeys, "MOST_WORKING", 2)
    first, _ = a_key(bob)
    a_key(bob)
    with pytest.raises(ValidationError, match="revoke one first"):
        a_key(bob)
    accesskeys.revoke(key=first, actor=bob.person)
    a_key(bob)


@pytest.mark.parametrize("scopes", [[], ["all"]])
def test_the_database_knows_the_scopes(bob, scopes):
    key, _ = a_key(bob)
    with pytest.raises(IntegrityError):
        AccessKey.objects.create(owner=key.owner, sha256="0", scopes=scopes, expires_at=key.expires_at)


def test_keys_that_ended_long_ago_are_forgotten(bob):
    ended, kept = (a_key(bob)[0] for _ in range(2))
    old = timezone.now() - timedelta(days=91)
    AccessKey.objects.filter(pk=ended.pk).update(revoked_at=old)
    assert accesskeys.forget() == 1
    assert AccessKey.objects.get() == kept


def test_tokens_of_before_go_on_working(bob):
    migration = importlib.import_module("annotation.migrations.0012_keys_and_webhooks")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE authtoken_token (key varchar(40), created timestamptz, user_id bigint)")
        cursor.execute("INSERT INTO authtoken_token VALUES (%s, now(), %s)", ["0a1b" * 10, bob.person_id])
        cursor.execute(migration.FROM_TOKENS)
        cursor.execute("SELECT to_regclass('authtoken_token')")
        assert cursor.fetchone() == (None,)
        cursor.execute(migration.FROM_TOKENS)  # where there never was one
    assert sent_with("0a1b" * 10, "Token").get("/api/v1/projects/").status_code == 200
    key = AccessKey.objects.get()
    assert key.opens_all
    assert timedelta(days=364) < key.expires_at - timezone.now() < timedelta(days=366)
