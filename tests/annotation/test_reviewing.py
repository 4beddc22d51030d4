"""Disagreement and flags become cases; a reviewer decides them blind, and the decision stands."""

import json
import re
from functools import partial

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from annotation import agreement, exporting, labelling, leasing, progress, reviewing, talk, wording
from annotation.labelling import LeaseLost, Said
from annotation.models import Assignment, Event, Label, Membership, Review
from annotation.reviewing import next_case
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    a_disagreement,
    all_at_once,
    first_is_better,
    lease,
    let_time_pass,
    miscounted,
    overlabelled,
    prefers,
)

REVIEWERS = 16


@pytest.fixture
def rita(member):
    return member("rita", "reviewer")


@pytest.fixture
def ruth(member):
    return member("ruth", "reviewer")


def case_for(member):
    """The member's next case, which must exist."""
    case = next_case(membership=member)
    assert case is not None
    assert case.assignment is not None
    return case


def decide(member, **said):
    said = said or {"ranks": (1, 2)}
    return labelling.submit(assignment=case_for(member).assignment, said=Said(**said))


def cleaned(project, *said, people):
    """A demonstration on which each person says one of these."""
    item = a_demonstration(project, wanted=len(said))
    for member, one in zip(people, said, strict=True):
        labelling.submit(assignment=lease(member, "demonstration"), said=Said(**one))
    return item


# When there is a case


def test_two_people_who_prefer_different_answers_open_a_case(project, bob, bea):
    item = a_comparison(project, wanted=2)
    one, other = item.answers.values_list("response_id", flat=True)
    prefers(bob, item, one)
    assert not Review.objects.exists(), "the second label is still to come"
    prefers(bea, item, other)
    case = Review.objects.open().get()
    assert (case.item, case.reason, case.assignment, case.decision) == (item, "disagreement", None, None)
    assert Event.objects.get(verb="case opened").target == f"item:{item.pk}"


def test_people_who_agree_open_none_whatever_their_strength(project, bob, bea):
    item = a_comparison(project, wanted=2)
    best = item.answers.values_list("response_id", flat=True)[0]
    prefers(bob, item, best, strength=1)
    prefers(bea, item, best, strength=4)
    assert not Review.objects.exists()


@pytest.mark.parametrize("other", [{"ranks": (1, 1)}, {"ranks": (1, 1), "unacceptable": (True, True)}])
def test_a_tie_and_an_unacceptable_pair_are_something_else_than_a_preference(project, bob, bea, other):
    item = a_comparison(project, wanted=2)
    prefers(bob, item, item.answers.values_list("response_id", flat=True)[0])
    labelling.submit(assignment=lease(bea), said=Said(**other))
    assert Review.objects.open().get().item == item


def test_a_tie_of_good_answers_is_something_else_than_one_of_unacceptable_ones(project, bob, bea):
    a_comparison(project, wanted=2)
    labelling.submit(assignment=lease(bob), said=Said(ranks=(1, 1)))
    labelling.submit(assignment=lease(bea), said=Said(ranks=(1, 1), unacceptable=(True, True)))
    assert Review.objects.open().exists()


LONG = "Your parcel left us this morning and will be with you by Friday at the latest."


@pytest.mark.parametrize(
    ("one", "other", "opened"),
    [
        ({"verdict": "accept"}, {"verdict": "accept"}, False),
        ({"verdict": "reject"}, {"verdict": "reject"}, False),
        ({"verdict": "accept"}, {"verdict": "reject"}, True),
        ({"verdict": "accept"}, {"verdict": "edit", "text": LONG}, True),
        ({"verdict": "edit", "text": LONG}, {"verdict": "edit", "text": LONG}, False),
        ({"verdict": "edit", "text": LONG}, {"verdict": "edit", "text": LONG.replace("Friday", "Monday")}, False),
        ({"verdict": "edit", "text": LONG}, {"verdict": "edit", "text": "We cannot say where your parcel is."}, True),
    ],
)
def test_demonstrations_disagree_in_their_verdict_or_in_edits_that_share_too_little(
    project, bob, bea, one, other, opened
):
    cleaned(project, one, other, people=(bob, bea))
    assert Review.objects.open().exists() is opened


def test_a_project_may_leave_disagreement_alone(project, bob, bea):
    project.review_disagreement = False
    project.save()
    a_disagreement(project, bob, bea)
    assert not Review.objects.exists()


def test_one_wanted_label_and_gold_open_no_case(project, bob, bea):
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    item = a_disagreement(project, bob, bea)
    Review.objects.all().delete()
    item.purpose = "gold"
    item.save()
    reviewing.reconsider(item)
    assert not Review.objects.exists()
    with pytest.raises(ValidationError, match="gold"):
        reviewing.open_case(item=item, reason="asked")


def test_a_change_of_mind_ends_the_case_unless_a_reviewer_is_at_it(project, bob, bea, rita):
    item = a_disagreement(project, bob, bea)
    label = Label.objects.get(person=bea.person)
    ranks = [judged.rank for judged in label.judgements.all()]
    agreed = labelling.revise(label=label, said=Said(ranks=ranks[::-1]))
    assert not Review.objects.open().exists()
    again = labelling.revise(label=agreed, said=Said(ranks=ranks))
    case = case_for(rita)
    assert case.item == item
    labelling.revise(label=again, said=Said(ranks=ranks[::-1]))
    assert Review.objects.open().get() == case


def test_a_withdrawn_label_ends_the_case_until_another_comes(project, bob, bea, alice, member):
    item = a_disagreement(project, bob, bea)
    labelling.retract(label=Label.objects.get(person=bea.person), actor=bea)
    assert not Review.objects.open().exists()
    prefers(member("ben"), item, item.answers.values_list("response_id", flat=True)[1])
    assert Review.objects.open().get().item == item


@pytest.mark.django_db(transaction=True)
def test_of_two_last_labels_at_once_the_second_opens_the_case(project, member):
    for number in range(6):
        item = a_comparison(project, wanted=2)
        one, other = item.answers.values_list("response_id", flat=True)
        people = [member(f"{name}{number}") for name in ("ann", "ben")]
        held = [lease(person) for person in people]
        jobs = []
        for assignment, best in zip(held, (one, other), strict=True):
            said = Said(ranks=[1 if response == best else 2 for response in assignment.order])
            jobs.append(partial(labelling.submit, assignment=assignment, said=said))
        all_at_once(*jobs)
        assert Review.objects.open().filter(item=item).count() == 1


# Who is given it


def test_nobody_is_given_a_case_on_an_item_they_were_given_to_label(project, bob, member):
    rita = member("rita", "reviewer")
    a_disagreement(project, bob, rita)
    assert next_case(membership=rita) is None
    assert reviewing.cases_for(rita).count() == 0
    ruth = member("ruth", "reviewer")
    assert reviewing.cases_for(ruth).count() == 1
    assert case_for(ruth).assignment.person == ruth.person


def test_whoever_skipped_an_item_does_not_review_it(project, bob, bea, rita):
    a_comparison(project, wanted=2)
    leasing.skip(assignment=lease(rita))
    for member, ranks in ((bob, (1, 1)), (bea, (1, 2))):
        labelling.submit(assignment=lease(member), said=Said(ranks=ranks))
    assert Review.objects.open().exists()
    assert next_case(membership=rita) is None


def test_annotators_are_given_no_case(project, bob, bea, member):
    a_disagreement(project, bob, bea)
    assert next_case(membership=member("ben")) is None


def test_a_case_has_one_reviewer_at_a_time_and_keeps_its_order(project, bob, bea, rita, ruth):
    a_disagreement(project, bob, bea)
    first = case_for(rita)
    assert next_case(membership=ruth) is None
    again = case_for(rita)
    assert (again, again.assignment) == (first, first.assignment)
    assert sorted(first.assignment.order) == sorted(first.item.answers.values_list("response_id", flat=True))


def test_whoever_saw_a_case_is_not_given_its_item_to_label(project, bob, rita):
    item = a_comparison(project, wanted=2)
    talk.comment(item=item, author=bob, text="Both are about tea.", flag=True)
    assert case_for(rita).item == item
    assert leasing.next_assignment(membership=rita, kind="comparison") is None
    assert progress.waiting_for(rita)["comparison"] == 0
    Assignment.objects.get().refresh_from_db()
    leasing.release(assignment=Assignment.objects.get())
    assert leasing.next_assignment(membership=rita, kind="comparison") is None
    assert progress.waiting_for(rita)["comparison"] == 0


def test_a_review_takes_no_place_of_the_item(project, bob, bea, rita, ruth):
    item = a_disagreement(project, bob, bea)
    for leave in (leasing.release, leasing.skip):
        leave(assignment=case_for(rita).assignment)
        item.refresh_from_db()
        assert item.taken == 2
        rita = ruth
    assert miscounted() == []


def test_a_case_whose_reviewer_went_away_comes_back(project, bob, bea, rita, ruth):
    item = a_disagreement(project, bob, bea)
    left = case_for(rita).assignment
    let_time_pass([left])
    assert case_for(ruth).item == item
    left.refresh_from_db()
    assert left.state == "expired"
    item.refresh_from_db()
    assert item.taken == 2
    with pytest.raises(LeaseLost, match="another reviewer"):
        labelling.submit(assignment=left, said=first_is_better())
    assert not Label.objects.filter(decision=True).exists()


def test_a_late_decision_is_welcome_if_nobody_has_the_case(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    left = case_for(rita).assignment
    let_time_pass([left])
    assert leasing.return_overdue() == 1
    assert Review.objects.get().assignment is None
    label = labelling.submit(assignment=left, said=first_is_better())
    assert Review.objects.get().decision == label


def test_a_case_that_was_passed_on_goes_to_somebody_else(project, bob, bea, rita, ruth):
    a_disagreement(project, bob, bea)
    assert leasing.skip(assignment=case_for(rita).assignment, reason="I know the customer")
    assert next_case(membership=rita) is None
    assert case_for(ruth).assignment.person == ruth.person
    assert not Event.objects.filter(verb="item skipped").exists()
    assert Event.objects.get(verb="case passed on").data["reason"] == "I know the customer"


@pytest.mark.parametrize("policy", ["drop", "to_me"])
def test_passing_a_case_on_is_no_skip_of_its_item(project, bob, bea, rita, policy):
    project.skip_policy = policy
    project.save()
    item = a_disagreement(project, bob, bea)
    leasing.skip(assignment=case_for(rita).assignment)
    item.refresh_from_db()
    assert not item.dropped


@pytest.mark.django_db(transaction=True)
def test_many_reviewers_at_once_get_a_case_each_and_never_their_own(project, member):
    people = [member(f"person{number}", "reviewer") for number in range(REVIEWERS)]
    items = [a_disagreement(project, people[number], people[number + 1]) for number in range(0, REVIEWERS, 2)]
    labelled = {(item.pk, person.person_id) for item in items for person in people if _labelled(item, person)}
    got = all_at_once(*(partial(next_case, membership=one) for one in people))
    found = [case for case in got if case is not None]
    assert len(found) == len({case.pk for case in found}) == len(items)
    assert not labelled & {(case.item_id, case.assignment.person_id) for case in found}
    assert miscounted() == []


@pytest.mark.django_db(transaction=True)
def test_reviewers_and_annotators_at_once_neither_lose_a_case_nor_overfill_an_item(project, member):
    """Everybody decides until no case is left, while abandoned leases are taken back all the time."""
    annotators = [member(f"annotator{number}") for number in range(2)]
    people = [member(f"reviewer{number}", "reviewer") for number in range(8)]
    for _ in range(12):
        a_disagreement(project, *annotators)

    def work(number, reviewer):
        for turn in range(60):
            case = next_case(membership=reviewer)
            if case is None:
                return
            if (number + turn) % 3 == 0:
                let_time_pass([case.assignment])
                leasing.return_overdue()
            try:
                labelling.submit(assignment=case.assignment, said=first_is_better())
            except LeaseLost:
                continue

    all_at_once(*(partial(work, number, one) for number, one in enumerate(people)), patience=90)
    for case in Review.objects.open():  # those whose reviewer met nothing else
        assert case.assignment is None
    for reviewer in people:
        work(1, reviewer)
    assert not Review.objects.open().exists()
    assert Label.objects.filter(decision=True).count() == 12
    assert miscounted() == []
    assert overlabelled() == []


def _labelled(item, member):
    return Label.objects.filter(item=item, person=member.person).exists()


# What a decision does


def test_a_decision_is_a_label_that_closes_the_case(project, bob, bea, rita):
    item = a_disagreement(project, bob, bea)
    case = case_for(rita)
    label = decide(rita)
    case.refresh_from_db()
    assert (label.decision, label.item, label.person) == (True, item, rita.person)
    assert case.closed_at is not None
    assert (case.decision, case.assignment) == (label, None)
    assert not Label.objects.filter(decision=True).exclude(pk=label.pk).exists()
    assert next_case(membership=rita) is None


def test_a_decision_sent_again_is_the_same_label(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    said = first_is_better()
    assignment = case_for(rita).assignment
    first = labelling.submit(assignment=assignment, said=said)
    assert labelling.submit(assignment=assignment, said=said) == first


def test_the_decision_counts_alone_for_its_item(project, bob, bea, member, rita):
    item = a_disagreement(project, bob, bea, member("ben"))
    other = a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    decision = decide(rita)
    counting = set(Label.objects.trainable())
    assert counting == {decision, Label.objects.get(item=other)}
    assert Label.objects.live().filter(item=item).count() == 4, "nothing of what people said is lost"


def test_the_decision_of_an_excluded_reviewer_settles_nothing(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    decision = decide(rita)
    Membership.objects.filter(pk=rita.pk).update(excluded_at=decision.created_at)
    assert {label.person for label in Label.objects.trainable()} == {bob.person, bea.person}


def test_the_decision_of_a_program_does_not_overrule_people(project, bob, bea, member):
    a_disagreement(project, bob, bea)
    decision = decide(member("robot", "reviewer", simulated=True))
    assert {label.person for label in Label.objects.trainable()} == {bob.person, bea.person}
    assert set(Label.objects.trainable(simulated=True)) == {decision, *Label.objects.filter(decision=False)}


def test_a_second_decision_replaces_the_first(project, bob, bea, rita, ruth):
    item = a_disagreement(project, bob, bea)
    decide(rita)
    reviewing.open_case(item=item, reason="asked")
    assert next_case(membership=rita) is None, "nobody reviews their own decision"
    second = decide(ruth, ranks=(1, 1))
    assert list(Label.objects.trainable()) == [second]


def test_agreement_and_progress_are_about_what_was_asked(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    before = agreement.of_project(project)["comparison"], progress.of_project(project)["comparison"]
    decide(rita)
    assert (agreement.of_project(project)["comparison"], progress.of_project(project)["comparison"]) == before
    assert overlabelled() == []


def test_the_export_has_the_decision_beside_the_labels(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    decision = decide(rita)
    (row,) = exporting.labelled_rows(project=project)
    assert {label["id"]: label["decision"] for label in row["labels"]} == {
        **dict.fromkeys(Label.objects.filter(decision=False).values_list("pk", flat=True), False),
        decision.pk: True,
    }


def test_a_revised_decision_still_decides(project, bob, bea, rita):
    a_disagreement(project, bob, bea)
    first = decide(rita)
    second = labelling.revise(label=first, said=Said(ranks=(1, 1)))
    assert second.decision
    assert list(Label.objects.trainable()) == [second]
    assert Review.objects.get().decision == second


def test_a_withdrawn_decision_opens_the_case_again(project, bob, bea, rita, ruth):
    item = a_disagreement(project, bob, bea)
    labelling.retract(label=decide(rita), actor=rita)
    item.refresh_from_db()
    assert item.taken == 2
    assert miscounted() == []
    assert set(Label.objects.trainable()) == set(Label.objects.filter(decision=False))
    case = case_for(ruth)
    assert (case.item, case.reason) == (item, "disagreement")


def test_a_decision_on_a_closed_case_is_refused(project, bob, bea, alice, rita):
    item = a_disagreement(project, bob, bea)
    assignment = case_for(rita).assignment
    Review.objects.update(closed_at=assignment.leased_at)
    with pytest.raises(LeaseLost, match="closed"):
        labelling.submit(assignment=assignment, said=first_is_better())
    assert not Label.objects.filter(item=item, decision=True).exists()


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
