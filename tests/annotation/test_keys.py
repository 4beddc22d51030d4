"""Each person's own keyboard shortcuts."""

import json
import re

import pytest
from django.core.exceptions import ValidationError

from annotation import keys
from tests.annotation.making import a_comparison


def test_without_a_choice_the_usual_keys_hold(bob):
    assert keys.of_person(bob.person)["left"] == ("ArrowLeft", "h")
    assert keys.on_page(bob.person, "comparison")["x"] == "unacceptable"
    assert "a" not in keys.on_page(bob.person, "comparison")
    assert keys.on_page(bob.person, "demonstration")["a"] == "accept"


def test_a_chosen_key_replaces_the_usual_ones(bob):
    keys.set_keys(person=bob.person, chosen={"left": "Z", "submit": "n"})
    bob.person.refresh_from_db()
    page = keys.on_page(bob.person, "comparison")
    assert (page["z"], page["n"]) == ("left", "submit")
    assert "ArrowLeft" not in page
    assert "Enter" not in page


def test_a_chosen_key_wins_over_another_actions_second_key(bob):
    keys.set_keys(person=bob.person, chosen={"skip": "h"})  # by default h is also "left"
    page = keys.on_page(bob.person, "comparison")
    assert (page["h"], page["ArrowLeft"]) == ("skip", "left")


def test_an_empty_choice_brings_the_usual_key_back(bob):
    keys.set_keys(person=bob.person, chosen={"left": "z"})
    keys.set_keys(person=bob.person, chosen={"left": ""})
    assert bob.person.keys == {}


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"left": "ArrowRight"}, "two things"),
        ({"left": "f", "skip": "f"}, "two things"),
        ({"left": "3"}, "digits"),
        ({"left": "Tab"}, "no key"),
        ({"left": "\n"}, "no key"),
        ({"dance": "f"}, "no action"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_changed(bob, chosen, why):
    with pytest.raises(ValidationError, match=why):
        keys.set_keys(person=bob.person, chosen=chosen)
    bob.person.refresh_from_db()
    assert bob.person.keys == {}


def test_actions_of_different_pages_may_share_a_key(bob):
    keys.set_keys(person=bob.person, chosen={"left": "z", "accept": "z"})
    assert keys.on_page(bob.person, "comparison")["z"] == "left"
    assert keys.on_page(bob.person, "demonstration")["z"] == "accept"


def test_no_two_usual_keys_clash():
    for kind in ("comparison", "demonstration"):
        used = [key for action in keys.ACTIONS.values() if kind in action.kinds for key in action.keys]
        assert len(used) == len(set(used))


def test_the_labelling_page_shows_and_uses_ones_own_keys(client, project, bob):
    a_comparison(project)
    client.force_login(bob.person)
    answer = client.post("/keys/", {"skip": "n", "left": "z"})
    assert (answer.status_code, answer.url) == (302, "/keys/")
    html = client.get("/projects/desk/label/comparison/").content.decode()
    assert "Skip <kbd>n</kbd>" in html
    found = re.search(r'<script id="keys" type="application/json">(.*?)</script>', html)
    assert found
    assert json.loads(found[1])["z"] == "left"


def test_a_refused_choice_is_shown_again_with_the_reason(client, project, bob):
    client.force_login(bob.person)
    answer = client.post("/keys/", {"skip": "g"})
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "g would do two things" in html
    assert re.search(r'name="skip"\s+value="g"', html)


def test_keys_are_for_those_who_are_signed_in(client, db):
    assert client.get("/keys/").status_code == 302
