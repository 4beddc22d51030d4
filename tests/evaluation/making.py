"""What models answered when they were measured."""

import json
from collections.abc import Mapping

from evaluation import scoring
from evaluation.models import Evaluation
from tests.training.making import succeeds
from training.models import ModelVersion


def measured(model: ModelVersion, answers: Mapping[int, tuple[str, str]]) -> Evaluation:
    """A policy is measured, and answers these held-out prompts (ids); so does the model it came from."""
    run = scoring.measure(project=model.project, model=model, wake=False)
    run.folder.mkdir(parents=True)
    rows = [
        {"id": prompt, "by": by, "text": text, "tokens": 2, "finished": True, "kl": 0.1}
        for prompt, both in answers.items()
        for by, text in zip(("model", "reference"), both, strict=True)
    ]
    (run.folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return scoring.conclude(succeeds(run, []))
