"""Three passes of DPO, as a run of the product does them and by TRL's defaults.

    .venv/bin/python tests/benchmarks/dpo_epochs.py [--quick]

Both are processes of their own with the same pairs, adapter, learning rate, batches and seed, in turn. TRL's defaults
(`_bare.py`) save memory by computing each step's activations twice, and read the reference in every step; the recipe
reads it once. The pairs are the demonstration's drafts and what they were edited to. The losses compared are those of
the last three steps, in float32 on both sides. `--quick` takes the tiny model of the tests once.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pyarrow
import pyarrow.parquet

from tests.benchmarks.measured import Measured, measured
from tests.tiny_model import build
from training.methods import DpoSettings
from training.recipes.demo_model import smollm2_gguf

HERE = Path(__file__).parent
PAIRS, QUICK_PAIRS, REPEATS = 48, 12, 3
SETTINGS = DpoSettings(epochs=3).model_dump(mode="json")


def main(quick: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="dpo-epochs-"))
    try:
        pairs = _pairs(folder / "pairs.parquet", QUICK_PAIRS if quick else PAIRS)
        model = build(folder / "tiny") if quick else real_model(folder)
        ours: list[Measured] = []
        theirs: list[Measured] = []
        differences = []
        for number in range(1 if quick else REPEATS):
            run, bare = folder / f"run{number}", folder / f"bare{number}"
            ours.append(_recipe(run, "dpo", {"base": model}, {"train": pairs}))
            asked = {"method": "dpo", "seed": 17, "model": model, "data": pairs, "settings": SETTINGS, "defaults": True}
            bare.mkdir()
            (bare / "asked.json").write_text(json.dumps({**asked, "output": str(bare)}))
            theirs.append(measured(HERE / "_bare.py", bare / "asked.json", log=bare / "log.txt"))
            lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            losses = [line["loss"] for line in lines if "loss" in line]
            expected = json.loads((bare / "losses.json").read_text())
            differences.append(max(abs(a - b) for a, b in zip(losses[-3:], expected[-3:], strict=True)))
            print(f"ours {ours[-1].seconds:.1f} s, TRL's defaults {theirs[-1].seconds:.1f} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seconds = [median(one.seconds for one in side) for side in (ours, theirs)]
    figures = {"wall_ratio": round(seconds[0] / seconds[1], 3), "loss_difference": max(differences)}
    conditions = {
        "model": "tiny" if quick else "SmolLM2-135M-Instruct",
        "pairs": QUICK_PAIRS if quick else PAIRS,
        "seconds": [round(one, 1) for one in seconds],
        "repeats": len(ours),
        "cpus": os.cpu_count(),
    }
    print(json.dumps({"benchmark": "dpo_epochs", "figures": figures, "conditions": conditions}))


def _recipe(
    folder: Path, method: str, model: dict[str, str] | None, data: dict[str, str], settings: object = SETTINGS
) -> Measured:
    folder.mkdir()
    spec = {"method": method, "seed": 17, "model": model, "data": data, "settings": settings}
    (folder / "spec.json").write_text(json.dumps(spec))
    return measured("-m", f"training.recipes.{method}", folder, log=folder / "log.txt")


def conversation(prompt: str | list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def real_model(folder: Path) -> str:
    _recipe(folder / "convert", "convert", None, {"source": str(smollm2_gguf())}, {})
    return str(folder / "convert" / "model")


def _pairs(path: Path, count: int) -> str:
    lines = [json.loads(line) for line in (HERE / "demo_edits.jsonl").read_text().splitlines()]
    rows = [
        {
            "prompt": conversation(line["prompt"]),
            "chosen": [{"role": "assistant", "content": line["text"]}],
            "rejected": [{"role": "assistant", "content": line["draft"]}],
        }
        for line in lines
        if line["verdict"] == "edit"
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[:count]), path)
    return str(path)


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
