"""Loading what is trained, sampled from or asked for scores, always with its dtype said aloud.

float32 on the CPU. On a CUDA device with bfloat16 the weights under an adapter are bfloat16; a model whose
every weight is trained stays float32 and computes in bfloat16, since bfloat16 alone would round small updates
away. Nothing is ever loaded with `trust_remote_code`: a model is data here, never a program.
"""

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftConfig, PeftModel, prepare_model_for_kbit_training
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from training.methods.weights import MERGEABLE
from training.recipes import heads, kernels, ways
from training.recipes.contract import BadData, MissingBase, ModelSpec
from training.recipes.prompted import Prompted

NO_TEMPLATE = (
    "This model has no chat template, so it is not known how it reads a conversation: use a chat model "
    '(often named "instruct"), or add a chat template to its tokenizer.'
)
AS_DATA: dict[str, Any] = {"trust_remote_code": False, "use_safetensors": True}  # no code beside it, no pickle
kernels.choose()


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def bf16() -> bool:
    return device() == "cuda" and torch.cuda.is_bf16_supported()


def frozen_dtype() -> torch.dtype:
    """Of weights that do not move: under an adapter, or while sampling."""
    return torch.bfloat16 if bf16() else torch.float32


def last(count: int, device: torch.device) -> torch.Tensor:
    """The last `count` positions, as `logits_to_keep`.

    Given as a number they are cut out of each text where it lies, and what is not in one piece is multiplied with the
    whole vocabulary text by text: on a CPU 2.4 s in place of 10 ms for 16 texts.
    """
    return torch.arange(-count, 0, device=device)


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    _must_exist(base)
    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)  # nosec B615  # a folder, here and below
    if not tokenizer.chat_template:
        raise BadData(NO_TEMPLATE)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_policy(
    model: ModelSpec, dtype: torch.dtype, *, adapter: str = "merge", four_bits: bool = False
) -> PreTrainedModel | PeftModel | Prompted:
    """The model that answers. Its adapter, if there is one, is merged into the weights or kept to be trained
    on ("train"). What cannot be merged is read beside them.
    """
    _must_exist(model.base)
    policy = AutoModelForCausalLM.from_pretrained(  # nosec B615
        model.base, dtype=dtype, **AS_DATA, **(quantised(dtype) if four_bits else {})
    )
    if four_bits:
        policy = prepare_model_for_kbit_training(policy, use_gradient_checkpointing=False)
    if model.adapter is None:
        return policy
    if task_of(model.adapter) == "SEQ_CLS":
        raise BadData("This adapter belongs to a reward model, which cannot answer: choose a model that does.")
    if adapter == "train":
        return PeftModel.from_pretrained(policy, model.adapter, is_trainable=True)
    return merged(PeftModel.from_pretrained(policy, model.adapter), model.adapter)


def merged(adapted: PeftModel, adapter: str) -> PreTrainedModel | PeftModel | Prompted:
    """The adapter within the weights where it can be; else the two side by side."""
    if heads.is_head(adapter):
        return adapted
    if ways.of(adapter) in MERGEABLE:
        return adapted.merge_and_unload()
    return Prompted(adapted) if ways.is_soft_prompt(adapter) and task_of(adapter) == "CAUSAL_LM" else adapted


def quantised(dtype: torch.dtype) -> dict[str, Any]:
    """How QLoRA holds the weights under its adapter: 4-bit NormalFloat, quantised twice (Dettmers et al. 2023)."""
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": config, "device_map": {"": torch.cuda.current_device()}}


def load_scorer(
    base: str,
    dtype: torch.dtype,
    *,
    pad_token_id: int | None,
    adapter: str | None = None,
    trainable: bool = False,
    four_bits: bool = False,
) -> Any:
    """The model that scores: one number at the last token. The pad token tells it which token is the last."""
    _must_exist(base)
    if adapter is not None and heads.is_head(adapter):
        body = AutoModel.from_pretrained(base, dtype=dtype, **AS_DATA)  # nosec B615
        return heads.load_head(body, adapter)
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # a policy has no head for scores yet, and that is no warning
    scorer = AutoModelForSequenceClassification.from_pretrained(  # nosec B615
        base, num_labels=1, dtype=dtype, **AS_DATA, **(quantised(dtype) if four_bits else {})
    )
    transformers.logging.set_verbosity(verbosity)
    if four_bits:
        scorer = prepare_model_for_kbit_training(scorer, use_gradient_checkpointing=False)
    scorer.config.get_text_config().pad_token_id = pad_token_id
    if adapter is None:
        return scorer
    if task_of(adapter) != "SEQ_CLS":
        raise BadData("This adapter belongs to a model that answers and has no score to give: choose a reward model.")
    return PeftModel.from_pretrained(scorer, adapter, is_trainable=trainable)


def padded(conversations: list[list[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask, rows × the longest, padded on the right."""
    width = max(len(ids) for ids in conversations)
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in conversations], device=device)
    return ids, torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in conversations], device=device)


def load_judge(judge: ModelSpec, pad_token_id: int | None) -> Any:
    """A reward model that scores and does not learn, in float32 so that its scores are those that `score` gives."""
    if judge.adapter is None and not is_scorer(judge.base):
        raise BadData("This model answers and has no score to give: choose a reward model.")
    scorer = load_scorer(judge.base, torch.float32, pad_token_id=pad_token_id, adapter=judge.adapter)
    if judge.adapter is not None:
        scorer = merged(scorer, judge.adapter)
    return scorer.to(device()).eval()


def scores(model: Any, conversations: list[list[int]], pad_token_id: int) -> list[float]:
    """One number for each tokenised conversation, read side by side, padded on the right."""
    ids, mask = padded(conversations, pad_token_id, model.device)
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, 0].float().tolist()


def skip_what_has_no_loss() -> None:
    """Let TRL's trainers compute the words' probabilities for answers alone, on the CPU as on other devices.

    Its head drops the positions that carry no loss, prompts and padding, only where it has Triton; without it, it keeps
    every batch one shape for devices that compile. On the CPU nothing is compiled, and with a vocabulary of 49,152 the
    prompt's probabilities, which nobody reads, are a good part of a step. The loss is the same.
    """
    from trl.trainer import utils

    utils._use_triton = lambda device: True  # asked there for this choice alone


def save(trainer: Any, folder: Path) -> None:
    """The weights (or the adapter) and the tokenizer, and nothing pickled beside them."""
    if trainer.args.should_save:
        shutil.rmtree(folder, ignore_errors=True)
    trainer.save_model(str(folder))
    if trainer.args.should_save:
        for name in ("training_args.bin", "README.md"):  # a pickle, and a card's empty form
            (folder / name).unlink(missing_ok=True)


def task_of(adapter: str) -> str | None:
    _must_exist(adapter, what="adapter")
    return PeftConfig.from_pretrained(adapter).task_type


def way_of(model: ModelSpec) -> str | None:
    """By which way the adapter to start from was trained; None without one."""
    if model.adapter is None:
        return None
    _must_exist(model.adapter, what="adapter")
    return ways.of(model.adapter)


def is_scorer(base: str) -> bool:
    """Whether a whole model, without an adapter, was made to score."""
    _must_exist(base)
    architectures = json.loads((Path(base) / "config.json").read_text()).get("architectures") or []
    return any(name.endswith("ForSequenceClassification") for name in architectures)


def end_of_turn(tokenizer: Any, model: Any = None) -> list[int]:
    """The tokens at which an answer has ended.

    Many base models call another token their end of text than the one their chat template closes a turn with,
    and a model that is not stopped there goes on to write the next question itself. So the template is asked,
    too.
    """
    ends: set[int] = set() if tokenizer.eos_token_id is None else {tokenizer.eos_token_id}
    config = getattr(model, "generation_config", None)
    stated = getattr(config, "eos_token_id", None)
    ends.update(stated if isinstance(stated, list) else [] if stated is None else [stated])
    turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "ANSWER"}]
    text = tokenizer.apply_chat_template(turn, tokenize=False)
    after = tokenizer(text.rpartition("ANSWER")[2], add_special_tokens=False)["input_ids"]
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    if after and after[0] in special:
        ends.add(after[0])
    return sorted(ends)


def environment(dtype: torch.dtype) -> dict[str, Any]:
    """What the result depends on besides the data, the settings and the seed."""
    libraries = {name: version(name) for name in ("torch", "transformers", "trl", "peft", "datasets")}
    return {
        "python": platform.python_version(),
        **libraries,
        "device": torch.cuda.get_device_name() if device() == "cuda" else f"cpu ({platform.machine()})",
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }


def _must_exist(folder: str, *, what: str = "base model") -> None:
    """Raises MissingBase for a folder without a model, and BadData for an adapter whose weights are a pickle."""
    name = "adapter_config.json" if what == "adapter" else "config.json"
    if not (Path(folder) / name).is_file():
        raise MissingBase(
            f"The {what} is not where it was stored (no {name}): import or train it again, or restore it."
        )
    if what == "adapter" and (Path(folder) / "adapter_model.bin").exists():
        raise BadData("The adapter has weights as a pickle, which is a program: it is not opened. Train it again.")
