"""Supervised fine-tuning: the model learns to answer like the examples.

    python -m training.recipes.sft <folder>

    spec.json  {"method": "sft", "seed": 17, "model": {"base": ..., "adapter": null},
                "data": {"train": "….parquet"}, "settings": {...}}

The Parquet file has a `prompt` (messages up to the answer) and a `completion` (the answer as one assistant
message); other columns are ignored. The loss is on the answer alone. With an adapter in the spec that adapter
is trained on; with `"tuning": "full"` every weight is, the adapter merged in first.

Left out: packing (it needs flash attention to keep examples apart, and people's examples are few), sorting by
length (the trainer's sampler for it does not continue exactly after a stop) and evaluation while training
(held-out prompts never enter a training snapshot; the evaluation room asks the finished model).
"""

from typing import Any

from training.recipes.contract import Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {"mean_token_accuracy": "token_accuracy", "entropy": "entropy"}


def run(job: Job) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from training.recipes import callbacks, models, rows

    settings = job.settings
    full = settings.tuning == "full"

    tokenizer = models.load_tokenizer(job.model.base)
    examples = rows.demonstrations(job, tokenizer)

    dtype = torch.float32 if full else models.frozen_dtype()
    model = models.load_policy(job.model, dtype, adapter="merge" if full else "train")
    fresh_adapter = not full and job.model.adapter is None

    arguments = SFTConfig(
        output_dir=str(job.folder / "checkpoints"),
        seed=job.spec.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        max_length=settings.max_length,
        completion_only_loss=True,
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
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(examples.kept),
        processing_class=tokenizer,
        peft_config=models.lora(settings, "CAUSAL_LM") if fresh_adapter else None,
    )
    rows.agrees_with_trainer(examples, trainer)

    metrics = callbacks.train(job, trainer, METRICS)
    models.save(trainer, job.folder / "model")
    return {
        "output": "model",
        "format": "full" if full else "adapter",
        "metrics": metrics,
        "rows": examples.counts(),
        "environment": models.environment(dtype),
    }


if __name__ == "__main__":
    main("sft", run)
