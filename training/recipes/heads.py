"""What a model that stays as it is makes of a text: the mean over its tokens of one layer's hidden states; and a
linear head on that.

A head is stored beside nothing else, as `head.safetensors` with `weight` (hidden size) and `head.json`. It takes the
place of an adapter: the base model and the head's folder together are the model.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file, save_file


def pooled(model: Any, ids: torch.Tensor, mask: torch.Tensor, layer: int) -> torch.Tensor:
    """Rows × hidden size in float32: the mean of the layer's states over the tokens that are not padding."""
    states = model(input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=True).hidden_states[layer]
    weights = mask[:, :, None].float()
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1)


class LinearScorer(torch.nn.Module):
    """Gives what a reward model gives: one number for each text."""

    def __init__(self, model: Any, weight: torch.Tensor, layer: int) -> None:
        super().__init__()
        self.model = model
        self.layer = layer
        self.register_buffer("weight", weight)

    @property
    def config(self) -> Any:
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, use_cache: bool = False) -> Any:
        features = pooled(self.model, input_ids, attention_mask, self.layer)
        return SimpleNamespace(logits=(features @ self.weight)[:, None])


def is_head(folder: str) -> bool:
    return (Path(folder) / "head.json").is_file()


def save_head(folder: Path, weight: torch.Tensor, layer: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": weight.contiguous()}, folder / "head.safetensors")
    (folder / "head.json").write_text(json.dumps({"kind": "reward", "layer": layer}, indent=1) + "\n")


def load_head(model: Any, folder: str) -> LinearScorer:
    about = json.loads((Path(folder) / "head.json").read_text())
    return LinearScorer(model, load_file(Path(folder) / "head.safetensors")["weight"], about["layer"])
