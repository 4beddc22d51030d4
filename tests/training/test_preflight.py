"""What a run would be, before it is started: its rows, what is odd about them, and whether it can work."""

import doctest
import re
import shutil
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse

from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, an_edit, compares, demonstrates, says
from training import estimating, preflight, snapshots, tuning
from training.models import ModelVersion, Run, Snapshot
from training.preflight import check

pytestmark = pytest.mark.django_db
PAGE = "/projects/desk/runs/start/"


@pytest.fixture
def base(project, tiny_model, tmp_path) -> ModelVersion:
    """The tiny model, in a folder that a test may spoil."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    return a_model(project, stage="production", location=str(folder))


def titles(report, *levels: str) -> list[str]:
    return [one.title for one in report.findings if one.level in (levels or ("refused", "warning"))]


def found(report, title: str):
    (one,) = [one for one in report.findings if one.title == title]
    return one


@pytest.mark.parametrize("module", [estimating, preflight])
def test_worked_examples(module):
    assert doctest.testmod(module).failed == 0


def test_rows_that_are_left_out_or_cut_are_named(project, base, bob):
    an_edit(bob, a_prompt(project, "Short?"))
    long = says(bob, demonstrates(a_prompt(project, "And this?"), "x"), verdict="edit", text="A long answer. " * 60)
    an_edit(bob, a_prompt(project, "A very long question. " * 60))
    report = check(project=project, method="sft", settings={"max_length": 150})
    assert (report.read, report.kept, report.cut) == (3, 2, 1)
    assert dict(report.dropped) == {"with a prompt that fills the space": 1}
    assert found(report, "Few rows").text.startswith("There are 2, and about 30 are needed")
    (cut,) = found(report, "Rows that are cut").examples
    assert (cut.text, cut.label) == ("And this?", long.pk)
    assert cut.tokens > 150
    (left,) = found(report, "Rows that are left out").examples
    assert left.text.startswith("A very long question. A very")
    assert report.can_start
    assert not Snapshot.objects.exists()


def test_a_reward_model_drops_what_dpo_cuts(project, base, bob):
    a_preference(bob)
    says(bob, compares(a_prompt(project), "A long answer. " * 60, "No."), ranks=(1, 2), strength=2)
    assert check(project=project, method="dpo", settings={"max_length": 150}).cut == 1
    report = check(project=project, method="reward", settings={"max_length": 150})
    assert (report.kept, dict(report.dropped)) == (1, {"longer than the longest example": 1})


def test_lengths_are_about_what_the_recipe_counts(project, base, bob):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.path)
    for _ in range(3):
        an_edit(bob)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")
    report = check(project=project, method="sft", snapshot=snapshot, settings={"epochs": 2, "batch_size": 2})
    exact = [
        len(tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=True)["input_ids"])
        for row in snapshots.read(snapshot)
    ]
    assert report.tokens == pytest.approx(sum(exact), rel=0.5)  # so small a vocabulary spells out its words for roles
    assert report.steps == 4


def test_duplicates_and_contradictions_are_found_as_a_reader_sees_them(project, base, bob):
    for question in ("Open on Sunday?", "open  on sunday?"):
        says(bob, demonstrates(a_prompt(project, question), "x"), verdict="edit", text="Yes.")
    assert "1 of 2 repeat another row" in found(check(project=project, method="sft"), "Duplicates").text
    for question, ranks in (("Better?", (1, 2)), ("BETTER?", (2, 1))):
        says(bob, compares(a_prompt(project, question), "This.", "That."), ranks=ranks, strength=1)
    report = check(project=project, method="dpo", rule=snapshots.Rule(edits_as_preferences=False))
    assert found(report, "Contradictions").text == "1 pairs say the opposite of another row."


def test_a_question_of_a_held_out_prompt_is_a_leak(project, base, bob):
    an_edit(bob, a_prompt(project, "What does tea cost?"))
    an_edit(bob, a_prompt(project, "Where are you?"))
    assert "Questions of held-out prompts" not in titles(check(project=project, method="sft"))
    apart = a_prompt(project, "what does  tea cost?", split="heldout")
    apart.messages = [{"role": "system", "content": "Be kind."}, *apart.messages]
    apart.save()
    finding = found(check(project=project, method="sft"), "Questions of held-out prompts")
    assert [one.text for one in finding.examples] == ["What does tea cost?"]


def test_a_liking_for_the_longer_answer_is_told_with_its_interval(project, base, bob):
    for number in range(12):
        answers = (f"A long answer, number {number}.", "No.")
        says(bob, compares(a_prompt(project), *answers), ranks=(1, 2), strength=1)
    finding = found(check(project=project, method="dpo"), "Longer is better")
    assert (finding.level, "100 % (76 to 100 %, n 12)" in finding.text) == ("warning", True)
    for _ in range(12):
        says(bob, compares(a_prompt(project), "A long answer.", "No."), ranks=(2, 1), strength=1)
    assert "Length" in titles(check(project=project, method="dpo"), "note")


@pytest.mark.parametrize(("method", "enough"), [("probe", 30), ("dpo", 200)])
def test_how_many_pairs_are_few_depends_on_what_learns_from_them(project, base, bob, method, enough):
    a_preference(bob)
    assert f"about {enough} are needed" in found(check(project=project, method=method), "Few rows").text


def test_disagreement_is_told_where_several_judged(project, base, bob, bea, member):
    a_preference(bob)
    assert "cannot be told" in found(check(project=project, method="dpo"), "Disagreement").text
    ben = member("ben")
    for ranks in ((1, 2), (2, 1)):
        item = compares(a_prompt(project), "This.", "That.")
        for person in (bob, bea):
            says(person, item, ranks=(1, 2), strength=1)
        says(ben, item, ranks=ranks, strength=1)
    finding = found(check(project=project, method="dpo"), "Disagreement")
    assert (finding.level, finding.text[:6], len(finding.examples)) == ("warning", "1 of 2", 1)


# Time and memory


def test_time_is_from_earlier_runs_and_memory_from_them_or_the_model_s_size(project, base, bob):
    an_edit(bob)
    report = check(project=project, method="sft")
    assert (report.estimate.seconds, report.estimate.measured_memory) == (None, False)
    weights = sum(file.stat().st_size for file in base.path.glob("*.safetensors"))
    assert weights < report.estimate.memory < 1e9
    same = {"batch_size": 4, "max_length": 1024}  # by a method that only reads
    assert weights < estimating.by_size(base.path, same) < report.estimate.memory
    settings = {"batch_size": 4, "max_length": 1024, "tuning": "lora"}
    for speed in (10.0, 30.0):
        metrics = {"tokens_per_second": speed, "peak_memory": 3 * 10**9}
        Run.objects.create(
            project=project, method="sft", base=base, status="succeeded", metrics=metrics, settings=settings
        )
    report = check(project=project, method="sft", settings={"epochs": 2})
    assert report.estimate.seconds == pytest.approx(20 + report.tokens * 2 / 20)
    assert (report.estimate.runs, report.estimate.memory) == (2, 3 * 10**9)
    assert "by the speed of 2 earlier runs" in report.estimate.time_in_words
    assert check(project=project, method="sft", settings={"batch_size": 8}).estimate.memory != 3 * 10**9


# What cannot work


def test_nothing_to_learn_from_is_refused(project, base):
    report = check(project=project, method="sft")
    assert (report.can_start, titles(report, "refused")) == (False, ["No rows"])


def test_nothing_left_is_refused(project, base, bob):
    an_edit(bob, a_prompt(project, "A long question. " * 60))
    assert titles(check(project=project, method="sft", settings={"max_length": 16}), "refused") == ["No rows left"]


def test_no_model_is_refused(project, bob):
    an_edit(bob)
    assert titles(check(project=project, method="sft"), "refused") == ["No model"]


def test_a_model_without_a_template_is_refused_and_not_started(project, base, bob):
    an_edit(bob)
    (base.path / "chat_template.jinja").unlink()
    assert titles(check(project=project, method="sft"), "refused") == ["No chat template"]
    with pytest.raises(ValidationError, match="no chat template"):
        tuning.tune(project=project, method="sft")
    assert not Run.objects.exists()


def test_a_model_on_another_machine_is_no_reason_to_refuse(project, base, bob):
    an_edit(bob)
    shutil.rmtree(base.path)
    report = check(project=project, method="sft")
    assert (report.can_start, report.kept, report.tokens) == (True, 1, None)
    assert "The model's files are not here" in titles(report, "note")


def test_one_class_alone_is_refused():
    report = preflight.Report()
    rows: list[dict[str, Any]] = [{"label": True}, {"label": False}]
    preflight._look_at_classes(report, rows)
    assert report.can_start
    preflight._look_at_classes(report, rows[:1] * 2)
    assert titles(report, "refused") == ["One class"]


def test_a_limit_beyond_the_model_s_own_is_a_warning(project, base, bob):
    an_edit(bob)
    assert "Longer than the model can read" in titles(check(project=project, method="sft"))  # 1024, and it reads 512
    assert "Longer than the model can read" not in titles(
        check(project=project, method="sft", settings={"max_length": 512})
    )


# The doors


def test_a_lead_looks_first_and_starts_from_there(client, alice, project, base, bob):
    label = an_edit(bob, a_prompt(project, "A <b>question</b>?"))
    an_edit(bob, a_prompt(project, "A long question. " * 60))
    client.force_login(alice.person)
    sent = {"base": base.pk, "epochs": "1.5", "gradient_checkpointing": "on", "max_length": "100", "seed": "4"}
    shown = client.post(PAGE + "?method=sft", sent)
    page = shown.content.decode()
    assert (shown.status_code, shown.context["report"].kept) == (200, 1)
    assert "<b>question</b>" not in page
    assert not Run.objects.exists()
    assert not Snapshot.objects.exists()
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    hidden.pop("csrfmiddlewaretoken", None)
    answer = client.post(PAGE + "?method=sft", {**hidden, "start": "yes"})
    run = Run.objects.get()
    assert answer["Location"] == reverse("run", args=["desk", run.pk])
    assert (run.settings["epochs"], run.settings["max_length"], run.seed) == (1.5, 100, 4)
    assert run.settings["gradient_checkpointing"] is True
    assert label.pk in run.snapshot.labels.values_list("pk", flat=True)
    back = client.post(PAGE + "?method=sft", {**hidden, "change": "yes"})
    assert 'value="1.5"' in back.content.decode()


def test_what_cannot_work_has_no_button(client, alice, base):
    client.force_login(alice.person)
    page = client.post(PAGE + "?method=dpo", {"base": base.pk}).content.decode()
    assert "It cannot start." in page
    assert re.search(r'value="yes"\s+disabled', page)


def test_the_api_tells_the_same_and_starts_nothing(client, alice, base, bob):
    an_edit(bob)
    client.force_login(alice.person)
    address, sent = "/api/v1/projects/desk/runs/check/", {"method": "sft", "settings": {"epochs": 1}}
    answer = client.post(address, sent, content_type="application/json").json()
    assert (answer["can_start"], answer["kept"], answer["steps"], answer["seconds"]) == (True, 1, 1, None)
    assert answer["tokens"] > 0
    assert not Run.objects.exists()
    refused = client.post(address, {**sent, "method": "dpo", "settings": {}}, content_type="application/json").json()
    assert (refused["can_start"], refused["findings"][-1]["title"]) == (True, "Disagreement")  # the edit is a pair
    wrong = client.post(address, {**sent, "settings": {"epoch": 1}}, content_type="application/json")
    assert wrong.status_code == 400


def test_so_does_the_command(project, base, bob, capsys):
    with pytest.raises(CommandError, match="could not work"):
        call_command("train", "desk", "sft", "--check")
    assert "Refused: No rows." in capsys.readouterr().out
    an_edit(bob)
    call_command("train", "desk", "sft", "--check")
    assert capsys.readouterr().out.startswith("1 of 1 rows kept, 0 dropped, 0 cut.\n")
    assert not Run.objects.exists()
