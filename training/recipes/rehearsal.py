"""A model is held to what it was where nobody judges it, by texts of its own.

What is learned from people's choices moves a model everywhere, also where nobody asked for it. So before its first step
it writes some texts from nothing (self-synthesised rehearsal, Huang et al. 2024), and in each step it reads a few of
them: KL(model before ‖ model) of the next token, added up over a text, is part of the loss (learning without
forgetting, Li and Hoiem 2016). No text of anybody's is needed.

Left out: the distance in the loss of rows that are held back, which is DPO's alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import kl_div
from trl import DPOTrainer
from trl.trainer.utils import use_adapter

from training.recipes import sampling
from training.recipes.contract import BadData

TEXTS, LONGEST = 128, 64  # that are written, and their tokens
AT_ONCE = 32  # written side by side
EACH_STEP = 2  # read by each process


class Rehearsing(DPOTrainer):
    """DPO, with `rehearsal` times the distance on the model's own texts in the loss of each step."""

    texts: torch.Tensor | None = None  # (TEXTS, 1 + LONGEST)

    def __init__(self, *arguments: Any, rehearsal: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.rehearsal = rehearsal
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise BadData("Holding on to what it knew works with whole models on each device: set its weight to 0.")

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if not self.model.training or not self.accelerator.sync_gradients:  # once a step, with its last batch
            return found
        loss, *rest = found if return_outputs else (found,)
        distance = self.distance(model)
        mean = self.accelerator.gather_for_metrics(distance.detach()).mean().item()
        self._metrics["train"]["distance"].append(mean / LONGEST)
        batches = self.current_gradient_accumulation_steps  # the trainer divides by it
        loss = loss + self.rehearsal * batches * distance
        return (loss, *rest) if return_outputs else loss

    def distance(self, model: Any) -> torch.Tensor:
        """KL(model before ‖ model) in nats a text, over the texts whose turn it is; each process has others."""
        if self.texts is None:  # written by the model before, so that a run that goes on finds the same
            self.texts = self.written().to(self.accelerator.device)
        turn = self.state.global_step * self.accelerator.num_processes + self.accelerator.process_index
        ids = self.texts.roll(-EACH_STEP * turn, dims=0)[:EACH_STEP]
        own = _next_words(model, ids)
        with torch.no_grad(), self.as_before(model) as before:
            wanted = _next_words(before, ids)
        return kl_div(own, wanted, log_target=True, reduction="sum") / len(ids)

    def written(self) -> torch.Tensor:
        """Texts of the model before (TEXTS, 1 + LONGEST), each token drawn as likely as it finds it."""
        tokenizer = self.processing_class
        start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        if start is None:
            raise BadData("This model has no token that a text begins or ends with: it cannot hold on to what it knew.")
        texts = []
        self.model.eval()
        with self.as_before(self.accelerator.unwrap_model(self.model)) as before:
            for number in range(TEXTS // AT_ONCE):
                drawing = sampling.Drawing(temperature=1.0, top_p=1.0, seed=self.args.seed * 1_000_003 + number)
                prompts = [[start]] * AT_ONCE
                drawn = sampling.draw_answers(
                    before, prompts, each=1, longest=LONGEST, ends=[], pad=start, drawing=drawing
                )
                texts += [[start, *answer.tokens] for (answer,) in drawn]
        self.model.train()
        return torch.tensor(texts)

    @contextmanager
    def as_before(self, model: Any) -> Iterator[Any]:
        """The model before this run: the reference, or the model without its adapter or with the frozen copy of it."""
        if self.ref_model is not None:
            yield self.ref_model
            return
        adapted = self.accelerator.unwrap_model(self.model)
        with use_adapter(adapted, "ref" if "ref" in adapted.peft_config else None):
            yield model


def _next_words(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Log probabilities (texts × LONGEST × vocabulary); learned words in front have positions of their own."""
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    return logits[:, -ids.shape[1] : -1].float().log_softmax(-1)
