"""What happens between two steps of a trainer: a line of metrics, a checkpoint, a stop.

A checkpoint counts only once `complete.json` lies in it, written after everything else and listing every file
with its size. One that was being written when the process died has none, and the run goes on from the one
before it.
"""

import json
import math
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from tensorboardX import SummaryWriter
from transformers import PrinterCallback, TrainerCallback
from transformers.integrations import get_reporting_integration_callbacks

from training.recipes.contract import BadData, Cancelled, Failed, Job, write_atomically
from training.recipes.validation import Watched

# After a stop the step in hand is finished, unless it has many batches and takes longer than this: then the
# last checkpoint stands.
PATIENCE_SECONDS = 10.0


class Watch(TrainerCallback):
    def __init__(self, job: Job, names: dict[str, str]) -> None:
        """`names`: which of the trainer's own metrics are passed on, and their names in `metrics.jsonl`."""
        self.job = job
        self.names = names
        self.saved_at = time.monotonic()
        self.step_began_at = time.monotonic()
        self.tokens_before = 0.0
        self.board: SummaryWriter | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.saved_at = time.monotonic()
        if self.job.is_main:  # what a stopped attempt wrote after its last checkpoint is hidden again
            folder = str(self.job.folder / "tensorboard")
            self.board = SummaryWriter(folder, purge_step=state.global_step + 1 if state.global_step else None)
        if state.global_step:
            self.job.event("resumed", at_step=state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.step_began_at = time.monotonic()

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if _any_process(self.job.stop.seconds_since() > PATIENCE_SECONDS):
            raise Cancelled

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if _any_process(self.job.stop.asked):
            control.should_training_stop = True
            control.should_save = True
        elif _any_process(time.monotonic() - self.saved_at >= self.job.settings.checkpoint_seconds):
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:  # the trainer's closing line: the result says it better
            return
        tokens = logs.get("num_tokens", 0.0)
        seconds = max(time.monotonic() - self.step_began_at, 1e-9)
        line = {
            "step": state.global_step,
            "total": state.max_steps,
            "epoch": round(state.epoch or 0.0, 4),
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "grad_norm": logs.get("grad_norm"),
            "tokens_per_second": round((tokens - self.tokens_before) / seconds, 1),
            "memory_gb": round(peak_memory() / 1e9, 3),
            **{ours: logs[theirs] for theirs, ours in self.names.items() if theirs in logs},
        }
        self.tokens_before = tokens
        self.job.metrics.append(line)
        if self.board is not None:
            for name in line.keys() - {"step", "total"}:
                if line[name] is not None:
                    self.board.add_scalar(name, line[name], state.global_step)
        if not math.isfinite(logs["loss"]):
            raise Failed("The loss is no longer a number: lower the learning rate and start a new run.")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.board is not None:
            self.board.close()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        _any_process(False)  # the others have written their part
        if self.job.is_main:
            _mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step)
        self.saved_at = time.monotonic()


def train(
    job: Job, trainer: Any, names: dict[str, str], *, may_end_early: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Trains from the last complete checkpoint, or from the start, and returns the run's closing figures.

    Fewer steps than were planned mean that the run was stopped, unless `may_end_early` says that they are enough.
    With something to watch (an `eval_dataset`) the model is afterwards the one that did best on it.
    """
    checkpoints = Path(trainer.args.output_dir)
    checkpoint = last_complete(checkpoints)
    step = 0 if checkpoint is None else _step(checkpoint)
    job.metrics.keep(lambda line: line.get("step", 0) <= step)
    if job.is_main:
        for folder in _all(checkpoints):
            if _step(folder) > step:
                shutil.rmtree(folder)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch(job, names))
    report_elsewhere(job, trainer)
    watched = None if trainer.eval_dataset is None else Watched(job, trainer, step)
    if watched is not None:
        trainer.add_callback(watched)
    if watched is None or not watched.is_over:
        with job.stop.gently():
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    job.stop.check()
    state = trainer.state
    if state.global_step < state.max_steps and not (watched and watched.is_over) and not may_end_early():
        raise Cancelled
    best = watched.restore() if watched is not None else {}
    return {**closing_figures(job.metrics.read()), **best, "peak_memory": peak_memory()}


def report_elsewhere(job: Job, trainer: Any) -> None:
    """The curve goes to what `TOUCHSTONE_REPORT_TO` names, too: wandb, mlflow or another that transformers knows."""
    for name in filter(None, os.environ.get("TOUCHSTONE_REPORT_TO", "").split(",")):
        try:
            (kind,) = get_reporting_integration_callbacks([name.strip()])
            trainer.add_callback(kind())
        except (ValueError, RuntimeError) as error:  # unknown, or not installed
            raise BadData(f"TOUCHSTONE_REPORT_TO names {name}, which cannot be used here: {error}") from error


def peak_memory() -> int:
    """Bytes: the most that was in use at once so far, on the device, or else by this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def closing_figures(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The first loss, the mean of the last steps' (ten at most), and how fast it went.

    >>> steps = [{"step": n, "loss": 1 / n, "tokens_per_second": 10.0 * n} for n in (1, 2, 4)]
    >>> closing_figures([{"event": "rows"}, *steps])
    {'steps': 4, 'first_loss': 1.0, 'last_loss': 0.5833333333333334, 'tokens_per_second': 20.0}
    """
    # A step at which the run looked at what was held back has two lines.
    steps = list({line["step"]: line for line in lines if "step" in line and line.get("loss") is not None}.values())
    if not steps:
        return {}
    last = steps[-10:]

    def mean(name: str) -> float:
        return sum(line[name] for line in last) / len(last)

    figures = {
        "steps": steps[-1]["step"],
        "first_loss": steps[0]["loss"],
        "last_loss": mean("loss"),
        "tokens_per_second": round(sorted(line["tokens_per_second"] for line in steps)[len(steps) // 2], 1),
    }
    if all(line.get("rewards_margin") is not None for line in last):
        figures["rewards_margin"] = mean("rewards_margin")
    return figures


def last_complete(checkpoints: Path) -> Path | None:
    return max((folder for folder in _all(checkpoints) if _is_complete(folder)), key=_step, default=None)


def _all(checkpoints: Path) -> list[Path]:
    return [folder for folder in checkpoints.glob("checkpoint-*") if folder.name.removeprefix("checkpoint-").isdigit()]


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("checkpoint-"))


def _mark_complete(folder: Path, step: int) -> None:
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        files[str(path.relative_to(folder))] = path.stat().st_size
    write_atomically(folder / "complete.json", json.dumps({"step": step, "files": files}))


def _is_complete(folder: Path) -> bool:
    try:
        files = json.loads((folder / "complete.json").read_text())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError):
        return False


def _any_process(mine: bool) -> bool:
    """All processes of one run must take the same turn, or they wait for each other for ever."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return mine
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    votes = torch.tensor([float(mine)], device=device)
    torch.distributed.all_reduce(votes, op=torch.distributed.ReduceOp.MAX)
    return bool(votes.item())
