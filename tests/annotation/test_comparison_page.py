"""The page of a comparison, without a browser: two answers, or a list to rank."""

import re
import uuid

import pytest
from django.urls import reverse

from annotation.models import Assignment, Label
from tests.annotation.making import a_comparison

WORK = "/projects/desk/label/comparison/"


@pytest.fixture
def page(client, bob):
    client.force_login(bob.person)
    return client


@pytest.fixture
def submit(page, project):
    """Ask for these answers and send these fields: `submit(["one", "two"], choice="left")`."""

    def send(texts=("one", "two"), **fields):
        a_comparison(project, texts)
        page.get(WORK)
        assignment = Assignment.objects.get(state="leased")
        fields = {"client_uuid": str(uuid.uuid4()), "seconds": "3", "comment": "", **fields}
        return page.post(reverse("submit", args=[assignment.pk]), fields)

    return send


def judged():
    return list(Label.objects.get().judgements.order_by("position").values_list("rank", "unacceptable"))


def test_each_of_a_list_is_ranked_and_marked(submit):
    fields = {"rank_0": 3, "rank_1": 1, "rank_2": 3, "rank_3": 2, "unacceptable_2": "on", "strength": 2}
    assert submit(list("abcd"), **fields).status_code == 302
    assert judged() == [(3, False), (1, False), (3, True), (2, False)]
    assert Label.objects.get().strength == 2


def test_one_of_two_is_marked_unacceptable(submit):
    assert submit(choice="left", unacceptable_1="on").status_code == 302
    assert judged() == [(1, False), (2, True)]


def test_criteria_and_an_edit_come_along(submit):
    fields = {"criterion_helpful": "1", "criterion_honest": "equal", "criterion_harmless": ""}
    assert submit(choice="right", text="Better.\r\nBy far.", text_of="1", **fields).status_code == 302
    label = Label.objects.get()
    assert label.criteria == {"helpful": label.assignment.order[1], "honest": 0}
    assert label.response.text == "Better.\nBy far."
    assert label.response.edited_from_id == label.assignment.order[1]


def test_without_javascript_an_edit_is_of_whatever_is_best(submit):
    assert submit(list("abc"), rank_0=2, rank_1=3, rank_2=1, text="Better.").status_code == 302
    label = Label.objects.get()
    assert label.response.edited_from_id == label.assignment.order[2]


@pytest.mark.parametrize(
    ("texts", "fields", "complaint"),
    [
        ("abc", {"rank_0": 1, "rank_1": 2}, "Give each answer a rank."),
        ("abc", {"rank_0": 2, "rank_1": 2, "rank_2": 3}, "Ranks run from 1"),
        ("abc", {"rank_0": 1, "rank_1": 2, "rank_2": 4}, "less than or equal to 3"),
        ("abc", {"rank_0": 1, "rank_1": 2, "rank_2": 3, "unacceptable_1": "on"}, "rank it lower, or unmark it"),
        ("abc", {"rank_0": 1, "rank_1": 2, "rank_2": 3, "criterion_honest": "3"}, "not one of the available choices"),
        ("ab", {"choice": "left", "unacceptable_0": "on"}, "rank it lower, or unmark it"),
        ("ab", {"choice": "tie", "text": "Better."}, "say first which one that is"),
        ("ab", {"choice": "left", "text": "Better.", "text_of": "1"}, "not the best one now"),
    ],
)
def test_what_does_not_fit_comes_back_as_it_was_with_a_reason(submit, texts, fields, complaint):
    answer = submit(list(texts), **fields)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert html.count(complaint) == 1
    assert not Label.objects.exists()
    for name, value in fields.items():
        if name.startswith("rank_"):
            field = re.search(rf'<select name="{name}".*?</select>', html, re.DOTALL)[0]
            chosen = re.findall(r'value="(\d)"\s+selected', field)
            assert chosen == ([str(value)] if value <= len(texts) else [])
        elif name.startswith("unacceptable_"):
            assert re.search(rf'name="{name}"[^>]*\bchecked\b', html)
        elif name == "text":
            assert "Better.</textarea>" in html


def test_names_tell_answers_apart_and_nothing_else(page, project):
    a_comparison(project, list("abcdefgh"))
    html = page.get(WORK).content.decode()
    assert re.findall(r'data-name="(.)"', html) == list("ABCDEFGH")
