"""More like this, of answers: by what the project's model makes of them, where it has read them."""

import pytest

from annotation import likeness, searching
from annotation.models import Project
from evaluation import alike
from evaluation.models import AnswerFeatures
from evaluation.surface import NAMES
from tests.annotation.making import a_prompt, an_answer
from tests.training.making import a_model
from training.methods.answers import FEATURES_WIDTH

pytestmark = pytest.mark.django_db

BASE = 50.0  # the part that the states of all answers share


def read(model, answer, *numbers: float) -> None:
    states = [BASE + number for number in numbers] + [BASE] * (FEATURES_WIDTH - len(numbers))
    AnswerFeatures.objects.create(response=answer, surface=[0.0] * len(NAMES), states=states, model_version=model)


def test_the_nearest_by_the_models_states_come_first(project, base):
    prompt = a_prompt(project)
    one, near, far = (an_answer(prompt, text) for text in ("green teapot", "opening hours", "my green teapot"))
    for answer, number in ((one, 0.0), (far, 30.0), (near, 1.0)):
        read(base, answer, number)
    searching.fill()
    assert likeness.of_answer(one) == [near.pk, far.pk]


def test_what_another_model_read_is_not_compared(project, base):
    """Nor what is of another project; and an answer that only another model has read is found by its words."""
    prompt = a_prompt(project)
    one, stale, words = (an_answer(prompt, text) for text in ("green teapot", "opening hours", "a teapot"))
    elsewhere = Project.objects.create(slug="other", name="Other")
    read(base, one, 0.0)
    read(a_model(project, "before"), stale, 0.0)
    read(a_model(elsewhere, "theirs", stage="production"), an_answer(a_prompt(elsewhere), "theirs"), 0.0)
    searching.fill()
    assert likeness.of_answer(one) == []
    assert alike.nearest(stale, 9) is None
    AnswerFeatures.objects.filter(response=one).delete()
    assert likeness.of_answer(one) == [words.pk]


def test_without_a_model_words_decide(project):
    answer = an_answer(a_prompt(project), "green teapot")
    AnswerFeatures.objects.create(response=answer, surface=[0.0] * len(NAMES))
    assert alike.nearest(answer, 9) is None


def test_of_too_many_words_decide(project, base, monkeypatch):
    monkeypatch.setattr(alike, "MOST_READ", 2)
    prompt = a_prompt(project)
    answers = [an_answer(prompt, text) for text in ("one", "two", "three")]
    for answer in answers[:2]:
        read(base, answer, 1.0)
    assert alike.nearest(answers[0], 9) == [answers[1].pk]
    read(base, answers[2], 1.0)
    assert alike.nearest(answers[0], 9) is None
