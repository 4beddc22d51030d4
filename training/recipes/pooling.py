"""Hidden states of a model that answers, averaged over the tokens of an answer, or of all that is said."""

from functools import cache
from typing import Any

import numpy as np
import torch

from training.methods.answers import FEATURES_WIDTH

DEPTHS = (2 / 5, 2 / 3)  # of the model's layers; later ones are about the next word more than about the text
PROJECTION_SEED = 1984  # never changed: stored vectors must go on to fit new ones


def shortened(policy: Any, depths: tuple[float, ...] = DEPTHS) -> tuple[Any, list[int]]:
    """The part of a policy that is needed, and after how many layers to look; the policy is of no use afterwards."""
    decoder = policy.get_decoder()
    looked_at = [max(1, round(len(decoder.layers) * share)) for share in depths]
    decoder.layers = decoder.layers[: max(looked_at) + 1]  # one more, since the last state is normalised
    return decoder.eval(), looked_at


def pooled(
    decoder: Any, looked_at: list[int], conversations: list[list[int]], answers: list[int], pad_token_id: int
) -> np.ndarray:
    """Means (n, depths x width) over the last `answers[i]` tokens of each conversation, read side by side.

    Each token's state is first divided by its root mean square, as the layer after would do it: a few tokens have
    states many times as long as all others, and would be the mean.
    """
    width = max(len(ids) for ids in conversations)
    filled = [row + [pad_token_id] * (width - len(row)) for row in conversations]
    ids = torch.tensor(filled, device=decoder.device)
    ends = torch.tensor([len(row) for row in conversations], device=decoder.device)[:, None]
    places = torch.arange(width, device=decoder.device)[None]
    of_answer = (places < ends) & (places >= ends - torch.tensor(answers, device=decoder.device)[:, None])
    with torch.inference_mode():
        states = decoder(
            input_ids=ids, attention_mask=(places < ends).long(), use_cache=False, output_hidden_states=True
        ).hidden_states
        share = (of_answer / of_answer.sum(1, keepdim=True))[:, None].float()
        means = []
        for layer in looked_at:
            state = states[layer].float()
            state = state * torch.rsqrt(state.square().mean(-1, keepdim=True) + 1e-6)
            means.append((share @ state)[:, 0])
    return torch.cat(means, 1).cpu().numpy()


def projected(means: np.ndarray) -> np.ndarray:
    """Each depth brought to its share of `FEATURES_WIDTH` numbers (Johnson and Lindenstrauss 1984)."""
    depths = np.split(means, len(DEPTHS), axis=1)
    return np.concatenate([depth @ _projection(depth.shape[1]) for depth in depths], axis=1)


@cache
def _projection(width: int) -> np.ndarray:
    drawn = np.random.RandomState(PROJECTION_SEED).standard_normal((width, FEATURES_WIDTH // len(DEPTHS)))
    return drawn / np.sqrt(drawn.shape[1])
