"""The process that keeps models in memory: asked over its socket, with the tiny model."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import build
from tests.training.recipes.runs import DEADLINE, ROOT, says
from training.recipes import serve

QUESTION = says("user", "Why is the sky blue?")


def start(path: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "training.recipes.serve", str(path), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    end = time.monotonic() + DEADLINE
    while not (path.exists() and serve.is_answering(path)):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    return process


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("serve") / "s.sock"
    process = start(path, "--keep", "1")
    yield path
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=DEADLINE) == 0
    assert not path.exists()


@pytest.fixture
def ask(served: Path, model: str) -> Any:
    def asking(**more: Any) -> list[dict[str, Any]]:
        asked = {"model": {"base": model, "adapter": None}, "messages": QUESTION, "max_tokens": 12, **more}
        with socket.socket(socket.AF_UNIX) as line, closing(line.makefile("rwb")) as there:
            line.settimeout(DEADLINE)
            line.connect(str(served))
            there.write(json.dumps(asked).encode() + b"\n")
            there.flush()
            return [json.loads(answer) for answer in there]

    return asking


def texts(lines: list[dict[str, Any]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for line in lines:
        if "text" in line:
            found[line["choice"]] = found.get(line["choice"], "") + line["text"]
    return found


def test_an_answer_comes_piece_by_piece_and_ends_with_its_counts(ask):
    lines = ask(seed=9)
    assert list(lines[0]) == ["prompt_tokens"]
    assert lines[-1] == {"done": True}
    (ended,) = [line for line in lines if "finish" in line]
    assert ended["finish"] in ("stop", "length")
    assert 0 < ended["tokens"] <= 12
    assert sum("text" in line for line in lines) > 2


def test_the_same_seed_says_the_same_and_another_something_else(ask):
    first = texts(ask(seed=9, n=2))
    assert set(first) == {0, 1}
    assert first[0] != first[1]
    assert texts(ask(seed=9, n=2)) == first
    assert texts(ask(seed=10, n=2)) != first


def test_an_answer_ends_before_what_it_is_to_stop_at(ask):
    (whole,) = texts(ask(temperature=0.0, max_tokens=24)).values()
    stop = whole[5:8]
    lines = ask(temperature=0.0, max_tokens=24, stop=[stop])
    assert texts(lines).get(0, "") == whole[: whole.index(stop)]
    assert [line["finish"] for line in lines if "finish" in line] == ["stop"]


def test_pieces_are_the_same_text_as_the_whole(ask, model):
    from transformers import AutoTokenizer

    from training.recipes import models, sampling
    from training.recipes.contract import ModelSpec
    from training.recipes.rows import tokens

    tokenizer = AutoTokenizer.from_pretrained(model)
    policy = models.load_policy(ModelSpec(base=model), models.frozen_dtype()).eval()
    prompt = tokens(tokenizer, QUESTION, answer_next=True)
    ((answer,),) = sampling.draw_answers(
        policy,
        [prompt],
        each=1,
        longest=200,
        ends=models.end_of_turn(tokenizer, policy),
        pad=tokenizer.pad_token_id,
        drawing=sampling.Drawing(1.0, 1.0, seed=9),
    )
    whole = tokenizer.decode(answer.tokens, skip_special_tokens=True)
    assert texts(ask(seed=9, max_tokens=200)).get(0, "") == whole


def test_too_long_a_conversation_is_refused_in_words(ask):
    (line,) = ask(messages=says("user", "Why? " * 400))
    assert line["refused"] == "too_long"
    assert "Shorten" in line["error"]


def test_a_model_that_is_gone_is_refused_and_others_still_answer(ask):
    (line,) = ask(model={"base": "/nowhere", "adapter": None})
    assert line["refused"] == "missing_base"
    assert ask()[-1] == {"done": True}


def test_nonsense_is_refused(ask):
    assert [line["refused"] for line in ask(temperature=9)] == ["bad_data"]


def test_one_model_makes_room_for_another(ask, model, tmp_path):
    other = build(tmp_path / "other", width=32)
    first = texts(ask(temperature=0.0))
    assert texts(ask(temperature=0.0, model={"base": other, "adapter": None})) != first
    assert texts(ask(temperature=0.0)) == first


def test_a_second_process_leaves_the_first_its_socket(served):
    process = subprocess.run(
        [sys.executable, "-m", "training.recipes.serve", str(served)], cwd=ROOT, capture_output=True
    )
    assert process.returncode == 1
    assert b"already" in process.stderr
    assert serve.is_answering(served)


def test_what_a_killed_process_left_is_no_hindrance(tmp_path):
    path = tmp_path / "s.sock"
    process = start(path)
    process.kill()
    process.wait()
    assert path.exists()
    again = start(path)
    again.send_signal(signal.SIGTERM)
    assert again.wait(timeout=DEADLINE) == 0


def test_only_the_owner_may_ask(served):
    assert served.stat().st_mode & 0o777 == 0o600


def test_a_line_that_is_too_long_is_refused():
    line = serve.Line(at_once=1)
    line.most = 1
    with line.wait(), pytest.raises(serve.Busy), line.wait():
        pass
    with line.wait():
        assert line.there == 1
    assert line.there == 0
