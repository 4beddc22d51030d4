"""What a recipe is given, and what is read of the metrics that it writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training.making import a_model
from training import runner
from training.models import Metric, Run, Snapshot, Source
from training.runner import MetricsReader

# What the recipe is given


def spec_of(run: Run) -> dict[str, Any]:
    return json.loads((runner._prepare(run) / "spec.json").read_text())


@pytest.fixture
def family(project):
    """base ← sft (adapter) ← dpo (adapter); base ← full (all weights) ← on_full (adapter)."""
    base = a_model(project)
    sft = a_model(project, "sft", format="adapter", parent=base)
    full = a_model(project, "full", parent=base)
    return {
        "base": base,
        "sft": sft,
        "dpo": a_model(project, "dpo", format="adapter", parent=sft),
        "full": full,
        "on_full": a_model(project, "on_full", format="adapter", parent=full),
    }


@pytest.mark.parametrize(
    ("method", "start", "base", "adapter"),
    [
        ("dpo", "base", "base", None),
        ("dpo", "sft", "base", "sft"),
        ("generate", "dpo", "base", "dpo"),
        ("generate", "on_full", "full", "on_full"),
        ("generate", "full", "full", None),
        ("reward", "dpo", "base", None),  # a reward model grows from full weights
        ("reward", "on_full", "full", None),
        ("probe", "dpo", "base", None),
    ],
)
def test_the_spec_names_full_weights_and_an_adapter(project, family, method, start, base, adapter):
    run = Run.objects.create(project=project, method=method, base=family[start], settings={"seed": 1}, seed=3)
    spec = spec_of(run)
    wanted = {"base": str(family[base].path), "adapter": str(family[adapter].path) if adapter else None}
    assert (spec["method"], spec["seed"], spec["model"]) == (method, 3, wanted)


def test_the_spec_names_what_is_mixed_in(project):
    first, second = (
        Snapshot.objects.create(project=project, kind="demonstrations", rule={}, sha256=c * 64, folder=c) for c in "ab"
    )
    run = Run.objects.create(project=project, method="sft", snapshot=first)
    Source.objects.create(run=run, snapshot=second)
    assert spec_of(run)["data"] == {
        "train": str(first.path / "train.parquet"),
        f"other_{second.pk}": str(second.path / "train.parquet"),
    }
    ended = runner._perform(run, ())
    assert (ended["reason"], "not what was frozen" in ended["error"]) == ("bad_data", True)


def test_rows_that_are_given_become_a_file_of_lines_whatever_is_in_them(project):
    rows = [{"id": 1, "text": "a\u2028b\u0085c\x0cd\r\ne"}, {"id": 2, "text": "🦉 \ud800"}]
    inputs = {"answers": rows, "source": "/models/one", "after": {"pairs_per_prompt": 2}}
    data = spec_of(Run(pk=1, project=project, method="score", inputs=inputs))["data"]
    assert set(data) == {"answers", "source"}
    assert data["source"] == "/models/one"
    assert [json.loads(line) for line in Path(data["answers"]).read_text().splitlines()] == rows


@pytest.mark.parametrize(("status", "kept"), [("failed", False), ("ok", True)])
def test_only_a_good_result_of_an_earlier_attempt_is_kept(project, status, kept):
    run = Run.objects.create(project=project, method="generate", base=a_model(project))
    run.folder.mkdir(parents=True)
    (run.folder / "result.json").write_text(json.dumps({"status": status, "reason": "cancelled"}))
    runner._prepare(run)
    assert (run.folder / "result.json").exists() is kept


# Metrics, as they are written


@pytest.fixture
def reader(project, tmp_path) -> Iterator[MetricsReader]:
    made = MetricsReader(Run.objects.create(project=project, method="sft"), tmp_path / "metrics.jsonl")
    yield made
    made.close()


def line(step: int, loss: float, **more: Any) -> str:
    return json.dumps({"step": step, "total": 9, "loss": loss, **more}) + "\n"


def stored(reader: MetricsReader) -> dict[int, float]:
    return dict(Metric.objects.filter(run=reader.run).values_list("step", "values__loss"))


def test_lines_come_into_the_database_once_they_are_whole(reader):
    reader.read()  # no file yet
    reader.path.write_text(json.dumps({"event": "rows", "kept": 3}) + "\n" + line(1, 0.5) + line(2, 0.4)[:10])
    reader.read()
    assert stored(reader) == {1: 0.5}
    with reader.path.open("a") as file:
        file.write(line(2, 0.4)[10:] + line(3, 0.3))
    reader.read()
    reader.read()
    assert stored(reader) == {1: 0.5, 2: 0.4, 3: 0.3}
    run = Run.objects.get(pk=reader.run.pk)
    assert (run.step, run.total, run.rows) == (3, 9, {"kept": 3})


@pytest.mark.parametrize("more", [0, 1, 4], ids=["shorter", "as long", "longer"])
def test_a_file_that_was_cut_back_to_a_checkpoint_is_read_again(reader, more):
    """The recipe puts a shorter file in its place and goes on: by the next look it may be longer than before."""
    reader.path.write_text("".join(line(step, 1.0) for step in range(1, 5)))
    reader.read()
    other = reader.path.with_name("other")
    other.write_text(line(1, 1.0) + line(2, 1.0) + '{"event": "resumed", "at_step": 2}\n')
    other.replace(reader.path)
    with reader.path.open("a") as file:
        file.write("".join(line(step, 0.123456789) for step in range(3, 4 + more)))
    reader.read()
    again = dict.fromkeys(range(3, 4 + more), 0.123456789)
    assert stored(reader) == {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0} | again
    assert Run.objects.get(pk=reader.run.pk).step == 3 + more
