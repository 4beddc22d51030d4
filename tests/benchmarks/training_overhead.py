"""What the product costs on top of a bare TRL script, and what it saves when a snapshot is trained on again.

    .venv/bin/python tests/benchmarks/training_overhead.py [--quick]

SFT and DPO with an adapter on SmolLM2-135M-Instruct, on a simulated person's edits of the demonstration's drafts. One
side is a run of the product, from the moment it is queued to the moment its model is registered, by a worker that
waits for it. The other is `_bare.py` with the same rows, settings and seed, from the start of its process to its end.
In turn: the first run on a snapshot, a second run on it (`again`, with what the first one left in the cache), the
script; ratios are of medians. The losses compared are those of the last three steps, the memory is that of the process
that trains. `--quick` takes the tiny model of the tests once: there nearly all is starting up, so its ratios say
little.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from statistics import median

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.measured import Measured, Peak, measured
from tests.benchmarks.product import Client, Product, running
from tests.tiny_model import build

HERE = Path(__file__).parent
PROJECT = "projects/shop-desk/"
SETTINGS = {"sft": {"epochs": 2.0}, "dpo": {"epochs": 1.0}}
KIND = {"sft": "demonstrations", "dpo": "preferences"}
REPEATS, QUICK_ROWS = 3, 16
MAKE_LABELS = """
import json
from annotation.models import Membership, Project, User
from config.demo import set_up
from annotation.text import sha256
from tests.benchmarks.dpo_epochs import conversation
from tests.training.making import demonstrates, says

set_up(print, model={real}, samples=False)
project = Project.objects.get(slug="shop-desk")
person = User.objects.create_user("simulated-annotator")
member = Membership.objects.create(person=person, project=project, simulated=True)
for line in open({edits!r}).readlines()[:{rows}]:
    row = json.loads(line)
    talk = conversation(row["prompt"])
    prompt, _ = project.prompts.get_or_create(sha256=sha256(talk), defaults={{"messages": talk, "split": "train"}})
    if prompt.split == "train":
        text = row["text"] if row["verdict"] == "edit" else ""
        says(member, demonstrates(prompt, row["draft"]), verdict=row["verdict"], text=text)
"""


def main(quick: bool) -> None:
    rows, repeats = (QUICK_ROWS, 1) if quick else (1000, REPEATS)
    with running() as product:
        edits = str(HERE / "demo_edits.jsonl")
        product.manage("shell", stdin=MAKE_LABELS.format(real=not quick, edits=edits, rows=rows))
        if quick:
            product.manage("import_model", "shop-desk", build(product.var / "tiny"), "--name", "base")
        for name in ("web", "gpu"):
            product.start(name)
        product.wait_for_pages()
        people = json.loads((product.var / "demo.json").read_text())
        lead = Client(product, "lead", next(one["password"] for one in people if one["name"] == "lead"))
        found: dict[str, list[Measured]] = defaultdict(list)
        differences = []
        for _ in range(repeats):
            for method in SETTINGS:
                shutil.rmtree(product.var / "artifacts" / "shop-desk" / "cache", ignore_errors=True)
                for name in ("first", "again"):
                    took, folder = _platform(product, lead, method)
                    found[f"{method} {name}"].append(took)
                took, losses = _bare(product.var, method, folder)
                found[f"{method} bare"].append(took)
                ours = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
                ours = [line["loss"] for line in ours if "loss" in line]
                differences.append(max(abs(a - b) for a, b in zip(ours[-3:], losses[-3:], strict=True)))
                print(f"{method}: " + ", ".join(f"{k} {v[-1].seconds:.1f} s" for k, v in found.items()), flush=True)
    seconds = {name: median(one.seconds for one in those) for name, those in found.items()}
    memory = {name: median(one.peak_mb for one in those) for name, those in found.items()}
    figures: dict[str, float] = {}
    for method in SETTINGS:
        for name in ("first", "again"):
            ratio = seconds[f"{method} {name}"] / seconds[f"{method} bare"]
            figures[f"{method}_wall_ratio_{name}"] = round(ratio, 3)
    figures["loss_difference"] = max(differences)
    figures["peak_memory_ratio"] = round(
        max(memory[f"{m} {name}"] / memory[f"{m} bare"] for m in SETTINGS for name in ("first", "again")), 3
    )
    conditions = {
        "model": "tiny" if quick else "SmolLM2-135M-Instruct",
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "peak_mb": {name: round(value) for name, value in memory.items()},
        "repeats": repeats,
        "settings": SETTINGS,
        "cpus": os.cpu_count(),
    }
    print(json.dumps({"benchmark": "training_overhead", "figures": figures, "conditions": conditions}))


def _platform(product: Product, lead: Client, method: str) -> tuple[Measured, Path]:
    """One run of the product: its seconds from queued to registered, its process's memory, and its folder."""
    run = lead.post(f"{PROJECT}runs/", method=method, settings=SETTINGS[method], rule={"simulated": True})
    folder = product.var / "artifacts" / "shop-desk" / "runs" / str(run["id"])
    peak = Peak(product, method)
    while run["status"] in ("queued", "running"):
        time.sleep(1)  # looking more often would be work of its own beside the run
        peak.look()
        run = lead.get(f"{PROJECT}runs/{run['id']}/")
    if run["status"] != "succeeded":
        raise RuntimeError(f"run {run['id']} {run['status']}: {run['error']}\n{run['log']}")
    took = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["created_at"])
    return Measured(took.total_seconds(), peak.peak_mb), folder


def _bare(var: Path, method: str, folder: Path) -> tuple[Measured, list[float]]:
    """The script with what the run in this folder was given: its seconds, its memory, and the losses of its steps."""
    spec = json.loads((folder / "spec.json").read_text())
    output = Path(tempfile.mkdtemp(dir=var))
    asked = {
        "method": method,
        "seed": spec["seed"],
        "model": spec["model"]["base"],
        "data": spec["data"]["train"],
        "settings": spec["settings"],
        "output": str(output),
        "defaults": False,
    }
    (output / "asked.json").write_text(json.dumps(asked))
    took = measured(HERE / "_bare.py", output / "asked.json", log=output / "log.txt")
    losses = json.loads((output / "losses.json").read_text())
    shutil.rmtree(output)
    return took, losses


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
