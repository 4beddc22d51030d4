"""Reinforcement learning from a reward model: answers that score higher than the model's others become likelier.

    python -m training.recipes.rlhf <folder>

    spec.json  {"method": "rlhf", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "teacher": {"base": ..., "adapter": "…"}, "data": {"prompts": "….jsonl"}, "settings": {...}}

A line of the prompts file is {"id": …, "messages": [...]}. In each step the model answers some prompts several times,
the teacher (a reward model) scores the answers as `score` does, and the policy gradient follows the score against that
of the other answers to the same prompt, less beta times the divergence from the model as it was: RLOO (Ahmadian et al.
2024) or GRPO (Shao et al. 2024). The result is one plain adapter.

A reward model is not people, and optimising its score past some point makes answers worse by any other measure. Gao,
Schulman and Hilton (2022) describe that point by the KL divergence from the first model. So the run stops when the mean
divergence of an answer over the last steps passes `kl_limit` nats; what it has become until then is the result, and
`over_optimised` in its metrics is 1.

Left out: PPO, which needs a value model and which TRL no longer keeps; all weights trained.
"""

import shutil
from collections import deque
from typing import Any

from training.recipes.contract import BadData, Job, main

# The trainer's own metrics that are passed on, and what they are called in metrics.jsonl.
METRICS = {
    "reward": "reward",
    "reward_std": "reward_spread",
    "kl": "kl_per_token",
    "completions/mean_length": "mean_tokens",
    "completions/clipped_ratio": "cut_share",
    "entropy": "entropy",
}
WINDOW = 5  # steps over which the divergence is averaged: one step's estimate is noisy, and can be below zero


def run(job: Job) -> dict[str, Any]:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

    from training.recipes import callbacks, generate, models, rows, ways

    settings = job.settings
    if job.spec.teacher is None:
        raise BadData("No reward model was chosen: choose the one whose score is to be learnt from.")

    tokenizer = models.load_tokenizer(job.model.base)
    asked = generate.prompts(job.data("prompts"))
    dtype = models.frozen_dtype()
    model = models.load_policy(job.model, dtype, adapter="train")
    fitting, counts = generate.fitting(job, asked, tokenizer, model)

    judge_tokenizer = models.load_tokenizer(job.spec.teacher.base)
    judge = models.load_judge(job.spec.teacher, judge_tokenizer.pad_token_id)

    def reward(prompts: list[Any], completions: list[Any], **more: Any) -> list[float]:
        """The judge's score of each answer in its conversation."""
        read = [rows.tokens(judge_tokenizer, p + c) for p, c in zip(prompts, completions, strict=True)]
        return models.scores(judge, read, judge_tokenizer.pad_token_id)

    class Budget(TrainerCallback):
        """Stops the training once the mean divergence of an answer, over the last steps, is above the limit."""

        last: deque[float] = deque(maxlen=WINDOW)
        spent = False

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if logs and "kl" in logs:
                self.last.append(logs["kl"] * logs["completions/mean_length"])
                self.spent = is_spent(self.last, settings.kl_limit)
                control.should_training_stop = control.should_training_stop or self.spent

    config, trainer_class = {"rloo": (RLOOConfig, RLOOTrainer), "grpo": (GRPOConfig, GRPOTrainer)}[settings.algorithm]
    arguments = config(
        output_dir=str(job.folder / "checkpoints"),
        seed=job.spec.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        num_generations=settings.answers_per_prompt,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        beta=settings.beta,
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
    budget = Budget()
    trainer = trainer_class(
        model=model,
        reward_funcs=reward,
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": one["messages"]} for one in asked if one["id"] in fitting]),
        processing_class=tokenizer,
        peft_config=ways.lora(settings) if job.model.adapter is None else None,
        callbacks=[budget],
    )

    metrics = callbacks.train(job, trainer, METRICS, may_end_early=lambda: budget.spent)
    models.save(trainer, job.folder / "model")
    if job.is_main:
        shutil.rmtree(job.folder / "model" / "ref", ignore_errors=True)  # the frozen copy is no part of the result
    return {
        "output": "model",
        "format": "adapter",
        "metrics": {**metrics, **closing_figures(job.metrics.read()), "over_optimised": int(budget.spent)},
        "rows": counts,
        "environment": models.environment(dtype),
    }


def is_spent(last: "deque[float]", limit: float) -> bool:
    """Whether the mean divergence of an answer, in nats, over as many steps as are looked at is above the limit.

    >>> is_spent(deque([1.0, 30.0, 35.0, 28.0, 31.0], maxlen=5), 20.0)
    True
    >>> is_spent(deque([90.0], maxlen=5), 20.0)  # one step says little
    False
    """
    return len(last) == last.maxlen and sum(last) / len(last) > limit


def closing_figures(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Score, divergence of an answer in nats and length, each the mean of the first and of the last steps.

    >>> steps = [{"step": n, "reward": n, "kl_per_token": 0.1 * n, "mean_tokens": 10.0} for n in (0, 1, 2)]
    >>> closing_figures([{"event": "rows"}, *steps])["reward_last"]
    1.0
    >>> closing_figures(steps[-1:])["kl"]
    2.0
    """
    steps = [line for line in lines if "step" in line]

    def mean(part: list[dict[str, Any]], name: str) -> float:
        return sum(line[name] for line in part) / len(part)

    first, last = steps[:WINDOW], steps[-WINDOW:]
    return {
        "reward_first": mean(first, "reward"),
        "reward_last": mean(last, "reward"),
        "kl": sum(line["kl_per_token"] * line["mean_tokens"] for line in last) / len(last),
        "mean_tokens_first": mean(first, "mean_tokens"),
        "mean_tokens_last": mean(last, "mean_tokens"),
    }


if __name__ == "__main__":
    main("rlhf", run)
