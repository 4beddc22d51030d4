"""What a Sentry is told: what broke and where, and nothing that people wrote."""

import sys

import pytest
import sentry_sdk
from django.core.exceptions import ImproperlyConfigured
from sentry_sdk.transport import Transport
from sentry_sdk.utils import event_from_exception

from annotation.logcontext import bind
from config import sentry

DSN = "https://key@sentry.example/7"


class Told(Transport):
    """Keeps what would be sent."""

    def __init__(self):
        super().__init__()
        self.events = []

    def capture_envelope(self, envelope):
        self.events.append(envelope.get_event())


@pytest.fixture
def client():
    """With our options, and nothing of this process changed by it."""
    made = sentry_sdk.Client(dsn=DSN, transport=Told(), default_integrations=False, **sentry.options())
    yield made
    made.close()


def test_an_error_is_told_without_anything_of_the_request_but_its_kind(client):
    request = {
        "method": "POST",
        "url": "https://desk.example/join/an-invitations-secret/",
        "query_string": "next=a-query",
        "cookies": {"sessionid": "a-session"},
        "data": {"text": "an-answer-of-somebody"},
        "headers": {"Authorization": "Bearer a-key", "Cookie": "sessionid=a-session", "User-Agent": "Firefox"},
    }
    try:
        raise ValueError("It broke.")
    except ValueError:
        event, hint = event_from_exception(sys.exc_info(), client_options=client.options)
    event |= {"request": request, "user": {"id": 5, "ip_address": "192.0.2.7"}, "extra": {"sys.argv": ["a-password"]}}
    with bind(request_id="a-request", run_id=5):
        client.capture_event(event, hint)
    [sent] = client.transport.events
    assert sent["request"] == {"method": "POST", "headers": {"User-Agent": "Firefox"}}
    assert sent["tags"] == {"request_id": "a-request", "run_id": 5}
    assert sent["exception"]["values"][0]["value"] == "It broke."
    for frame in sent["exception"]["values"][0]["stacktrace"]["frames"]:  # lines of this file are no secret
        assert "vars" not in frame
        for lines in ("pre_context", "context_line", "post_context"):
            del frame[lines]
    for secret in ("an-invit", "a-query", "a-session", "an-answer", "a-key", "192.0.2.7", "a-password"):
        assert secret not in str(sent)


def test_names_and_addresses_of_people_bodies_and_variables_are_off(client):
    assert not client.should_send_default_pii()
    assert client.options["max_request_body_size"] == "never"
    assert not client.options["include_local_variables"]
    assert client.options["traces_sample_rate"] is None


def test_of_what_went_before_only_our_own_lines_are_told():
    kept = {"category": "annotation.imports", "message": "import 5"}
    assert sentry.of_the_log(kept, {}) is kept
    for category in ("query", "httplib", "django.request", "redis", None):
        assert sentry.of_the_log({"category": category, "message": "…"}, {}) is None


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install .*sentry"):
        sentry.start(DSN, "production")


def test_an_address_that_is_none_is_refused_and_not_repeated():
    with pytest.raises(ImproperlyConfigured, match="SENTRY_DSN") as refused:
        sentry.start("hush-hush", "production")
    assert "hush" not in str(refused.value)
