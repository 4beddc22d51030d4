"""Direct preference optimisation: the model moves towards chosen answers and away from rejected ones.

    python -m training.recipes.dpo <folder>

    spec.json  {"method": "dpo", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"train": "….parquet"}, "settings": {...}}

The Parquet file has `prompt` (messages up to the answer), `chosen` and `rejected` (an answer each, as one
assistant message). With an adapter in the spec, an SFT run's usually, that adapter is trained on and a frozen
copy of it is the reference; without one a new adapter is, and the reference is the base model. Either way the
first loss is ln 2, since the model still agrees with its reference; only learned words in front (prompt, prefix and
p-tuning) change the answers before the first step. The result is one plain adapter, or a whole model where weights of
the model itself are trained. TRL keeps the reference within the model where it can (see `reference`).

The examples lie on disk by their content (`caching`): the trainer keeps the reference's log-probabilities beside
them, so that neither a run that was stopped nor the next on the same data computes them again.

The losses are TRL's, by name; "Also learn the chosen answers" adds its `sft` loss to any of them, and "Hold on to what
it knew" how far the model is from what it was, on texts of its own (`rehearsal`).

Left out: logged accuracies as a verdict (means of batch means: the evaluation room asks the finished model).
"""

import shutil
from functools import partial
from typing import Any

from training.methods.weights import LORA, WHOLE
from training.recipes.contract import Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {
    "rewards/margins": "rewards_margin",
    "rewards/accuracies": "rewards_accuracy",
    "rewards/chosen": "rewards_chosen",
    "rewards/rejected": "rewards_rejected",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
    "distance": "distance",
}


def run(job: Job) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from transformers import set_seed
    from trl import DPOConfig, DPOTrainer
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    from training.recipes import caching, callbacks, models, rehearsal, rows, ways

    settings = job.settings
    models.skip_what_has_no_loss()
    whole = settings.tuning in WHOLE

    tokenizer = models.load_tokenizer(job.model.base)
    ways.check(settings, models.way_of(job.model))
    examples = rows.preferences(job, tokenizer, too_long="cut")

    dtype = torch.float32 if whole else models.frozen_dtype()
    set_seed(job.spec.seed)  # an adapter starts at random
    model = models.load_policy(
        job.model, dtype, adapter="merge" if whole else "train", four_bits=settings.tuning == "qlora"
    )
    fresh = whole or job.model.adapter is None
    model, adapter = ways.prepared(settings, "CAUSAL_LM", model) if fresh else (model, None)

    arguments = DPOConfig(
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
        loss_type=[settings.loss, "sft"] if settings.sft_weight else [settings.loss],
        loss_weights=[1.0, settings.sft_weight] if settings.sft_weight else None,
        label_smoothing=settings.label_noise,
        ld_alpha=settings.length_share if settings.length_share < 1 else None,
        precompute_ref_log_probs=settings.precompute_ref_log_probs,
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
    kind = partial(rehearsal.Rehearsing, rehearsal=settings.rehearsal) if settings.rehearsal else DPOTrainer
    trainer = kind(
        model=model,
        ref_model=reference(job, dtype),
        args=arguments,
        train_dataset=caching.dataset(
            job,
            examples.kept,
            max_length=settings.max_length,
            length_share=settings.length_share,
            bf16=models.bf16(),
            tuning=settings.tuning,
        ),
        eval_dataset=Dataset.from_list(examples.watched) if examples.watched else None,
        data_collator=DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id, max_length=settings.max_length),
        processing_class=tokenizer,
        peft_config=adapter,
    )
    rows.agrees_with_trainer(examples, trainer)
    ways.rates(trainer, settings)

    metrics = callbacks.train(job, trainer, METRICS)
    models.save(trainer, job.folder / "model")
    if job.is_main:
        shutil.rmtree(job.folder / "model" / "ref", ignore_errors=True)  # the frozen copy is no part of the result
    return {
        "output": "model",
        "format": "full" if whole else "adapter",
        "metrics": metrics,
        "rows": examples.counts(),
        "environment": models.environment(dtype),
    }


def reference(job: Job, dtype: Any) -> Any:
    """The model as it was, loaded a second time where TRL has no way to keep it within the first.

    It has one for a fresh adapter (switched off) and for LoRA that goes on (a frozen copy); its copy of an IA3, LoHa
    or LoKr adapter stays as it was made, at random, and a first loss that is not ln 2 tells.
    """
    from training.recipes import models

    way, goes_on = job.settings.tuning, job.model.adapter is not None
    within = way in LORA or (not goes_on and way not in WHOLE | {"llama_adapter"})
    return None if within else models.load_policy(job.model, dtype)


if __name__ == "__main__":
    main("dpo", run)
