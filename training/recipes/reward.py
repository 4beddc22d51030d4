"""A reward model: learns from pairs to give the answer people chose the higher score.

    python -m training.recipes.reward <folder>

    spec.json  {"method": "reward", "seed": 17, "model": {"base": ..., "adapter": null},
                "data": {"train": "….parquet"}, "settings": {...}}

The Parquet file has `prompt` (messages up to the answer), `chosen` and `rejected` (an answer each, as one
assistant message) and `margin` (a number in every row, read only with `"use_margin": true`). The result is an
adapter with a head of its own, one number at the last token, or a whole model with such a head. An adapter in the
spec must be a reward model's, and is trained on.

The head is the part that gets lost when such a model is stored, and nothing fails when it does: the scores
are merely noise. So the stored model is read back and must give a pair the scores it had in memory.

Left out: logged accuracies as a verdict (means of batch means: the evaluation room counts pairs exactly,
with `score`).
"""

from typing import Any

from training.methods.weights import WHOLE
from training.recipes.contract import Failed, Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {"margin": "rewards_margin", "accuracy": "rewards_accuracy", "mean_reward": "rewards_mean"}


def run(job: Job) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from transformers import set_seed
    from trl import RewardConfig, RewardTrainer

    from training.recipes import caching, callbacks, models, rows, ways

    settings = job.settings
    whole = settings.tuning in WHOLE

    tokenizer = models.load_tokenizer(job.model.base)
    ways.check(settings, models.way_of(job.model))
    examples = rows.preferences(job, tokenizer, too_long="drop", margin=settings.use_margin)

    dtype = torch.float32 if whole else models.frozen_dtype()
    set_seed(job.spec.seed)  # the head starts at random
    model = models.load_scorer(
        job.model.base,
        dtype,
        pad_token_id=tokenizer.pad_token_id,
        adapter=job.model.adapter,
        trainable=not whole,
        four_bits=settings.tuning == "qlora",
    )
    if whole and job.model.adapter is not None:
        model = model.merge_and_unload()
    fresh = whole or job.model.adapter is None
    model, adapter = ways.prepared(settings, "SEQ_CLS", model) if fresh else (model, None)

    arguments = RewardConfig(
        output_dir=str(job.folder / "checkpoints"),
        seed=job.spec.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        max_length=settings.max_length,
        center_rewards_coefficient=settings.center or None,
        weight_decay=settings.weight_decay,
        gradient_checkpointing=settings.gradient_checkpointing,
        bf16=models.bf16(),
        use_cpu=models.device() == "cpu",
        dataloader_pin_memory=models.device() == "cuda",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",  # the callback decides when
        save_total_limit=2,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = RewardTrainer(
        model=model,
        args=arguments,
        train_dataset=caching.dataset(job, examples.kept),
        eval_dataset=Dataset.from_list(examples.watched) if examples.watched else None,
        processing_class=tokenizer,
        peft_config=adapter,
    )
    rows.agrees_with_trainer(examples, trainer)
    ways.rates(trainer, settings)

    metrics = callbacks.train(job, trainer, METRICS)
    models.save(trainer, job.folder / "model")
    if job.is_main:
        stored = str(job.folder / "model")
        metrics["reload_difference"] = reload_difference(
            stored if whole else job.model.base, None if whole else stored, trainer.model, tokenizer, examples.kept[0]
        )
    return {
        "output": "model",
        "format": "full" if whole else "adapter",
        "metrics": metrics,
        "rows": examples.counts(),
        "environment": models.environment(dtype),
    }


def reload_difference(base: str, adapter: str | None, in_memory: Any, tokenizer: Any, row: dict[str, Any]) -> float:
    """Scores one pair with the model in memory and with the stored one, both in the same dtype."""
    import torch

    from training.recipes import models, rows

    pair = [rows.tokens(tokenizer, row["prompt"] + row[answer]) for answer in ("chosen", "rejected")]
    pad = tokenizer.pad_token_id
    in_memory.eval()
    four_bits = getattr(in_memory, "is_loaded_in_4bit", False)
    dtype = torch.float32 if adapter is None else models.frozen_dtype()
    reloaded = models.load_scorer(base, dtype, pad_token_id=pad, adapter=adapter, four_bits=four_bits).eval()
    if not four_bits:
        reloaded.to(in_memory.device)
    with torch.autocast(in_memory.device.type, dtype=torch.bfloat16, enabled=models.bf16()):
        before, after = models.scores(in_memory, pair, pad), models.scores(reloaded, pair, pad)
    difference = max(abs(old - new) for old, new in zip(before, after, strict=True))
    # The same weights give the same numbers up to rounding; a head made anew is off by as much as a score.
    allowed = (2e-2 if models.bf16() else 1e-4) * max(1.0, *(abs(score) for score in before))
    if not difference <= allowed:
        raise Failed(
            f"The stored reward model scores differently from the trained one (by {difference:.4f}) and must "
            "not be used: start the run again, and report this if it happens twice."
        )
    return difference


if __name__ == "__main__":
    main("reward", run)
