"""Public suites of questions: what a model and its base are worth by them, and by how much they differ."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from rest_framework.test import APIClient

from annotation import accesskeys
from evaluation import gate, scoring, suites, tasks
from evaluation.models import Evaluation, Score
from tests.training.making import a_model, a_model_on_disk, claimed
from training import finishing, runner
from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def tuned(project) -> ModelVersion:
    return a_model(project, "tuned", format="adapter", parent=a_model(project, "base", stage="production"))


def answered(run: Run, *lines: dict[str, Any]) -> Evaluation:
    """The evaluation of a run whose recipe has written these lines."""
    run = claimed(run)
    folder = runner._prepare(run)
    (folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    finishing.finish(run=run, result={"status": "ok", "output": "scores.jsonl", "metrics": {}, "environment": {}})
    tasks.run_finished(run.pk)
    tasks.run_finished(run.pk)
    return Evaluation.objects.get(run=run)


def of(suite: str, by: str, **measures: list[float]) -> dict[str, Any]:
    scores = {name: {f"{suite} {n}": one for n, one in enumerate(worth)} for name, worth in measures.items()}
    return {"suite": suite, "by": by, "scores": scores}


def test_a_model_and_its_base_are_told_apart_on_the_same_questions(tuned):
    """Of 100 questions the model knows 80 and its base 60, 50 of them the same."""
    own, base = [1.0] * 80 + [0.0] * 20, [0.0] * 30 + [1.0] * 60 + [0.0] * 10
    run = suites.ask(model=tuned, settings={"tasks": "arc_easy"}, wake=False)
    assert run.inputs["reference"] == str(tuned.parent.path)
    evaluation = answered(run, of("arc_easy", "model", acc=own), of("arc_easy", "reference", acc=base))
    assert (evaluation.model_version, evaluation.kind) == (tuned, "public suites")
    ((_, (row,)),) = suites.of_model(tuned)
    assert (row.suite, row.measure, row.own.value, row.base.value, row.own.n) == ("arc_easy", "acc", 0.8, 0.6, 100)
    assert (round(row.own.lower, 4), round(row.own.upper, 4)) == (0.7112, 0.8666)  # Wilson's
    assert row.gain.value == pytest.approx(0.2)
    # 30 gained, 10 lost: the mean's standard error is sqrt((0.4 - 0.04) / 100) = 0.06
    assert row.gain.lower == pytest.approx(0.2 - 1.96 * 0.06, abs=0.015)
    assert row.gain.upper == pytest.approx(0.2 + 1.96 * 0.06, abs=0.015)


def test_measures_that_are_no_shares_have_intervals_too_and_equal_models_no_invented_one(tuned):
    run = suites.ask(model=tuned, settings={"tasks": "a"}, wake=False)
    worth = [0.25, 0.5, 0.75, 1.0] * 10
    evaluation = answered(run, of("a", "model", f1=worth), of("a", "reference", f1=worth))
    own, base, gain = (evaluation.scores.get(name=f"f1{what}") for what in ("", suites.OF_BASE, suites.GAIN))
    assert own.value == base.value == 0.625
    assert own.lower < 0.625 < own.upper
    assert (gain.value, gain.lower, gain.upper) == (0.0, None, None)


def test_a_base_model_is_asked_alone(tuned):
    run = suites.ask(model=tuned.parent, settings={"tasks": "a"}, wake=False)
    assert "reference" not in run.inputs
    answered(run, of("a", "model", acc=[1.0, 0.0]))
    ((_, (row,)),) = suites.of_model(tuned.parent)
    assert (row.own.value, row.base, row.gain) == (0.5, None, None)


def test_whole_weights_need_the_base_they_are_compared_with_too(project):
    base = a_model_on_disk(project, "base")
    run = suites.ask(model=a_model_on_disk(project, "whole", parent=base), wake=False)
    assert runner._lacks(run) is None
    (base.path / "config.json").unlink()
    assert runner._lacks(run)["reason"] == "missing_base"
    assert runner._lacks(run)["error"].startswith("base is not where it was stored")


def test_it_is_no_measure_of_the_projects_own_and_the_gate_does_not_ask_for_it(tuned):
    before = gate.verdict(tuned)
    answered(suites.ask(model=tuned, wake=False), of("hellaswag", "model", acc=[0.0] * 50))
    assert scoring.newest(tuned) is None
    assert gate.verdict(tuned) == before


@pytest.mark.parametrize(("given", "says"), [({"tasks": ""}, "tasks"), ({"most": 0}, "most")])
def test_settings_that_do_not_fit_are_refused(tuned, given, says):
    with pytest.raises(ValidationError, match=says):
        suites.ask(model=tuned, settings=given, wake=False)


def test_one_that_answers_elsewhere_cannot_be_asked(project):
    with pytest.raises(ValidationError, match="answers elsewhere"):
        suites.ask(model=a_model(project, "hosted", format="endpoint"), wake=False)


def test_a_lead_asks_on_the_models_page_and_reads_there_what_was_found(client, alice, tuned):
    client.force_login(alice.person)
    page = reverse("model", args=[tuned.project.slug, tuned.pk])
    sent = client.post(page + "suites/", {"tasks": "arc_easy, <b>x</b>", "most": "20", "chat": "on"})
    run = Run.objects.get(method="suite")
    assert sent["Location"] == reverse("run", args=[tuned.project.slug, run.pk])
    assert (run.settings["tasks"], run.settings["most"], run.settings["chat"]) == ("arc_easy, <b>x</b>", 20, True)
    answered(run, of("<b>x</b>", "model", acc=[1.0, 0.0]), of("<b>x</b>", "reference", acc=[0.0, 0.0]))
    shown = client.get(page).content.decode()
    assert "&lt;b&gt;x&lt;/b&gt;" in shown
    assert "<b>x</b>" not in shown
    assert "0.50 (0.09 to 0.91)" in shown
    assert "asked as in a conversation" in shown
    wrong = client.post(page + "suites/", {"tasks": "a", "most": "no number"}, follow=True).content.decode()
    assert "Questions of each task: Enter a whole number." in wrong
    assert Run.objects.filter(method="suite").count() == 1


def test_the_same_by_the_api(alice, tuned):
    url = f"/api/v1/projects/{tuned.project.slug}/suites/"
    key = accesskeys.make(owner=alice.person, name="Tests", scopes=["train"], days=1)[1]
    api = APIClient(headers={"Authorization": f"Bearer {key}"})
    sent = api.post(url, {"model": tuned.pk, "settings": {"tasks": "a"}}, format="json")
    assert (sent.status_code, sent.json()["method"]) == (201, "suite")
    answered(Run.objects.get(), of("a", "model", acc=[1.0, 1.0]))
    assert Score.objects.get(group="a").value == 1.0
    refused = api.post(url, {"model": tuned.pk, "settings": {"most": -1}}, format="json")
    assert refused.status_code == 400
