"""The page where leads clean a project's data, and the command that does the same."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from annotation import cleaning
from annotation.models import Cleaning, Finding, Prompt
from annotation.views import cleaning as page
from tests.annotation.making import a_demonstration, a_prompt, an_answer

MAIL = "Write to anna@shop.org, please."


@pytest.fixture(autouse=True)
def _no_other_rooms(settings):
    settings.MORE_CHECKS = []


@pytest.fixture
def lead(client, alice):
    client.force_login(alice.person)
    return client


@pytest.fixture
def found(project):
    a_demonstration(project, MAIL)
    prompt = a_prompt(project, "Wem soll ich schreiben?", tags=["post"])
    an_answer(prompt, "Dear [NAME], thank you for <b>all</b>.")
    cleaning.check(project=project)
    return Finding.objects.order_by("pk")


def shows(client, **query):
    answer = client.get(reverse("cleaning", args=["desk"]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def decide(client, verb, **more):
    return client.post(reverse("decide_findings", args=["desk"]), {"verb": verb, **more}, follow=True)


def test_an_empty_project_says_what_to_do(lead, project):
    assert "Nothing was checked yet" in shows(lead)
    a_prompt(project)
    cleaning.check(project=project)
    assert "Nothing was found" in shows(lead)


def test_a_finding_stands_in_its_text_which_cannot_run(lead, found):
    shown = shows(lead)
    assert "<mark>anna@shop.org</mark>" in shown
    assert "&lt;b&gt;all&lt;/b&gt;" in shown
    assert "All 2 that fit" in shown


def test_what_is_shown_can_be_narrowed(lead, found):
    assert "anna@shop.org" not in shows(lead, kind="placeholder")
    assert "[NAME]" not in shows(lead, kind="personal")
    assert "[NAME]" in shows(lead, tag="post")
    assert "Nothing fits" in shows(lead, tag="nonsense")
    assert "Nothing is there" in shows(lead, state="accepted")
    assert "Dear" in shows(lead, kind="nonsense", before="x")
    assert "Dear" in shows(lead, state="nonsense")


def test_pages_go_back_by_the_last_finding(lead, project, found, monkeypatch):
    monkeypatch.setattr(page, "PAGE", 1)
    shown = shows(lead)
    assert "[NAME]" in shown
    assert 'rel="next"' in shown
    shown = shows(lead, before=found[1].pk)
    assert "anna@shop.org" in shown
    assert 'rel="next"' not in shown


def test_ticked_findings_are_decided_and_others_stay(lead, found):
    answer = decide(lead, "accept", finding=[found[0].pk], state="open")
    assert "1 finding is fine." in answer.content.decode()
    assert [one.state for one in found.all()] == ["accepted", "open"]
    answer = decide(lead, "exclude", all="1", kind=found[1].kind, because="A leftover.")
    assert [one.state for one in found.all()] == ["accepted", "excluded"]
    assert "Nothing is open" in shows(lead)
    assert "Excluded: A leftover." in shows(lead, state="excluded")
    decide(lead, "bring_back", all="1", state="")
    assert [one.state for one in found.all()] == ["open", "open"]


def test_nothing_is_decided_by_a_slip(lead, found):
    for sent, why in (
        ({"verb": "accept"}, "Tick the findings first"),
        ({"verb": "exclude", "all": "1"}, "Say why"),
        ({"verb": "burn", "all": "1"}, "Choose what to do."),
        ({"verb": "accept", "finding": ["x"]}, "Tick the findings first"),
    ):
        assert why in decide(lead, **sent).content.decode()
    assert {one.state for one in found.all()} == {"open"}


def test_a_mend_is_shown_before_it_is_done(lead, found):
    answer = decide(lead, "preview", all="1", state="open")
    shown = answer.content.decode()
    assert "Mend 1 text?" in shown
    assert "<ins>" in shown
    assert "1 of the findings cannot be mended" in shown
    assert {one.state for one in found.all()} == {"open"}
    decide(lead, "mend", finding=[found[0].pk])
    assert [one.state for one in found.all()] == ["mended", "open"]
    assert "None of these can be mended" in decide(lead, "preview", finding=[found[1].pk]).content.decode()


def test_both_texts_of_a_duplicate_are_shown(lead, project):
    for question in ("Where is my parcel?", "where is my  parcel"):
        a_prompt(project, question)
    cleaning.check(project=project)
    shown = shows(lead)
    assert "The older one" in shown
    assert "data-twins" in shown


def test_the_checks_are_asked_for_and_followed(lead, project, found):
    answer = lead.post(reverse("check_data", args=["desk"]), follow=True)
    assert "The checks begin in a moment" in answer.content.decode()
    assert "on their way already" in lead.post(reverse("check_data", args=["desk"]), follow=True).content.decode()
    Cleaning.objects.update(claimed_at=timezone.now(), stage="texts", done=3, total=8)
    part = lead.get(reverse("cleaning_progress", args=["desk"]))
    assert "3 of 8 texts" in part.content.decode()
    assert "HX-Refresh" not in part
    Cleaning.objects.update(claimed_at=None, asked_at=None)
    assert lead.get(reverse("cleaning_progress", args=["desk"]))["HX-Refresh"] == "true"


def clean(*arguments):
    out, told = StringIO(), StringIO()
    call_command("clean", "desk", *arguments, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


def test_the_command_checks_and_decides(project, alice):
    a_demonstration(project, MAIL)
    a_demonstration(project, "Dear [NAME], thank you.")
    said, _ = clean()
    assert said == "Personal data: 1 open\nLeft from a template: 1 open\n"
    _, told = clean("--verb", "mend", "--by", "alice")
    assert "1 decided, 1 passed over." in told
    assert Finding.objects.get(kind="personal").decided_by == alice.person
    Cleaning.objects.update(claimed_at=timezone.now())
    with pytest.raises(CommandError, match="at this moment"):
        clean()
    Cleaning.objects.update(claimed_at=None)
    with pytest.raises(CommandError, match="Say why"):
        clean("--verb", "exclude")
    clean("--verb", "exclude", "--because", "A leftover.", "--kind", "placeholder")
    clean("--verb", "bring_back")
    assert set(Finding.objects.values_list("state", flat=True)) == {"open"}
    assert Prompt.objects.kept().count() == 2
