"""Odds-ratio preference optimisation: learns chosen answers and tells them from rejected ones, in one step.

    python -m training.recipes.orpo <folder>

    spec.json  {"method": "orpo", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"train": "….parquet"}, "settings": {...}}

The Parquet file has `prompt` (messages up to the answer), `chosen` and `rejected` (an answer each, as one
assistant message). There is no reference model: the loss of a pair is that of learning the chosen answer, and
lambda times how unlikely it is against the rejected one, in odds (Hong, Lee and Thorne 2024, equations 6 and 7).
With an adapter in the spec that adapter is trained on; without one a new adapter is.

TRL keeps no trainer with this loss among its stable ones, so `trainer_class` puts it into its DPO trainer, which
brings the same data, batches and stored model.

Left out: all weights trained, as with DPO.
"""

from typing import Any

from training.recipes.contract import Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {
    "rewards/margins": "rewards_margin",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
}


def run(job: Job) -> dict[str, Any]:
    from trl import DPOConfig
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    from training.recipes import caching, callbacks, models, rows, ways

    settings = job.settings
    models.skip_what_has_no_loss()

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
        max_length=None,  # the collator cuts; the trainer's own check would bind its cache to this run's folder
        beta=settings.odds_weight,
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
    trainer = trainer_class()(
        model=model,
        args=arguments,
        train_dataset=caching.dataset(job, examples.kept),
        data_collator=DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id, max_length=settings.max_length),
        processing_class=tokenizer,
        peft_config=ways.lora(settings) if job.model.adapter is None else None,
    )
    if job.model.adapter is not None:
        trainer.model.delete_adapter("ref")  # the trainer's copy of the adapter, for a reference nobody asks for
    rows.agrees_with_trainer(examples, trainer)

    metrics = callbacks.train(job, trainer, METRICS)
    models.save(trainer, job.folder / "model")
    return {
        "output": "model",
        "format": "adapter",
        "metrics": metrics,
        "rows": examples.counts(),
        "environment": models.environment(dtype),
    }


def trainer_class() -> type:
    """TRL's DPO trainer with another loss; `beta` is lambda, the weight of the odds ratio."""
    import torch
    from trl import DPOTrainer

    class OddsRatioTrainer(DPOTrainer):
        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """The mean loss of a batch of n chosen answers followed by their n rejected ones."""
            mask = inputs["completion_mask"][:, 1:]
            outputs = model(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                labels=inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100),
                use_cache=False,
                fused_lm_head=True,
            )
            # Of each answer the mean log-probability of a token: the paper's P is of an answer whatever its length.
            chosen, rejected = (outputs.log_probs.sum(dim=1) / mask.sum(dim=1)).chunk(2)
            log_odds = log_odds_of(chosen) - log_odds_of(rejected)
            loss = (-chosen - self.beta * torch.nn.functional.logsigmoid(log_odds)).mean()
            self._record(inputs, chosen, rejected, log_odds)
            return (loss, outputs) if return_outputs else loss

        def _record(self, inputs: dict[str, Any], chosen: Any, rejected: Any, log_odds: Any) -> None:
            figures = {"rewards/margins": log_odds, "logps/chosen": chosen, "logps/rejected": rejected}
            metrics = self._metrics["train"]
            for name, values in figures.items():
                metrics[name].append(self.accelerator.gather(values.detach()).mean().item())
            self._total_train_tokens += self.accelerator.gather(inputs["attention_mask"].sum()).sum().item()
            metrics["num_tokens"] = [self._total_train_tokens]

    return OddsRatioTrainer


def log_odds_of(log_p: Any) -> Any:
    """log(p / (1 - p)) for log p, kept from the infinite odds of p = 1.

    >>> import torch
    >>> [round(odds, 4) for odds in log_odds_of(torch.tensor([0.5, 0.8, 0.01]).log()).exp().tolist()]
    [1.0, 4.0, 0.0101]
    """
    log_p = log_p.clamp(max=-1e-6)
    return log_p - (-log_p.expm1()).log()


if __name__ == "__main__":
    main("orpo", run)
