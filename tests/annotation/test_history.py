"""One's own labels: finding one again, and taking it back."""

import json
import re
import uuid
from functools import partial

import pytest
from django.urls import reverse

from annotation import history, labelling
from annotation.gold import Right, mark
from annotation.labelling import Said
from annotation.models import Assignment, Label
from annotation.views.mine import PAGE
from annotation.wording import criteria_in_words, in_words
from tests.annotation.making import a_demonstration, a_prompt, an_answer, ask, first_is_better, lease


def judged(member, question="", said=None, kind="demonstration", answers=("A draft.",)):
    project = member.project
    prompt = a_prompt(project, question)
    ask(project=project, prompt=prompt, kind=kind, responses=[an_answer(prompt, text) for text in answers])
    return labelling.submit(assignment=lease(member, kind), said=said or Said(verdict="accept"))


def compared(member, said, answers=("one", "two")):
    return judged(member, said=said, kind="comparison", answers=answers)


def found(member, **wanted):
    return list(history.own_labels(member=member, **wanted))


def test_only_ones_own_labels_newest_first(bob, bea):
    first, second = judged(bob), judged(bob)
    judged(bea)
    assert found(bob) == [second, first]


def test_labels_are_found_by_kind_verdict_and_state(bob):
    accepted = judged(bob)
    rejected = judged(bob, said=Said(verdict="reject"))
    ranked = compared(bob, first_is_better())
    revised = labelling.revise(label=accepted, said=Said(verdict="reject"))
    labelling.retract(label=rejected, actor=bob)
    assert found(bob, kind="comparison") == [ranked]
    assert found(bob, verdict="accept") == [accepted]
    assert found(bob, state="live") == [revised, ranked]
    assert found(bob, state="revised") == [accepted]
    assert found(bob, state="withdrawn") == [rejected]


def test_comparisons_are_found_by_what_was_said_of_the_answers(bob):
    edited = judged(bob, said=Said(verdict="edit", text="A better draft."))
    preferred = compared(bob, Said(ranks=(1, 2), text="one, and more"))
    tied = compared(bob, Said(ranks=(1, 1)))
    bad = compared(bob, Said(ranks=(1, 2), unacceptable=(False, True)))
    both_bad = compared(bob, Said(ranks=(1, 1), unacceptable=(True, True)))
    assert found(bob, verdict="edit") == [preferred, edited]
    assert found(bob, verdict="tie") == [both_bad, tied]
    assert found(bob, verdict="unacceptable") == [both_bad, bad]


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("parcel", 1),
        ("PARCEL", 1),
        ("Zürich", 1),
        ('the "green"', 1),
        ("50%", 1),
        ("user", 0),
        ("content", 0),
        ("a\\b", 1),
    ],
)
def test_a_label_is_found_by_words_of_its_prompt(bob, text, hits):
    judged(bob, 'Where is my parcel to Zürich, the "green" one at 50% off, a\\b?')
    judged(bob, "Something else.")
    assert len(found(bob, q=text)) == hits


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Said(ranks=(1, 2), strength=4), "Left significantly better"),
        (Said(ranks=(2, 1)), "Right better"),
        (Said(ranks=(1, 1)), "A tie"),
        (Said(ranks=(1, 1), unacceptable=(True, True)), "Both unacceptable"),
        (Said(ranks=(1, 2), unacceptable=(False, True)), "Left better; right unacceptable"),
    ],
)
def test_a_comparison_in_words(bob, said, words):
    assert in_words(compared(bob, said)) == words


def test_the_words_follow_the_order_in_which_somebody_else_sees_the_answers(bob):
    label = compared(bob, Said(ranks=(1, 2)))
    order = [judged.response_id for judged in label.judgements.all()]
    assert in_words(label, order) == "Left better"
    assert in_words(label, order[::-1]) == "Right better"


def test_more_than_two_answers_are_named_by_letter(bob):
    label = compared(bob, Said(ranks=(2, 1, 2)), answers=("one", "two", "three"))
    assert in_words(label) == "B > A = C"
    bad = Said(ranks=(1, 2, 2), unacceptable=(False, True, True), text="New.")
    label = compared(bob, bad, answers=("one", "two", "three"))
    assert in_words(label) == "A > B = C; B, C unacceptable; the best one edited"


def test_criteria_in_words(bob):
    label = compared(bob, first_is_better())
    first, second = label.judgements.all()
    label.criteria = {"helpful": second.response_id, "honest": 0}
    assert criteria_in_words(label) == {"helpful": "right", "honest": "no difference"}
    assert criteria_in_words(label, [second.response_id, first.response_id])["helpful"] == "left"


@pytest.mark.parametrize(
    ("said", "words"),
    [({"verdict": "accept"}, "Accepted as it is"), ({"verdict": "reject"}, "Rejected")],
)
def test_a_demonstration_in_words(bob, said, words):
    assert in_words(judged(bob, said=Said(**said))) == words


# The page


@pytest.fixture
def page(client, bob):
    client.force_login(bob.person)
    return client


@pytest.fixture
def address(project):
    return reverse("my_labels", args=["desk"])


def test_the_page_goes_back_label_by_label(page, address, bob):
    for number in range(PAGE + 2):
        judged(bob, f"Question number {number}.")
    html = page.get(address).content.decode()
    assert f"Question number {PAGE + 1}." in html
    assert "Question number 1." not in html
    assert page.get(address).context["older"]
    older = page.get(f"{address}?{page.get(address).context['older']}")
    assert [label.item.prompt.last_turn for label in older.context["labels"]] == [
        "Question number 1.",
        "Question number 0.",
    ]
    assert not older.context["older"]


def test_the_filters_stay_when_one_goes_back(page, address, bob):
    for _ in range(PAGE + 1):
        judged(bob)
    older = page.get(address, {"verdict": "accept", "q": "question"}).context["older"]
    assert "verdict=accept" in older
    assert "q=question" in older


@pytest.mark.parametrize("before", ["", "x", "-1", "9" * 40, "²"])
def test_a_strange_place_is_the_beginning(page, address, bob, before):
    judged(bob)
    assert len(page.get(address, {"before": before}).context["labels"]) == 1


def test_an_unknown_filter_filters_nothing(page, address, bob):
    judged(bob)
    assert len(page.get(address, {"kind": "nonsense"}).context["labels"]) == 1


def test_somebody_who_has_said_nothing_is_told_what_stands_here(page, address):
    assert "You have not said anything yet" in page.get(address).content.decode()


def test_a_label_is_withdrawn_from_the_list(page, address, bob, bea, client):
    label = judged(bob)
    theirs = labelling.submit(assignment=_for(bea), said=Said(verdict="accept"))
    answer = page.post(reverse("withdraw", args=[label.pk]), follow=True)
    assert answer.redirect_chain[-1][0] == address
    assert "was withdrawn" in answer.content.decode()
    assert list(Label.objects.live()) == [theirs]
    again = page.post(reverse("withdraw", args=[label.pk]), follow=True)
    assert "revised or withdrawn already" in again.content.decode()
    assert page.post(reverse("withdraw", args=[theirs.pk])).status_code == 404


# Revising


def sent(html, **more):
    return {"client_uuid": re.search(r'name="client_uuid"\s+value="([^"]+)"', html)[1], "comment": "", **more}


def test_a_label_opens_again_with_what_was_said(page, bob):
    label = compared(bob, Said(ranks=(2, 1), strength=4, comment="It is kinder."))
    before = label.assignment.order
    html = page.get(reverse("revise", args=[label.pk])).content.decode()
    assert re.search(r'value="right"\s+required\s+checked', html)
    assert "It is kinder." in html
    assert html.index("one") < html.index("two") if label.judgements.first().response.text == "one" else True
    assert Assignment.objects.get(pk=label.assignment_id).order == before


def test_the_new_word_counts_and_the_old_one_stays(page, bob, address):
    label = judged(bob)
    revise = reverse("revise", args=[label.pk])
    html = page.get(revise).content.decode()
    answer = page.post(revise, sent(html, verdict="edit", text="A better draft."), follow=True)
    assert answer.redirect_chain[-1][0] == address
    revised = Label.objects.live().get()
    assert (revised.supersedes, revised.verdict, revised.response.text) == (label, "edit", "A better draft.")
    assert (revised.assignment, revised.person) == (label.assignment, bob.person)
    again = page.post(revise, sent(html, verdict="edit", text="A better draft."), follow=True)
    assert again.status_code == 200
    assert Label.objects.count() == 2


def test_a_label_that_was_replaced_is_not_revised_again(page, bob):
    label = judged(bob)
    labelling.revise(label=label, said=Said(verdict="reject"))
    revise = reverse("revise", args=[label.pk])
    html = page.get(revise).content.decode()
    assert "can be changed no more" in html
    assert page.post(revise, sent(html, verdict="accept")).status_code == 422
    assert Label.objects.live().get().verdict == "reject"


def test_what_does_not_fit_is_refused_and_kept(page, bob):
    label = judged(bob)
    revise = reverse("revise", args=[label.pk])
    answer = page.post(revise, sent(page.get(revise).content.decode(), verdict="edit", text="A draft."))
    assert answer.status_code == 422
    assert "Nothing was changed" in answer.content.decode()
    assert Label.objects.live().get() == label


def test_nobody_opens_or_revises_the_label_of_another(page, bea, alice, client):
    label = judged(bea)
    revise = reverse("revise", args=[label.pk])
    for person in (None, alice.person):
        if person:
            client.force_login(person)
        assert client.get(revise).status_code == 404
        assert client.post(revise, {"verdict": "accept"}).status_code == 404
    assert Label.objects.live().get() == label


def test_on_gold_the_first_word_stands_and_nothing_shows_it(page, bob, project):
    project.gold_feedback = True
    project.save()
    label = judged(bob)
    mark(item=label.item, right=Right(verdicts=["accept"]))
    told = Label(**{field.attname: getattr(label, field.attname) for field in Label._meta.concrete_fields})
    told.pk, told.client_uuid, told.supersedes, told.gold_correct = None, uuid.uuid4(), label, False
    told.save(force_insert=True)
    revise = reverse("revise", args=[told.pk])
    html = page.get(revise).content.decode()
    assert "gold" not in re.sub(r"note--gold|gold-|css/gold.css", "", html.lower())
    page.post(revise, sent(html, verdict="reject"))
    assert Label.objects.live().get().gold_correct is False


def test_a_label_is_revised_through_the_api(page, bob, bea):
    mine, theirs = compared(bob, Said(ranks=(1, 2))), compared(bea, Said(ranks=(1, 2)))
    said = {"client_uuid": str(uuid.uuid4()), "ranks": [2, 1], "strength": 2}
    post = partial(page.post, data=json.dumps(said), content_type="application/json")
    assert post(f"/api/v1/labels/{theirs.pk}/revise/").status_code == 404
    answer = post(f"/api/v1/labels/{mine.pk}/revise/")
    assert answer.status_code == 201
    assert [judged["rank"] for judged in answer.json()["judgements"]] == [2, 1]
    assert Label.objects.live().get(person=bob.person).supersedes == mine


def _for(member):
    a_demonstration(member.project)
    return lease(member, "demonstration")
