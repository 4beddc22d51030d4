"""What a person is told about a text while they write it."""

import pytest
from django.urls import reverse

from annotation import checking
from tests.annotation.making import a_demonstration, a_prompt, an_answer, ask, lease

CHECK = "/projects/desk/check/"


def told(client, **sent):
    answer = client.post(CHECK, sent)
    assert answer.status_code == 200
    return answer.json()


def by_characters(*, project, messages):
    """As a model of one token for each character would count, which can read a hundred."""
    return sum(len(message["content"]) for message in messages), 100


@pytest.fixture
def counted(settings):
    settings.COUNT_TOKENS = f"{__name__}.by_characters"


@pytest.fixture
def page(client, bob):
    client.force_login(bob.person)
    return client


def test_a_text_is_checked_where_it_stands(page, project):
    assert reverse("check", args=["desk"]) == CHECK
    said = told(page, text="Dear [NAME]")
    sentence = "“[NAME]” looks like a place that nobody has filled in."
    assert said["findings"] == [{"kind": "placeholder", "sentence": sentence, "start": 5, "end": 11}]
    assert said["more"] == 0
    assert told(page, text="Dear Anna")["findings"] == []
    assert told(page)["findings"] == [], "an empty field has nothing wrong"


def test_of_very_many_findings_the_first_are_told(page, project):
    said = told(page, text="[NAME]\n" * 70)
    assert (len(said["findings"]), said["more"]) == (50, 20)


def test_a_model_that_nobody_imported_counts_nothing(page, project):
    said = told(page, text="Hello")
    assert (said["tokens"], said["limit"]) == (None, None)


def test_a_text_alone_is_counted_alone(page, project, counted):
    said = told(page, text="Hello")
    assert (said["tokens"], said["limit"]) == (5, 100)


def test_the_conversation_of_ones_own_assignment_is_counted_too(page, project, bob, counted):
    prompt = a_prompt(project, "Which tea?")
    ask(project=project, prompt=prompt, kind="demonstration", responses=[an_answer(prompt, "Green.")])
    assert told(page, text="Hello", assignment=lease(bob, "demonstration").pk)["tokens"] == 10 + 5


def test_an_assignment_of_somebody_else_is_not_found(page, project, bea):
    a_demonstration(project)
    theirs = lease(bea, "demonstration")
    assert page.post(CHECK, {"text": "Hello", "assignment": theirs.pk}).status_code == 404


def test_an_assignment_in_another_project_is_not_found(page, project, bob):
    from annotation.models import Membership, Project

    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(person=bob.person, project=other)
    a_demonstration(project)
    mine = lease(bob, "demonstration")
    assert page.post("/projects/other/check/", {"text": "Hello", "assignment": mine.pk}).status_code == 404


@pytest.mark.parametrize("sent", [{"text": "a" * 200_001}, {"assignment": "x"}, {"assignment": "9" * 30}])
def test_what_cannot_be_checked_is_refused(page, project, sent):
    assert page.post(CHECK, sent).status_code == 422


def test_one_verb_serves_page_and_api(project, counted):
    found = checking.check(project=project, text="[NAME]", messages=[{"role": "user", "content": "Hi"}])
    assert ([one.kind for one in found.findings], found.tokens, found.limit) == (["placeholder"], 8, 100)
