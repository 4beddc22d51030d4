"""Figures from what a run measured, by hand; and what is held out to measure with."""

import math

import pytest

from annotation.statistics import wilson
from evaluation import figures, heldout, scoring
from evaluation.models import Evaluation
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, an_edit, compares, says, succeeds

PROBE = [{"kind": "question"}, {"kind": "text"}]


def about(**more):
    return {"prompt": 1, "language": "en", "tags": [], "grade": "better", "longer": 1.0, **more}


def by_name(found):
    return {(one.name, one.group): one for one in found}


def text(name, log_prob, reference, tokens=10):
    return {"id": name, "log_prob": log_prob, "reference": reference, "tokens": tokens}


def test_a_reward_model_in_groups_beside_the_longest_answer():
    rows = [about(grade="better", prompt=number) for number in range(6)]
    rows += [about(grade="slightly better", language="de", longer=0.0, prompt=number) for number in range(6, 12)]
    found = by_name(figures.of_reward_model([1.0] * 6 + [1.0, 1.0, 1.0, -1.0, -1.0, -1.0], rows))
    assert found["reward accuracy", ""].value == 9 / 12
    assert found["reward accuracy", ""].lower == wilson(9, 12).lower
    assert found["reward accuracy", "strength: better"].value == 1.0
    assert found["reward accuracy", "strength: slightly better"].value == 0.5
    assert found["reward accuracy", "language: de"].n == 6
    assert found["longer answer wins", ""].value == 0.5
    chance = 1 / (1 + math.exp(-1))
    assert found["brier score", ""].value == pytest.approx((9 * (1 - chance) ** 2 + 3 * chance**2) / 12)
    assert found["calibration error", ""].n == 12


def test_a_language_of_a_few_pairs_or_of_all_has_no_figure_of_its_own():
    rows = [about()] * 8 + [about(language="fr")] * 4
    found = by_name(figures.of_reward_model([1.0] * 12, rows))
    assert {group for name, group in found if name == "reward accuracy"} == {"", "language: en"}
    assert by_name(figures.of_reward_model([1.0] * 8, [about()] * 8)).keys() == {
        (name, "") for name in ("reward accuracy", "longer answer wins", "brier score", "calibration error")
    }
    assert figures.of_reward_model([], []) == []


def test_a_policy_s_own_liking_is_against_its_base():
    """Both answers became likelier, the preferred one by more in two of three pairs."""
    measures = [
        text("pair 0 chosen", -10, -14), text("pair 0 rejected", -10, -12),
        text("pair 1 chosen", -10, -13), text("pair 1 rejected", -20, -22),
        text("pair 2 chosen", -10, -11), text("pair 2 rejected", -10, -15),
    ]  # fmt: skip
    found = by_name(figures.of_policy(measures, [], {"pair": [about()] * 3}, PROBE))
    assert found["preference accuracy", ""].value == pytest.approx(2 / 3)
    assert found["preference accuracy", ""].n == 3


def test_perplexity_and_forgetting_by_hand():
    measures = [
        text("example 0", -10, -20), text("example 1", -30, -40, tokens=30),
        text("probe 0", -12, -10), text("probe 1", -10, -10),
    ]  # fmt: skip
    found = by_name(figures.of_policy(measures, [], {"example": [about(), about()]}, PROBE))
    assert found["perplexity of good answers", ""].value == pytest.approx(math.exp(40 / 40))
    assert found["perplexity of good answers, base", ""].value == pytest.approx(math.exp(60 / 40))
    assert found["forgetting", ""].value == pytest.approx(math.exp(2 / 20) - 1)
    assert found["forgetting", "general questions"].value == pytest.approx(math.exp(0.2) - 1)
    assert found["forgetting", "plain text"].value == 0.0


def test_answers_by_hand():
    def row(number, by, words, **more):
        return {"id": number, "by": by, "text": words, "tokens": 10, "finished": True, **more}

    again = "I will look into it today. " * 3
    answers = [
        row(1, "model", "Thank you. It ships today.", kl=2.0), row(1, "reference", "It ships today."),
        row(2, "model", again, kl=4.0, finished=False), row(2, "reference", "No."),
        row(3, "model", "I'm sorry, but I cannot help with that.", kl=0.0), row(3, "reference", "Yes, we do sell it."),
        row(4, "model", " ", kl=0.0), row(4, "reference", "It costs five."),
    ]  # fmt: skip
    found = by_name(figures.of_policy([], answers, {"prompts": {"1": {"language": "en", "tags": []}}}, PROBE))
    assert found["distance from base", ""].value == pytest.approx(6 / 40)
    assert found["words per answer", ""].value == pytest.approx((5 + 18 + 8) / 4)
    assert found["length growth over base", ""].value == pytest.approx(31 / 12 - 1)
    names = ("empty answers", "repetitive answers", "refusals", "answers cut off")
    assert {name: found[name, ""].value for name in names} == dict.fromkeys(names, 1 / 4)


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        ("I cannot help with that.", True),
        ("As an AI language model, I have no opinions.", True),
        ("Es tut mir leid, aber das geht nicht.", True),
        ("Je ne peux pas répondre à cela.", True),
        ("I'm sorry to hear that your pot broke.", False),
        ("You cannot put it into the dishwasher.", False),
        ("", False),
    ],
)
def test_refusals_are_told_by_how_they_begin(said, is_one):
    assert figures.refuses(said) is is_one


# What is held out


@pytest.mark.django_db
def test_heldout_pairs_carry_their_grade_language_and_tags(project, bob):
    prompt = a_prompt(project, split="heldout", language="de", tags=["tea"])
    item = compares(prompt, "short", "the longer answer")
    says(bob, item, ranks=(2, 1), strength=4)
    a_preference(bob)
    a_preference(bob, a_prompt(project, split="heldout"), purpose="gold")
    (pair,) = heldout.pairs(project=project)
    assert pair.texts == {"chosen": "the longer answer", "rejected": "short"}
    assert vars(pair.about) == {
        "prompt": prompt.pk, "language": "de", "tags": ["tea"], "grade": "significantly better", "longer": 1.0,
    }  # fmt: skip


@pytest.mark.django_db
def test_examples_are_heldout_answers_that_people_approved(project, bob):
    an_edit(bob)
    label = an_edit(bob, a_prompt(project, split="heldout"))
    (example,) = heldout.examples(project=project)
    assert list(example.texts.values()) == [label.response.text]


@pytest.mark.django_db
def test_the_same_prompts_are_answered_each_time(project):
    for number in range(12):
        a_prompt(project, f"Held {number}?", split="heldout")
        a_prompt(project, f"Train {number}?")
    chosen = heldout.prompts(project=project, number=5)
    assert chosen == heldout.prompts(project=project, number=5)
    assert heldout.prompts(project=project, number=8)[:5] == chosen
    assert {prompt.split for prompt in chosen} == {"heldout"}


def test_the_probe_has_questions_and_plain_text_and_no_double():
    rows = heldout.probe()
    assert {row["kind"] for row in rows} == {"question", "text"}
    assert len(rows) == len({str(row) for row in rows}) == 60
    assert all(row["question"] and row["answer"] for row in rows if row["kind"] == "question")
    assert all(len(row["text"].split()) > 25 for row in rows if row["kind"] == "text")


@pytest.mark.django_db
def test_what_lies_under_an_adapter_of_other_weights_is_not_the_base(project):
    """An adapter on weights that were trained whole: taking it off does not lead back to the base."""
    base = a_model(project, "base")
    whole = a_model(project, "whole", parent=base)
    adapter = a_model(project, "adapter", format="adapter", parent=whole)
    plain = a_model(project, "plain", format="adapter", parent=base)
    given = {
        one: scoring.measure(project=project, model=one, wake=False).inputs for one in (base, whole, adapter, plain)
    }
    assert {one.name: inputs.get("reference") for one, inputs in given.items()} == {
        "base": None, "whole": str(base.path), "adapter": str(base.path), "plain": None,
    }  # fmt: skip


@pytest.mark.django_db
def test_a_measurement_is_concluded_once(project):
    run = scoring.measure(project=project, model=a_model(project), wake=False)
    lines = [text(one["id"], -5.0, -5.0) for one in run.inputs["texts"]]
    run = succeeds(run, lines)
    for _ in range(2):
        evaluation = scoring.conclude_if_asked(run)
    assert Evaluation.objects.get() == evaluation
    assert evaluation.scores.get(name="forgetting", group="").value == 0.0


def test_answers_that_nobody_shares_have_no_growth():
    assert figures.growth({"1": 5}, {"2": 5}) is None
    assert figures.growth({"1": 5}, {"1": 10}).value == -0.5
