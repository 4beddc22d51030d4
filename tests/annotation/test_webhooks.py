"""Other servers are told what happened: once it is committed, signed, until it arrives, never within the network."""

import base64
import hashlib
import hmac
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from django_q.models import OrmQ

from annotation import outbound, webhooks
from annotation.models import Delivery, Project, Webhook
from annotation.models.events import record
from annotation.models.webhooks import DELIVER, Group, group_of

ROOT = Path(__file__).parents[2]
ABOUT_RULES = {
    *("guidelines changed", "project created", "people per item set"),
    *("toxicity policy changed", "toxicity policy removed"),
    *("webhook made", "webhook changed", "webhook deleted", "webhook secret renewed"),
}


class Receiver(ThreadingHTTPServer):
    """A server that keeps what it was sent, and answers as the test says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.arrived = Flag()
        self.answer: Callable[[Any], None] = with_status(200)
        self.place = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"http://{self.place}/hook?x=1"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, {name.title(): value for name, value in self.headers.items()}, body))
        self.server.arrived.set()
        self.server.answer(self)

    def log_message(self, *args: Any) -> None:
        pass


def with_status(status: int, body: bytes = b"", **headers: str) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    server = Receiver()
    monkeypatch.setenv("TOUCHSTONE_PRIVATE_ENDPOINTS", server.place)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hook(project: Project, alice: Any, receiver: Receiver) -> Webhook:
    return webhooks.make(project=project, actor=alice.person, url=receiver.url, groups=["runs"])


def happens(project: Project, verb: str = "run failed", actor: Any = None) -> None:
    record(verb, project, project=project, actor=actor, why="out of memory")


def due_again(**rows: Any) -> None:
    """As if the pause were over."""
    Delivery.objects.filter(**rows).update(next_try_at=timezone.now())
    Webhook.objects.update(quiet_until=None)


class TestWhoIsTold:
    def test_whoever_asked_for_such_events(self, project, hook, alice):
        happens(project, "run failed", alice.person)
        happens(project, "label retracted")
        sent = Delivery.objects.get()
        assert (sent.verb, sent.webhook, sent.state) == ("run failed", hook, "waiting")
        assert (
            sent.payload.items()
            >= {
                "type": "run failed",
                "project": "desk",
                "actor": "alice",
                "target": f"project:{project.pk}",
                "data": {"why": "out of memory"},
            }.items()
        )

    def test_nobody_of_what_did_not_happen(self, project, hook):
        with transaction.atomic():
            happens(project)
            transaction.set_rollback(True)
        assert not Delivery.objects.exists()

    def test_nobody_who_is_off_or_of_another_project(self, project, hook, alice):
        webhooks.change(webhook=hook, actor=alice.person, active=False)
        happens(project)
        other = Project.objects.create(slug="other", name="Other")
        webhooks.change(webhook=hook, actor=alice.person, active=True)
        happens(other)
        assert not Delivery.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_a_worker_is_woken_once_it_is_committed(self, project, hook):
        OrmQ.objects.all().delete()
        with transaction.atomic():
            happens(project)
            assert not OrmQ.objects.exists()
        assert [message.func() for message in OrmQ.objects.all()] == [DELIVER]

    def test_every_verb_of_the_product_is_in_a_group(self):
        written = set()
        for room in ("annotation", "training", "evaluation", "config"):
            for path in (ROOT / room).rglob("*.py"):
                written |= set(re.findall(r'record\(\s*"([a-z ]+)"', path.read_text()))
        assert len(written) > 40
        assert {verb for verb in written if group_of(verb) == Group.RULES} <= ABOUT_RULES


class TestSending:
    def test_a_message_arrives_once_signed_and_whole(self, project, hook, receiver):
        happens(project)
        assert webhooks.deliver() == 1
        assert webhooks.deliver() == 0
        ((path, headers, body),) = receiver.received
        sent = Delivery.objects.get()
        assert path == "/hook?x=1"
        assert json.loads(body) == sent.payload
        assert headers["Host"] == receiver.place
        assert headers["Webhook-Id"] == str(sent.uuid)
        assert abs(int(headers["Webhook-Timestamp"]) - time.time()) < 60
        key = base64.b64decode(hook.secret.removeprefix("whsec_"))
        signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["Webhook-Signature"] == f"v1,{expected}"
        assert (sent.state, sent.status_code, sent.attempts) == ("delivered", 200, 1)
        assert sent.delivered_at

    def test_what_does_not_arrive_is_sent_again_later_under_the_same_id(self, project, hook, receiver):
        receiver.answer = with_status(500, b"we are broken")
        happens(project)
        assert webhooks.deliver() == 0
        sent = Delivery.objects.get()
        assert (sent.state, sent.status_code, sent.answer) == ("waiting", 500, "we are broken")
        assert timedelta(seconds=20) < sent.next_try_at - timezone.now() < timedelta(seconds=40)
        assert webhooks.deliver() == 0
        assert len(receiver.received) == 1

        receiver.answer = with_status(204)
        due_again()
        assert webhooks.deliver() == 1
        assert len({headers["Webhook-Id"] for _, headers, _ in receiver.received}) == 1
        sent.refresh_from_db()
        assert (sent.state, sent.attempts) == ("delivered", 2)

    def test_pauses_grow_to_six_hours_and_are_never_the_same(self):
        means = [sum(webhooks.pause(n).total_seconds() for _ in range(200)) / 200 for n in (1, 2, 3, 9)]
        assert means == [pytest.approx(seconds, rel=0.05) for seconds in (30, 120, 480, 6 * 3600)]
        assert len({webhooks.pause(1) for _ in range(20)}) > 1

    def test_it_is_given_up_in_the_end_and_a_lead_may_send_it_again(self, project, hook, receiver):
        receiver.answer = with_status(404)
        happens(project)
        for _ in range(webhooks.MOST_TRIES):
            due_again(state="waiting")
            webhooks.deliver()
        sent = Delivery.objects.get()
        assert (sent.state, sent.attempts) == ("failed", webhooks.MOST_TRIES)
        due_again()
        assert webhooks.deliver() == 0
        receiver.answer = with_status(200)
        webhooks.send_again(delivery=sent)
        assert webhooks.deliver() == 1
        assert len({headers["Webhook-Id"] for _, headers, _ in receiver.received}) == 1

    def test_redirects_are_not_followed(self, project, hook, receiver):
        receiver.answer = with_status(302, Location=f"http://{receiver.place}/secret")
        happens(project)
        webhooks.deliver()
        assert [path for path, _, _ in receiver.received] == ["/hook?x=1"]
        sent = Delivery.objects.get()
        assert sent.state == "waiting"
        assert "not followed" in sent.answer

    def test_of_a_long_answer_only_the_beginning_is_read(self, project, hook, receiver):
        receiver.answer = with_status(200, b"x\0" * 5_000_000)
        happens(project)
        assert webhooks.deliver() == 1
        assert len(Delivery.objects.get().answer) == 250

    def test_whoever_says_nothing_is_left_after_a_while_and_others_get_theirs(
        self, project, hook, receiver, alice, monkeypatch
    ):
        monkeypatch.setattr(outbound, "SECONDS", 0.5)
        over = Flag()

        def silent(handler: Any) -> None:
            if handler.path.startswith("/hook"):
                over.wait(30)
            else:
                with_status(200)(handler)

        receiver.answer = silent
        url = f"http://{receiver.place}/other"
        other = webhooks.make(project=project, actor=alice.person, url=url, groups=["runs"])
        for _ in range(3):
            happens(project)
        began = time.monotonic()
        assert webhooks.deliver() == 3
        assert time.monotonic() - began < 10
        assert Delivery.objects.filter(webhook=other, state="delivered").count() == 3
        assert [path for path, _, _ in receiver.received].count("/hook?x=1") == 1
        waits = Delivery.objects.filter(webhook=hook)
        assert sorted(waits.values_list("attempts", flat=True)) == [0, 0, 1]
        assert "could not be reached" in waits.get(attempts=1).answer
        assert webhooks.deliver() == 0  # nothing is tried there for a minute
        assert [path for path, _, _ in receiver.received].count("/hook?x=1") == 1
        over.set()

    def test_whoever_answers_drop_by_drop_is_left_too(self, project, hook, receiver, monkeypatch):
        monkeypatch.setattr(outbound, "SECONDS", 0.6)
        over = Flag()

        def drip(handler: Any) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.1):
                handler.wfile.write(b"X-Drop: 1\r\n")
                handler.wfile.flush()

        receiver.answer = drip
        happens(project)
        began = time.monotonic()
        assert webhooks.deliver() == 0
        assert time.monotonic() - began < 10
        over.set()
        assert "within" in Delivery.objects.get().answer

    def test_nothing_is_sent_while_it_is_off_and_all_of_it_afterwards(self, project, hook, receiver, alice):
        happens(project)
        webhooks.change(webhook=hook, actor=alice.person, active=False)
        assert webhooks.deliver() == 0
        with pytest.raises(ValidationError, match="turn it on"):
            webhooks.ping(webhook=hook, actor=alice.person)
        webhooks.change(webhook=hook, actor=alice.person, active=True)
        assert webhooks.deliver() == 1

    def test_a_ping_is_of_no_event(self, hook, receiver, alice):
        webhooks.ping(webhook=hook, actor=alice.person)
        assert webhooks.deliver() == 1
        assert json.loads(receiver.received[0][2])["type"] == "ping"

    def test_a_new_secret_signs_what_is_sent_from_then_on(self, project, hook, receiver, alice):
        old = hook.secret
        assert webhooks.renew_secret(webhook=hook, actor=alice.person) != old
        happens(project)
        webhooks.deliver()
        _, headers, body = receiver.received[0]
        told = (headers["Webhook-Id"], headers["Webhook-Timestamp"], body)
        assert headers["Webhook-Signature"] == webhooks.signature(hook.secret, *told)
        assert headers["Webhook-Signature"] != webhooks.signature(old, *told)

    def test_what_came_to_an_end_is_forgotten_after_a_month(self, project, hook, receiver):
        happens(project)
        happens(project)
        webhooks.deliver()
        Delivery.objects.update(created_at=timezone.now() - timedelta(days=31))
        waits = Delivery.objects.first()
        Delivery.objects.filter(pk=waits.pk).update(state="waiting")
        assert webhooks.forget() == 1
        assert Delivery.objects.get() == waits


SENDS = """
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = {name!r}
django.setup()
from annotation import webhooks
webhooks.deliver()
"""


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_while_it_sends_loses_nothing(project, hook, receiver):
    over = Flag()
    receiver.answer = lambda handler: over.wait(60)
    happens(project)
    script = SENDS.format(name=connection.settings_dict["NAME"])
    worker = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    assert receiver.arrived.wait(120)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    over.set()
    sent = Delivery.objects.get()
    assert (sent.state, sent.attempts) == ("waiting", 1)
    assert timezone.now() < sent.next_try_at < timezone.now() + webhooks.CLAIMED_FOR
    assert webhooks.deliver() == 0

    receiver.answer = with_status(200)
    due_again()
    assert webhooks.deliver() == 1
    assert len(receiver.received) == 2
    assert len({headers["Webhook-Id"] for _, headers, _ in receiver.received}) == 1


class TestWhereTo:
    @pytest.mark.parametrize(
        "url",
        [
            *("", "hooks.example", "ftp://hooks.example/", "https://", "http://hooks.example/", "https://a b.example/"),
            *("https://me:secret@hooks.example/", "https://hooks.example/#x", "https://hooks.example:99999/"),
            *("https://hooks.example/\r\nX: 1", "https://höoks.example/"),
        ],
    )
    def test_what_is_no_address_is_refused(self, project, alice, url):
        with pytest.raises(ValidationError):
            webhooks.make(project=project, actor=alice.person, url=url, groups=["runs"])
        assert not Webhook.objects.exists()

    @pytest.mark.parametrize("groups", [[], ["everything"], ["runs", "everything"]])
    def test_so_is_a_group_that_there_is_not(self, project, alice, groups):
        with pytest.raises(ValidationError):
            webhooks.make(project=project, actor=alice.person, url="https://hooks.example/", groups=groups)

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"]
    )
    def test_nothing_is_sent_to_a_private_address(self, project, alice, host):
        Webhook.objects.create(project=project, author=alice.person, url=f"https://{host}/", groups=["runs"])
        happens(project)
        assert webhooks.deliver() == 0
        assert "private address" in Delivery.objects.get().answer

    def test_one_whose_address_is_allowed_no_more_can_still_be_turned_off(self, hook, alice, monkeypatch):
        monkeypatch.delenv("TOUCHSTONE_PRIVATE_ENDPOINTS")
        webhooks.change(webhook=hook, actor=alice.person, active=False, url=hook.url)
        assert not Webhook.objects.get().active

    @pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1:8443", "[::1]"])
    def test_one_that_is_written_as_a_number_is_refused_at_once(self, project, alice, host):
        with pytest.raises(ValidationError, match="private address"):
            webhooks.make(project=project, actor=alice.person, url=f"https://{host}/", groups=["runs"])

    def test_one_private_address_among_public_ones_is_enough_to_refuse(self, monkeypatch):
        found = [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
        with pytest.raises(outbound.Refused, match="private"):
            outbound.send("https://hooks.example/", b"", {})

    def test_a_name_that_changes_its_mind_is_asked_once(self, receiver, monkeypatch):
        """The connection goes to the address that was looked at."""
        port = receiver.server_address[1]
        monkeypatch.setenv("TOUCHSTONE_PRIVATE_ENDPOINTS", f"hooks.example:{port}")
        asked = []

        def look_up(host: str, *args: Any, **more: Any) -> Any:
            asked.append(host)
            assert host in ("hooks.example", "127.0.0.1")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        assert outbound.send(f"http://hooks.example:{port}/", b"{}", {}).status == 200
        assert asked.count("hooks.example") == 1
        assert receiver.received[0][1]["Host"] == f"hooks.example:{port}"

    def test_a_project_has_ten_at_most(self, project, alice, monkeypatch):
        monkeypatch.setattr(webhooks, "MOST", 1)
        both = {"project": project, "actor": alice.person, "groups": ["runs"]}
        webhooks.make(url="https://hooks.example/", **both)
        with pytest.raises(ValidationError, match="delete one first"):
            webhooks.make(url="https://hooks.example/2", **both)
