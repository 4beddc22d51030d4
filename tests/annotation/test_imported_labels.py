"""Labels that come with rows: whose they are, that they count, and that nothing is said twice."""

import json

import pytest

from annotation import importing, storing
from annotation.labelling import Said as SaidOnPage
from annotation.labelling import submit
from annotation.models import Assignment, Item, Judgement, Label, Membership, Prompt, Response, Review, User
from annotation.preparing import Batch, prepare
from annotation.shapes.rows import Row, Said
from tests.annotation.making import lease, miscounted, overlabelled

USER = [{"role": "user", "content": "Where is my parcel?"}]


def comparison(*said, answers=("one", "two"), line=1, **more):
    return Row(line=line, messages=USER, kind="comparison", answers=list(answers), said=list(said), **more)


def demonstration(*said, answers=("A draft.",), line=1, **more):
    return Row(line=line, messages=USER, kind="demonstration", answers=list(answers), said=list(said), **more)


def bring(project, *rows):
    batch = Batch()
    for row in rows:
        batch.add(prepare(row, project.heldout_share))
    summary, refused = storing.store(project=project, batch=batch)
    assert miscounted() == []
    assert overlabelled() == []
    return summary, [(one.line, one.reason) for one in refused]


def ranks(label):
    return {one.response.text: one.rank for one in label.judgements.select_related("response")}


def test_a_comparison_comes_with_its_label(project):
    said = Said(
        rater="ann", ranks=[2, 1], strength=3, comment="Clearer.", flags=["tone"], criteria={"honest": 1}, seconds=4
    )
    summary, refused = bring(project, comparison(said))
    assert (summary.added, summary.comparisons, summary.labels, refused) == (1, 1, 1, [])
    label = Label.objects.get()
    assert ranks(label) == {"one": 2, "two": 1}
    two = Response.objects.get(text="two")
    assert (label.strength, label.comment, label.flags, label.seconds) == (3, "Clearer.", ["tone"], 4)
    assert label.criteria == {"honest": two.pk}
    item = Item.objects.get()
    assert (item.taken, item.wanted) == (1, 1)
    assert sorted(label.assignment.order) == sorted(item.answers.values_list("response_id", flat=True))
    assert label.assignment.state == "submitted"
    assert Label.objects.trainable().exists() == (item.prompt.split == "train")


def test_an_imported_rater_is_on_record_and_cannot_sign_in(project, client):
    bring(project, comparison(Said(rater="Ann O'Neill", ranks=[1, 2])))
    member = Membership.objects.get(imported=True)
    person = member.person
    assert (person.first_name, person.is_active, person.has_usable_password(), member.role) == (
        "Ann O'Neill",
        False,
        False,
        "annotator",
    )
    assert not client.login(username=person.username, password="")


def test_one_rater_of_each_name_in_each_project(project):
    from annotation.models import Project

    other = Project.objects.create(slug="other", name="Other")
    said = Said(rater="ann", ranks=[1, 2])
    for one in (project, project, other):
        bring(one, comparison(said), comparison(Said(rater="bo", ranks=[1, 2]), answers=("x", "y")))
    assert User.objects.filter(first_name="ann").count() == 2
    assert Membership.objects.filter(imported=True).count() == 4


def test_the_same_label_again_is_the_same_one(project):
    row = comparison(Said(rater="ann", ranks=[1, 2]), Said(ranks=[2, 1]), Said(ranks=[2, 1]))
    assert bring(project, row)[0].labels == 3
    before = set(Label.objects.values_list("client_uuid", flat=True))
    summary, refused = bring(project, row, row)
    assert (summary.added, summary.known, summary.labels, refused) == (0, 2, 0, [])
    assert set(Label.objects.values_list("client_uuid", flat=True)) == before


def test_labels_of_a_known_row_are_something_new(project):
    bring(project, comparison())
    summary, _ = bring(project, comparison(Said(rater="ann", ranks=[1, 2])))
    assert (summary.added, summary.known, summary.labels) == (1, 0, 1)


def test_a_rater_who_says_otherwise_the_second_time_is_refused(project):
    bring(project, comparison(Said(rater="ann", ranks=[1, 2])))
    summary, refused = bring(project, comparison(Said(rater="ann", ranks=[2, 1]), line=7))
    assert (summary.labels, refused) == (
        0,
        [(7, "The label of 'ann' says otherwise than the one that is here already.")],
    )
    assert ranks(Label.objects.get()) == {"one": 1, "two": 2}


def test_more_labels_than_are_wanted_raise_what_is_wanted(project, bob):
    bring(project, comparison())
    held = lease(bob)
    bring(project, comparison(*(Said(rater=name, ranks=[1, 2]) for name in ("ann", "bo", "cy"))))
    item = Item.objects.get()
    assert (item.taken, item.wanted) == (4, 4)
    submit(assignment=held, said=SaidOnPage(ranks=(1, 2)))
    assert overlabelled() == []


def test_fewer_labels_than_are_wanted_leave_room_for_people(project, bob):
    project.labels_per_item = 2
    project.save()
    bring(project, comparison(Said(rater="ann", ranks=[1, 2])))
    assert lease(bob).item == Item.objects.get()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Said(ranks=[1, 2], flags=["purple"]), "no flag called purple"),
        (Said(ranks=[1, 2], criteria={"funny": 0}), "no criterion called funny"),
        (Said(ranks=[1, 2], strength=9), "Strength runs from 1 to 4"),
        (Said(ranks=[1, 3]), "Ranks run from 1"),
        (Said(), "Give each answer a rank"),
    ],
)
def test_a_label_that_does_not_fit_the_project_is_named_and_the_row_stored(project, said, reason):
    summary, refused = bring(project, comparison(said, line=3))
    assert (summary.added, summary.labels, len(refused)) == (1, 0, 1)
    assert refused[0][0] == 3
    assert reason in refused[0][1]
    assert not Label.objects.exists()


def test_ties_and_unacceptable_answers_come_along(project):
    bring(project, comparison(Said(ranks=[1, 1], unacceptable=[True, True], strength=2)))
    label = Label.objects.get()
    assert label.strength is None
    assert set(Judgement.objects.values_list("rank", "unacceptable")) == {(1, True)}


@pytest.mark.parametrize(
    ("said", "verdict", "kept", "origin"),
    [
        (Said(verdict="accept"), "accept", "A draft.", "import"),
        (Said(verdict="edit", text="Better."), "edit", "Better.", "edit"),
        (Said(verdict="edit", text=" A draft. "), "accept", "A draft.", "import"),
        (Said(verdict="reject"), "reject", None, None),
    ],
)
def test_demonstrations_come_with_their_verdicts(project, said, verdict, kept, origin):
    assert bring(project, demonstration(said))[0].labels == 1
    label = Label.objects.get()
    assert (label.verdict, label.response and label.response.text) == (verdict, kept)
    if kept:
        assert label.response.origin == origin
    if origin == "edit":
        assert label.response.edited_from.text == "A draft."


def test_an_answer_that_a_person_wrote_is_theirs(project):
    bring(project, demonstration(Said(rater="ann", verdict="edit", text="Written."), answers=()))
    label = Label.objects.get()
    assert (label.response.text, label.response.origin, label.response.edited_from) == ("Written.", "human", None)


def test_the_best_answer_made_better_comes_along(project):
    bring(project, comparison(Said(ranks=[2, 1], text="two, better")))
    response = Label.objects.get().response
    assert (response.text, response.origin, response.edited_from.text) == ("two, better", "edit", "two")


def test_a_long_ranking_is_said_of_each_group(project):
    texts = [f"answer {number}" for number in range(12)]
    summary, refused = bring(project, comparison(Said(rater="ann", ranks=list(range(12, 0, -1))), answers=texts))
    assert (summary.comparisons, summary.labels, refused) == (2, 2, [])
    for label in Label.objects.all():
        said = ranks(label)
        assert sorted(said.values()) == list(range(1, len(said) + 1))
        assert [said[text] for text in texts if text in said] == list(range(len(said), 0, -1))


def test_where_answers_stood_is_kept_or_drawn_so_that_no_side_is_favoured(project):
    bring(project, comparison(Said(ranks=[1, 2], positions=[1, 0])))
    assert {one.response.text: one.position for one in Judgement.objects.all()} == {"one": 1, "two": 0}
    rows = [
        Row(
            line=n,
            messages=[{"role": "user", "content": f"{n}?"}],
            kind="comparison",
            answers=["a", "b"],
            said=[Said(ranks=[1, 2])],
        )
        for n in range(60)
    ]
    bring(project, *rows)
    first = Judgement.objects.filter(rank=1, response__text="a", position=0).count()
    assert 15 < first < 45


def test_raters_who_disagree_make_a_case(project):
    project.labels_per_item = 2
    project.save()
    bring(project, comparison(Said(rater="ann", ranks=[1, 2]), Said(rater="bo", ranks=[2, 1])))
    assert Review.objects.open().get().reason == "disagreement"


def test_a_reviewers_decision_takes_no_place(project):
    bring(project, comparison(Said(rater="ann", ranks=[1, 2]), Said(rater="rev", ranks=[2, 1], decision=True)))
    assert Item.objects.get().taken == 1
    assert Label.objects.filter(decision=True).get().assignment.review


def test_labels_of_gold_are_held_against_the_right_answer(project):
    from annotation.shapes.golden import Known

    gold = Known(ranks={"one": 1, "two": 2})
    row = comparison(Said(rater="ann", ranks=[1, 2]), Said(rater="bo", ranks=[2, 1]), gold=gold)
    bring(project, row)
    assert sorted(Label.objects.values_list("person__first_name", "gold_correct")) == [("ann", True), ("bo", False)]
    assert not Label.objects.trainable().exists()


def test_the_day_it_was_said_is_kept(project):
    from datetime import UTC, datetime

    at = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
    bring(project, comparison(Said(ranks=[1, 2], created_at=at)))
    assert Label.objects.get().created_at == Assignment.objects.get().ended_at == at


def test_bad_characters_in_a_raters_name_do_no_harm(project):
    assert bring(project, comparison(Said(rater="a\0\ud800", ranks=[1, 2])))[0].labels == 1


def test_an_export_comes_back_with_its_labels(project, bob, bea):
    from annotation import exporting
    from annotation.models import Project

    project.labels_per_item = 2
    project.save()
    importing.import_lines(project=project, lines=[json.dumps({"prompt": "?", "responses": ["a", "b"]})])
    for member in (bob, bea):
        assignment = lease(member)
        best = next(one.pk for one in assignment.shown() if one.text == "b")
        said = [1 if pk == best else 2 for pk in assignment.order]
        submit(assignment=assignment, said=SaidOnPage(ranks=said, strength=2))
    out = [json.dumps(row) for row in exporting.labelled_rows(project=project)]
    other = Project.objects.create(slug="other", name="Other", heldout_share=project.heldout_share)
    again = importing.import_lines(project=project, lines=out)
    assert (again.added, again.known, again.labels, again.rejected) == (0, 1, 0, [])
    assert Label.objects.count() == 2  # nobody says twice what they said here
    assert importing.import_lines(project=other, lines=out).labels == 2
    assert Prompt.objects.filter(project=other).count() == 1
    for label in Label.objects.filter(project=other):
        assert ranks(label) == {"a": 2, "b": 1}
        assert label.strength == 2
