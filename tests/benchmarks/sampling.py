"""How much faster the product writes answers than one `generate` call after another.

    .venv/bin/python tests/benchmarks/sampling.py [--quick]

64 prompts, two answers each, from SmolLM2-135M-Instruct, with the same temperature, top-p and longest answer. One side
is the drawing of the `generate` recipe in its batches: prompts of like length, each read once for both answers,
finished answers let go. The other calls the library's own `generate` for one answer at a time. They take turns batch
by batch, on the same prompts; the figure is the ratio of the medians of tokens per second. Both count the tokens of
the answers alone. `--quick` takes the tiny model of the tests and 16 prompts.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.dpo_epochs import conversation, real_model
from tests.tiny_model import build
from training.methods import GenerateSettings

HERE = Path(__file__).parent
PROMPTS, QUICK_PROMPTS = 64, 16
SETTINGS = GenerateSettings(samples_per_prompt=2, max_new_tokens=64)


def main(quick: bool) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as recipes run
    folder = Path(tempfile.mkdtemp(prefix="sampling-"))
    try:
        figures, conditions = _compare(build(folder / "tiny") if quick else real_model(folder), quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"benchmark": "sampling", "figures": figures, "conditions": conditions}))


def _compare(folder: str, quick: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    import torch

    from training.recipes import models, rows
    from training.recipes.contract import ModelSpec
    from training.recipes.sampling import Drawing, draw_answers

    tokenizer = models.load_tokenizer(folder)
    model: Any = models.load_policy(ModelSpec(base=folder), models.frozen_dtype()).to(models.device()).eval()
    ends = models.end_of_turn(tokenizer, model)
    lines = [json.loads(line) for line in (HERE / "demo_edits.jsonl").read_text().splitlines()]
    asked = [conversation(line["prompt"]) for line in lines[: QUICK_PROMPTS if quick else PROMPTS]]
    encoded = sorted((rows.tokens(tokenizer, one, answer_next=True) for one in asked), key=lambda ids: -len(ids))
    size = SETTINGS.batch_size // SETTINGS.samples_per_prompt
    speeds: dict[str, list[float]] = {"ours": [], "one at a time": []}
    torch.manual_seed(17)
    for number, start in enumerate(range(0, len(encoded), size)):
        batch = encoded[start : start + size]
        began = time.monotonic()
        drawn = draw_answers(
            model,
            batch,
            each=SETTINGS.samples_per_prompt,
            longest=SETTINGS.max_new_tokens,
            ends=ends,
            pad=tokenizer.pad_token_id,
            drawing=Drawing(SETTINGS.temperature, SETTINGS.top_p, seed=number),
        )
        tokens = sum(len(answer.tokens) for answers in drawn for answer in answers)
        speeds["ours"].append(tokens / (time.monotonic() - began))
        began, tokens = time.monotonic(), 0
        for ids in batch:
            for _ in range(SETTINGS.samples_per_prompt):
                whole = model.generate(
                    torch.tensor([ids], device=model.device),
                    attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=model.device),
                    max_new_tokens=SETTINGS.max_new_tokens,
                    do_sample=True,
                    temperature=SETTINGS.temperature,
                    top_p=SETTINGS.top_p,
                    top_k=0,
                    eos_token_id=ends,
                    pad_token_id=tokenizer.pad_token_id,
                )[0, len(ids) :]
                tokens += sum(token not in ends for token in whole.tolist())
        speeds["one at a time"].append(tokens / (time.monotonic() - began))
        print(", ".join(f"{name} {found[-1]:.1f} tokens/s" for name, found in speeds.items()), flush=True)
    ours, theirs = (median(found) for found in speeds.values())
    figures = {"tokens_per_s_ratio": round(ours / theirs, 2)}
    conditions = {
        "model": "tiny" if quick else "SmolLM2-135M-Instruct",
        "prompts": len(encoded),
        "answers_per_prompt": SETTINGS.samples_per_prompt,
        "longest_answer": SETTINGS.max_new_tokens,
        "tokens_per_s": round(ours, 1),
        "tokens_per_s_one_at_a_time": round(theirs, 1),
        "cpus": os.cpu_count(),
    }
    return figures, conditions


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
