"""The official `openai` client, pointed at a project: files, jobs, events, and answers of the tuned model."""

import io
import json
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.benchmarks.product import Client, Product

SECONDS = 300.0
SAID = "Your parcel left us today."
QUESTIONS = [f"Where is parcel {number}?" for number in range(12)]


def openai_client(product: Product, name: str, **more: Any) -> OpenAI:
    key = Client(product, name, f"{name}-has-a-secret").session.headers["Authorization"].split()[1]
    return OpenAI(base_url=f"{product.url}/api/v1/projects/desk/openai/v1", api_key=key, max_retries=0, **more)


@pytest.fixture(scope="module")
def client(product: Product) -> OpenAI:
    return openai_client(product, "alice")


def until(reached: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + SECONDS
    while not (found := reached()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def send(client: OpenAI, rows: list[Any], name: str = "examples.jsonl") -> str:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return client.files.create(file=(name, io.BytesIO(content)), purpose="fine-tune").id


def ended(client: OpenAI, job_id: str) -> Any:
    def look() -> Any:
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in ("succeeded", "failed", "cancelled") else None

    return until(look, f"{job_id} has ended")


EXAMPLES = [
    {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": SAID}]} for asked in QUESTIONS
]
PAIRS = [
    {
        "input": {"messages": [{"role": "user", "content": asked}]},
        "preferred_output": [{"role": "assistant", "content": SAID}],
        "non_preferred_output": [{"role": "assistant", "content": "I cannot say."}],
    }
    for asked in QUESTIONS
]


def test_files_come_and_go(client: OpenAI) -> None:
    sent = client.files.create(file=("one.jsonl", b'{"messages": []}\n'), purpose="fine-tune")
    assert (sent.object, sent.filename, sent.bytes, sent.purpose) == ("file", "one.jsonl", 17, "fine-tune")
    assert client.files.retrieve(sent.id).id == sent.id
    assert client.files.content(sent.id).read() == b'{"messages": []}\n'
    others = [send(client, EXAMPLES[:1], f"{number}.jsonl") for number in range(3)]
    assert [file.id for file in client.files.list(limit=2)][:4] == [*reversed(others), sent.id]
    assert client.files.delete(sent.id).deleted
    with pytest.raises(openai.NotFoundError) as refused:
        client.files.retrieve(sent.id)
    assert refused.value.code == "not_found"


@pytest.fixture(scope="module")
def tuned(client: OpenAI) -> Any:
    """A job that learnt one answer by heart."""
    job = client.fine_tuning.jobs.create(
        model="tiny",
        training_file=send(client, EXAMPLES),
        validation_file=send(client, EXAMPLES[:2]),
        method={
            "type": "supervised",
            "supervised": {
                "hyperparameters": {"n_epochs": 30, "batch_size": 4, "learning_rate_multiplier": 50.0},
            },
        },
        suffix="parcels",
        seed=5,
        metadata={"ticket": "12"},
    )
    assert job.status == "validating_files"
    assert (job.model, job.seed, job.metadata, job.fine_tuned_model) == ("tiny", 5, {"ticket": "12"}, None)
    return ended(client, job.id)


def test_a_supervised_job_yields_a_model(client: OpenAI, tuned: Any) -> None:
    assert (tuned.status, tuned.error) == ("succeeded", None)
    assert tuned.fine_tuned_model.startswith("ft:tiny:desk:parcels:")
    assert tuned.method.type == "supervised"
    assert tuned.method.supervised.hyperparameters.n_epochs == 30
    assert tuned.finished_at >= tuned.created_at
    assert client.models.retrieve(tuned.fine_tuned_model).id == tuned.fine_tuned_model
    assert {model.id for model in client.models.list()} >= {"tiny", tuned.fine_tuned_model}
    assert tuned.id in [job.id for job in client.fine_tuning.jobs.list(limit=1)]


def test_its_events_tell_each_step_and_the_validation_loss(client: OpenAI, tuned: Any) -> None:
    events = list(client.fine_tuning.jobs.list_events(tuned.id, limit=10))  # over several pages
    assert events[0].message == f"New fine-tuned model created: {tuned.fine_tuned_model}"
    assert events[-1].message == f"Created fine-tuning job: {tuned.id}"
    steps = [event for event in events if event.type == "metrics"]
    assert [event.data["step"] for event in steps] == list(range(90, 0, -1))
    assert len({event.id for event in events}) == len(events)
    assert any("valid_loss" in event.data for event in steps)
    assert steps[0].data["train_loss"] < steps[-1].data["train_loss"]


def test_its_checkpoint_is_the_model_at_the_end(client: OpenAI, tuned: Any) -> None:
    (checkpoint,) = client.fine_tuning.jobs.checkpoints.list(tuned.id)
    assert checkpoint.fine_tuned_model_checkpoint == tuned.fine_tuned_model
    assert checkpoint.step_number == 90
    assert checkpoint.metrics.train_loss is not None


def test_a_dpo_job_goes_on_from_it(client: OpenAI, tuned: Any) -> None:
    job = client.fine_tuning.jobs.create(
        model=tuned.fine_tuned_model,
        training_file=send(client, PAIRS),
        method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": 1}}},
    )
    job = ended(client, job.id)
    assert (job.status, job.error) == ("succeeded", None)
    assert job.fine_tuned_model.startswith("ft:tiny:desk::")
    assert job.method.dpo.hyperparameters.beta == 0.2


def test_a_job_is_cancelled(client: OpenAI) -> None:
    job = client.fine_tuning.jobs.create(
        model="tiny",
        training_file=send(client, EXAMPLES),
        hyperparameters={"n_epochs": 100, "batch_size": 1},
    )
    until(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "running", "it runs")
    client.fine_tuning.jobs.cancel(job.id)
    assert ended(client, job.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="has ended already"):
        client.fine_tuning.jobs.cancel(job.id)


def test_a_file_that_cannot_be_used_fails_the_job_and_names_the_line(client: OpenAI) -> None:
    job = client.fine_tuning.jobs.create(model="tiny", training_file=send(client, [*EXAMPLES[:1], {"messages": 5}]))
    job = ended(client, job.id)
    assert job.status == "failed"
    assert job.error.code == "invalid_training_file"
    assert job.error.param == "training_file"
    assert "line 2" in job.error.message


def test_without_a_process_that_serves_models_one_is_told_what_to_do(product: Product, client: OpenAI) -> None:
    assert "models" not in product.processes
    with pytest.raises(openai.InternalServerError, match="serve_models") as refused:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "Hello?"}])
    assert refused.value.status_code == 503


@pytest.fixture(scope="module")
def served(product: Product, tuned: Any) -> None:
    product.start("models")
    until((product.var / "serving.sock").exists, "models are served")


def asked(question: str) -> list[Any]:
    return [{"role": "user", "content": question}]


def test_the_tuned_model_says_what_it_was_taught(client: OpenAI, tuned: Any, served: None) -> None:
    answer = client.chat.completions.create(
        model=tuned.fine_tuned_model, messages=asked(QUESTIONS[3]), temperature=0, max_completion_tokens=60
    )
    assert answer.choices[0].message.content == SAID
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == tuned.fine_tuned_model
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 3
    base = client.chat.completions.create(model="tiny", messages=asked(QUESTIONS[3]), temperature=0, max_tokens=60)
    assert base.choices[0].message.content != SAID


def test_the_answer_streams(client: OpenAI, tuned: Any, served: None) -> None:
    chunks = list(
        client.chat.completions.create(
            model=tuned.fine_tuned_model,
            messages=asked(QUESTIONS[3]),
            temperature=0,
            max_tokens=60,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == SAID
    assert len([piece for piece in pieces if piece]) > 3
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].usage.completion_tokens > 3


def test_several_answers_with_a_seed_are_the_same_again(client: OpenAI, served: None) -> None:
    def draw() -> list[Any]:
        drawn = client.chat.completions.create(
            model="tiny", messages=asked("Hello?"), n=3, seed=9, max_tokens=12, temperature=1.2, top_p=0.9
        )
        return [choice.message.content for choice in drawn.choices]

    first = draw()
    assert len(set(first)) > 1
    assert draw() == first


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"model": "gone"}, "model", "model_not_found"),
        ({"messages": []}, "messages", None),
        ({"temperature": 3}, "temperature", None),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "unsupported_parameter"),
        ({"messages": asked("Why? " * 500)}, "messages", "context_length_exceeded"),
    ],
)
def test_what_does_not_fit_is_named(client: OpenAI, served: None, more: Any, param: str, code: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**{"model": "tiny", "messages": asked("Hello?"), **more})
    assert refused.value.param == param
    assert refused.value.code == code
    assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model": "gone"}, "model"),
        ({"training_file": "file-gone"}, "training_file"),
        ({"suffix": "a:b"}, "suffix"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"method": {"type": "reinforcement"}}, "method.type"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
        ({"metadata": {"k": "v" * 600}}, "metadata"),
    ],
)
def test_a_job_that_does_not_fit_is_not_made(client: OpenAI, more: Any, param: str) -> None:
    before = len(list(client.fine_tuning.jobs.list()))
    file = send(client, EXAMPLES[:1])
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(**{"model": "tiny", "training_file": file, **more})
    assert refused.value.param == param
    assert len(list(client.fine_tuning.jobs.list())) == before


def test_only_leads_are_let_in(product: Product, client: OpenAI) -> None:
    nobody = OpenAI(base_url=str(client.base_url), api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        nobody.models.list()
    with pytest.raises(openai.PermissionDeniedError):
        openai_client(product, "bob").fine_tuning.jobs.list()
    with pytest.raises(openai.NotFoundError):
        openai_client(product, "charlie").files.list()
    with pytest.raises(openai.NotFoundError):
        openai_client(product, "charlie").chat.completions.create(model="tiny", messages=asked("Hello?"))
