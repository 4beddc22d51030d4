"""What the annotators' pages show and do, without a browser."""

import json
import re
import uuid
from html import unescape
from urllib.parse import urlencode

import pytest
from django.urls import reverse

from annotation import labelling, leasing
from annotation.guidelines import publish
from annotation.models import Assignment, Event, Label, Response
from annotation.text import sha256
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    a_prompt,
    ask,
    first_is_better,
    lease,
    let_time_pass,
)

FRAGMENT = {"X-Touchstone": "item"}


@pytest.fixture
def page(client, bob):
    """Bob at his desk."""
    client.force_login(bob.person)
    return client


def work(kind="comparison"):
    return reverse("work", args=["desk", kind])


def held(**more):
    return Assignment.objects.get(state="leased", **more)


def to(verb, assignment):
    return reverse(verb, args=[assignment.pk])


def said(**more):
    return {"client_uuid": str(uuid.uuid4()), "seconds": "3.5", "comment": "", **more}


def uuid_in(html):
    return re.search(r'name="client_uuid"\s+value="([^"]+)"', html)[1]


def text_of(response):
    return response.content.decode()


# Signing in


def test_a_person_signs_in_and_out(client, bob):
    answer = client.post(reverse("login"), {"username": "bob", "password": "bob-has-a-secret"})
    assert (answer.status_code, answer.url) == (302, "/")
    assert client.get("/").status_code == 200
    assert client.get(reverse("logout")).status_code == 405
    assert client.post(reverse("logout")).status_code == 302
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(
    ("name", "sender", "back"),
    [
        (
            "recompute",
            "http://testserver/projects/desk/quality/?kind=comparison",
            "/projects/desk/quality/?kind=comparison",
        ),
        ("edit_guidelines", "http://testserver/projects/desk/guidelines/edit/", "/projects/desk/guidelines/edit/"),
        ("recompute", "https://evil.example/", "/"),
        ("recompute", "http://testserver/projects/desk/quality/consensus/", "/"),
        ("recompute", "http://testserver/no/such/page/", "/"),
        ("recompute", "", "/"),
    ],
)
def test_what_was_sent_when_signed_out_is_told_and_leads_back_to_where_it_was_sent_from(
    client, project, alice, name, sender, back
):
    """The address that it was sent to may have no page to come back to."""
    headers = {"Accept": "text/html", "Referer": sender}
    answer = client.post(reverse(name, args=["desk"]), headers=headers)
    assert answer.url == f"{reverse('login')}?{urlencode({'next': back}, safe='/')}"
    assert "what you sent was not done" in client.get(answer.url).content.decode()
    signed_in = client.post(answer.url, {"username": "alice", "password": "alice-has-a-secret", "next": back})
    assert client.get(signed_in.url).status_code == 200


def test_a_wrong_password_is_refused(client, bob):
    answer = client.post(reverse("login"), {"username": "bob", "password": "wrong"})
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session


def test_signing_in_does_not_lead_to_another_site(client, bob):
    address = reverse("login") + "?next=https://evil.example/"
    answer = client.post(address, {"username": "bob", "password": "bob-has-a-secret"})
    assert answer.url == "/"


# The item


def test_the_answers_stand_as_this_person_sees_them(page, project, bob):
    for number in range(8):
        a_comparison(project, answers=(f"good answer {number}", f"bad answer {number}"))
        html = text_of(page.get(work()))
        left, right = (response.text for response in held().shown())
        assert html.index(left) < html.index(right)
        page.post(to("submit", held()), said(choice="left"))
        label = Label.objects.latest("id")
        assert label.judgements.get(rank=1).response.text == left
        assert label.judgements.get(rank=2).response.text == right


@pytest.mark.parametrize(("kind", "count"), [("comparison", 2), ("demonstration", 1)])
def test_nothing_in_the_page_tells_who_or_what_wrote_an_answer(page, project, kind, count):
    prompt = a_prompt(project, "Where is my parcel?", metadata={"source": "the-secret-source"}, tags=["secret-tag"])
    ids = [918273645, 564738291][:count]
    for pk in ids:
        text = f"Answer {'one' if pk == ids[0] else 'two'}."
        Response.objects.create(pk=pk, prompt=prompt, text=text, sha256=sha256(text), origin="model")
    ask(
        project=project,
        prompt=prompt,
        kind=kind,
        responses=list(prompt.responses.all()),
        purpose="head_to_head",
        selection={"selector": "uncertainty", "champion": "secret-model-7", "scores": [0.123456, 0.654321]},
    )
    first = page.get(work(kind))
    for answer in (first, page.post(to("submit", held()), said(), headers=FRAGMENT)):
        html = text_of(answer)
        assert "Where is my parcel?" in html
        assert "Answer one." in html
        for secret in (*map(str, ids), "secret", "0.123456", "uncertainty", "head_to_head", "sha256", "origin"):
            assert secret not in html.replace("original", "")
        item = re.sub(r"<head>.*</head>|<header.*?</header>", "", html, flags=re.DOTALL)
        assert not re.search(r"sampled|imported|\bmodel\b", item)


def test_what_a_model_wrote_does_not_run_in_the_page(page, project):
    attack = "</textarea><script>alert(1)</script><img src=x onerror=alert(1)>"
    publish(project=project, text=attack, asks_again=False)
    prompt = a_prompt(project, attack)
    response = Response.objects.create(prompt=prompt, text=attack, sha256=sha256(attack), origin="model")
    ask(project=project, prompt=prompt, kind="demonstration", responses=[response])
    html = text_of(page.get(work("demonstration")))
    leasing.save_draft(assignment=held(), draft={"text": attack})
    refused = page.post(to("submit", held()), said(verdict="edit", text=attack, comment=attack, client_uuid=attack))
    assert refused.status_code == 422
    for shown in (html, text_of(page.get(work("demonstration"))), text_of(refused)):
        assert "alert(1)" in shown
        assert "<img src=x" not in shown
        assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", shown))


def test_the_page_is_not_kept_by_the_browser(page, project):
    a_comparison(project)
    assert "no-store" in page.get(work())["Cache-Control"]


def test_a_page_opened_twice_shows_the_same_item_in_the_same_order(page, project):
    for _ in range(3):
        a_comparison(project)
    page.get(work())
    before = held().order
    page.get(work())
    assert held().order == before


@pytest.mark.parametrize("kind", ["comparison", "demonstration"])
def test_when_nothing_is_left_the_page_says_so(page, project, kind):
    for headers in ({}, FRAGMENT):
        answer = page.get(work(kind), headers=headers)
        assert answer.status_code == 200
        assert b"data-item-title" in answer.content
        assert b'name="client_uuid"' not in answer.content


# Submitting


def test_the_next_item_comes_in_the_same_answer(page, project):
    first = a_comparison(project, answers=("first one", "first two"))
    a_comparison(project, answers=("second one", "second two"))
    page.get(work())
    answer = page.post(to("submit", held()), said(choice="right", strength="2"), headers=FRAGMENT)
    html = text_of(answer)
    assert answer.status_code == 200
    assert "<html" not in html
    assert "second one" in html
    assert "first one" not in html
    label = Label.objects.get()
    assert (label.item, label.strength, label.seconds) == (first, 2, 3.5)
    assert to("submit", held()) in html


def test_without_javascript_the_next_item_comes_after_a_redirect(page, project):
    a_comparison(project)
    page.get(work())
    answer = page.post(to("submit", held()), said(choice="tie"))
    assert (answer.status_code, answer.url) == (302, work())
    assert page.get(answer.url).status_code == 200
    assert Label.objects.count() == 1


@pytest.mark.parametrize(
    ("choice", "ranks", "unacceptable"),
    [
        ("left", [1, 2], False),
        ("right", [2, 1], False),
        ("tie", [1, 1], False),
        ("unacceptable", [1, 1], True),
    ],
)
def test_each_choice_is_stored_as_what_it_means(page, project, choice, ranks, unacceptable):
    a_comparison(project)
    page.get(work())
    order = held().order
    page.post(to("submit", held()), said(choice=choice, strength="4"))
    judged = list(Label.objects.get().judgements.order_by("position"))
    assert [one.rank for one in judged] == ranks
    assert [one.response_id for one in judged] == order
    assert {one.unacceptable for one in judged} == {unacceptable}
    assert Label.objects.get().strength == (4 if choice in ("left", "right") else None)


@pytest.mark.parametrize(
    ("verdict", "text", "kept"),
    [
        ("accept", "ignored", "A draft."),
        ("edit", "Better.\r\nMuch better.\r\n", "Better.\nMuch better."),
        ("reject", "ignored", None),
    ],
)
def test_each_verdict_is_stored_as_what_it_means(page, project, verdict, text, kept):
    a_demonstration(project, "A draft.")
    page.get(work("demonstration"))
    page.post(to("submit", held()), said(verdict=verdict, text=text))
    label = Label.objects.get()
    assert label.verdict == verdict
    assert (label.response and label.response.text) == kept


@pytest.mark.parametrize(
    ("kind", "sent", "complaint"),
    [
        ("comparison", {}, "Choose the left or the right answer"),
        ("comparison", {"choice": "both"}, "both is not one of the available choices"),
        ("comparison", {"choice": "left", "strength": "9"}, "Strength runs from 1 to 4"),
        ("comparison", {"choice": "left", "strength": "-1"}, "greater than or equal to 1"),
        ("comparison", {"choice": "left", "seconds": "-1"}, "greater than or equal to 0"),
        ("comparison", {"choice": "left", "seconds": "nan"}, "Enter a number"),
        ("comparison", {"choice": "left", "client_uuid": "7"}, "Enter a valid UUID"),
        ("comparison", {"choice": "left", "comment": "x" * 4001}, "at most 4000 characters"),
        ("demonstration", {}, "Choose accept, edit or reject"),
        ("demonstration", {"verdict": "edit", "text": " "}, "The edited answer is empty"),
        ("demonstration", {"verdict": "edit", "text": "A draft.\r\n"}, "Nothing was changed"),
        ("demonstration", {"verdict": "edit", "text": "a\0b"}, "Null characters are not allowed"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_message_and_nothing_is_lost(page, project, kind, sent, complaint):
    (a_comparison if kind == "comparison" else a_demonstration)(project)
    page.get(work(kind))
    assignment = held()
    sent = said(**{"comment": "My comment.", **sent})
    answer = page.post(to("submit", assignment), sent, headers=FRAGMENT)
    html = text_of(answer)
    assert answer.status_code == 422
    assert complaint in html
    assert to("submit", assignment) in html
    if len(sent["comment"]) < 4000:
        assert "My comment." in html
    if sent.get("text", "").strip():
        assert sent["text"].strip().replace("\0", "") in html.replace("\0", "")
    if sent.get("choice") == "left":
        assert re.search(r'value="left"[^>]*\bchecked\b', html)
    assert not Label.objects.exists()
    assert held() == assignment
    good = said(choice="left") if kind == "comparison" else said(verdict="accept")
    assert page.post(to("submit", assignment), good).status_code == 302
    assert Label.objects.count() == 1


def test_after_a_refusal_the_page_can_be_sent_again_as_it_stands(page, project):
    """Whatever was wrong with the hidden fields, a person cannot mend them by hand."""
    a_comparison(project)
    page.get(work())
    html = text_of(page.post(to("submit", held()), said(choice="left", client_uuid="broken", seconds="-5")))
    seconds = re.search(r'name="seconds"\s+value="([^"]*)"', html)[1]
    answer = page.post(to("submit", held()), said(choice="left", client_uuid=uuid_in(html), seconds=seconds))
    assert answer.status_code == 302


def test_without_javascript_a_refusal_is_a_whole_page(page, project):
    a_comparison(project)
    page.get(work())
    answer = page.post(to("submit", held()), said(comment="My comment."))
    assert answer.status_code == 422
    assert "</html>" in text_of(answer)
    assert "My comment." in text_of(answer)
    answer = page.post(to("submit", held()), said(), headers=FRAGMENT)
    assert "</html>" not in text_of(answer)


def test_a_project_without_ties_refuses_one_and_says_why(page, project):
    project.ties_allowed = False
    project.save()
    a_comparison(project)
    assert 'value="tie"' not in text_of(page.get(work()))
    answer = page.post(to("submit", held()), said(choice="tie"))
    assert answer.status_code == 422
    assert "This project allows no ties" in text_of(answer)


def test_a_form_sent_twice_is_one_label(page, project):
    for _ in range(2):
        a_comparison(project)
    page.get(work())
    assignment, form = held(), said(choice="left")
    for _ in range(2):
        assert page.post(to("submit", assignment), form, headers=FRAGMENT).status_code == 200
    assert Label.objects.count() == 1


def test_a_label_that_comes_too_late_is_explained_and_another_item_shown(page, project, bea):
    a_comparison(project)
    page.get(work())
    late = held()
    let_time_pass([late])
    labelling.submit(assignment=lease(bea), said=first_is_better())
    a_comparison(project, answers=("another one", "another two"))
    answer = page.post(to("submit", late), said(choice="left"), headers=FRAGMENT)
    assert answer.status_code == 200
    assert "went to somebody else" in text_of(answer)
    assert "another one" in text_of(answer)
    assert not Label.objects.filter(assignment=late).exists()


def test_progress_counts_the_label_at_once(page, project):
    for _ in range(4):
        a_comparison(project)
    assert "0 of 4" in text_of(page.get(work()))
    assert "1 of 4" in text_of(page.post(to("submit", held()), said(choice="left"), headers=FRAGMENT))


# Skipping and drafts


def test_a_skip_brings_the_next_item(page, project):
    skipped = a_comparison(project, answers=("first one", "first two"))
    a_comparison(project, answers=("second one", "second two"))
    page.get(work())
    answer = page.post(to("skip", held()), {"reason": "too hard"}, headers=FRAGMENT)
    assert "second one" in text_of(answer)
    assert Assignment.objects.get(item=skipped).skip_reason == "too hard"
    assert page.post(to("skip", held())).url == work()


def test_a_draft_is_kept_and_comes_back(page, project):
    a_demonstration(project)
    page.get(work("demonstration"))
    fields = {"text": "half a thought", "verdict": "edit", "comment": "so far", "flags": ["tone", "incomplete"]}
    assert page.post(to("draft", held()), {"draft": json.dumps(fields)}).status_code == 204
    html = text_of(page.get(work("demonstration")))
    assert "half a thought</textarea>" in html  # also without JavaScript
    (kept,) = re.findall(r'data-draft="(.*?)"', html)
    assert json.loads(unescape(kept)) == fields
    assert page.post(to("draft", held())).status_code == 204, "a heartbeat"
    assert held().draft == fields


@pytest.mark.parametrize(
    "draft", ["", "no JSON", "[]", '"text"', '{"text": 1}', '{"text": [1]}', '{"text": {"a": "b"}}', "[" * 5000]
)
def test_a_draft_that_is_none_is_refused(page, project, draft):
    a_demonstration(project)
    page.get(work("demonstration"))
    assert page.post(to("draft", held()), {"draft": draft}).status_code == 400
    assert held().draft == {}


def test_a_draft_of_an_ended_lease_is_refused(page, project):
    a_demonstration(project)
    page.get(work("demonstration"))
    assignment = held()
    leasing.release(assignment=assignment)
    assert page.post(to("draft", assignment), {"draft": '{"text": "late"}'}).status_code == 409
    assert page.post(to("draft", assignment)).status_code == 409


def test_odd_characters_break_no_page(page, project):
    for _ in range(2):
        a_demonstration(project)
    page.get(work("demonstration"))
    assert page.post(to("draft", held()), {"draft": json.dumps({"text": "a\0b"})}).status_code == 204
    assert "a�b" in text_of(page.get(work("demonstration")))
    assert page.post(to("skip", held()), {"reason": "a\0b"}).status_code == 302
    assert page.post(to("submit", lease_of(page)), said(verdict="reject", comment="a\0b")).status_code == 422


def lease_of(page):
    page.get(work("demonstration"))
    return held()


# Around the work


def test_the_list_and_the_project_say_what_waits(page, project):
    for _ in range(3):
        a_comparison(project)
    for address in ("/", "/projects/desk/"):
        html = text_of(page.get(address))
        assert work() in html
        assert re.search(r"\b3\b", html)


@pytest.mark.parametrize("place", ["", "guidelines/", "label/comparison/"])
def test_the_guidelines_are_rendered(page, project, place):
    text = "# Be *kind*\n\n<script>alert(1)</script>\n\n[shop](javascript:alert(1))"
    publish(project=project, text=text, asks_again=False)
    html = text_of(page.get(f"/projects/desk/{place}"))
    assert '<h1 dir="auto">Be <em>kind</em></h1>' in html
    assert "<script>alert" not in html
    assert 'href="javascript:' not in html


def test_a_lead_changes_the_guidelines_and_that_is_on_record(client, project, alice):
    client.force_login(alice.person)
    address = "/projects/desk/guidelines/edit/"
    assert "# Be *kind*" in text_of(client.get(address))
    answer = client.post(address, {"guidelines": "Be **brief**"})
    assert (answer.status_code, answer.url) == (302, "/projects/desk/guidelines/")
    assert "<strong>brief</strong>" in text_of(client.get(answer.url))
    event = Event.objects.get(verb="guidelines changed")
    assert (event.actor, event.target) == (alice.person, f"project:{project.pk}")


# Flags and earlier turns


def test_the_projects_flags_are_on_the_page_and_kept_with_the_label(page, project):
    project.flags = ["too long", "<b>rude</b>"]
    project.save()
    a_demonstration(project)
    html = text_of(page.get(work("demonstration")))
    assert html.count('name="flags"') == 2
    assert "<b>rude" not in html
    page.post(to("submit", held()), said(verdict="reject", flags=["too long", "<b>rude</b>"]))
    assert Label.objects.get().flags == ["too long", "<b>rude</b>"]


def test_a_project_without_flags_asks_for_none(page, project):
    project.flags = []
    project.save()
    a_demonstration(project)
    assert 'name="flags"' not in text_of(page.get(work("demonstration")))


def test_flags_stay_ticked_when_the_label_is_refused(page, project):
    a_demonstration(project)
    page.get(work("demonstration"))
    answer = page.post(to("submit", held()), said(verdict="edit", text="", flags=["tone", "unheard of"]))
    assert answer.status_code == 422
    assert re.findall(r'value="([\w ]+)" checked', text_of(answer)) == ["tone"]
