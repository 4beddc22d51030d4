"""A run that learns from a reward model: which it may be, on which prompts, and whose labels it is made of."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from annotation import excluding
from annotation.models import Project, Prompt
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, an_edit, succeeds
from training import lineage, registry, runner, runs, snapshots, staleness, tuning
from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def judge(project: Project, base: ModelVersion, bob: Any) -> ModelVersion:
    """A reward model made of one preference of bob's."""
    a_preference(bob)
    frozen = snapshots.freeze(project=project, kind="preferences")
    return succeeds(runs.start(project=project, method="reward", base=base, snapshot=frozen, wake=False)).model_version


def rlhf(project: Project, judge: ModelVersion | None, **more: Any) -> Run:
    return tuning.tune(project=project, method="rlhf", teacher=judge, wake=False, **more)


def test_it_answers_training_prompts_alone_drawn_by_the_seed(project, judge):
    for number in range(9):
        a_prompt(project, f"Training {number}?")
    held = a_prompt(project, "Held out?", split="heldout")
    mended = Prompt.objects.first()
    Prompt.objects.filter(messages=[{"role": "user", "content": "Training 0?"}]).update(edited_from=mended)
    asked = rlhf(project, judge, settings={"prompts": 5}).inputs["prompts"]
    assert len({one["id"] for one in asked}) == 5
    assert asked == rlhf(project, judge, settings={"prompts": 5}).inputs["prompts"]
    assert asked != rlhf(project, judge, settings={"prompts": 5}, seed=18).inputs["prompts"]
    everything = rlhf(project, judge).inputs["prompts"]
    assert len(everything) == project.prompts.filter(split="train", edited_from__isnull=True).count() == 9
    assert held.pk not in {one["id"] for one in everything}


def test_the_spec_names_both_models(project, base, judge):
    run = rlhf(project, judge)
    folder = runner._prepare(run)
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["model"] == {"base": str(base.path), "adapter": None}
    assert spec["teacher"] == {"base": str(base.path), "adapter": str(judge.path)}
    assert json.loads(Path(spec["data"]["prompts"]).read_text()) == run.inputs["prompts"][0]


def test_the_labels_behind_the_judge_are_behind_what_it_taught(project, base, judge, bob, alice):
    version = succeeds(rlhf(project, judge)).model_version
    assert (version.kind, version.parent) == ("policy", base)
    (label,) = registry.labels_behind(judge)
    assert list(registry.labels_behind(version)) == [label]
    told = lineage.of_model(version)
    assert (told["ancestry"][0]["teacher"], told["labels"]) == (judge.pk, [label.pk])
    assert excluding.exclude(membership=bob, because="guesses", actor=alice.person)
    assert "bob (1)" in staleness.of_model(version)


@pytest.mark.parametrize(
    ("method", "who", "words"),
    [
        ("rlhf", None, "needs a reward model to learn from"),
        ("rlhf", "base", "needs a reward model to learn from"),
        ("rlhf", "theirs", "belongs to another project"),
        ("dpo", "judge", "has no model to learn from"),
        ("distill", "judge", "needs a model that answers to learn from"),
        ("distill", None, "needs a model that answers to learn from"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(project, base, judge, method, who, words):
    other = Project.objects.create(slug="other", name="Other")
    theirs = a_model(other, "theirs", kind="reward")
    chosen = {None: None, "base": base, "theirs": theirs, "judge": judge}[who]
    before = Run.objects.count()
    with pytest.raises(ValidationError, match=words):
        tuning.tune(project=project, method=method, teacher=chosen)
    assert Run.objects.count() == before


def test_a_larger_model_teaches_and_is_behind_its_pupil(project, base):
    a_prompt(project)
    large = a_model(project, "large")
    version = succeeds(tuning.tune(project=project, method="distill", teacher=large, wake=False)).model_version
    assert large in registry.behind(version)
    there = a_model(project, "there", format="endpoint")
    with pytest.raises(ValidationError, match="learn from its answers"):
        tuning.tune(project=project, method="distill", teacher=there)


def test_without_a_training_prompt_there_is_nothing_to_answer(project, base):
    judge = a_model(project, "judge", kind="reward", format="adapter", parent=base)
    with pytest.raises(ValidationError, match="no training prompt"):
        rlhf(project, judge)


def test_a_lead_starts_it_from_the_page(client: Client, project, base, alice, bob):
    client.force_login(alice.person)
    page = reverse("start_run", args=["desk"]) + "?method=rlhf"
    assert client.get(page).context["form"].lacks == "teacher"
    assert "There is no reward model to learn from yet" in client.get(page).content.decode()
    assert client.post(page, {"base": base.pk}).status_code == 422
    an_edit(bob)
    judge = a_model(project, "judge", kind="reward", format="adapter", parent=base)
    form = client.get(page).context["form"]
    assert list(form.fields["teacher"].queryset) == [judge]
    assert not {"snapshot", "simulated"} & set(form.fields)
    assert client.post(page, {"base": base.pk, "teacher": base.pk}).status_code == 422
    sent = {"base": base.pk, "teacher": judge.pk, "beta": "0.1", "batch_size": "4", "start": "yes"}
    assert client.post(page, sent).status_code == 302
    run = Run.objects.get()
    assert (run.method, run.teacher, run.snapshot, run.settings["beta"]) == ("rlhf", judge, None, 0.1)
    shown = client.get(reverse("run", args=["desk", run.pk]))
    assert "Learns from: judge" in [row["label"] for row in shown.context["lineage"]]
    assert shown.context["note"] == ""
    Run.objects.filter(pk=run.pk).update(metrics={"over_optimised": 1, "kl": 23.4})
    assert "had moved 23 nats" in client.get(reverse("run", args=["desk", run.pk])).content.decode()


def test_the_command_and_the_api_take_a_judge(client: Client, project, judge, alice, capsys):
    call_command("train", "desk", "rlhf", "--teacher", judge.name, "--set", "beta=0.2")
    run = Run.objects.get(pk=int(capsys.readouterr().out))
    assert (run.teacher, run.settings["beta"]) == (judge, 0.2)
    client.force_login(alice.person)
    answer = client.post(
        "/api/v1/projects/desk/runs/", {"method": "rlhf", "teacher": judge.pk}, content_type="application/json"
    )
    assert answer.status_code == 201
    assert answer.json()["teacher"] == {"id": judge.pk, "name": judge.name}
    refused = client.post("/api/v1/projects/desk/runs/", {"method": "rlhf"}, content_type="application/json")
    assert refused.status_code == 400
