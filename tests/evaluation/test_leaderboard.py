"""Strengths of a project's versions, what sways votes beside them, and what may not be compared."""

import pytest

from annotation.models import Judgement
from evaluation import leaderboard, leanings
from tests.annotation.making import a_prompt, an_answer
from tests.training.making import a_model, compares, says
from training.models import Generation, Run, Sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def met(project, bob):
    """`met(a, b, wins, losses)`: answers of `a` beside answers of `b`, so often preferred and not."""
    generations = {}

    def answer(prompt, version, text):
        if version not in generations:
            run = Run.objects.create(project=project, method="generate", base=version)
            generations[version] = Generation.objects.create(project=project, run=run, model_version=version, seed=1)
        Sample.objects.create(generation=generations[version], response=an_answer(prompt, text, "model"), index=0)
        return text

    def make(one, other, wins, losses, *, words=("", "")):
        for number in range(wins + losses):
            prompt = a_prompt(project)
            texts = [
                answer(prompt, version, f"{version} {more}") for version, more in zip((one, other), words, strict=True)
            ]
            best_first = number < wins
            if number % 2:  # each stands left half of the time
                texts, best_first = texts[::-1], not best_first
            says(bob, compares(prompt, *texts), ranks=(1, 2) if best_first else (2, 1))

    return make


def test_the_strongest_comes_first_and_knows_whom_it_met(project, met):
    """c loses to b half of the time, and b loses to a: by items won alone c would stand above b."""
    a, b, c = (a_model(project, name) for name in "abc")
    met(a, b, 18, 2)
    met(b, c, 10, 10)
    found = leaderboard.board(project)
    assert found.standings[0].version.name == "a"
    strength = {one.version.name: one.strength for one in found.standings}
    assert strength["a"].lower > strength["b"].value
    assert strength["b"].value == pytest.approx(strength["c"].value, abs=0.05)
    items = {one.version.name: one.record.interval.value for one in found.standings}
    assert items["c"] == 0.5 > items["b"]
    assert found.warnings == []


def test_versions_that_never_met_are_named(project, met):
    a, b, c, d = (a_model(project, name) for name in "abcd")
    met(a, b, 8, 4)
    met(c, d, 8, 4)
    (warning,) = leaderboard.board(project).warnings
    assert "never met" in warning
    assert "a, b; c, d" in warning
    met(b, c, 3, 3)
    assert leaderboard.board(project).warnings == []


def test_a_liking_for_longer_answers_is_told_apart_from_strength(project, met):
    a, b = a_model(project, "a"), a_model(project, "b")
    met(a, b, 14, 2, words=("more " * 20, ""))
    met(a, b, 2, 14, words=("", "more " * 20))
    found = leaderboard.board(project)
    assert found.longer.lower > 0.5
    strength = {one.version.name: one.strength.value for one in found.standings}
    assert strength["a"] == pytest.approx(0.5, abs=0.05)
    (left, longer) = leanings.of_model(a)
    assert longer.share.value == 14 / 16
    assert longer.words.startswith("It may win by length")
    assert left.share.n == 16


def test_wins_on_the_left_are_counted(project, met):
    a, b = a_model(project, "a"), a_model(project, "b")
    met(a, b, 20, 0)
    (left, *_) = leanings.of_model(a)
    shown_left = Judgement.objects.filter(position=0, response__text__startswith="a").count()
    assert left.share.value == shown_left / 20
    assert leanings.of_model(b) == []


def test_with_a_handful_of_comparisons_there_are_no_strengths(project, met):
    met(a_model(project, "a"), a_model(project, "b"), 3, 1)
    found = leaderboard.board(project)
    assert {one.strength for one in found.standings} == {None}
    assert found.warnings == ["Only 4 comparisons so far: too few for strengths."]
