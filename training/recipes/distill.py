"""On-policy distillation: the model writes answers, and learns to be as likely to go on as a larger model would be.

    python -m training.recipes.distill <folder>

    spec.json  {"method": "distill", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "teacher": {"base": ..., "adapter": "…" or null}, "data": {"prompts": "….jsonl"}, "settings": {...}}

A line of the prompts file is {"id": …, "messages": [...]}. In each step the model answers some prompts, and at each of
its own tokens its distribution over the next one moves towards the teacher's, by a generalised Jensen-Shannon
divergence (Agarwal et al. 2024). So it learns what to do where it really gets to, and no answer of the teacher's has to
be written. Both must have one vocabulary. The result is one plain adapter.

Left out: teachers behind an endpoint, which show no distributions (their answers can be learnt by SFT), and all weights
trained.
"""

from typing import Any

from training.recipes.contract import BadData, Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {
    "completions/mean_length": "mean_tokens",
    "completions/clipped_ratio": "cut_share",
    "entropy": "entropy",
}


def run(job: Job) -> dict[str, Any]:
    from datasets import Dataset
    from trl import DistillationConfig, DistillationTrainer

    from training.recipes import callbacks, generate, models, ways

    settings = job.settings
    if job.spec.teacher is None:
        raise BadData("No teacher was chosen: choose the model to learn from.")

    tokenizer = models.load_tokenizer(job.model.base)
    if models.load_tokenizer(job.spec.teacher.base).get_vocab() != tokenizer.get_vocab():
        raise BadData(
            "The two models split text into different tokens, so they cannot be compared token by token: have the "
            "teacher write answers and learn from these with SFT."
        )
    asked = generate.prompts(job.data("prompts"))
    dtype = models.frozen_dtype()
    model = models.load_policy(job.model, dtype, adapter="train")
    teacher = models.load_policy(job.spec.teacher, dtype)
    fitting, counts = generate.fitting(job, asked, tokenizer, model)

    arguments = DistillationConfig(
        output_dir=str(job.folder / "checkpoints"),
        seed=job.spec.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        beta=settings.divergence,
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
    trainer = DistillationTrainer(
        model=model,
        teacher_model=teacher,
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": one["messages"]} for one in asked if one["id"] in fitting]),
        processing_class=tokenizer,
        peft_config=ways.lora(settings) if job.model.adapter is None else None,
    )

    metrics = callbacks.train(job, trainer, METRICS)
    models.save(trainer, job.folder / "model")
    return {
        "output": "model",
        "format": "adapter",
        "metrics": metrics,
        "rows": counts,
        "environment": models.environment(dtype),
    }


if __name__ == "__main__":
    main("distill", run)
