"""How much of a model is trained: which adapter, which layers, at which rate; see `training/methods/weights.py`.

Words in front of the conversation (prompt, prefix and p-tuning) cannot be merged into the weights, and go no
further once they are stored: PEFT keeps what the small network under them said, and not the network. LLaMA-Adapter
cannot be merged either. Everything else is merged wherever it is only read.
"""

import re
from importlib.util import find_spec
from typing import Any

import torch
from peft import (
    AdaptionPromptConfig,
    IA3Config,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    PromptTuningInit,
    get_peft_model,
)
from peft.tuners.adaption_prompt.config import TRANSFORMERS_MODEL_CONFIG
from peft.utils import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING

from training.methods.weights import LORA, MERGEABLE, SOFT_PROMPTS, WAYS, WHOLE
from training.recipes.contract import BadData

LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
HEADS = ("score", "lm_head")


def check(settings: Any, stored: str | None) -> None:
    """Before anything is loaded: can this be trained here, from an adapter that was trained in the way `stored`?

    Raises BadData if not.
    """
    if settings.tuning == "qlora" and not torch.cuda.is_available():
        raise BadData("QLoRA computes with 4-bit weights, which needs a GPU and this machine has none: choose LoRA.")
    if settings.tuning == "qlora" and find_spec("bitsandbytes") is None:
        raise BadData("QLoRA needs the bitsandbytes package on the gpu worker: install it there, or choose LoRA.")
    if stored is None:
        return
    if stored not in MERGEABLE:
        raise BadData(
            f"The model to start from was trained by {_name(stored)}, which goes no further: start from the model "
            "before it, on the earlier data and the new together."
        )
    if settings.tuning not in WHOLE and stored != settings.tuning.replace("qlora", "lora"):
        raise BadData(
            f"The model to start from was trained by {_name(stored)}, and it goes on that way: choose {_name(stored)}, "
            "or all weights."
        )


def of(adapter: str) -> str:
    """By which way a stored adapter was trained. QLoRA leaves a plain LoRA adapter."""
    config = PeftConfig.from_pretrained(adapter)
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    if kind == "LORA":
        return "dora" if config.use_dora else "rslora" if config.use_rslora else "lora"
    return {
        "IA3": "ia3",
        "LOHA": "loha",
        "LOKR": "lokr",
        "ADAPTION_PROMPT": "llama_adapter",
        "PROMPT_TUNING": "prompt",
        "PREFIX_TUNING": "prefix",
        "P_TUNING": "ptuning",
    }[kind]


def prepared(settings: Any, task: str, model: Any) -> tuple[Any, PeftConfig | None]:
    """The model as it is trained, and the fresh adapter that the trainer is to put on it."""
    way = settings.tuning
    if way == "full":
        model.requires_grad_(True)  # an adapter that was merged in has left it frozen
    if way == "top_layers":
        freeze_below(model, settings.layers)
    if way in WHOLE:
        return model, None
    families = {"ia3": TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING, "llama_adapter": TRANSFORMERS_MODEL_CONFIG}
    if way in families and model.config.model_type not in families[way]:
        raise BadData(f"{_name(way)} is not made for models of the family {model.config.model_type}: choose LoRA.")
    wanted = config(settings, task, model)
    if way != "llama_adapter":
        return model, wanted
    adapted = get_peft_model(model, wanted)
    # PEFT remembers the model's `forward` from before TRL gives it another; here it asks each time.
    adapted.base_model.forward = lambda *args, **kwargs: model.forward(*args, **kwargs)
    return adapted, None


def lora(settings: Any, **more: Any) -> LoraConfig:
    """A LoRA adapter of the rank that was asked for; on every linear layer, unless `more` says otherwise."""
    asked: dict[str, Any] = {"task_type": "CAUSAL_LM", "target_modules": "all-linear", **more}
    return LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_alpha, lora_dropout=settings.lora_dropout, **asked)


def config(settings: Any, task: str, model: Any) -> PeftConfig:
    """What PEFT is asked for. An adapter is on every linear layer, as QLoRA found best; the head of a reward model is
    new, and trained whole.
    """
    way = settings.tuning
    head = ["score"] if task == "SEQ_CLS" else None
    everywhere: dict[str, Any] = {"task_type": task, "target_modules": "all-linear", "modules_to_save": head}
    if way in LORA:
        return lora(settings, use_rslora=way == "rslora", use_dora=way == "dora", **everywhere)
    if way in ("loha", "lokr"):
        kind = LoHaConfig if way == "loha" else LoKrConfig
        return kind(r=settings.lora_rank, alpha=settings.lora_alpha, rank_dropout=settings.lora_dropout, **everywhere)
    if way == "ia3":
        return IA3Config(task_type=task, modules_to_save=head)
    count = settings.virtual_tokens
    if way == "llama_adapter":
        layers = min(settings.layers, model.config.get_text_config().num_hidden_layers)
        return AdaptionPromptConfig(task_type=task, adapter_len=count, adapter_layers=layers)
    if way == "prefix":
        return PrefixTuningConfig(task_type=task, num_virtual_tokens=count)
    if way == "ptuning":
        width = model.config.get_text_config().hidden_size
        return PromptEncoderConfig(task_type=task, num_virtual_tokens=count, encoder_hidden_size=width)
    # Made-up words begin as real ones, which Lester et al. found better than anything random.
    return PromptTuningConfig(
        task_type=task, num_virtual_tokens=count, prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB
    )


def freeze_below(model: Any, layers: int) -> None:
    """Only the last `layers` layers, the norm after them and a reward model's new head are trained."""
    first = model.config.get_text_config().num_hidden_layers - layers
    for name, parameter in model.named_parameters():
        match = LAYER.search(name)
        is_norm = match is None and "norm" in name.rpartition(".")[0].rpartition(".")[2]
        parameter.requires_grad_((match is not None and int(match[1]) >= first) or is_norm or name.startswith("score."))


def rates(trainer: Any, settings: Any) -> None:
    """Has the trainer build its optimiser with a learning rate for each layer, if the settings ask for that."""
    if settings.layer_decay == 1 and settings.head_rate == 1:
        return

    def create_optimizer(model: Any = None) -> Any:
        if trainer.optimizer is None:
            model = trainer.model if model is None else model
            kind, arguments = trainer.get_optimizer_cls_and_kwargs(trainer.args, model)
            decayed = set(trainer.get_decay_parameter_names(model))
            groups = by_layer(model, settings.layer_decay, settings.head_rate)
            trainer.optimizer = kind(
                [
                    {
                        "params": [parameter for _, parameter in some],
                        "lr": trainer.args.learning_rate * times,
                        "weight_decay": trainer.args.weight_decay if decays else 0.0,
                    }
                    for times, members in groups
                    for decays in (True, False)
                    if (some := [(name, one) for name, one in members if (name in decayed) == decays])
                ],
                **arguments,
            )
        return trainer.optimizer

    trainer.create_optimizer = create_optimizer


def by_layer(model: Any, decay: float, head: float) -> list[tuple[float, list[tuple[str, Any]]]]:
    """The trained parameters in groups, each with what the learning rate is multiplied by; layers from the top.

    The last layer has 1, the one below `decay`, then `decay` squared, and the words' own vectors come last. The head
    has `head`; a head that is the words' vectors used again (tied) counts as those.
    """
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    count = inner.config.get_text_config().num_hidden_layers
    found: dict[float, list[tuple[str, Any]]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        match = LAYER.search(name)
        if match:
            times = decay ** (count - 1 - int(match[1]))
        elif "embed" in name or "wte" in name:
            times = decay**count
        else:
            times = head if any(part in name.split(".") for part in HEADS) else 1.0
        found.setdefault(times, []).append((name, parameter))
    layers = sorted(found.items(), key=lambda group: (group[0] != 1.0, -group[0]))
    return layers  # the learning rate that is logged is the first group's


def _name(way: str) -> str:
    return WAYS[way].partition(":")[0]


def is_soft_prompt(adapter: str) -> bool:
    return of(adapter) in SOFT_PROMPTS
