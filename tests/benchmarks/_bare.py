"""What somebody writes who has TRL and no product: SFT or DPO with a LoRA adapter, as a process of its own.

    python tests/benchmarks/_bare.py <file>

The file is JSON: method, model, data (a Parquet file), settings (as the product names them), output, and `defaults`,
true to leave to TRL what a run of the product would set: gradient checkpointing, and a reference that is read in every
step. The losses of all steps are written to `<output>/losses.json`. Weights and computation are float32 in any case,
since two losses in bfloat16 cannot be compared.
"""

import json
import sys
from pathlib import Path

sys.path.pop(0)  # this folder, whose `queue` is not Python's


def main(path: str) -> None:
    asked = json.loads(Path(path).read_text())
    settings, output = asked["settings"], Path(asked["output"])

    from datasets import load_dataset
    from peft import LoraConfig
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    config = {
        "output_dir": str(output / "checkpoints"),
        "seed": asked["seed"],
        "num_train_epochs": settings["epochs"],
        "per_device_train_batch_size": settings["batch_size"],
        "gradient_accumulation_steps": settings["gradient_accumulation"],
        "learning_rate": settings["learning_rate"],
        "lr_scheduler_type": settings["schedule"],
        "warmup_steps": settings["warmup"],
        "max_length": settings["max_length"],
        "bf16": False,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
    }
    if not asked["defaults"]:
        config["gradient_checkpointing"] = settings["gradient_checkpointing"]
    if asked["method"] == "dpo":
        config["beta"] = settings["beta"]
        if not asked["defaults"]:
            config["precompute_ref_log_probs"] = settings["precompute_ref_log_probs"]
        make, arguments = DPOTrainer, DPOConfig(**config)
    else:
        make, arguments = SFTTrainer, SFTConfig(**config, completion_only_loss=True)
    columns = {"sft": ["prompt", "completion"], "dpo": ["prompt", "chosen", "rejected"]}[asked["method"]]
    rows = load_dataset("parquet", data_files=asked["data"], split="train", cache_dir=str(output / "datasets"))
    trainer = make(
        model=asked["model"],
        args=arguments,
        train_dataset=rows.select_columns(columns),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM",
            r=settings["lora_rank"],
            lora_alpha=settings["lora_alpha"],
            lora_dropout=settings["lora_dropout"],
            target_modules="all-linear",
        ),
    )
    trainer.train()
    trainer.save_model(str(output / "model"))
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    (output / "losses.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main(sys.argv[1])
