"""What must stay secret is written into no log, at the most talkative level, whatever fails."""

import logging
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.test import Client
from django.urls import reverse

from annotation import accesskeys, webhooks
from annotation.models import Webhook
from config import oidc

HUSH = "hush-hush-4711"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """All that the console's handler of the settings writes."""
    console = next(one for one in logging.root.handlers if type(one) is logging.StreamHandler)
    monkeypatch.setattr(logging.root, "level", logging.DEBUG)
    logging.root.manager._clear_cache()  # type: ignore[attr-defined]  # of which levels are on
    stream = StringIO()
    before = console.setStream(stream)
    yield stream
    console.setStream(before)
    monkeypatch.undo()
    logging.root.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.fixture
def browser() -> Client:
    return Client(raise_request_exception=False)


def broken(*args: Any, **named: Any) -> Any:
    raise RuntimeError("It broke.")


@pytest.mark.parametrize("breaks", [False, True])
def test_passwords_are_not_written(browser, bob, written, monkeypatch, breaks):
    if breaks:
        monkeypatch.setattr("allauth.account.adapter.DefaultAccountAdapter.authenticate", broken)
    sent = {"username": "bob", "password": HUSH}
    statuses = [browser.post(reverse("login"), sent).status_code]
    statuses.append(browser.post("/api/v1/token/", sent, content_type="application/json").status_code)
    assert statuses == ([500, 500] if breaks else [200, 400])
    assert ("It broke." in written.getvalue()) == breaks
    assert HUSH not in written.getvalue()


@pytest.mark.parametrize("breaks", [False, True])
def test_access_keys_and_sessions_are_not_written(browser, alice, written, monkeypatch, breaks):
    key, secret = accesskeys.make(owner=alice.person, name="A program", scopes=["read"], days=1)
    browser.force_login(alice.person)
    session = browser.cookies["sessionid"].value
    if breaks:
        monkeypatch.setattr("annotation.access.project", broken)
    for word in (f"Bearer {secret}", f"Token {secret}", f"Bearer {HUSH}"):
        Client(raise_request_exception=False).get("/api/v1/projects/desk/gold/", headers={"authorization": word})
    made = browser.post("/api/v1/access-keys/", {"name": "x", "scopes": ["read"], "days": 1}, "application/json")
    browser.get("/api/v1/projects/desk/gold/")
    browser.post(reverse("revoke_access_key", args=[key.pk]))
    assert ("It broke." in written.getvalue()) == breaks
    assert made.status_code == 201
    new = next(value for value in made.json().values() if str(value).startswith(accesskeys.MARK))
    for one in (secret, new, session, HUSH):
        assert one not in written.getvalue()


def test_a_webhooks_secret_is_not_written(browser, project, alice, written, monkeypatch):
    hook = webhooks.make(project=project, actor=alice.person, url="https://hooks.example/", groups=["runs"])
    webhooks.ping(webhook=hook, actor=alice.person)
    monkeypatch.setattr("annotation.outbound.send", broken)
    try:
        webhooks.deliver()
    except RuntimeError:  # as a worker of the queue does
        logging.getLogger("django-q").exception("It failed")
    assert "It broke." in written.getvalue()
    browser.force_login(alice.person)
    browser.post(reverse("renew_webhook_secret", args=["desk", hook.pk]))
    secrets = {hook.secret, Webhook.objects.get().secret}
    assert len(secrets) == 2
    assert not [one for one in secrets if one in written.getvalue()]


def test_the_secret_of_a_provider_of_sign_ins_is_not_written(browser, db, settings, written):
    app = oidc.provider(f"Company|http://127.0.0.1:9|desk|{HUSH}", plain=True)
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    assert browser.post(reverse("openid_connect_login", args=["oidc"])).status_code == 502
    assert "does not answer" in written.getvalue()
    assert HUSH not in written.getvalue()


def test_the_databases_password_is_not_written(written):
    try:
        psycopg.connect(f"postgresql://ann:{HUSH}@127.0.0.1:1/desk")
    except psycopg.OperationalError:
        logging.getLogger("config").exception("The database does not answer")
    assert "does not answer" in written.getvalue()
    assert HUSH not in written.getvalue()


def test_nothing_trusts_code_that_comes_with_a_model():
    """There is no switch for it either."""
    for file in (
        one for room in ("annotation", "training", "evaluation", "config") for one in (ROOT / room).rglob("*.py")
    ):
        said = re.findall(r"trust_remote_code['\"]?\s*[=:]\s*(\w+)", file.read_text())
        assert set(said) <= {"False"}, file
