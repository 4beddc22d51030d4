"""Every method once on a real model, and what came of it.

    .venv/bin/python tests/benchmarks/methods.py [--data FOLDER] [--model FOLDER] [--quick] [--only sft-dora,kto]

Each recipe runs as its own process, as a worker starts it, on SmolLM2-135M-Instruct: ways of tuning and of mixing on
people's demonstrations, methods that learn from preferences on pairs of judged answers. `--data` is a folder with
`demonstrations.jsonl` ({"messages"}) and `judged_responses.jsonl` ({"prompt", "responses": [{"text", "score"}]}); of
each prompt the best and the worst of its short answers make a pair. Without it
the edits of the demonstration's drafts are learnt and preferred to the drafts. `--quick` takes the tiny model of the
tests and two steps.

Reported of each: seconds, the loss of the first and of the last three steps, on rows held back where the method looks
at them, what its own result says, and whether it ended well. A method that fails does not stop the others.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pyarrow
import pyarrow.parquet

from tests.benchmarks.dpo_epochs import conversation, real_model
from tests.benchmarks.measured import REPOSITORY
from tests.tiny_model import build
from training.methods.weights import WAYS

HERE = Path(__file__).parent
LONGEST = 500  # characters of an answer that is learnt from, so that a step takes seconds on a CPU
COMMON = {"batch_size": 4, "max_length": 256}
Row = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A run by name; `adapter` and `teacher` name earlier ones, whose models they are."""

    name: str
    recipe: str
    data: dict[str, str]  # what a recipe calls it → the file that `write` calls so
    settings: Row = field(default_factory=dict)
    adapter: str | None = None
    teacher: str | None = None


@dataclass
class Bench:
    """Runs methods one after the other, each in a folder of its name."""

    work: Path
    files: dict[str, str]
    settings: dict[str, Row]  # by recipe
    base: str = ""

    def run(self, method: Method) -> Row:
        """Seconds and losses of one run, with what its result says."""
        folder = self.work / method.name
        folder.mkdir()
        spec = {
            "method": method.recipe,
            "seed": 17,
            "model": {"base": self.base, "adapter": method.adapter and self.made_by(method.adapter)},
            "data": {name: self.files.get(file, file) for name, file in method.data.items()},
            "settings": {**self.settings.get(method.recipe, {}), **method.settings},
        }
        if method.teacher:
            spec["teacher"] = {"base": self.base, "adapter": self.made_by(method.teacher)}
        (folder / "spec.json").write_text(json.dumps(spec))
        started = time.monotonic()
        with (folder / "log.txt").open("ab") as log:
            command = [sys.executable, "-m", f"training.recipes.{method.recipe}", str(folder)]
            subprocess.run(command, cwd=REPOSITORY, stdout=log, stderr=log, check=False)
        seconds = round(time.monotonic() - started, 1)
        result = folder / "result.json"
        found = json.loads(result.read_text()) if result.exists() else {"status": "died", "error": _end(folder)}
        return {"status": found["status"], "seconds": seconds, **_losses(folder), **_said(found)}

    def made_by(self, name: str) -> str:
        return str(self.work / name / "model")


def _end(folder: Path) -> str:
    return (folder / "log.txt").read_text()[-1500:]


def _losses(folder: Path) -> Row:
    metrics = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
    losses = [line["loss"] for line in lines if "loss" in line]
    if not losses:
        return {}
    return {"steps": len(losses), "loss_first": losses[0], "loss_last": statistics.mean(losses[-3:])}


def _said(result: Row) -> Row:
    metrics = {name: round(value, 4) for name, value in (result.get("metrics") or {}).items() if value is not None}
    rows = result.get("rows") or {}
    error = {"error": result["error"]} if result.get("error") else {}
    return {"metrics": metrics, "rows": rows.get("trained_on", rows.get("kept")), **error}


def says(role: str, content: str) -> list[Row]:
    return [{"role": role, "content": content}]


def judged(folder: Path, most: int) -> tuple[list[Row], list[Row]]:
    """Demonstrations and pairs of a folder of people's and judges' data."""
    lines = [json.loads(line)["messages"] for line in (folder / "demonstrations.jsonl").open()]
    good = [{"prompt": talk[:-1], "completion": talk[-1:]} for talk in lines if len(talk[-1]["content"]) < LONGEST]
    pairs = []
    for row in map(json.loads, (folder / "judged_responses.jsonl").open()):
        short = sorted(
            (one for one in row["responses"] if 20 < len(one["text"]) < LONGEST), key=lambda one: one["score"]
        )
        if len(short) > 1 and len(row["prompt"]) < LONGEST:
            pairs.append(_pair(conversation(row["prompt"]), short[-1]["text"], short[0]["text"]))
    return good[:most], pairs[:most]


def edits(most: int) -> tuple[list[Row], list[Row]]:
    """The same of the edits that come with the project."""
    rows = [row for row in map(json.loads, (HERE / "demo_edits.jsonl").open()) if row["verdict"] == "edit"][:most]
    pairs = [_pair(conversation(row["prompt"]), row["text"], row["draft"]) for row in rows]
    return [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs], pairs


def _pair(prompt: list[Row], chosen: str, rejected: str) -> Row:
    return {
        "prompt": prompt,
        "chosen": says("assistant", chosen),
        "rejected": says("assistant", rejected),
        "margin": 1.0,
    }


def write(work: Path, good: list[Row], pairs: list[Row]) -> dict[str, str]:
    """Files of every kind of data, by name."""
    asked = [{"id": number, "messages": row["prompt"]} for number, row in enumerate(pairs[:32])]
    single = [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in pairs
        for side in ("chosen", "rejected")
    ]
    languages = [{**row, "language": "en" if number % 3 else "de"} for number, row in enumerate(good)]
    tables = {"good": good, "languages": languages, "pairs": pairs, "single": single, "others": good[: len(good) // 2]}
    for name, rows in tables.items():
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), work / f"{name}.parquet")
    (work / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    return {**{name: str(work / f"{name}.parquet") for name in tables}, "prompts": str(work / "prompts.jsonl")}


def methods() -> Iterator[Method]:
    """Every method, in an order in which each finds what it needs."""
    good, pairs, prompts = {"train": "good"}, {"train": "pairs"}, {"prompts": "prompts"}
    looked = {"validation_share": 0.15}
    for way in WAYS:
        yield Method(f"sft-{way}", "sft", good, {**looked, "tuning": way})
    yield Method("sft-packed", "sft", good, {"packing": True})
    yield Method("sft-few-shot", "sft", good, {**looked, "few_shot": 2, "max_length": 512})
    yield Method("sft-layer-decay", "sft", good, {**looked, "tuning": "full", "layer_decay": 0.9})
    yield Method("sft-replay", "sft", {**good, "other_1": "others"}, {**looked, "replay_share": 0.2})
    yield Method("sft-languages", "sft", {"train": "languages"}, {**looked, "mix_by": "language"})
    yield Method("reward", "reward", pairs, looked)
    yield Method("probe", "probe", pairs)
    for loss in ("sigmoid", "ipo", "robust", "sigmoid_norm", "hinge", "sppo_hard", "apo_zero", "apo_down"):
        yield Method(f"dpo-{loss}", "dpo", pairs, {"loss": loss})
    yield Method("dpo-after-sft", "dpo", pairs, adapter="sft-lora")
    yield Method("kto", "kto", {"train": "single"})
    yield Method("orpo", "orpo", pairs)
    for algorithm in ("rloo", "grpo"):
        yield Method(f"rlhf-{algorithm}", "rlhf", prompts, {"algorithm": algorithm}, teacher="reward")
    yield Method("distill", "distill", prompts, teacher="sft-lora")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with demonstrations.jsonl and judged_responses.jsonl")
    parser.add_argument("--model", help="folder of the model, or SmolLM2")
    parser.add_argument("--only", help="methods, with commas")
    parser.add_argument("--most", type=int, default=64, help="demonstrations, and pairs")
    parser.add_argument("--quick", action="store_true", help="the tiny model, two steps")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="methods-"))
    good, pairs = judged(given.data, given.most) if given.data else edits(given.most)
    epochs = {"epochs": 8 / len(good)} if given.quick else {"epochs": 1.0}
    trained = {**COMMON, **epochs}
    drawn = {**trained, "max_new_tokens": 8 if given.quick else 32}
    settings: dict[str, Row] = dict.fromkeys(("sft", "reward", "dpo", "kto", "orpo"), trained)
    settings |= {"distill": drawn, "rlhf": {**drawn, "batch_size": 8}, "probe": {"max_length": COMMON["max_length"]}}
    bench = Bench(work, write(work, good, pairs), settings)
    bench.base = given.model or (build(work / "tiny") if given.quick else real_model(work))
    figures: dict[str, Row] = {}
    for method in methods():
        if given.only is None or method.name in given.only.split(","):
            figures[method.name] = bench.run(method)
            print(f"{method.name}: {json.dumps(figures[method.name])}", flush=True)
    conditions = {"model": Path(bench.base).name, "demonstrations": len(good), "pairs": len(pairs)}
    print(json.dumps({"benchmark": "methods", "figures": figures, "conditions": conditions}))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
