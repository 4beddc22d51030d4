"""The leads' pages about rounds and models."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation import labelling, leasing
from annotation.asking import add_response, ask
from annotation.models import Membership, Project, Prompt
from annotation.text import sha256
from evaluation import rounds
from evaluation.forms import RoundForm
from evaluation.models import Evaluation, GatePolicy, Round, RoundStep, Score, StepRun
from evaluation.policy import RoundSettings
from training import registry
from training.models import Generation, ModelVersion, Run, Sample


@pytest.fixture
def base(project: Project) -> ModelVersion:
    return ModelVersion.objects.create(
        project=project, name="base", kind="policy", format="full", location="base", stage="production"
    )


@pytest.fixture
def lead(client: Client, alice: Any) -> Client:
    client.force_login(alice.person)
    return client


def asked(project: Project, number: int, split: str = "train", **more: Any) -> Any:
    """A comparison of two answers to a prompt of its own."""
    messages = [{"role": "user", "content": f"Question {number}?"}]
    prompt = Prompt.objects.create(project=project, messages=messages, sha256=sha256(messages), split=split)
    answers = [add_response(prompt=prompt, text=text, origin="model")[0] for text in ("Yes.", "No!")]
    return ask(project=project, prompt=prompt, kind="comparison", responses=answers, **more)[0], answers


def judge(member: Membership, ranks: tuple[int, int] = (1, 2)) -> Any:
    assignment = leasing.next_assignment(membership=member, kind="comparison")
    assert assignment is not None
    return labelling.submit(assignment=assignment, said=labelling.Said(ranks=ranks))


@pytest.fixture
def finished(base: ModelVersion, alice: Any, bob: Any) -> Round:
    """A round that has run its course; its runs are made by hand."""
    project = base.project
    for number in range(2):
        asked(project, number)
        judge(bob)
    current = rounds.start(project=project, settings={"minimum_comparisons": 1}, actor=alice.person)
    rounds.advance(round_id=current.pk)
    current.refresh_from_db()
    assert current.step == "reward"
    judged = Run.objects.get(project=project, method="reward")
    Run.objects.filter(pk=judged.pk).update(
        rows={"read": 2, "kept": 2, "dropped": 0, "cut": 1}, metrics={"first_loss": 0.7, "last_loss": 0.5}
    )
    better, reward_model = (
        ModelVersion.objects.create(
            project=project, name=name, kind=kind, format="adapter", parent=base, location=name, run=run
        )
        for name, kind, run in (("better", "policy", None), ("judge", "reward", judged))
    )
    _, (new, old) = asked(project, 3, selection={"round": 1, "selector": "random"})
    asked(project, 4, selection={"round": 1, "selector": "uncertainty"})
    step = RoundStep.objects.create(round=current, name="sampling", status="done", finished_at=timezone.now())
    for version, response in ((better, new), (base, old)):
        run = Run.objects.create(project=project, method="generate", base=version, status="succeeded")
        StepRun.objects.create(step=step, purpose=f"generate {version}", run=run)
        generation = Generation.objects.create(project=project, run=run, model_version=version, seed=1)
        Sample.objects.create(generation=generation, response=response, index=0)
    step.detail = {"champion_mean_characters": 100.0, "challenger_mean_characters": 88.0}
    step.save()
    accuracy = [0.71, 0.6, 0.8, 54]
    details = {
        "evaluating": {"reward_accuracy": accuracy},
        "gated": {"verdict": [{"name": "Reward accuracy", "value": "71 %", "goal": "above 50 %", "passed": True}]},
        "selecting": {"candidates": 9, "queued": 2},
        "dpo": {},
    }
    for name, detail in details.items():
        RoundStep.objects.create(round=current, name=name, status="done", detail=detail, finished_at=timezone.now())
    evaluation = Evaluation.objects.create(project=project, model_version=reward_model, kind="held-out pairs")
    Score.objects.create(evaluation=evaluation, name="reward accuracy", value=0.71, lower=0.6, upper=0.8, n=54)
    Round.objects.filter(pk=current.pk).update(
        status="done", step="done", challenger=better, reward_model=reward_model, finished_at=timezone.now()
    )
    current.refresh_from_db()
    return current


class TestWho:
    def pages(self, current: Round) -> list[str]:
        version = current.champion_id
        return [
            reverse("rounds", args=["desk"]),
            reverse("round", args=["desk", current.number]),
            reverse("round_state", args=["desk", current.number]),
            reverse("models", args=["desk"]),
            reverse("model", args=["desk", version]),
            reverse("round_report", args=["desk", current.number]),
            reverse("report_file", args=["desk", current.number]),
            reverse("compare_models", args=["desk"]),
            reverse("history", args=["desk"]),
            reverse("gate_policy", args=["desk"]),
        ]

    def verbs(self, current: Round) -> list[str]:
        steering = [reverse(name, args=["desk", current.number]) for name in ("advance_round", "cancel_round")]
        of_models = [reverse(name, args=["desk", 1]) for name in ("promote", "measure_model", "start_head_to_head")]
        match = reverse("stop_head_to_head", args=["desk", 1])
        return [*steering, reverse("retry_round", args=["desk", 1]), *of_models, match]

    @pytest.fixture
    def current(self, base: ModelVersion) -> Round:
        return Round.objects.create(project=base.project, number=1, champion=base)

    def test_a_stranger_is_asked_to_sign_in(self, client: Client, current: Round) -> None:
        for page in self.pages(current):
            assert client.get(page)["Location"].startswith(reverse("login"))

    def test_an_outsider_finds_nothing(self, client: Client, current: Round, charlie: Any) -> None:
        client.force_login(charlie)
        for page in self.pages(current):
            assert client.get(page).status_code == 404

    @pytest.mark.parametrize("role", ["annotator", "reviewer"])
    def test_whoever_does_not_lead_is_refused(self, client: Client, current: Round, member: Any, role: str) -> None:
        client.force_login(member("eve", role).person)
        for page in self.pages(current):
            assert client.get(page).status_code == 403
        forms = [reverse(name, args=["desk"]) for name in ("rounds", "gate_policy", "roll_back")]
        for verb in [*self.verbs(current), *forms]:
            assert client.post(verb).status_code == 403
        current.refresh_from_db()
        assert current.status == "active"

    def test_rows_of_another_project_are_not_found(self, lead: Client, current: Round, alice: Any) -> None:
        other = Project.objects.create(slug="other", name="Other")
        Membership.objects.create(person=alice.person, project=other, role="lead")
        for page in [self.pages(current)[index] for index in (1, 2, 4, 5, 6)]:
            assert lead.get(page.replace("/desk/", "/other/")).status_code == 404
        for verb in self.verbs(current):
            assert lead.get(verb).status_code == 405
            assert lead.post(verb.replace("/desk/", "/other/")).status_code == 404


class TestStarting:
    def test_what_is_missing_is_said(self, lead: Client, project: Project) -> None:
        shown = lead.get(reverse("rounds", args=["desk"])).context["readiness"]
        assert shown["labels"] == {"demonstrations": 0, "comparisons": 0, "heldout_pairs": 0, "simulated": 0}
        assert (shown["can_start"], shown["reason"][:30]) == (False, "There is no production model y")

    def test_labels_are_counted(self, lead: Client, base: ModelVersion, bob: Any) -> None:
        asked(base.project, 1)
        asked(base.project, 2, "heldout")
        judge(bob)
        judge(bob)
        shown = lead.get(reverse("rounds", args=["desk"])).context["readiness"]
        assert (shown["labels"]["comparisons"], shown["labels"]["heldout_pairs"]) == (1, 1)
        assert (shown["can_start"], shown["reason"]) == (True, "")

    def test_a_round_starts(self, lead: Client, base: ModelVersion, alice: Any) -> None:
        sent = {"minimum_comparisons": "3", "samples_per_prompt": "2", "sft_learning_rate": "1e-4", "skip_sft": "on"}
        answer = lead.post(reverse("rounds", args=["desk"]), sent)
        current = Round.objects.get()
        assert answer["Location"] == current.get_absolute_url()
        assert current.started_by == alice.person
        settings = RoundSettings.model_validate(current.settings)
        assert (settings.minimum_comparisons, settings.new_items) == (3, 40)
        assert (settings.generate["samples_per_prompt"], settings.sft["learning_rate"]) == (2, 1e-4)
        assert settings.skip == ["sft"]

        again = lead.get(reverse("rounds", args=["desk"])).context
        assert again["form"]["minimum_comparisons"].value() == 3, "filled as the last round was started"
        assert again["form"]["skip_sft"].value() is True
        assert "under way" in again["readiness"]["reason"]
        refused = lead.post(reverse("rounds", args=["desk"]), sent)
        assert refused.status_code == 422
        assert "A round is under way" in refused.context["form"].non_field_errors()[0]

    @pytest.mark.parametrize(
        ("sent", "wrong"),
        [
            ({"minimum_comparisons": "0"}, "minimum_comparisons"),
            ({"random_share": "1.5"}, "random_share"),
            ({"dpo_beta": "0"}, "dpo_beta"),
            ({"seed": "x"}, "seed"),
            ({"temperature": "0", "samples_per_prompt": "4"}, "__all__"),
        ],
    )
    def test_a_wrong_setting_is_named(self, lead: Client, base: ModelVersion, sent: Any, wrong: str) -> None:
        refused = lead.post(reverse("rounds", args=["desk"]), sent)
        assert refused.status_code == 422
        assert list(refused.context["form"].errors) == [wrong]
        assert not Round.objects.exists()

    def test_the_form_explains_itself(self) -> None:
        form = RoundForm()
        basic, advanced = list(form.basic_fields), list(form.advanced_fields)
        assert [field.name for field in basic] == [
            "minimum_comparisons", "fresh_prompts", "heldout_prompts", "samples_per_prompt", "new_items",
        ]  # fmt: skip
        assert {field.name for field in [*basic, *advanced]} == set(form.fields)
        assert all(field.help_text and field.label for field in [*basic, *advanced])
        assert form["dpo_beta"].value() == 0.1

    def test_an_empty_form_asks_for_the_defaults(self) -> None:
        form = RoundForm({})
        assert form.is_valid(), form.errors
        given = rounds.checked_settings(form.settings())
        assert given == RoundSettings()


class TestRound:
    def test_one_that_waits_for_labels(self, lead: Client, base: ModelVersion, alice: Any) -> None:
        current = rounds.start(project=base.project, actor=alice.person)
        rounds.advance(round_id=current.pk)
        context = lead.get(current.get_absolute_url()).context
        steps = context["steps"]
        assert [step["name"] for step in steps] == [
            "collecting", "freezing", "sft", "reward", "dpo", "evaluating", "gated", "sampling", "selecting",
        ]  # fmt: skip
        assert (steps[0]["status"], steps[0]["title"]) == ("running", "Collecting labels")
        assert steps[0]["detail"] == [("Preferences so far", "0 of 20 wanted")]
        assert {step["status"] for step in steps[1:]} == {"waiting"}
        assert list(context["report"]) == []
        assert (context["can_advance"], context["can_cancel"], context["can_retry"]) == (True, True, False)
        assert lead.get(reverse("round_state", args=["desk", 1])).status_code == 200

    def test_a_finished_one_reports(self, lead: Client, finished: Round, bob: Any) -> None:
        while (assignment := leasing.next_assignment(membership=bob, kind="comparison")) is not None:
            better_first = assignment.shown()[0].text == "Yes."
            said = labelling.Said(ranks=(1, 2) if better_first else (2, 1))
            labelling.submit(assignment=assignment, said=said)
        asked(finished.project, 5, selection={"round": 1, "selector": "random"})
        context = lead.get(finished.get_absolute_url()).context
        assert list(context["report"]) == [
            "Round 1 learnt from 2 labels by 1 person.",
            "The reward model agrees with people on 71 % (60 to 80 %) of 54 held-out pairs.",
            "In blind comparisons people preferred the new model in 100 % (21 to 100 %) of 1.",
            "In the answers drawn to be ranked it uses 12 % fewer characters than the champion.",
            "1 new comparison waits, the least certain first.",
        ]
        steps = {step["name"]: step for step in context["steps"]}
        assert steps["sft"]["status"] == "skipped"
        assert steps["sft"]["detail"] == [("Why", "No demonstrations yet.")]
        assert steps["freezing"]["detail"] == [("Demonstrations", "0 rows"), ("Preferences", "2 rows")]
        assert [run.method for run in steps["reward"]["runs"]] == ["reward"]
        assert steps["reward"]["detail"] == [
            ("Learnt from", "2 examples, 1 cut"), ("Loss", "0.700 at first, 0.500 at the end"),
        ]  # fmt: skip
        accuracy = ("Reward accuracy on held-out pairs", "71 % (60 to 80 %), n 54")
        assert accuracy in steps["evaluating"]["detail"]
        assert ("Answers of the challenger", "88 characters on average") in steps["sampling"]["detail"]
        assert context["verdict"][0]["passed"] is True
        assert [score.name for score in context["scores"]] == ["reward accuracy"]
        assert context["new_items"] == 2
        assert context["next_label_url"] == reverse("work", args=["desk", "comparison"])

    def test_polling_stops_when_the_round_has_ended(self, lead: Client, finished: Round) -> None:
        assert lead.get(reverse("round_state", args=["desk", 1])).status_code == 286

    def test_a_failed_one_says_why(self, lead: Client, base: ModelVersion) -> None:
        current = Round.objects.create(
            project=base.project, number=1, champion=base, status="failed", step="freezing", error="Rank some answers."
        )
        RoundStep.objects.create(round=current, name="freezing", status="failed")
        context = lead.get(current.get_absolute_url()).context
        assert ("What went wrong", "Rank some answers.") in context["steps"][1]["detail"]
        assert (context["can_advance"], context["can_cancel"], context["can_retry"]) == (False, False, True)

    def test_advance_goes_on_with_what_is_there(self, lead: Client, base: ModelVersion, alice: Any, bob: Any) -> None:
        current = rounds.start(project=base.project, actor=alice.person)
        where = reverse("advance_round", args=["desk", 1])
        assert "rank some answers first" in lead.post(where, follow=True).content.decode()
        asked(base.project, 1)
        judge(bob)
        assert "The round went on: reward model." in lead.post(where, follow=True).content.decode()
        current.refresh_from_db()
        assert current.step == "reward"

    def test_cancel_and_retry(self, lead: Client, base: ModelVersion, alice: Any) -> None:
        current = rounds.start(project=base.project, actor=alice.person)
        rounds.advance(round_id=current.pk)
        page = lead.post(reverse("cancel_round", args=["desk", 1]), follow=True)
        assert page.context["round"].status == "cancelled"
        assert ("Stopped", "The round was cancelled here.") in page.context["steps"][0]["detail"]
        assert "ended already" in lead.post(reverse("cancel_round", args=["desk", 1]), follow=True).content.decode()
        page = lead.post(reverse("retry_round", args=["desk", 1]), follow=True)
        assert page.context["round"].status == "active"
        assert "Only a round" in lead.post(reverse("retry_round", args=["desk", 1]), follow=True).content.decode()

    def test_no_retry_beside_another_round(self, lead: Client, base: ModelVersion) -> None:
        Round.objects.create(project=base.project, number=1, champion=base, status="cancelled")
        Round.objects.create(project=base.project, number=2, champion=base)
        page = lead.post(reverse("retry_round", args=["desk", 1]), follow=True)
        assert "Another round is under way" in page.content.decode()


class TestModels:
    def test_the_list_carries_scores(self, lead: Client, finished: Round) -> None:
        versions = lead.get(reverse("models", args=["desk"])).context["versions"]
        assert {version.name: [score.n for score in version.scores] for version in versions} == {
            "base": [], "better": [], "judge": [54],
        }  # fmt: skip

    def test_a_model_tells_who_made_it(self, lead: Client, finished: Round) -> None:
        assert finished.reward_model is not None
        context = lead.get(reverse("model", args=["desk", finished.reward_model.pk])).context
        assert context["people"] == [("bob", 2)]
        assert [version.name for version in context["ancestry"]] == ["judge", "base"]
        assert context["run"].method == "reward"
        assert context["snapshot"].kind == "preferences"
        assert [score.n for score in context["scores"]] == [54]
        assert context["can_promote"] is False

    def test_promotion_and_the_way_back(self, lead: Client, finished: Round, base: ModelVersion) -> None:
        assert finished.challenger is not None
        for version in (finished.challenger, base):
            answer = lead.post(reverse("promote", args=["desk", version.pk]), {"reason": "better"})
            assert answer["Location"] == reverse("model", args=["desk", version.pk])
            assert ModelVersion.objects.production().get(project=base.project) == version

    def test_one_that_has_not_passed_the_gate_is_promoted_with_a_reason_alone(
        self, lead: Client, finished: Round, base: ModelVersion
    ) -> None:
        where = reverse("promote", args=["desk", finished.challenger_id])
        assert "say why; it stays on record" in lead.post(where, follow=True).content.decode()
        assert ModelVersion.objects.production().get(project=base.project) == base
        page = lead.get(reverse("model", args=["desk", finished.challenger_id]))
        assert page.context["gate"].outcome == "undecided"
        assert "needed, as it has not passed the gate" in page.content.decode()

    def test_the_way_back_is_one_click(self, lead: Client, finished: Round, base: ModelVersion) -> None:
        assert (
            "No other model was in production"
            in lead.post(reverse("roll_back", args=["desk"]), follow=True).content.decode()
        )
        registry.promote(version=finished.challenger)
        shown = lead.get(reverse("models", args=["desk"])).content.decode()
        assert shown.count("Roll back") == 1
        assert "Roll back to base" in shown
        page = lead.post(reverse("roll_back", args=["desk"]), follow=True)
        assert "base is the production model again" in page.content.decode()
        assert ModelVersion.objects.production().get(project=base.project) == base

    def test_a_model_is_measured_by_a_run(self, lead: Client, finished: Round) -> None:
        answer = lead.post(reverse("measure_model", args=["desk", finished.challenger_id]))
        run = Run.objects.get(method="measure")
        assert answer["Location"] == reverse("run", args=["desk", run.pk])
        assert run.base == finished.challenger
        refused = lead.post(reverse("measure_model", args=["desk", finished.reward_model_id]), follow=True)
        assert "There is nothing to measure with" in refused.content.decode()

    def test_people_compare_it_blind(self, lead: Client, finished: Round) -> None:
        where = reverse("start_head_to_head", args=["desk", finished.challenger_id])
        assert "no held-out prompt" in lead.post(where, {"prompts": 5}, follow=True).content.decode()
        assert "from 1 to 1000" in lead.post(where, {"prompts": 0}, follow=True).content.decode()
        asked(finished.project, 9, "heldout")
        page = lead.post(where, {"prompts": 5}, follow=True)
        assert "Both models are answering the held-out prompts" in page.content.decode()
        (match,) = page.context["matches"]
        stopped = lead.post(reverse("stop_head_to_head", args=["desk", match.match.pk]), follow=True)
        assert "The comparison has ended" in stopped.content.decode()

    def test_the_gate_s_limits_are_set_in_percent(self, lead: Client, project: Project) -> None:
        where = reverse("gate_policy", args=["desk"])
        assert lead.post(where, {"max_forgetting": "14.5"})["Location"] == where
        policy = GatePolicy.objects.get(project=project)
        assert (policy.max_forgetting, policy.min_win_rate) == (0.145, None)
        assert 'value="14.5"' in lead.get(where).content.decode()
        refused = lead.post(where, {"min_accuracy": "700"})
        assert refused.status_code == 422
        assert list(refused.context["form"].errors) == ["min_accuracy"]

    def test_a_reward_model_cannot_be_promoted(self, lead: Client, finished: Round) -> None:
        page = lead.post(reverse("promote", args=["desk", finished.reward_model_id]), follow=True)
        assert "Only a policy can be promoted" in page.content.decode()


class TestLookingBack:
    def test_a_report_says_first_what_it_came_to(self, lead: Client, finished: Round, bob: Any) -> None:
        judge(bob)
        page = lead.get(reverse("round_report", args=["desk", 1]))
        assert page.context["headline"].startswith("The new model wins ")
        assert page.context["turn"].labels == 2  # those it was trained on
        assert page.context["asked"][0][:2] == ("drafts to clean", 0)
        assert "71 % (60 to 80 %) of 54 held-out pairs" in page.content.decode()

    def test_it_can_be_taken_out_as_one_file(self, lead: Client, finished: Round) -> None:
        answer = lead.get(reverse("report_file", args=["desk", 1]))
        assert answer["Content-Disposition"] == 'attachment; filename="desk-round-1.html"'
        text = answer.content.decode()
        assert "--accent" in text
        assert "<link" not in text
        assert "<script" not in text

    def test_two_versions_are_read_answer_by_answer(
        self, lead: Client, finished: Round, base: ModelVersion, bob: Any
    ) -> None:
        judge(bob)
        where = reverse("compare_models", args=["desk"])
        page = lead.get(where, {"first": finished.challenger_id, "second": base.pk})
        (row,) = page.context["rows"]
        assert [answer.text for answer in (*row.first, *row.second)] == ["Yes.", "No!"]
        assert sum(row.votes) == 1
        assert "Choose two different models" in lead.get(where, {"first": base.pk, "second": base.pk}).content.decode()
        assert "Choose two different models" in lead.get(where, {"first": "x"}).content.decode()
        unasked = lead.get(where).context
        assert (unasked["first"], unasked["second"]) == (base, finished.challenger)
        judge_of = {"first": finished.reward_model_id, "second": base.pk}
        assert lead.get(where, judge_of).context["first"] is None  # reward models give no answers

    def test_the_history_has_a_drawing_and_a_table(self, lead: Client, finished: Round, bob: Any) -> None:
        judge(bob)
        page = lead.get(reverse("history", args=["desk"]))
        (turn,) = page.context["turns"]
        assert (turn.accuracy.n, turn.by_people, turn.won.n) == (54, True, 1)
        assert [series.kind for series in page.context["chart"]["series"]] == ["won", "accuracy"]
        mark = page.context["chart"]["series"][1].marks[0]
        assert mark.upper < mark.y < mark.lower  # the drawing counts downwards
        assert page.context["board"].warnings == ["Only 1 comparison so far: too few for strengths."]

    def test_an_empty_project_has_an_empty_history(self, lead: Client, project: Project) -> None:
        page = lead.get(reverse("history", args=["desk"]))
        assert page.context["chart"] is None
        assert "No round has made a model yet" in page.content.decode()
