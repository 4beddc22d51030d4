"""Doing a run again, and whether the same came of it. Where and from what a run was made is put down when it starts."""

import subprocess
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

from annotation.models import User
from training import runs
from training.methods import TOXICITY
from training.models import ModelVersion, Run
from training.runs import Plan

TOLERANCE = 1e-4  # between losses, at any step
HASHES = {"snapshot_sha256": "SHA-256 of the rows", "base_sha256": "SHA-256 of the model"}
ASKED = {"endpoint": "Endpoint", "model": "Its model"}
REPOSITORY = Path(__file__).resolve().parent.parent


def origin(run: Run) -> dict[str, Any]:
    """What a run is made from, as far as it is known before its process starts, which adds packages and device."""
    return {
        **code(),
        **({"snapshot_sha256": run.snapshot.sha256} if run.snapshot else {}),
        **({"base_sha256": run.base.sha256} if run.base else {}),
    }


@lru_cache(maxsize=1)
def code() -> dict[str, Any]:
    """The commit that runs here, and whether files differ from it; nothing outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def repeat(*, run: Run, actor: User | None = None, wake: bool = True) -> Run:
    """Queue a run with the same data, model, settings, seed and devices. What it makes is a candidate like others.

    Raises ValidationError for one that reads what nobody has read yet: the texts are others each time.
    """
    if run.method == TOXICITY.name:
        raise ValidationError("A text is read for toxicity once, so such a run cannot be done again.")
    inputs = {name: value for name, value in run.inputs.items() if name not in ("name", "after")}
    if run.method == "convert":
        inputs["name"] = f"{run.inputs.get('name')}, again ({Run.objects.filter(repeats=run).count() + 1})"
    return runs.start(
        project=run.project,
        method=run.method,
        base=run.base,
        snapshot=run.snapshot,
        others=run.snapshots[1:],
        teacher=run.teacher,
        settings=run.used_settings,
        inputs=inputs,
        seed=run.seed,
        plan=Plan(limit_minutes=run.limit_minutes, devices=run.devices, spread=run.spread),
        continues=run.continues,
        repeats=run,
        actor=actor,
        wake=wake,
    )


def made_with(environment: dict[str, Any]) -> dict[str, str]:
    """What a run was made with, as its page tells it: what is not on record is left out.

    >>> made_with({"commit": "16ab239f", "changed": True, "torch": "2.13.0", "device": "cpu (x86_64)", "threads": 2})
    {'Code': '16ab239f, and files changed since', 'Device': 'cpu (x86_64), 2 threads', 'Packages': 'torch 2.13.0'}
    """
    rest = {name: value for name, value in environment.items() if value not in ("", None)}
    changed = ", and files changed since" if rest.pop("changed", False) else ""
    told = {"Code": f"{rest.pop('commit')}{changed}"} if "commit" in rest else {}
    told |= {title: rest.pop(name) for name, title in (HASHES | ASKED).items() if name in rest}
    device = [rest.pop(name) for name in ("device", "dtype") if name in rest]
    if threads := rest.pop("threads", 0):
        device.append(f"{threads} thread{'' if threads == 1 else 's'}")
    if device:
        told["Device"] = ", ".join(device)
    if rest:
        told["Packages"] = ", ".join(f"{name} {version}" for name, version in rest.items())
    return told


@dataclass(frozen=True)
class Comparison:
    """`difference`: the largest between the losses of a step, None if none can be laid side by side. `missing`: steps
    that only one of both has. `same_weights`: None where there is no model. `other`: what else is not alike."""

    difference: float | None
    missing: int
    same_weights: bool | None
    other: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        if self.difference is None:
            return self.missing == 0 and self.same_weights is not False
        return self.missing == 0 and self.difference <= TOLERANCE


def compare(first: Run, second: Run) -> Comparison:
    """Two runs that have ended, step by step."""
    ours, theirs = (_losses(run) for run in (first, second))
    both = ours.keys() & theirs.keys()
    differences = [abs(ours[step] - theirs[step]) for step in both]
    hashes = [ModelVersion.objects.filter(run=run).values_list("sha256", flat=True).first() for run in (first, second)]
    names = first.environment.keys() | second.environment.keys()
    return Comparison(
        difference=max(differences, default=None),
        missing=len(ours.keys() ^ theirs.keys()),
        same_weights=None if None in hashes else hashes[0] == hashes[1],
        other={
            name: (first.environment.get(name), second.environment.get(name))
            for name in sorted(names)
            if first.environment.get(name) != second.environment.get(name)
        },
    )


def _losses(run: Run) -> dict[int, float]:
    rows = run.metric_rows.filter(values__loss__isnull=False).values_list("step", "values__loss")
    return {step: loss for step, loss in rows if loss is not None}


def in_words(found: Comparison) -> list[str]:
    lines = []
    if found.difference is None:
        lines.append("Neither wrote down losses that could be compared.")
    else:
        lines.append(f"The largest difference between the losses of a step is {found.difference:.2g}.")
    if found.missing:
        lines.append(f"{found.missing} steps are in one of them alone.")
    if found.same_weights is not None:
        lines.append(f"The weights are {'' if found.same_weights else 'not '}the same, byte for byte.")
    lines += [f"{name}: {before} before, {now} now." for name, (before, now) in found.other.items()]
    return lines
