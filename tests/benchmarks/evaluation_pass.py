"""What does measuring a model cost beyond reading the texts? On SmolLM2, with 500 held-out pairs.

    .venv/bin/python tests/benchmarks/evaluation_pass.py [--quick]

`forward_ratio`: the recipe `score`, which is how a reward model is measured, against a bare script that loads the same
model and reads the same batches. `policy_forward_ratio`: the recipe `measure`, which reads each text with the model and
with its base, against the bare passes of both with all their logits. Both sides load their model anew, in turn (A B A
B), and the ratio is of medians. The pairs are the demonstration's prompts and drafts.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as recipes have it, and before torch is there to read it

import torch

from training.methods import RewardSettings, SftSettings
from training.recipes import convert, measure, models, rows, score, ways
from training.recipes.contract import ModelSpec, perform
from training.recipes.demo_model import smollm2_gguf

CONTENT = Path(__file__).resolve().parents[2] / "annotation" / "demo"
SIZES = {"score": 16, "measure": 8}  # texts at once, the recipes' own


def texts_of(pairs: int) -> list[dict[str, Any]]:
    """Each prompt with two of the drafts, whosever they are."""
    files = (CONTENT / "prompts.jsonl", Path(__file__).with_name("demo_edits.jsonl"))
    prompts, edits = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    answers = [row["draft"] for row in edits]
    found = []
    for number in range(pairs):
        asked = prompts[number % len(prompts)]["prompt"]
        messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
        for side, step in (("chosen", 0), ("rejected", 1 + number // len(prompts))):
            text = answers[(number + step) % len(answers)]
            found.append({"id": f"pair {number} {side}", "messages": messages, "text": text})
    return found


def prepared(folder: Path) -> dict[str, str]:
    """SmolLM2 in one layout, and two adapters on it that change nothing yet."""
    from peft import get_peft_model

    (folder / "convert").mkdir()
    spec = {"method": "convert", "data": {"source": str(smollm2_gguf())}}
    (folder / "convert" / "spec.json").write_text(json.dumps(spec))
    done = perform("convert", convert.run, folder / "convert")
    base = str(folder / "convert" / done["output"])
    tokenizer = models.load_tokenizer(base)
    scorer = models.load_scorer(base, torch.float32, pad_token_id=tokenizer.pad_token_id)
    get_peft_model(scorer, ways.lora(RewardSettings(), task_type="SEQ_CLS")).save_pretrained(str(folder / "judge"))
    policy = models.load_policy(ModelSpec(base=base), torch.float32)
    get_peft_model(policy, ways.lora(SftSettings())).save_pretrained(str(folder / "tuned"))
    return {"base": base, "score": str(folder / "judge"), "measure": str(folder / "tuned")}


def product(method: str, paths: dict[str, str], file: str, name: str, folder: Path) -> float:
    """Seconds of the recipe, from its folder to its result."""
    place = Path(tempfile.mkdtemp(dir=folder))
    spec = {"method": method, "model": {"base": paths["base"], "adapter": paths[method]}, "data": {name: file}}
    (place / "spec.json").write_text(json.dumps(spec))
    started = time.monotonic()
    done = perform(method, {"score": score, "measure": measure}[method].run, place)
    if done["status"] != "ok":
        raise RuntimeError(done)
    return time.monotonic() - started


def bare(method: str, paths: dict[str, str], encoded: list[list[int]]) -> float:
    """Seconds to load the model and read all batches, the longest texts first, as the recipes do."""
    started = time.monotonic()
    pad = models.load_tokenizer(paths["base"]).pad_token_id
    model: Any
    if method == "score":
        model = models.load_scorer(paths["base"], torch.float32, pad_token_id=pad, adapter=paths["score"])
        _read(model.merge_and_unload().eval(), encoded, pad, SIZES[method])
    else:
        spec = ModelSpec(base=paths["base"], adapter=paths["measure"])
        model = models.load_policy(spec, torch.float32, adapter="train").eval()
        _read(model, encoded, pad, SIZES[method])
        with model.disable_adapter():
            _read(model, encoded, pad, SIZES[method])
    return time.monotonic() - started


def _read(model: Any, encoded: list[list[int]], pad: int, size: int) -> None:
    order = sorted(encoded, key=lambda ids: -len(ids))
    with torch.inference_mode():
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            width = max(map(len, batch))
            ids = torch.tensor([row + [pad] * (width - len(row)) for row in batch])
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch])
            model(input_ids=ids, attention_mask=mask, use_cache=False)


def main(pairs: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths, texts = prepared(folder), texts_of(pairs)
        file = folder / "texts.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in texts))
        tokenizer = models.load_tokenizer(paths["base"])
        encoded = [
            rows.tokens(tokenizer, [*one["messages"], {"role": "assistant", "content": one["text"]}]) for one in texts
        ]
        seconds: dict[str, list[float]] = {}
        for _ in range(repeats):
            for method, data in (("score", "answers"), ("measure", "texts")):
                seconds.setdefault(method, []).append(product(method, paths, str(file), data, folder))
                seconds.setdefault(f"bare {method}", []).append(bare(method, paths, encoded))
                print(method, {key: round(found[-1], 1) for key, found in seconds.items()}, flush=True)
    medians = {key: statistics.median(found) for key, found in seconds.items()}
    figures = {
        "forward_ratio": round(medians["score"] / medians["bare score"], 3),
        "policy_forward_ratio": round(medians["measure"] / medians["bare measure"], 3),
        "score_s": round(medians["score"], 1),
        "measure_s": round(medians["measure"], 1),
    }
    conditions = {
        "pairs": pairs,
        "tokens": sum(map(len, encoded)),
        "repeats": repeats,
        "model": "SmolLM2-135M-Instruct",
        "device": models.device(),
        "cpus": os.cpu_count(),
    }
    print(json.dumps({"benchmark": "evaluation_pass", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main(24, 1) if "--quick" in sys.argv else main(500, 3)
