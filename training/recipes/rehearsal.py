"""A model is held to what it was where nobody judges it, by texts of its own.

What is learned from people's choices moves a model everywhere, also where nobody asked for it. So before training it
writes some texts from nothing (self-synthesised rehearsal, Huang et al. 2024), and beside each batch it reads a few of
them: KL(model before ‖ model) of the next token, added up over a text, is part of the loss (learning without
forgetting, Li and Hoiem 2016). No text of anybody's is needed.
"""

from typing import Any

import torch
from torch.nn.functional import kl_div
from trl import DPOTrainer
from trl.trainer.utils import use_adapter

from training.recipes import sampling

TEXTS, LONGEST = 128, 64  # that are written, and their tokens
AT_ONCE = 32  # written side by side
EACH_STEP = 2  # read beside a batch


class Rehearsing(DPOTrainer):
    """DPO, with `weight` times the drift on the model's own texts in its loss."""

    weight: float
    texts: torch.Tensor  # (TEXTS, 1 + LONGEST)

    def rehearse(self, *, weight: float, seed: int) -> None:
        """To be called before the first step, while the model is what it was."""
        self.weight = weight
        model = self.model.eval()
        self.texts = written(model, self.processing_class, seed=seed).to(self.accelerator.device)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if not self.model.training:
            return found
        loss, *rest = found if return_outputs else (found,)
        drift = self.drift(model)
        self._metrics["train"]["drift"].append(self.accelerator.gather_for_metrics(drift.detach()).mean().item())
        loss = loss + self.weight * drift
        return (loss, *rest) if return_outputs else loss

    def drift(self, model: Any) -> torch.Tensor:
        """KL(model before ‖ model) in nats a text, over the texts whose turn it is; each process has others."""
        turn = self.state.global_step * self.accelerator.num_processes + self.accelerator.process_index
        ids = self.texts.roll(-EACH_STEP * turn, dims=0)[:EACH_STEP]
        own = _next_words(model, ids)
        with torch.no_grad():
            if self.ref_model is not None:
                before = _next_words(self.ref_model, ids)
            else:
                adapted = self.accelerator.unwrap_model(self.model)
                with use_adapter(adapted, "ref" if "ref" in adapted.peft_config else None):
                    before = _next_words(model, ids)
        return kl_div(own, before, log_target=True, reduction="sum") / len(ids)


def written(model: Any, tokenizer: Any, *, seed: int) -> torch.Tensor:
    """Texts of the model's own (TEXTS, 1 + LONGEST), each token drawn as likely as the model finds it."""
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    texts = []
    for number in range(TEXTS // AT_ONCE):
        drawing = sampling.Drawing(temperature=1.0, top_p=1.0, seed=seed * 1_000_003 + number)
        drawn = sampling.draw_answers(
            model, [[start]] * AT_ONCE, each=1, longest=LONGEST, ends=[], pad=tokenizer.pad_token_id, drawing=drawing
        )
        texts += [[start, *answer.tokens] for (answer,) in drawn]
    return torch.tensor(texts)


def _next_words(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Log probabilities (texts × LONGEST × vocabulary); learned words in front have positions of their own."""
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    return logits[:, -ids.shape[1] : -1].float().log_softmax(-1)
