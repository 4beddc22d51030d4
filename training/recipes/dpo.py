"""Direct preference optimisation: the model moves towards chosen answers and away from rejected ones.

    python -m training.recipes.dpo <folder>

    spec.json  {"method": "dpo", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"train": "….parquet"}, "settings": {...}}

The Parquet file has `prompt` (messages up to the answer), `chosen` and `rejected` (an answer each, as one
assistant message). With an adapter in the spec, an SFT run's usually, that adapter is trained on and a frozen
copy of it is the reference; without one a new adapter is, and the reference is the base model. Either way the
first loss is ln 2, since the model still agrees with its reference. The result is one plain adapter.

The examples are stored in the run's folder first: the trainer keeps its cache of the reference's
log-probabilities beside a dataset on disk, so that a run that was stopped does not compute them again.

Left out: all weights trained (it needs the model twice), other losses than the paper's, and logged accuracies
as a verdict (means of batch means: the evaluation room asks the finished model).
"""

import shutil
from pathlib import Path
from typing import Any

from training.recipes.contract import Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {
    "rewards/margins": "rewards_margin",
    "rewards/accuracies": "rewards_accuracy",
    "rewards/chosen": "rewards_chosen",
    "rewards/rejected": "rewards_rejected",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
}


def run(job: Job) -> dict[str, Any]:
    from trl import DPOConfig, DPOTrainer

    from training.recipes import callbacks, models, rows

    settings = job.settings

    tokenizer = models.load_tokenizer(job.model.base)
    examples = rows.preferences(job, tokenizer, too_long="cut")

    dtype = models.frozen_dtype()
    model = models.load_policy(job.model, dtype, adapter="train")

    arguments = DPOConfig(
        output_dir=str(job.folder / "checkpoints"),
        seed=job.spec.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        max_length=settings.max_length,
        beta=settings.beta,
        precompute_ref_log_probs=settings.precompute_ref_log_probs,
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
    trainer = DPOTrainer(
        model=model,
        args=arguments,
        train_dataset=stored(job, examples.kept),
        processing_class=tokenizer,
        peft_config=models.lora(settings, "CAUSAL_LM") if job.model.adapter is None else None,
    )
    rows.agrees_with_trainer(examples, trainer)

    metrics = callbacks.train(job, trainer, METRICS)
    models.save(trainer, job.folder / "model")
    if job.is_main:
        shutil.rmtree(job.folder / "model" / "ref", ignore_errors=True)  # the frozen copy is no part of the result
        shutil.rmtree(job.folder / "examples")
    return {
        "output": "model",
        "format": "adapter",
        "metrics": metrics,
        "rows": examples.counts(),
        "environment": models.environment(dtype),
    }


def stored(job: Job, kept: list[dict[str, Any]]) -> Any:
    """The examples as a dataset on disk, written once, whole or not at all."""
    from accelerate import PartialState
    from datasets import Dataset, load_from_disk

    folder: Path = job.folder / "examples"
    if job.is_main and not folder.exists():
        half = job.folder / ".examples"
        shutil.rmtree(half, ignore_errors=True)
        Dataset.from_list(kept).save_to_disk(half)
        half.rename(folder)
    PartialState().wait_for_everyone()
    return load_from_disk(folder)


if __name__ == "__main__":
    main("dpo", run)
