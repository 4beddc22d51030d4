"""Rows that models made: only where people said nothing, marked for ever, capped, and with their makers on record."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from annotation import excluding
from annotation.models import Project, Prompt, Response
from tests.annotation.making import a_prompt, an_answer
from tests.training.making import a_model, a_preference, an_edit, compares, demonstrates, says, succeeds
from training import registry, runs, sampling, snapshots, staleness
from training.models import ModelVersion, Run, Snapshot
from training.snapshots import Rule, freeze

pytestmark = pytest.mark.django_db


@pytest.fixture
def teacher(project: Project, base: ModelVersion) -> ModelVersion:
    return a_model(project, "teacher")


def answers(model: ModelVersion, said: dict[Prompt, list[str]], *, finished: bool = True) -> list[Response]:
    """What a sampling run of this model gave."""
    prompts = Prompt.objects.filter(pk__in=[prompt.pk for prompt in said])
    run = sampling.sample(project=model.project, model=model, prompts=prompts, wake=False)
    lines = [
        {"prompt_id": prompt.pk, "sample": n, "text": text, "tokens": 3, "finished": finished}
        for prompt, texts in said.items()
        for n, text in enumerate(texts)
    ]
    return list(succeeds(run, lines).generation.responses.order_by("pk"))


def texts(snapshot: Snapshot, column: str = "completion") -> dict[str, Any]:
    return {row[column][0]["content"]: row.get("made_by") for row in snapshots.read(snapshot)}


def test_a_teachers_answers_are_learnt_where_nobody_judged_them(project, bob, teacher):
    for _ in range(4):
        an_edit(bob)
    open_, judged, bad, held = (a_prompt(project, text) for text in ("a", "b", "c", "d"))
    Prompt.objects.filter(pk=held.pk).update(split="heldout")
    held.refresh_from_db()
    answers(teacher, {open_: ["taught"], judged: ["kept by bob"], bad: ["bad", "worse", "rejected"], held: ["secret"]})
    answers(teacher, {open_: ["cut off"]}, finished=False)
    says(bob, demonstrates(judged, "kept by bob"), verdict="accept")
    says(bob, compares(bad, "bad", "worse"), ranks=(1, 1), unacceptable=(True, True))
    says(bob, demonstrates(bad, "rejected"), verdict="reject")
    snapshot = freeze(project=project, kind="demonstrations", rule=Rule(taught_by=[teacher.pk]))
    found = texts(snapshot)
    assert {text for text, maker in found.items() if maker == teacher.pk} == {"taught"}
    assert found["kept by bob"] is None
    assert len(found) == 6
    assert snapshot.counts["made_by"] == {str(teacher.pk): 1}
    assert json.loads((snapshot.path / "manifest.json").read_text())["counts"] == snapshot.counts
    assert snapshots.is_intact(snapshot)
    plain = freeze(project=project, kind="demonstrations")
    assert "made_by" not in snapshots.read(plain)[0]
    assert "made_by" not in plain.counts


@pytest.mark.parametrize(("share", "taught"), [(0.0, 0), (0.2, 1), (0.5, 4), (1.0, 9)])
def test_their_share_is_capped(project, bob, teacher, share, taught):
    for _ in range(4):
        an_edit(bob)
    answers(teacher, {a_prompt(project, f"Open {n}?"): [f"taught {n}"] for n in range(9)})
    rule = Rule(taught_by=[teacher.pk], most_made=share)
    rows = snapshots.collect(project=project, kind="demonstrations", rule=rule)
    assert sum(row["made_by"] is not None for row in rows) == taught
    assert rows == snapshots.collect(project=project, kind="demonstrations", rule=rule)


def judge_of(project: Project, base: ModelVersion, bob: Any) -> ModelVersion:
    a_preference(bob)
    frozen = freeze(project=project, kind="preferences")
    return succeeds(runs.start(project=project, method="reward", base=base, snapshot=frozen, wake=False)).model_version


def score(judge: ModelVersion, scores: dict[Response, float]) -> None:
    run = runs.start(project=judge.project, method="score", base=judge, inputs={"answers": []}, wake=False)
    succeeds(run, [{"id": response.pk, "score": value} for response, value in scores.items()])


def test_a_reward_model_guesses_what_it_is_sure_of_where_nobody_compared(project, base, bob):
    """sigmoid(3) is 0.95, sigmoid(2) is 0.88: with 0.9 asked for, only the first pair is one."""
    judge = judge_of(project, base, bob)
    sure, unsure, judged = (a_prompt(project, text) for text in ("a", "b", "c"))
    best, middling, worst = (an_answer(sure, text) for text in ("best", "middling", "worst"))
    scores = {best: 2.0, middling: 0.5, worst: -1.0, an_answer(unsure, "x"): 1.0, an_answer(unsure, "y"): -1.0}
    says(bob, compares(judged, "v", "w"), ranks=(1, 1))
    scores |= {Response.objects.get(prompt=judged, text=text): 9.0 * (text == "w") for text in "vw"}
    score(judge, scores)
    rule = Rule(guessed_by=[judge.pk], most_made=0.5)
    rows = snapshots.collect(project=project, kind="preferences", rule=rule)
    (guess,) = (row for row in rows if row["made_by"] is not None)
    assert (guess["chosen"][0]["content"], guess["rejected"][0]["content"]) == ("best", "worst")
    assert (guess["made_by"], guess["labels"], guess["margin"]) == (judge.pk, [], 0.0)
    assert guess["agreement"] == pytest.approx(0.952574)
    assert len(rows) == 2
    everything = snapshots.collect(
        project=project, kind="preferences", rule=rule.model_copy(update={"most_made": 1.0, "confidence": 0.8})
    )
    assert sum(row["made_by"] is not None for row in everything) == 2
    score(judge, {best: -5.0})  # a newer score counts
    rows = snapshots.collect(project=project, kind="preferences", rule=rule)
    assert [row["chosen"][0]["content"] for row in rows if row["made_by"] is not None] == ["middling"]


def test_who_made_the_teacher_is_behind_the_pupil(project, base, bob, alice):
    judge = judge_of(project, base, bob)
    one = a_prompt(project, "a")
    good, bad = an_answer(one, "good"), an_answer(one, "bad")
    score(judge, {good: 5.0, bad: -5.0})
    frozen = freeze(project=project, kind="preferences", rule=Rule(guessed_by=[judge.pk], most_made=1.0))
    pupil = succeeds(runs.start(project=project, method="dpo", base=base, snapshot=frozen, wake=False)).model_version
    assert judge in registry.behind(pupil)
    assert registry.labels_behind(pupil).count() == 1
    assert excluding.exclude(membership=bob, because="guesses", actor=alice.person)
    assert "bob" in staleness.of_model(pupil)


def test_models_of_another_project_teach_nothing(project, bob, base):
    an_edit(bob)
    other = Project.objects.create(slug="other", name="Other")
    theirs = a_model(other, "theirs")
    answers(theirs, {a_prompt(other, "Theirs?"): ["secret"]})
    snapshot = freeze(project=project, kind="demonstrations", rule=Rule(taught_by=[theirs.pk]))
    assert list(texts(snapshot).values()) == [None]


def test_an_endpoint_answers_and_is_not_trained(project, base, bob):
    """It has no weights here: nothing starts from it, and it is not promoted."""
    there = a_model(project, "elsewhere", format="endpoint")
    there.path.mkdir(parents=True)
    (there.path / "endpoint.json").write_text(json.dumps({"url": "https://host.example/v1", "model": "big"}))
    an_edit(bob)
    frozen = freeze(project=project, kind="demonstrations")
    with pytest.raises(ValidationError, match="weights are not here"):
        runs.start(project=project, method="sft", base=there, snapshot=frozen)
    with pytest.raises(ValidationError, match="cannot be promoted"):
        registry.promote(version=there)
    from training import runner

    a_prompt(project, "Open?")
    run = sampling.sample(project=project, model=there, prompts=project.prompts.all(), wake=False)
    spec = json.loads((runner._prepare(run) / "spec.json").read_text())
    assert spec["endpoint"] == {"url": "https://host.example/v1", "model": "big"}
    assert "model" not in spec


@pytest.mark.parametrize("source", ["https://host.example/v1#big", "http://10.0.0.1:8000/v1#org/name"])
def test_a_lead_brings_in_an_endpoint(project, alice, source):
    run = registry.import_model(project=project, name="big", source=source, actor=alice.person, wake=False)
    assert run.inputs["source"] == source


@pytest.mark.parametrize("source", ["https://host.example/v1", "https://user:pw@host.example/v1#m", "ftp://host#m"])
def test_what_is_no_endpoint_is_refused(project, alice, source):
    with pytest.raises(ValidationError, match="an endpoint as"):
        registry.import_model(project=project, name="big", source=source, actor=alice.person)


def test_a_lead_chooses_them_on_the_page(client: Client, project, base, teacher, alice, bob):
    client.force_login(alice.person)
    page = reverse("start_run", args=["desk"])
    assert "made_by" not in client.get(page).context["form"].fields
    answers(teacher, {a_prompt(project, "Open?"): ["taught"]})
    an_edit(bob)
    assert list(client.get(page).context["form"].fields["made_by"].queryset) == [teacher]
    assert "made_by" not in client.get(page, {"method": "dpo"}).context["form"].fields
    sent = {"base": base.pk, "made_by": [teacher.pk], "most_made": "0.5", "start": "yes"}
    assert client.post(page, sent).status_code == 302
    assert Run.objects.get(method="sft").snapshot.counts["made_by"] == {str(teacher.pk): 1}
    refused = client.post(page, {**sent, "most_made": "1.5"})
    assert set(refused.context["form"].errors) == {"most_made"}
