"""A model whose learned words stand in front of every conversation, read like any other model.

PEFT puts the words in front at each call, also where a conversation goes on from a cache, and does without
positions. Drawing answers needs both, so the words are put in front here: once, at the first call on a cache.
"""

from typing import Any

import torch
from transformers import DynamicCache


class Prompted:
    """Takes what a causal language model takes, `input_ids` (rows × tokens) and a mask without the learned words,
    and gives logits for these tokens alone.
    """

    def __init__(self, adapted: Any) -> None:
        self.adapted = adapted  # a PeftModel of prompt, prefix or p-tuning
        self.count: int = adapted.active_peft_config.num_virtual_tokens
        self.in_cache = adapted.active_peft_config.peft_type == "PREFIX_TUNING"

    @property
    def base(self) -> Any:
        return self.adapted.get_base_model()

    @property
    def config(self) -> Any:
        return self.base.config

    @property
    def generation_config(self) -> Any:
        return self.base.generation_config

    @property
    def device(self) -> torch.device:
        return self.base.device

    def to(self, device: str) -> "Prompted":
        self.adapted.to(device)
        return self

    def eval(self) -> "Prompted":
        self.adapted.eval()
        return self

    def __call__(
        self,
        *,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        **more: Any,
    ) -> Any:
        rows, width = input_ids.shape
        mask = torch.cat([attention_mask.new_ones(rows, self.count), attention_mask], dim=1)
        if position_ids is None:
            position_ids = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)[:, -width:]
        positions = position_ids + self.count
        cache = DynamicCache(config=self.config) if past_key_values is None else past_key_values
        if cache.get_seq_length():
            return self._read(input_ids=input_ids, mask=mask, positions=positions, cache=cache, **more)
        words = self.adapted.get_prompt(rows)
        if self.in_cache:
            for number, layer in enumerate(words.layers):
                cache.update(layer.keys, layer.values, number)
            return self._read(input_ids=input_ids, mask=mask, positions=positions, cache=cache, **more)
        vectors = self.base.get_input_embeddings()(input_ids)
        first = torch.arange(self.count, device=positions.device).expand(rows, -1)
        read = self._read(
            inputs_embeds=torch.cat([words.to(vectors.dtype), vectors], dim=1),
            mask=mask,
            positions=torch.cat([first, positions], dim=1),
            cache=cache,
            **more,
        )
        read.logits = read.logits[:, -width:]
        return read

    def _read(self, *, mask: torch.Tensor, positions: torch.Tensor, cache: Any, **more: Any) -> Any:
        return self.base(attention_mask=mask, position_ids=positions, past_key_values=cache, **more)
