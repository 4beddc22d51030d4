"""Kahneman-Tversky optimisation: good answers become likelier and bad ones less likely, with no need of pairs.

    python -m training.recipes.kto <folder>

    spec.json  {"method": "kto", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"train": "….parquet"}, "settings": {...}}

The Parquet file has `prompt` (messages up to the answer), `completion` (the answer as one assistant message) and
`label` (true for a good answer). The loss of an answer is 1 - sigmoid(beta * (r - z)) if it is good and
1 - sigmoid(beta * (z - r)) if it is bad, where r is how much likelier it became and z, the point of reference, how
much likelier answers to other prompts of the batch did (Ethayarajh et al. 2024, equation 7). So the trainer takes the
batches in the order of the dataset, and the rows are shuffled here, by the seed.

With an adapter in the spec that adapter is trained on, and a frozen copy of it is the reference; without one a new
adapter is, and the reference is the base model. The result is one plain adapter.

Left out: all weights trained (it needs the model twice).
"""

import random
import shutil
from typing import Any

from training.recipes.contract import BadData, Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {
    "rewards/margins": "rewards_margin",
    "rewards/chosen": "rewards_good",
    "rewards/rejected": "rewards_bad",
    "logps/chosen": "logps_good",
    "logps/rejected": "logps_bad",
    "kl": "kl",
}


def run(job: Job) -> dict[str, Any]:
    from trl import KTOConfig, KTOTrainer
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    from training.recipes import caching, callbacks, models, rows, ways

    settings = job.settings
    models.skip_what_has_no_loss()

    tokenizer = models.load_tokenizer(job.model.base)
    examples = rows.judged(job, tokenizer)
    good = sum(row["label"] for row in examples.kept)
    bad = len(examples.kept) - good
    if not good or not bad:
        raise BadData(
            f"All {good or bad} answers are {'good' if good else 'bad'}, and there is nothing to tell them from: "
            "collect answers of the other kind, or choose another method."
        )
    random.Random(job.spec.seed).shuffle(examples.kept)

    dtype = models.frozen_dtype()
    model = models.load_policy(job.model, dtype, adapter="train")

    arguments = KTOConfig(
        output_dir=str(job.folder / "checkpoints"),
        seed=job.spec.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        max_length=None,  # the collator cuts; the trainer's own check would bind its cache to this run's folder
        beta=settings.beta,
        loss_type=settings.loss,
        desirable_weight=max(1.0, bad / good) if settings.balance else 1.0,
        undesirable_weight=max(1.0, good / bad) if settings.balance else 1.0,
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
    trainer = KTOTrainer(
        model=model,
        args=arguments,
        train_dataset=caching.dataset(job, examples.kept, max_length=settings.max_length, bf16=models.bf16()),
        data_collator=DataCollatorForUnpairedPreference(
            pad_token_id=tokenizer.pad_token_id, max_length=settings.max_length
        ),
        processing_class=tokenizer,
        peft_config=ways.lora(settings) if job.model.adapter is None else None,
    )
    rows.agrees_with_trainer(examples, trainer)

    metrics = callbacks.train(job, trainer, METRICS)
    models.save(trainer, job.folder / "model")
    if job.is_main:
        shutil.rmtree(job.folder / "model" / "ref", ignore_errors=True)  # the frozen copy is no part of the result
    return {
        "output": "model",
        "format": "adapter",
        "metrics": metrics,
        "rows": {**examples.counts(), "good": good, "bad": bad},
        "environment": models.environment(dtype),
    }


if __name__ == "__main__":
    main("kto", run)
