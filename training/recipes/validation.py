"""Watching what was held back while a run learns: ten looks, the best model kept, an early end.

A look falls on the same steps however often the run was stopped, and each is followed by a checkpoint. A run that
goes on from a step reads what was found up to there in `metrics.jsonl`; from then on every process of it counts for
itself, and all come to the same.
"""

import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from training.recipes.contract import BadData, Job

LOOKS = 10


class Watched(TrainerCallback):
    def __init__(self, job: Job, trainer: Any, step: int) -> None:
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise BadData("Keeping the best model works with whole models on each device: keep nothing back to watch.")
        self.job = job
        self.trainer = trainer
        self.file = Path(trainer.args.output_dir) / "best.safetensors"
        self.losses: dict[int, float] = {  # of each look, by step
            line["step"]: line["validation_loss"]
            for line in job.metrics.read()
            if line.get("validation_loss") is not None and line["step"] <= step
        }

    @property
    def best(self) -> int | None:
        """The step of the lowest loss, the first of several."""
        return min(self.losses, key=lambda step: (self.losses[step], step), default=None)

    @property
    def is_over(self) -> bool:
        """Whether nothing has got better for as long as the run has patience."""
        patience, best = self.job.settings.patience, self.best
        return bool(patience and best is not None and sum(step > best for step in self.losses) >= patience)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        every = math.ceil(state.max_steps / LOOKS)
        if state.global_step % every == 0 or state.global_step == state.max_steps:
            control.should_evaluate = control.should_save = True

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        step, loss = state.global_step, metrics["eval_loss"]
        self.losses[step] = loss
        if self.job.is_main:
            last = [line for line in self.job.metrics.read() if line.get("step") == step][-1]
            self.job.metrics.append({**last, "validation_loss": loss})
            if self.best == step:
                self._keep()
        if self.is_over:
            control.should_training_stop = True

    def _keep(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        half = self.file.with_suffix(".half")
        save_file({name: one.detach().cpu().contiguous().clone() for name, one in self._trained()}, half)
        half.replace(self.file)

    def restore(self) -> dict[str, Any]:
        """The best model again, and which it is."""
        best = self.best
        if best is None or not self.file.exists():
            return {}
        stored = load_file(self.file)
        with torch.no_grad():
            for name, parameter in self._trained():
                parameter.copy_(stored[name])
        return {"validation_loss": self.losses[best], "best_step": best}

    def _trained(self) -> list[tuple[str, Any]]:
        return [(name, one) for name, one in self.trainer.model.named_parameters() if one.requires_grad]
