"""What the Python client does when the network does not: nothing twice, and errors in the server's words."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from touchstone_client import Client, Conflict, Invalid, NotFound, NotPermitted, NotSignedIn, RunFailed, Unreachable
from touchstone_client.transport import TRIES

Reply = Callable[[httpx2.Request], httpx2.Response]
ASSIGNMENT = {"id": 7, "kind": "comparison", "prompt": [], "answers": [{"position": 0, "text": "a"}]}


class Server:
    """Answers what the test says, in turn, and remembers what was asked."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.asked: list[httpx2.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.asked.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        status, body, *headers = reply
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx2.Response(status, content=content, headers=headers[0] if headers else {})

    @property
    def client(self) -> Client:
        return Client("https://desk.example/", "a-key", transport=httpx2.MockTransport(self), pause=self.pauses.append)


def test_a_broken_connection_is_tried_again_with_the_same_key_and_the_same_label():
    broken = httpx2.ReadError("gone")
    server = Server((200, {"assignment": ASSIGNMENT}), broken, (503, b"busy"), (200, {"label": {"id": 5}}))
    assignment = server.client.project("desk").next("comparison")
    assert assignment is not None
    assert assignment.submit(ranks=[1])["id"] == 5
    sent = server.asked[1:]
    assert len({request.headers["Idempotency-Key"] for request in sent}) == 1
    assert len({json.loads(request.content)["client_uuid"] for request in sent}) == 1
    assert server.asked[0].headers["Idempotency-Key"] != sent[0].headers["Idempotency-Key"]
    assert server.pauses == [0.5, 1.0]
    assert str(sent[0].url) == "https://desk.example/api/v1/assignments/7/submit/"
    assert sent[0].headers["Authorization"] == "Token a-key"


def test_a_server_that_stays_away_is_given_up_in_words():
    server = Server(*[httpx2.ConnectError("no route")] * TRIES)
    with pytest.raises(Unreachable, match="no route"):
        list(server.client.projects())
    assert len(server.asked) == TRIES


def test_it_waits_as_long_as_the_server_asks():
    server = Server((429, {"detail": "Slower."}, {"Retry-After": "7"}), (200, {"results": [], "next": None}))
    assert list(server.client.projects()) == []
    assert server.pauses == [7.0]


def test_a_refusal_is_not_tried_again():
    server = Server((500, b"<html>"))
    with pytest.raises(Exception, match="status 500"):
        server.client.project("desk").detail()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            400,
            {"ranks": ["Give each answer a rank."], "seed": ["Too big."]},
            Invalid,
            "ranks: Give each answer a rank.",
        ),
        (400, {"non_field_errors": ["Not so."]}, Invalid, "Not so."),
        (400, {"settings": {"dpo": ["Wrong."]}}, Invalid, "settings: dpo: Wrong."),
        (401, {"detail": "Invalid token."}, NotSignedIn, "Invalid token."),
        (403, {"detail": "This needs the role of lead."}, NotPermitted, "role of lead"),
        (404, {"detail": "No such project"}, NotFound, "No such project"),
        (409, {"detail": "This run has ended already."}, Conflict, "ended already"),
    ],
)
def test_errors_have_the_sentences_of_the_server(status, body, kind, words):
    server = Server((status, body))
    with pytest.raises(kind, match=words) as refused:
        server.client.project("desk").start_run("sft")
    assert refused.value.status == status


def test_rows_go_out_by_the_thousand_and_lines_are_counted_on():
    def counted(rejected: list[Any]) -> tuple[int, Any]:
        counts = dict.fromkeys(("known", "prompts", "responses", "demonstrations", "comparisons", "gold"), 1)
        return 200, {**counts, "added": 999, "rejected": rejected}

    server = Server(counted([]), counted([{"line": 3, "reason": "not JSON"}]), httpx2.ReadError("gone"), counted([]))
    taken: list[int] = []

    def rows() -> Any:
        for number in range(2100):
            taken.append(number)
            yield {"prompt": f"Question {number}?"}

    server.pauses.clear()
    summary = server.client.project("desk").import_rows(rows())
    assert summary["added"] == 3 * 999
    assert summary["rejected"] == [{"line": 1003, "reason": "not JSON"}]
    assert [len(request.content.splitlines()) for request in server.asked] == [1000, 1000, 100, 100]
    assert server.asked[0].headers["Content-Type"] == "application/x-ndjson"


def test_large_rows_make_small_batches():
    server = Server(*[(200, {**dict.fromkeys(("added", "known", "prompts", "responses"), 0), "rejected": []})] * 2)
    with pytest.raises(KeyError):  # this answer has no counts of items: the first batch was sent, and not more
        server.client.project("desk").import_rows({"prompt": "x" * 3_000_000} for _ in range(3))
    assert len(server.asked[0].content.splitlines()) == 2


def test_pages_follow_each_other_as_one_iterates():
    after = "https://desk.example/api/v1/projects/desk/models/?cursor=b"
    server = Server((200, {"results": [{"id": 2}], "next": after}), (200, {"results": [{"id": 1}], "next": None}))
    models = server.client.project("desk").models()
    assert next(models)["id"] == 2
    assert len(server.asked) == 1
    assert [model["id"] for model in models] == [1]
    assert str(server.asked[1].url) == after


def test_an_export_is_read_line_by_line_and_a_refusal_of_it_is_an_error():
    server = Server((200, b'{"item": 1}\n\n{"item": 2}\n'), (403, {"detail": "For leads."}))
    desk = server.client.project("desk")
    assert [row["item"] for row in desk.export(kind="comparison")] == [1, 2]  # type: ignore[typeddict-item]
    assert server.asked[0].url.query == b"kind=comparison"
    with pytest.raises(NotPermitted, match="For leads"):
        list(desk.export())


def test_waiting_tells_progress_and_how_a_run_failed():
    def run(status: str, step: int, error: str = "") -> tuple[int, Any]:
        return 200, {"id": 4, "status": status, "step": step, "error": error, "advice": "Shorten them."}

    told: list[Any] = []
    server = Server(run("queued", 0), run("running", 1), run("running", 1), run("failed", 1, "No row was left."))
    with pytest.raises(RunFailed, match=r"No row was left\. Shorten them\.") as refused:
        server.client.project("desk").wait(4, progress=lambda now: told.append(now["status"]), every=0)
    assert told == ["queued", "running", "failed"]
    assert refused.value.run["id"] == 4
    with pytest.raises(TimeoutError):
        Server(run("running", 1)).client.project("desk").wait(4, every=0, limit=-1)


def test_signing_in_sends_no_key_and_asks_for_none_to_be_kept():
    server = Server((200, {"token": "its-key"}), (200, {"results": [], "next": None}))
    client = Client.sign_in(
        "https://desk.example", "alice", "secret", transport=httpx2.MockTransport(server), pause=server.pauses.append
    )
    assert "Authorization" not in server.asked[0].headers
    assert "Idempotency-Key" not in server.asked[0].headers
    assert list(client.projects()) == []
    assert server.asked[1].headers["Authorization"] == "Token its-key"
