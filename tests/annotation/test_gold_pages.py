"""The pages about gold: the lead's list and forms, the quiz, word after an answer, and being paused."""

import re
import uuid

import pytest
from django.urls import reverse

from annotation import labelling
from annotation.gold import Right, mark
from annotation.models import Gold, Item, Label, Membership, Project
from tests.annotation.making import a_comparison, a_demonstration, asked, first_is_better, lease
from tests.annotation.test_gold import answer, golden

FRAGMENT = {"X-Touchstone": "item"}
WORK = "/projects/desk/label/comparison/"
RULES = {
    **{"gold_share": 10, "gold_feedback": "on", "gold_threshold": 70, "gold_minimum": 5},
    **{"quiz_length": 3, "quiz_threshold": 80},
}


@pytest.fixture
def lead(client, alice):
    client.force_login(alice.person)
    return client


@pytest.fixture
def page(client, bob):
    client.force_login(bob.person)
    return client


def text_of(response):
    return re.sub(r"\s+", " ", response.content.decode())


def send(page, assignment, choice="left", **more):
    data = {"client_uuid": str(uuid.uuid4()), "choice": choice}
    return page.post(reverse("submit", args=[assignment.pk]), data, **more)


# A lead


def test_without_gold_the_page_explains_what_it_is_for(lead):
    shown = text_of(lead.get("/projects/desk/gold/"))
    assert "No gold yet" in shown
    assert "/projects/desk/gold/add/" in shown


def test_a_lead_makes_an_item_gold_starting_from_what_people_said(lead, project, bob):
    item = a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    best = Label.objects.get().judgements.get(rank=1).response
    listed = text_of(lead.get("/projects/desk/gold/add/?q=question&kind=comparison"))
    address = reverse("make_gold", args=["desk", item.pk])
    assert address in listed
    form = lead.get(address).context["form"]
    assert form.initial[f"rank_{best.pk}"] == 1
    other = item.responses.exclude(pk=best.pk).get()
    data = {f"rank_{best.pk}": 1, f"rank_{other.pk}": 2, f"bad_{other.pk}": "on", "explanation": "Kind.\r\nTrue."}
    assert lead.post(address, data).url == "/projects/desk/gold/"
    made = Gold.objects.get()
    assert (made.ranks, made.unacceptable) == ({str(best.pk): 1, str(other.pk): 2}, [other.pk])
    assert made.explanation == "Kind.\nTrue."
    assert item.prompt.last_turn in text_of(lead.get("/projects/desk/gold/"))


def test_what_cannot_be_right_is_said_on_the_form(lead, project):
    item = a_comparison(project)
    data = {f"rank_{response.pk}": 1 for response in item.responses.all()}
    shown = lead.post(reverse("make_gold", args=["desk", item.pk]), data)
    assert shown.status_code == 422
    assert "every judgement would be right" in text_of(shown)
    draft = a_demonstration(project)
    shown = lead.post(reverse("make_gold", args=["desk", draft.pk]), {})
    assert "Tick at least one verdict that is right." in text_of(shown)
    assert not Gold.objects.exists()


def test_a_lead_edits_retires_and_uses_again(lead, project, bob):
    made = golden(project)
    address = reverse("gold_item", args=["desk", made.pk])
    data = {f"rank_{pk}": rank for pk, rank in made.ranks.items()}
    lead.post(address, {**data, "explanation": "Because.", "quiz": "on", "action": "save"})
    made.refresh_from_db()
    assert (made.explanation, made.quiz) == ("Because.", True)
    answer(made, bob)
    shown = lead.get(address)
    assert "Make it an ordinary item again" not in text_of(shown)
    assert "<select" not in shown.content.decode()  # what is right is told
    assert lead.post(address, {"explanation": "Because it is."}).status_code == 302
    made.refresh_from_db()
    assert made.explanation == "Because it is."
    other = {name: 3 - rank for name, rank in data.items()}  # from a page that was opened before the first answer
    refused = lead.post(address, {**other, "explanation": "Because it was."})
    assert refused.status_code == 422
    best = next(name for name, rank in data.items() if rank == 1)
    assert refused.context["form"][best].value() == 1
    assert lead.post(address, {"explanation": "Because it was."}).status_code == 302
    for action, dropped in (("retire", True), ("again", False), ("take_back", False)):
        lead.post(address, {"action": action})
        item = Item.objects.get()
        assert (item.purpose, item.dropped) == ("gold", dropped)


def test_right_verdicts_that_people_were_measured_by_are_told(lead, project, bob):
    item = a_demonstration(project)
    mark(item=item, right=Right(verdicts=("accept", "edit")))
    made = Gold.objects.get()
    labelling.submit(assignment=asked(made, bob), said=labelling.Said(verdict="accept"))
    shown = lead.get(reverse("gold_item", args=["desk", made.pk]))
    assert "Right: Accept, Edit" in text_of(shown)
    assert 'type="checkbox" name="verdicts"' not in shown.content.decode()


def test_a_lead_sets_the_rules_in_percent(lead, project):
    assert lead.post("/projects/desk/gold/", RULES).status_code == 302
    project.refresh_from_db()
    assert (project.gold_share, project.gold_threshold, project.quiz_threshold) == (0.1, 0.7, 0.8)
    assert project.gold_feedback
    shown = lead.post("/projects/desk/gold/", {**RULES, "gold_share": 80})
    assert shown.status_code == 422
    shown = text_of(lead.get("/projects/desk/gold/"))
    assert "The quiz wants 3 questions and there are 0" in shown
    assert 'value="10"' in shown


def test_a_lead_sees_who_is_paused_and_lets_them_go_on(lead, project, bob):
    lead.post(reverse("pause", args=["desk", bob.person_id]), {"because": "Let us talk."})
    shown = text_of(lead.get("/projects/desk/gold/"))
    assert "Let us talk." in shown
    assert "Let them go on" in shown
    Project.objects.update(quiz_length=2)
    assert "Let them try the quiz again" in text_of(lead.get("/projects/desk/gold/"))
    lead.post(reverse("unpause", args=["desk", bob.person_id]), {"without_quiz": "yes"})
    bob.refresh_from_db()
    assert not bob.paused_at
    assert bob.quiz_passed_at


# An annotator


def test_gold_looks_like_any_other_item(page, project, bob):
    Project.objects.update(gold_share=1.0)
    for _ in range(2):
        a_comparison(project, ("same", "thing"))
    known = Item.objects.first()
    first, second = known.responses.all()
    mark(item=known, right=Right(ranks={first.pk: 1, second.pk: 2}), explanation="Because.")

    def seen(response):
        shown = text_of(response)
        for pattern in (
            r'value="[\w-]{36}"',
            r"Question \d+\?",
            r"/assignments/\d+/",
            r'data-assignment="\d+"',
            r'data-leased-at="[^"]+"',
            r"csrf\w+\W+value=\S+",
            "today: [01]",
            r"\b(same|thing)\b",
        ):
            shown = re.sub(pattern, "", shown)
        return shown

    gold_page = page.get(WORK, headers=FRAGMENT)
    held = lease(bob)
    assert held.item == known
    ordinary_page = send(page, held, headers=FRAGMENT)
    assert lease(bob).item != known
    assert seen(gold_page) == seen(ordinary_page)
    assert "xpected" not in text_of(ordinary_page)


def test_the_quiz_says_how_far_it_is(page, project, bob):
    Project.objects.update(quiz_length=2)
    for number in range(2):
        golden(project, (f"good {number}", f"bad {number}"), quiz=True)
    a_comparison(project)
    assert "question <strong>1</strong> of 2" in text_of(page.get(WORK))
    assert "question <strong>2</strong> of 2" in text_of(send(page, lease(bob), headers=FRAGMENT))


def test_word_comes_with_the_next_item_and_leads_back_to_the_old_one(page, project, bob):
    Project.objects.update(gold_feedback=True)
    made = golden(project, explanation="The other is *rude*.")
    a_comparison(project)
    shown = text_of(send(page, asked(made, bob), "right", headers=FRAGMENT))
    assert "Not what we expected." in shown
    assert "The other is <em>rude</em>." in shown
    assert "Which answer is better?" in shown
    address = reverse("gold_answer", args=[Label.objects.get().pk])
    assert address in shown
    back = text_of(page.get(address))
    assert "rank 2" in back
    assert "rude" in back


def test_without_scripts_the_word_comes_by_the_address(page, project, bob, bea, client):
    Project.objects.update(gold_feedback=True)
    made = golden(project)
    a_comparison(project, wanted=2)
    sent = send(page, asked(made, bob))
    label = Label.objects.get()
    assert sent.url == f"{WORK}?after={label.pk}"
    assert "As expected." in text_of(page.get(sent.url))
    for wrong in ("x", "999999", "9" * 30, ""):
        assert "As expected." not in text_of(page.get(f"{WORK}?after={wrong}"))
    client.force_login(bea.person)
    assert "As expected." not in text_of(client.get(sent.url))


def test_what_was_right_is_shown_to_those_who_answered_and_only_if_the_project_tells(page, client, project, bob, bea):
    label = answer(golden(project), bob)
    address = reverse("gold_answer", args=[label.pk])
    assert page.get(address).status_code == 404
    Project.objects.update(gold_feedback=True)
    assert page.get(address).status_code == 200
    client.force_login(bea.person)
    assert client.get(address).status_code == 404


def test_a_paused_person_reads_why_and_whom_to_ask(page, project, bob, alice):
    a_comparison(project)
    Membership.objects.filter(pk=bob.pk).update(paused_at="2026-11-25T10:00Z", paused_because="3 of 9 were right.")
    shown = text_of(page.get(WORK))
    assert "3 of 9 were right." in shown
    assert "Ask alice" in shown
    assert "Which answer is better?" not in shown
