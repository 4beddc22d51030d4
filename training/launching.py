"""The command that runs a recipe: its module alone, or one process for each device under `accelerate launch`."""

import sys

# Divided among the devices are the weights, their gradients and the optimiser's numbers, layer by layer.
FSDP = ["--use_fsdp", "--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP"]
SPREADS = {
    "ddp": ["--multi_gpu"],
    "fsdp": [*FSDP, "--fsdp_state_dict_type", "FULL_STATE_DICT"],
    "deepspeed": ["--use_deepspeed", "--zero_stage", "2"],
}


def command(method: str, folder: str, *, devices: int = 1, spread: str = "ddp") -> list[str]:
    """`devices` processes, each with one; `spread` is a key of SPREADS."""
    module = f"training.recipes.{method}"
    if devices == 1:
        return [sys.executable, "-m", module, folder]
    machine = ["--num_machines", "1", "--machine_rank", "0", "--main_process_port", "0"]
    plain = ["--mixed_precision", "no", "--dynamo_backend", "no"]  # the recipe itself chooses its precision
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(devices)]
    return [*launcher, *machine, *plain, *SPREADS[spread], "--module", module, folder]
