"""Answers from an OpenAI-compatible endpoint: a really running `transformers serve`, and servers that misbehave."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training.recipes.answering import answering, said
from tests.training.recipes.runs import DEADLINE, Run, questions, says, write_lines
from training.recipes import endpoint
from training.recipes.contract import BadData, Stop, Unanswered

SETTINGS = {"samples_per_prompt": 2, "max_new_tokens": 8, "batch_size": 4}


@pytest.fixture(scope="module")
def served(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`transformers serve` with the tiny model; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    command = [Path(sys.executable).parent / "transformers", "serve", model, "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        end = time.monotonic() + DEADLINE
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def allow(url: str) -> None:
        monkeypatch.setenv("TOUCHSTONE_PRIVATE_ENDPOINTS", f"other.example:1, {url.split('/')[2]}")

    return allow


@pytest.fixture
def asks(new_run: Any, tmp_path: Path) -> Callable[..., Run]:
    def make(url: str, model: str, count: int = 3, method: str = "generate", **settings: Any) -> Run:
        rows = [{"id": number, "messages": says("user", question)} for number, question in enumerate(questions(count))]
        run = new_run(method, data={"prompts": write_lines(tmp_path / "prompts.jsonl", rows)}, **settings)
        spec = json.loads((run.folder / "spec.json").read_text())
        spec |= {"model": None, "endpoint": {"url": url, "model": model}}
        (run.folder / "spec.json").write_text(json.dumps(spec))
        return run

    return make


def test_a_served_model_answers_each_prompt(served, model, allowed, asks):
    allowed(served)
    run = asks(served, model, **SETTINGS).here()
    assert run.result["status"] == "ok", run.result
    rows = run.lines("responses.jsonl")
    assert [(row["prompt_id"], row["sample"]) for row in rows] == [(p, s) for p in range(3) for s in range(2)]
    assert all(0 < row["tokens"] <= 8 for row in rows)
    assert all(row["finished"] == (row["tokens"] < 8) for row in rows if row["tokens"] < 8)
    assert len({row["text"] for row in rows}) > 1
    assert run.result["environment"]["endpoint"] == served
    assert [line["step"] for line in run.steps] == [1, 2]


def test_it_is_brought_in_by_its_address(served, model, allowed, tmp_path):
    allowed(served)
    spec = {"method": "convert", "data": {"source": f"{served}#{model}"}, "settings": {}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    run = Run(tmp_path, "convert").here()
    assert (run.result["status"], run.result["format"]) == ("ok", "endpoint")
    assert json.loads((tmp_path / "model" / "endpoint.json").read_text()) == {"url": served, "model": model}


def test_a_private_address_is_not_asked(asks, monkeypatch):
    monkeypatch.delenv("TOUCHSTONE_PRIVATE_ENDPOINTS", raising=False)
    with answering(lambda body, headers: (200, {}, {})) as (url, seen):
        run = asks(url, "m").here()
        assert run.result["reason"] == "endpoint"
        assert "is a private address" in run.result["error"]
        assert seen == []
    for address in ("http://169.254.169.254/v1", "http://[::1]/v1", "http://0.0.0.0/v1", "http://[::ffff:10.0.0.1]/v1"):
        with pytest.raises(Unanswered, match="private"):
            endpoint.allowed_addresses(address)
    with pytest.raises(BadData, match="begins with"):
        endpoint.allowed_addresses("file:///etc/passwd")


def test_a_redirect_is_not_followed(allowed):
    with (
        answering(lambda body, headers: (200, {}, said("secret"))) as (inside, seen),
        answering(lambda body, headers: (302, {"Location": inside}, {})) as (outside, _),
    ):
        allowed(outside)
        with pytest.raises(BadData, match="status 302"):
            endpoint.Endpoint(outside, "m").ask(says("user", "Why?"))
        assert seen == []


def test_a_key_goes_to_its_own_origin_alone(allowed, monkeypatch):
    with answering(lambda body, headers: (200, {}, said("Yes."))) as (url, seen):
        allowed(url)
        origin = url.removesuffix("/v1")
        monkeypatch.setenv("TOUCHSTONE_ENDPOINT_KEYS", f"https://one.example=other, {origin}=a=key")
        there = endpoint.Endpoint(url, "m")
        assert there.ask(says("user", "Why?"), temperature=0.5) == endpoint.Said("Yes.", 2, True)
        monkeypatch.setenv("TOUCHSTONE_ENDPOINT_KEYS", f"{origin}0=a-key")
        there.ask(says("user", "Why?"))
    assert [headers.get("Authorization") for _, headers in seen] == ["Bearer a=key", None]
    assert seen[0][0] == {"model": "m", "messages": says("user", "Why?"), "temperature": 0.5}


def test_an_endpoint_that_says_the_key_puts_it_on_no_record(allowed, asks, monkeypatch):
    def reply(body, headers):
        return 400, {}, {"error": f"You sent {headers['Authorization']}"}

    with answering(reply) as (url, _):
        allowed(url)
        monkeypatch.setenv("TOUCHSTONE_ENDPOINT_KEYS", f"{url.removesuffix('/v1')}=not-for-anybody")
        run = asks(url, "m", count=1).here()
    assert "You sent Bearer …" in run.result["error"]
    assert not any("not-for-anybody" in path.read_text() for path in run.folder.iterdir() if path.is_file())


def test_a_busy_endpoint_is_asked_again_and_a_dead_one_given_up(allowed, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(Stop, "wait", lambda self, seconds: waits.append(seconds))
    replies = [(429, {"Retry-After": "7"}, {}), (503, {}, {}), (200, {}, said("At last."))]
    with answering(lambda body, headers: replies.pop(0)) as (url, _):
        allowed(url)
        there = endpoint.Endpoint(url, "m")
        assert endpoint.patiently(there, Stop(), says("user", "Why?")).text == "At last."
        assert waits == [7.0, 2.0]
    with pytest.raises(Unanswered, match="could not be reached"):  # it is gone by now
        endpoint.patiently(there, Stop(), says("user", "Why?"))
    assert len(waits) == 2 + endpoint.TRIES - 1


def test_an_endpoint_is_asked_for_other_words(allowed, asks):
    def reply(body, headers):
        return 200, {}, said(f"As {len(body['messages'])} turn: {body['messages'][-1]['content'][:18]}")

    with answering(reply) as (url, seen):
        allowed(url)
        run = asks(url, "m", count=1, method="paraphrase", instruction="Say it otherwise!", samples_per_prompt=2).here()
    assert run.result["status"] == "ok", run.result
    assert [row["text"] for row in run.lines("responses.jsonl")] == ["As 1 turn: Say it otherwise!"] * 2
    assert {body["messages"][0]["content"] for body, _ in seen} == {
        f"Say it otherwise!\n\n-----\n{questions(1)[0]}\n-----"
    }


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        ((401, {}, {}), "endpoint", "refused the key"),
        ((402, {}, {"error": "no credit"}), "endpoint", 'wants to be paid first: {"error": "no credit"}'),
        ((404, {}, {"error": "no such model"}), "bad_data", "no such model"),
        ((200, {}, {"choices": []}), "bad_data", "not in the form"),
        ((200, {}, "<html>"), "bad_data", "not in the form"),
    ],
)
def test_what_makes_no_sense_ends_the_run_in_words(allowed, asks, reply, reason, words):
    with answering(lambda body, headers: reply) as (url, _):
        allowed(url)
        run = asks(url, "m", count=1).here()
        assert run.result["reason"] == reason
        assert words in run.result["error"]


def test_an_address_without_a_model_is_refused():
    with pytest.raises(BadData, match="names no model"):
        endpoint.Endpoint.named("https://host.example/v1")
