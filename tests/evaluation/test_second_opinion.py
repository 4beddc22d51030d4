"""A model behind an endpoint compares two models' answers; how often it agrees with people is told beside it."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from annotation import guidelines
from evaluation import gate, report, scoring, second_opinion, tasks
from evaluation.models import Evaluation, Round, Score
from tests.annotation.making import a_prompt
from tests.evaluation.making import measured
from tests.training.making import a_model, claimed, compares, says
from tests.training.recipes.answering import answering, judge
from training import finishing, runner
from training.models import ModelVersion, Run
from training.recipes import judge as recipe
from training.recipes.contract import perform

pytestmark = pytest.mark.django_db

WON, LOST, ALIKE = 15, 5, 2
COMPARED = 12
GOOD, BAD = "good", "a bad one that is long"


@pytest.fixture
def pair(project, bob) -> tuple[ModelVersion, ModelVersion]:
    """The new model's answers are good where the old one's are bad, and the other way round on fewer prompts; bob has
    compared pairs on other prompts, and likes the good ones, which are short."""
    old = a_model(project, "old", stage="production")
    new = a_model(project, "new", format="adapter", parent=old)
    texts = [(GOOD, BAD)] * WON + [(BAD, GOOD)] * LOST + [("The same.", "The same.")] * ALIKE
    asked = [a_prompt(project, f"Held out {number}?", split="heldout") for number in range(len(texts))]
    numbered = zip(asked, texts, range(len(texts)), strict=True)
    measured(new, {one.pk: (f"{mine} {n}", f"{theirs} {n}") for one, (mine, theirs), n in numbered})
    for number in range(COMPARED):
        prompt = a_prompt(project, f"Compared {number}?", split="heldout")
        says(bob, compares(prompt, f"{GOOD} {number}", f"{BAD} {number}"), ranks=(1, 2), strength=1)
    return old, new


def an_endpoint(project: Any, url: str = "http://127.0.0.1:1/v1", name: str = "critic") -> ModelVersion:
    version = a_model(project, name, format="endpoint")
    version.path.mkdir(parents=True)
    (version.path / "endpoint.json").write_text(json.dumps({"url": url, "model": "m"}))
    return version


@pytest.fixture
def opinion(pair, monkeypatch) -> Callable[..., Evaluation]:
    """What a judge says that chooses like this, asked over HTTP by the run's recipe."""

    def make(choose: Callable[[str, str], str]) -> Evaluation:
        with answering(judge(choose)) as (url, _):
            monkeypatch.setenv("TOUCHSTONE_PRIVATE_ENDPOINTS", url.split("/")[2])
            asked = second_opinion.ask(challenger=pair[1], judge=an_endpoint(pair[1].project, url), wake=False)
            performed(asked)
        return Evaluation.objects.get(kind="second opinion")

    return make


def performed(run: Run) -> None:
    run = claimed(run)
    folder = runner._prepare(run)
    finishing.finish(run=run, result=perform("judge", recipe.run, folder))
    run.refresh_from_db()
    assert run.status == "succeeded", run.error
    tasks.run_finished(run.pk)
    tasks.run_finished(run.pk)


def found(evaluation: Evaluation) -> dict[str, Score]:
    return {score.name: score for score in evaluation.scores.all()}


def truthful(left: str, right: str) -> str:
    return "A" if left.startswith(GOOD) else "B"


def test_a_truthful_judge_finds_the_truth_and_agrees_with_people(opinion, pair):
    evaluation = opinion(truthful)
    figures = found(evaluation)
    wins, agrees = figures[second_opinion.WINS], figures[second_opinion.AGREES]
    assert (wins.value, wins.n) == (pytest.approx((WON + ALIKE / 2) / 22), 22)
    assert (agrees.value, agrees.n, agrees.lower > 0.7) == (1.0, COMPARED, True)
    assert evaluation.model_version == pair[1]
    told, alike, worth = second_opinion.sentences(evaluation)
    assert told.startswith("critic, which was shown each pair twice with the sides swapped, prefers its answers to")
    assert f"On {COMPARED} pairs that people have compared it says what they said in 100 %" in worth
    assert "nothing was judged twice" in worth
    assert "2 were answered alike" in alike


def test_one_that_takes_the_left_side_says_nothing(opinion):
    evaluation = opinion(lambda left, right: "A")
    figures = found(evaluation)
    assert figures[second_opinion.WINS].value == figures[second_opinion.AGREES].value == 0.5
    assert evaluation.details["changed"] == WON + LOST
    assert evaluation.details["people"] == {"sided": 0, "right": 0, "changed": COMPARED, "unreadable": 0}
    assert f"{WON + LOST} changed with the side and count as ties" in second_opinion.sentences(evaluation)[1]


def test_one_that_is_sometimes_wrong_still_covers_the_truth(opinion):
    def noisy(left: str, right: str) -> str:
        wrong = sha256(f"{left}|{right}".encode()).digest()[0] % 8 == 0
        return {"A": "B", "B": "A"}[truthful(left, right)] if wrong else truthful(left, right)

    evaluation = opinion(noisy)
    wins = found(evaluation)[second_opinion.WINS]
    assert evaluation.details["changed"] > 0
    assert wins.lower < (WON + ALIKE / 2) / 22 < wins.upper
    assert wins.lower > 0.4


def test_one_that_likes_length_does_not_agree_with_people_who_do_not(opinion):
    figures = found(opinion(lambda left, right: "A" if len(left) > len(right) else "B"))
    assert figures[second_opinion.AGREES].value == 0.0
    assert figures[second_opinion.AGREES].upper < 0.5
    assert figures[second_opinion.WINS].value < 0.5  # the new model's answers are the shorter ones


def test_what_it_was_told_is_kept_and_the_gate_does_not_ask_for_it(opinion, pair, alice):
    guidelines.publish(project=pair[0].project, text="Be brief.", actor=alice.person)
    before = gate.verdict(pair[1])
    evaluation = opinion(truthful)
    assert evaluation.details["instructions"].startswith("You compare two answers")
    assert evaluation.details["instructions"].endswith("follow these guidelines:\n\nBe brief.")
    assert gate.verdict(pair[1]) == before
    assert scoring.newest(pair[1]) != evaluation
    current = Round.objects.create(project=pair[0].project, number=1, champion=pair[0], challenger=pair[1])
    (told,) = [one for one in report.sentences(current) if one.startswith("A second opinion on the new model: critic")]
    assert "of 22 prompts" in told


def test_verdicts_that_are_missing_or_unreadable_are_told(project, pair):
    run = second_opinion.ask(challenger=pair[1], judge=an_endpoint(project), wake=False)
    first, second, *_ = [row["id"] for row in run.inputs["pairs"] if row["id"].startswith("prompt")]
    lines = [
        {"id": name, "swapped": swapped, "verdict": said, "text": "", "tokens": 1}
        for name, both in ((first, ("first", None)), (second, ("first", "first")))
        for swapped, said in enumerate(both)
    ]
    claimed(run)
    run.refresh_from_db()
    run.folder.mkdir(parents=True)
    (run.folder / "verdicts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    finishing.finish(run=run, result={"status": "ok", "output": "verdicts.jsonl"})
    run.refresh_from_db()
    evaluation = second_opinion.conclude_if_asked(run)
    assert evaluation is not None
    assert (evaluation.details["unreadable"], evaluation.details["not_asked"]) == (1, WON + LOST - 2 + COMPARED)
    first, notes, worth = second_opinion.sentences(evaluation)
    assert "(21 to 100 %) of 1 prompt," in first  # one in twenty was told, so that the ties of two count for none
    assert "1 could not be read, or was refused, and is left out" in notes
    assert "30 were not asked, for the budget was spent" in notes
    assert worth.startswith("People have compared no held-out pair")


def test_what_makes_no_sense_is_refused(project, pair):
    old, new = pair
    critic = an_endpoint(project)
    unmeasured = a_model(project, "unmeasured", format="adapter", parent=old)
    for more, words in (
        ({"challenger": old, "judge": critic}, "Two different models"),
        ({"challenger": new, "judge": old}, "No model judges its own answers"),
        ({"challenger": new, "judge": unmeasured}, "is no endpoint"),
        ({"challenger": unmeasured, "judge": critic}, "measure both models first"),
    ):
        with pytest.raises(ValidationError, match=words):
            second_opinion.ask(wake=False, **more)
    run = second_opinion.ask(challenger=new, judge=critic, pairs=4, wake=False)
    assert len(run.inputs["pairs"]) == 8 - run.inputs["after"]["same"]
    with pytest.raises(ValidationError, match="being asked about these two already"):
        second_opinion.ask(challenger=new, judge=critic, wake=False)


def test_a_lead_asks_on_the_model_s_page(project, pair, alice, client):
    client.force_login(alice.person)
    page = reverse("model", args=["desk", pair[1].pk])
    assert "None is known here" in client.get(page).content.decode()
    critic = an_endpoint(project)
    assert "You compare two answers" in client.get(page).content.decode()
    where = reverse("ask_second_opinion", args=["desk", pair[1].pk])
    refused = client.post(where, {"judge": critic.pk, "pairs": 0, "most_tokens": 0}, follow=True).content.decode()
    assert "Pairs: Ensure this value is greater than or equal to 1." in refused
    assert "Budget (tokens): Ensure this value is greater than or equal to 1." in refused
    answer = client.post(where, {"judge": critic.pk, "pairs": 3, "most_tokens": 5000, "max_new_tokens": ""})
    run = Run.objects.get(method="judge")
    assert (run.settings["most_tokens"], run.settings["max_new_tokens"]) == (5000, 1024)
    assert answer["Location"] == reverse("run", args=["desk", run.pk])
    shown = client.get(answer["Location"]).content.decode()
    assert "Ask for a second opinion" in shown
    assert "Asked about: new" in shown
    assert "being asked" in client.post(where, {"judge": critic.pk, "pairs": 3}, follow=True).content.decode()


def test_it_is_shown_where_models_are_compared(opinion, pair, alice, client):
    told = second_opinion.sentences(opinion(truthful))[0]
    client.force_login(alice.person)
    assert told in client.get(reverse("model", args=["desk", pair[1].pk])).content.decode()
    assert "second opinion" not in client.get(reverse("models", args=["desk"])).content.decode()
    assert scoring.measured(pair[1])
    assert not any("second opinion" in name for name, _ in scoring.measured(pair[1]))
    current = Round.objects.create(project=pair[0].project, number=1, champion=pair[0], challenger=pair[1])
    page = client.get(reverse("round_report", args=["desk", current.number])).content.decode()
    assert "of 22, by critic, which agrees with people on 100 %" in page
    beside = reverse("compare_models", args=["desk"]) + f"?first={pair[0].pk}&second={pair[1].pk}"
    assert told in client.get(beside).content.decode()
