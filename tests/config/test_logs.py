"""One line for each event, which says what it belongs to and nothing that is nobody's business."""

import io
import json
import logging

import pytest
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject
from django_q.tasks import async_task

from annotation import accesskeys
from annotation.logcontext import bind, bound
from config import logs


@pytest.fixture(autouse=True)
def _no_static_files():
    """There are some here."""


@pytest.fixture
def said():
    """The log as JSON, while a test runs: `said()` gives its lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JSON())
    handler.addFilter(logs.without_addresses)
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def requests(lines):
    return [line for line in lines if line["message"] == "request"]


def test_a_request_is_one_line_with_its_id_its_person_and_the_pattern_of_its_address(client, bob, said):
    client.force_login(bob.person)
    answer = client.get("/projects/desk/me/")
    [line] = requests(said())
    assert line["request_id"] == answer["X-Request-ID"]
    assert len(line["request_id"]) == 32
    assert (line["method"], line["status"], line["user_id"], line["project"]) == ("GET", 200, bob.person_id, "desk")
    assert line["route"] == "/projects/<slug:slug>/me/"
    assert line["milliseconds"] >= 0


def test_a_program_is_named_by_its_person(client, bob, said):
    _, key = accesskeys.make(owner=bob.person, name="Logs", scopes=["read"], days=1)
    client.get("/api/v1/projects/", headers={"Authorization": f"Bearer {key}"})
    assert requests(said())[-1]["user_id"] == bob.person_id


def test_the_id_of_a_proxy_is_kept_and_no_other_text(client, db):
    assert client.get("/sign-in/", headers={"X-Request-ID": "edge-7f.3_A"})["X-Request-ID"] == "edge-7f.3_A"
    for bad in ("", "a b", "x" * 65, 'a"}\n{', "é"):
        assert client.get("/sign-in/", headers={"X-Request-ID": bad})["X-Request-ID"] != bad


def test_neither_bodies_nor_secrets_nor_queries_are_written(client, bob, said, monkeypatch):
    client.raise_request_exception = False
    client.post("/sign-in/", {"username": "bob", "password": "a-guess-of-mine"})
    client.get("/join/an-invitations-secret/?next=a-query")
    client.get("/api/v1/projects/", headers={"Authorization": "Bearer a-key-of-bob"})
    client.get("/nowhere/an-address-of-nothing/")
    monkeypatch.setattr("annotation.access.invitation", lambda token: 1 / 0)
    client.get("/join/another-secret/")
    written = json.dumps(said())
    for secret in ("a-guess", "an-invitations", "a-query", "a-key-of", "an-address", "another-secret", "sessionid"):
        assert secret not in written
    assert [line["status"] for line in requests(said())] == [200, 404, 401, 404, 500]


def test_an_error_is_one_line_with_its_traceback_and_request(client, bob, said, monkeypatch):
    client.raise_request_exception = False
    client.force_login(bob.person)
    monkeypatch.setattr("annotation.views.projects.render", lambda *given: 1 / 0)
    broken = client.get("/")
    assert broken.status_code == 500
    [line] = [line for line in said() if line["level"] == "error"]
    assert line["request_id"] == broken["X-Request-ID"]
    assert line["exception"].endswith("ZeroDivisionError: division by zero")
    assert line["message"] == "Internal Server Error: /"


def test_files_of_pages_are_not_worth_a_line(client, said):
    client.get("/static/css/base.css")
    assert requests(said()) == []


def test_a_message_in_the_queue_names_the_request_that_it_comes_of(db, said, monkeypatch):
    monkeypatch.setattr("annotation.tasks.deliver", lambda: logging.getLogger("annotation.tasks").warning("here"))
    with bind(request_id="a-request"):
        async_task("annotation.tasks.deliver", sync=True)
    [line] = [line for line in said() if line["message"] == "here"]
    assert (line["request_id"], line["task"]) == ("a-request", "annotation.tasks.deliver")


def test_a_process_of_the_queue_forgets_the_task_before(db):
    with bind():
        logs.begun(None, {"func": "one", "id": "1", "request_id": "a-request"})
        logs.begun(None, {"func": "two", "id": "2"})
        assert bound() == {"task": "two", "task_id": "2"}


def test_a_line_for_people_stays_one_line():
    record = logging.LogRecord("annotation.imports", logging.INFO, "", 0, "read %s", ("a\nfalse 2026 line",), None)
    record.rows = 3
    with bind(run_id=5):
        line = logs.Line().format(record)
    assert line.endswith("INFO annotation.imports read a\\nfalse 2026 line [rows=3 run_id=5]")
    assert "\n" not in line


def test_who_asks_is_never_looked_up_for_the_log():
    request = RequestFactory().get("/")
    request.user = SimpleLazyObject(lambda: pytest.fail("it was looked up"))
    assert logs.known_user(request) is None
