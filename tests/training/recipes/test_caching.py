"""What was computed for the same examples once is not computed again, by this run or by another."""

import json
from pathlib import Path

import pytest
from datasets import load_from_disk

from tests.training.recipes.runs import Run
from training.recipes import caching
from training.recipes.contract import Job, Journal, Spec, Stop

SETTINGS = {"epochs": 1, "learning_rate": 1e-3, "batch_size": 8}


def with_cache(run: Run, cache: Path) -> Run:
    spec = json.loads((run.folder / "spec.json").read_text())
    (run.folder / "spec.json").write_text(json.dumps({**spec, "cache": str(cache)}))
    return run


def derived(cache: Path) -> dict[str, int]:
    """What the trainers keep, and when each file was written."""
    return {path.name: path.stat().st_mtime_ns for path in cache.rglob("cache-*.arrow")}


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_second_process_finds_tokens_and_log_probabilities(new_run, demonstrations, preferences, tmp_path, method):
    data = {"train": {"sft": demonstrations, "dpo": preferences}[method]}
    first, second = (with_cache(new_run(method, data=data, **SETTINGS), tmp_path) for _ in range(2))
    first.here()
    kept = derived(tmp_path)
    second.finish()
    assert second.result["status"] == "ok"
    assert kept
    assert derived(tmp_path) == kept
    assert second.losses == first.losses
    assert len(list(tmp_path.iterdir())) == 1


def test_other_examples_lie_elsewhere_and_the_oldest_go(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "KEPT", 2)
    job = Job(
        tmp_path, Spec(method="sft", cache=str(tmp_path / "cache")), None, Stop(), Journal(tmp_path / "metrics.jsonl")
    )
    (tmp_path / "cache").mkdir()
    for text in ("a", "b", "a", "c"):
        assert caching.dataset(job, [{"text": text}]).to_list() == [{"text": text}]
    kept = [load_from_disk(str(folder))["text"] for folder in (tmp_path / "cache").iterdir()]
    caching.dataset(job, [{"text": "a"}], max_length=8)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert sorted(text for texts in kept for text in texts) == ["a", "c"]  # "b" was used longest ago


def test_only_answers_are_given_probabilities(model, monkeypatch):
    """Two rows of four and three tokens, of which two and one are answers: three positions instead of 2 x 3, and the
    same loss."""
    import torch
    from transformers import AutoModelForCausalLM
    from trl.kernels import chunked_logprob
    from trl.trainer import utils

    from training.recipes import models

    rows: list[int] = []
    original = utils._ChunkedLogProbFunction

    class Counted:
        @staticmethod
        def apply(hidden, *more):
            rows.append(len(hidden))
            return original.apply(hidden, *more)

    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", Counted)
    monkeypatch.setattr(utils, "_use_triton", chunked_logprob._use_triton)  # as TRL has it
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    utils.add_fused_lm_head(policy)
    ids, mask = torch.tensor([[5, 6, 7, 8], [5, 9, 4, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    labels = torch.tensor([[-100, -100, 7, 8], [-100, -100, 4, -100]])
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels, "fused_lm_head": True}
    everything = policy(**batch).loss
    models.skip_what_has_no_loss()
    answers = policy(**batch).loss
    assert rows == [6, 3]
    assert answers.item() == pytest.approx(everything.item(), rel=1e-6)
    answers.backward()
    assert policy.model.layers[0].mlp.up_proj.weight.grad.abs().sum() > 0
