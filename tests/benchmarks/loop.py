"""The whole loop with no hands, on the real model and a fresh database: `make loop`; LOOP_SEED=n chooses the seed.

A simulated annotator (tests/benchmarks/simulated.py states its taste) cleans drafts and ranks answers through the
HTTP API, as a person would; a lead starts a round there; SFT, reward model, DPO, evaluation, sampling and queueing
go through the real queue and workers. Every label is marked as simulated. In the end base and tuned model answer
the held-out prompts, and the annotator's taste, without its noise, says which answers are better. What the posterior,
the gate and the attempt to promote say is printed; a refused model is promoted with a reason, and rolled back.

LOOP_VAR=folder keeps everything in that folder, and `TOUCHSTONE_VAR=folder make demo` then shows it.

The last line is JSON. Both intervals are Wilson's; `win_rate_n` counts prompts, each with the mean over its pairs of
answers, since answers to one prompt are not independent.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from annotation.statistics import wilson
from tests.benchmarks.product import Client, Product, new_password, running
from tests.benchmarks.simulated import Annotator, win_rate

SEED = int(os.environ.get("LOOP_SEED", "1"))
PROJECT = "projects/shop-desk/"
ANSWER = {"max_new_tokens": 48, "temperature": 0.9}
TRAIN_PROMPTS, PAIRS = 32, 3
ROUND = {
    "simulated": True,
    "fresh_prompts": 16,
    "heldout_prompts": 8,
    "measured_prompts": 40,
    "new_items": 30,
    "sft": {"epochs": 3},
    "reward": {"epochs": 1, "learning_rate": 2e-4},
    "dpo": {"epochs": 1},
    "generate": {**ANSWER, "samples_per_prompt": 2},
    "seed": SEED,
}
MAKE_ANNOTATOR = """
from annotation.models import Membership, Project, User
person = User.objects.create_user("simulated-annotator", password={password!r})
Membership.objects.create(person=person, project=Project.objects.get(slug="shop-desk"), simulated=True)
"""

seconds: dict[str, float] = {}


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a stage and say so."""
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 1)
    print(f"{name}: {seconds[name]} s", flush=True)


def main() -> None:
    started = time.monotonic()
    kept = os.environ.get("LOOP_VAR")
    with running(var=Path(kept) if kept else None) as product:
        with stage("set up"):
            product.manage("demo", "--only-set-up", "--without-samples")
            password = new_password()
            product.manage("shell", stdin=MAKE_ANNOTATOR.format(password=password))
            for name in ("web", "queue", "gpu"):
                product.start(name)
            product.wait_for_pages()
        lead = Client(product, "lead", _lead_password(product))
        person = Client(product, "simulated-annotator", password)
        annotator = Annotator(SEED, Path(__file__).with_name("demo_edits.jsonl"))
        base = lead.get(f"{PROJECT}models/")["results"][0]["id"]
        prompts = list(lead.pages(f"{PROJECT}prompts/"))
        train = sorted((p["id"] for p in prompts if p["split"] == "train"), key=lambda pk: hash((SEED, pk)))
        heldout = [p["id"] for p in prompts if p["split"] == "heldout"]

        with stage("sample candidates"):
            sampled = [
                _generate(lead, base, train[:TRAIN_PROMPTS], samples=4, pairs=PAIRS, seed=SEED),
                _generate(lead, base, heldout, samples=2, pairs=1, seed=SEED + 1),
            ]
            _wait_for_runs(lead, sampled)
            _wait_for_items(lead)
        with stage("label"):
            labels = {kind: _label_all(person, annotator, kind) for kind in ("demonstration", "comparison")}
            print(f"  {labels}", flush=True)
        number = lead.post(f"{PROJECT}rounds/", settings=ROUND)["number"]
        finished = _follow(lead, number)
        _posterior(lead, finished)
        gate = _gate(finished)
        with stage("blind comparison"):
            tuned = finished["challenger"]["id"]
            runs = [_generate(lead, model, heldout, samples=2, pairs=0, seed=SEED + 2) for model in (base, tuned)]
            _wait_for_runs(lead, runs)
            old, new = (_answers(lead, model, run) for model, run in zip((base, tuned), runs, strict=True))
        by_prompt = [(old[prompt], new[prompt]) for prompt in sorted(old.keys() & new.keys())]
        won = wilson(win_rate(by_prompt), len(by_prompt))
        accuracy = _accuracy(lead, finished)
        seconds["total"] = round(time.monotonic() - started, 1)
        figures = {
            "seconds": seconds,
            "labels": sum(labels.values()),
            "reward_accuracy": accuracy["value"],
            "reward_accuracy_lower": accuracy["lower"],
            "reward_accuracy_upper": accuracy["upper"],
            "reward_accuracy_n": accuracy["n"],
            "win_rate": round(won.value, 4),
            "win_rate_lower": round(won.lower, 4),
            "win_rate_upper": round(won.upper, 4),
            "win_rate_n": won.n,
            "mean_length_before": round(mean(len(text.split()) for texts, _ in by_prompt for text in texts), 1),
            "mean_length_after": round(mean(len(text.split()) for _, texts in by_prompt for text in texts), 1),
            "new_items": _new_items(lead, number),
            "gate": gate["outcome"],
            "promotion": _promotion(lead, tuned, base),
            "lineage": _walks_back(lead, new_answers=lead.get(f"{PROJECT}models/{tuned}/answers/")["results"]),
        }
        conditions = {"seed": SEED, "model": "SmolLM2-135M-Instruct", "cpus": os.cpu_count()}
    print(json.dumps({"benchmark": "loop", "figures": figures, "conditions": conditions}))


def _lead_password(product: Product) -> str:
    people = json.loads((product.var / "demo.json").read_text())
    return next(person["password"] for person in people if person["name"] == "lead")


def _generate(lead: Client, model: int, prompts: list[int], *, samples: int, pairs: int, seed: int) -> int:
    settings = {**ANSWER, "samples_per_prompt": samples}
    sent: dict[str, Any] = {"model": model, "prompts": prompts, "settings": settings, "seed": seed}
    return lead.post(f"{PROJECT}generations/", **sent, pairs_per_prompt=pairs)["id"]


def _until(condition: Any, limit: float = 1500) -> Any:
    deadline = time.monotonic() + limit
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("the loop got stuck")
        time.sleep(0.5)
    return found


def _wait_for_runs(lead: Client, runs: list[int]) -> None:
    for run in runs:
        ended = _until(lambda run=run: _ended(lead.get(f"{PROJECT}runs/{run}/")))
        if ended["status"] != "succeeded":
            raise RuntimeError(f"run {run}: {ended['status']} {ended['error']}")


def _wait_for_items(lead: Client) -> None:
    """The queue makes comparisons of the answers as soon as a run has ended; wait until no more come."""
    before = -1
    while (now := lead.get(PROJECT)["progress"]["comparison"]["items"]) != before or not now:
        before = now
        time.sleep(2)


def _ended(run: dict[str, Any]) -> dict[str, Any] | None:
    return run if run["status"] not in ("queued", "running") else None


def _label_all(person: Client, annotator: Annotator, kind: str) -> int:
    """Work until the queue is empty; returns the number of labels."""
    done = 0
    assignment = person.post(f"{PROJECT}next/", kind=kind)["assignment"]
    while assignment is not None:
        said = annotator.judge(assignment)
        answer = person.post(
            f"assignments/{assignment['id']}/submit/", client_uuid=str(uuid.uuid4()), next=True, **said
        )
        done += 1
        assignment = answer["next"]
    return done


def _follow(lead: Client, number: int) -> dict[str, Any]:
    """Wait for the round to end, and note the seconds of its steps."""
    while True:
        current = lead.get(f"{PROJECT}rounds/{number}/")
        if current["status"] != "active":
            break
        time.sleep(1)
    for step in current["steps"]:
        took = datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])
        if took.total_seconds() >= 0.05:
            seconds[step["name"]] = round(took.total_seconds(), 1)
            print(f"{step['name']}: {seconds[step['name']]} s", flush=True)
    if current["status"] != "done":
        raise RuntimeError(f"the round {current['status']}: {current['error']}")
    return current


def _answers(lead: Client, model: int, run: int) -> dict[int, list[str]]:
    """What a run sampled, by prompt."""
    found: dict[int, list[str]] = {}
    for answer in lead.pages(f"{PROJECT}models/{model}/answers/", run=run):
        found.setdefault(answer["prompt"], []).append(answer["text"])
    return found


def _accuracy(lead: Client, finished: dict[str, Any]) -> dict[str, Any]:
    for evaluation in lead.pages(f"{PROJECT}evaluations/"):
        if evaluation["model"]["id"] == finished["reward_model"]["id"]:
            for score in evaluation["scores"]:
                if score["name"] == "reward accuracy":
                    return score
    return {"value": None, "lower": None, "upper": None, "n": 0}


def _new_items(lead: Client, number: int) -> int:
    steps = lead.get(f"{PROJECT}rounds/{number}/")["steps"]
    return next(step["detail"]["queued"] for step in steps if step["name"] == "selecting")


def _gate(finished: dict[str, Any]) -> dict[str, Any]:
    """What the gate said, row by row; nobody has compared the two models blind at that time."""
    detail = next(step["detail"] for step in finished["steps"] if step["name"] == "gated")
    print(f"gate: {detail['words']}", flush=True)
    for row in detail["verdict"]:
        print(f"  {row['outcome']:6}  {row['name']}: {row['value']} ({row['goal']})", flush=True)
    return detail


def _posterior(lead: Client, finished: dict[str, Any]) -> None:
    """What steered the questions: how much was known, and what it chose of the new answers."""
    detail = next(step["detail"] for step in finished["steps"] if step["name"] == "selecting")
    asking = lead.get(f"{PROJECT}asking/")
    print(f"questions: {detail['queued']} of {detail['candidates']} pairs chosen by {detail['chosen_by']}", flush=True)
    print(f"  {asking['pairs']} judged pairs behind it, {asking['ordered']} open ones put in order", flush=True)


def _promotion(lead: Client, tuned: int, base: int) -> str:
    """Promote the new model, against the gate with a reason if it has to be, and roll it back: what the gate said."""
    said = "promoted"
    try:
        lead.post(f"{PROJECT}models/{tuned}/promote/")
    except RuntimeError as refused:
        said = "refused"
        print(f"promotion: refused: {str(refused).partition(' 400 ')[2]}", flush=True)
        lead.post(f"{PROJECT}models/{tuned}/promote/", reason="to see the rest of the loop")
    for step, expected in (("promoted", tuned), ("rolled back", base)):
        if step == "rolled back":
            lead.post(f"{PROJECT}roll-back/")
        models = lead.get(f"{PROJECT}models/")["results"]
        (production,) = (one for one in models if one["stage"] == "production")
        assert production["id"] == expected
        print(f"{step}: {production['name']} is the production model", flush=True)
    return said


def _walks_back(lead: Client, new_answers: list[dict[str, Any]]) -> bool:
    """From one new answer to the model that gave it, and to the labels behind that model."""
    found = lead.get(f"{PROJECT}responses/{new_answers[0]['id']}/lineage/")
    return any(generation["model"]["labels"] for generation in found["generations"])


if __name__ == "__main__":
    main()
