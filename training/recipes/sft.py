"""Supervised fine-tuning: the model learns to answer like the examples.

    python -m training.recipes.sft <folder>

    spec.json  {"method": "sft", "seed": 17, "model": {"base": ..., "adapter": null},
                "data": {"train": "….parquet"}, "settings": {...}}

The Parquet file has a `prompt` (messages up to the answer) and a `completion` (the answer as one assistant
message), and perhaps `language` and `tags`; further data sets stand beside it as "other_<number>". With an adapter
in the spec that adapter is trained on; where the settings ask for weights of the model itself, it is merged in first.

Packed examples are kept apart by their positions: transformers masks attention where these begin anew, also
without flash attention. Left out: sorting by length (the trainer's sampler for it does not continue exactly after
a stop) and a look at held-out prompts (these never enter a training snapshot; the evaluation room asks the
finished model).
"""

from typing import Any

from training.methods.weights import WHOLE
from training.recipes.contract import Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {"mean_token_accuracy": "token_accuracy", "entropy": "entropy"}


def run(job: Job) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    from training.recipes import caching, callbacks, models, rows, ways

    settings = job.settings
    models.skip_what_has_no_loss()
    whole = settings.tuning in WHOLE

    tokenizer = models.load_tokenizer(job.model.base)
    ways.check(settings, models.way_of(job.model))
    examples = rows.demonstrations(job, tokenizer)

    dtype = torch.float32 if whole else models.frozen_dtype()
    set_seed(job.spec.seed)  # an adapter starts at random
    model = models.load_policy(
        job.model, dtype, adapter="merge" if whole else "train", four_bits=settings.tuning == "qlora"
    )
    fresh = whole or job.model.adapter is None
    model, adapter = ways.prepared(settings, "CAUSAL_LM", model) if fresh else (model, None)

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
        completion_only_loss=settings.loss_on == "answer",
        packing=settings.packing,
        eval_packing=False,
        weight_decay=settings.weight_decay,
        neftune_noise_alpha=settings.neftune or None,
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
        train_dataset=caching.dataset(job, examples.kept),
        eval_dataset=Dataset.from_list(examples.watched) if examples.watched else None,
        processing_class=tokenizer,
        peft_config=adapter,
    )
    rows.agrees_with_trainer(examples, trainer)
    ways.rates(trainer, settings)

    metrics = callbacks.train(job, trainer, METRICS)
    models.save(trainer, job.folder / "model")
    return {
        "output": "model",
        "format": "full" if whole else "adapter",
        "metrics": metrics,
        "rows": examples.counts(),
        "environment": models.environment(dtype),
    }


if __name__ == "__main__":
    main("sft", run)
