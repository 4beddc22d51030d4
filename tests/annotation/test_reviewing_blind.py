"""What a reviewer is shown of a case, on the page and by the API: what was said, and never by whom."""

import json
import re

import pytest
from django.urls import reverse

from annotation import labelling, reviewing, talk, wording
from annotation.labelling import Said
from annotation.models import Assignment, Label, Membership, Review
from tests.annotation.cases import LONG, case_for, cleaned, decide
from tests.annotation.making import a_comparison, a_disagreement, lease, let_time_pass, prefers

# Blind


def test_what_people_said_stands_under_numbers_in_an_order_that_stays(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    case = case_for(rita)
    heard = reviewing.voices(case)
    assert [voice.name for voice in heard] == ["1", "2"]
    assert {voice.label.person for voice in heard} == {bob.person, bea.person}
    assert reviewing.voices(Review.objects.get()) == heard


def test_the_order_of_the_numbers_does_not_tell_who_was_first(project, bob, bea, rita):
    first = set()
    for _ in range(12):
        a_disagreement(project, bob, bea)
        first.add(reviewing.voices(case_for(rita))[0].label.person)
        decide(rita)
    assert first == {bob.person, bea.person}


def test_the_api_tells_a_reviewer_no_name(api_of, project, bob, bea, rita):
    item = a_disagreement(project, bob, bea)
    Label.objects.get(person=bob.person)
    talk.comment(item=item, author=bob, text="Is that so?", flag=True)
    client = api_of(rita)
    answer = client.post("/api/v1/projects/desk/review/")
    assert answer.status_code == 200
    case = answer.json()["case"]
    assert [label["name"] for label in case["labels"]] == ["1", "2"]
    assert sorted(label["ranks"] for label in case["labels"]) == [[1, 2], [2, 1]]
    assert case["flags"] == ["Is that so?"]
    thread = client.get(f"/api/v1/assignments/{case['assignment']['id']}/comments/")
    assert [one["author"] for one in thread.json()["results"]] == ["An annotator"]
    for text in (answer.content.decode(), thread.content.decode()):
        assert "bob" not in text
        assert "bea" not in text


def test_a_case_is_decided_through_the_api(api_of, project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    client = api_of(rita)
    case = client.post("/api/v1/projects/desk/review/").json()["case"]
    said = {"client_uuid": "7c2f4b0e-0d7b-4b58-9a58-3f4f0f3f8a11", "ranks": [2, 1], "strength": 2}
    answer = client.post(
        f"/api/v1/assignments/{case['assignment']['id']}/submit/", json.dumps(said), content_type="application/json"
    )
    assert answer.status_code == 201
    assert answer.json()["label"]["decision"] is True
    assert client.post("/api/v1/projects/desk/review/").json() == {"case": None, "waiting": 0}


def test_a_lead_sends_an_item_to_review(api_of, project, bob, alice, rita):
    item = a_comparison(project)
    for member, status in ((bob, 403), (rita, 403), (alice, 201), (alice, 201)):
        assert api_of(member).post(f"/api/v1/items/{item.pk}/review/").status_code == status
    assert Review.objects.open().get().reason == "asked"


@pytest.fixture
def api_of(client):
    def sign_in(member):
        client.force_login(member.person)
        return client

    return sign_in


# The page


@pytest.fixture
def desk(client, rita):
    """Rita at the reviewers' page."""
    client.force_login(rita.person)
    return client


REVIEW = "/projects/desk/review/"


def in_form(html):
    return {"client_uuid": re.search(r'name="client_uuid"\s+value="([^"]+)"', html)[1], "seconds": "2", "comment": ""}


def test_the_page_shows_what_was_said_and_never_by_whom(desk, project, bob, bea, rita):
    item = a_comparison(project, wanted=2)
    one, other = item.answers.values_list("response_id", flat=True)
    prefers(bob, item, one, strength=4, comment="It says <b>when</b>.")
    prefers(bea, item, other, strength=1)
    talk.comment(item=item, author=bob, text="Which of them is still sold?", flag=True)
    html = desk.get(REVIEW).content.decode()
    for shown in (
        "significantly better",
        "negligibly better",
        "It says &lt;b&gt;when&lt;/b&gt;.",
        "Which of them is still",
    ):
        assert shown in html
    assert not re.search(r"\b(bob|bea)\b", html)
    assert "An annotator" in html


def test_the_words_are_about_the_answers_as_the_reviewer_sees_them(desk, project, bob, bea, rita):
    for _ in range(6):
        item = a_disagreement(project, bob, bea)
        html = desk.get(REVIEW).content.decode()
        assignment = Assignment.objects.get(item=item, person=rita.person)
        said = {voice.label.person.username: wording.in_words(voice.label, assignment.order) for voice in heard(item)}
        best = {name: "Left better" if name == "bob" else "Right better" for name in ("bob", "bea")}
        first = item.answers.values_list("response_id", flat=True)[0]
        if assignment.order[0] != first:
            best = {"bob": "Right better", "bea": "Left better"}
        assert said == best
        assert "Left better" in html
        desk.post(reverse("decide", args=[assignment.pk]), {**in_form(html), "choice": "left"})


def heard(item):
    return reviewing.voices(Review.objects.get(item=item))


def test_a_decision_leads_to_the_next_case_and_then_to_word_that_there_is_none(desk, project, bob, bea, rita):
    for _ in range(2):
        a_disagreement(project, bob, bea)
    for left in (2, 1):
        page = desk.get(REVIEW)
        assert page.context["waiting"] == left
        html = page.content.decode()
        answer = desk.post(reverse("decide", args=[page.context["assignment"].pk]), {**in_form(html), "choice": "left"})
        assert (answer.status_code, answer.url) == (302, REVIEW)
    assert "No case waits for you" in desk.get(REVIEW).content.decode()
    assert Label.objects.filter(decision=True, person=rita.person).count() == 2


def test_a_decision_that_does_not_fit_keeps_what_was_said(desk, project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    page = desk.get(REVIEW)
    address = reverse("decide", args=[page.context["assignment"].pk])
    refused = desk.post(address, {**in_form(page.content.decode()), "comment": "Hm."})
    html = refused.content.decode()
    assert refused.status_code == 422
    assert "Not stored." in html
    assert "Hm." in html
    assert "What people said" in html


def test_a_case_that_went_to_somebody_else_is_not_decided(desk, project, bob, bea, rita, ruth):
    a_disagreement(project, bob, bea)
    page = desk.get(REVIEW)
    mine = page.context["assignment"]
    let_time_pass([mine])
    case_for(ruth)
    answer = desk.post(
        reverse("decide", args=[mine.pk]), {**in_form(page.content.decode()), "choice": "left"}, follow=True
    )
    assert "another reviewer has it now" in answer.content.decode()
    assert not Label.objects.filter(decision=True).exists()


def test_a_case_is_passed_on_from_its_page(desk, project, bob, bea, rita, ruth):
    a_disagreement(project, bob, bea)
    mine = desk.get(REVIEW).context["assignment"]
    assert desk.post(reverse("pass_on", args=[mine.pk]), {"reason": "I know them"}).url == REVIEW
    html = desk.get(REVIEW).content.decode()
    assert "No case waits for you" in html
    assert "1 case is open" in " ".join(html.split())
    assert case_for(ruth).assignment.person == ruth.person


def test_an_edit_is_taken_over_by_its_number(desk, project, bob, bea, rita):
    cleaned(project, {"verdict": "edit", "text": LONG}, {"verdict": "reject"}, people=(bob, bea))
    number = next(voice.name for voice in heard(Review.objects.get().item) if voice.label.verdict == "edit")
    page = desk.get(REVIEW, {"take": number})
    assert page.context["form"].said().text == LONG
    other = desk.get(REVIEW, {"take": {"1": "2", "2": "1"}[number]})
    assert other.context["form"] is None
    fields = {**in_form(page.content.decode()), "verdict": "edit", "text": LONG}
    desk.post(reverse("decide", args=[page.context["assignment"].pk]), fields)
    kept = {label.response for label in Label.objects.filter(verdict="edit")}
    assert len(kept) == 1, "the same text is the same answer"


def test_an_assignment_that_is_no_case_is_not_decided(client, project, member):
    a_comparison(project)
    rita = member("rita", "reviewer")
    assignment = lease(rita)
    client.force_login(rita.person)
    for verb in ("decide", "pass_on"):
        assert client.post(reverse(verb, args=[assignment.pk]), {"choice": "left"}).status_code == 404


def test_a_reviewer_who_becomes_an_annotator_decides_no_more(desk, project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    mine = desk.get(REVIEW).context["assignment"]
    Membership.objects.filter(pk=rita.pk).update(role="annotator")
    assert desk.post(reverse("decide", args=[mine.pk]), {"choice": "left"}).status_code == 403


def test_a_superuser_looks_in_and_takes_no_case(client, project, bob, bea, django_user_model):
    a_disagreement(project, bob, bea)
    client.force_login(django_user_model.objects.create_superuser("root"))
    assert client.get(REVIEW).url == "/projects/desk/"
    assert Review.objects.get().assignment is None


def test_the_navigation_counts_the_cases_of_those_who_review(client, project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    for member, shown in ((rita, True), (bob, False)):
        client.force_login(member.person)
        html = client.get(reverse("project", args=["desk"])).content.decode()
        assert ('Review<span class="section-count">· 1</span>' in html) is shown
        assert (f'href="{REVIEW}"' in html) is shown


def test_a_ranking_of_three_is_reviewed_too(desk, project, bob, bea, rita):
    item = a_comparison(project, ("one", "two", "three"), wanted=2)
    for member, ranks in ((bob, (1, 2, 3)), (bea, (2, 1, 2))):
        assignment = lease(member)
        by = dict(zip(item.answers.values_list("response_id", flat=True), ranks, strict=True))
        said = Said(ranks=[by[pk] for pk in assignment.order], strength=2, criteria={"helpful": 0, "honest": None})
        labelling.submit(assignment=assignment, said=said)
    page = desk.get(REVIEW)
    html = page.content.decode()
    assert re.search(r"[ABC] &gt; [ABC] &gt; [ABC], slightly better", html)
    assert re.search(r"[ABC] &gt; [ABC] = [ABC], slightly better", html)
    ranks = {f"rank_{place}": str(place + 1) for place in range(3)}
    desk.post(reverse("decide", args=[page.context["assignment"].pk]), {**in_form(html), **ranks})
    assert Label.objects.filter(decision=True).count() == 1
