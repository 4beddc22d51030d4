"""What a rule lets in and how it counts; and that nothing it says brings in what may never be trained on."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from annotation import excluding, labelling, reviewing
from annotation.labelling import Said
from annotation.models import Membership, Project, Response
from tests.annotation.making import a_prompt, an_answer
from tests.training.making import a_model, a_preference, an_edit, compares, demonstrates, says
from tests.training.test_made_rows import answers as answered
from training import snapshots
from training.models.snapshots import SnapshotKind
from training.snapshots import Rule, freeze, previewing
from training.snapshots.rules import WEIGHTS, words

pytestmark = pytest.mark.django_db

A, B, TIE = {"ranks": (1, 2), "strength": 4}, {"ranks": (2, 1), "strength": 2}, {"ranks": (1, 1)}
OLD = {
    "simulated": False,
    "edits_as_preferences": True,
    "minimum_agreement": 0.5,
    "taught_by": [],
    "guessed_by": [],
    "confidence": 0.9,
    "most_made": 0.3,
}


def rows_of(project: Project, kind: str = "preferences", **rule: Any) -> list[dict[str, Any]]:
    return snapshots.collect(project=project, kind=kind, rule=Rule(**rule))


def chosen(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["chosen"][0]["content"] for row in rows)


@pytest.fixture
def judged(project, bob, bea):
    """Two prompts, each judged once: bob on tea in English, bea on parcels in Dutch."""
    project.flags = ["too long"]
    project.save()
    tea = a_prompt(project, language="en", tags=["tea"], metadata={"source": "letters", "year": 2026})
    parcels = a_prompt(project, tags=["parcels"], metadata={"source": "chat"})
    return (
        says(bob, compares(tea, "tea good", "tea bad"), ranks=(1, 2), flags=["too long"]),
        says(bea, compares(parcels, "parcel good", "parcel bad", purpose="audit"), ranks=(1, 2)),
    )


# Filters


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({}, ["parcel good", "tea good"]),
        ({"languages": ["en"]}, ["tea good"]),
        ({"languages": [""]}, ["parcel good"]),
        ({"languages": ["", "en"]}, ["parcel good", "tea good"]),
        ({"tags": ["tea", "coffee"]}, ["tea good"]),
        ({"without_tags": ["tea"]}, ["parcel good"]),
        ({"metadata": {"source": "letters"}}, ["tea good"]),
        ({"metadata": {"source": "letters", "year": 2026}}, ["tea good"]),
        ({"metadata": {"year": "2026"}}, []),
        ({"people": ["bob"]}, ["tea good"]),
        ({"without_people": ["bob"]}, ["parcel good"]),
        ({"people": ["bob"], "without_people": ["bob"]}, []),
        ({"purposes": ["audit"]}, ["parcel good"]),
        ({"purposes": ["train", "head_to_head"]}, ["tea good"]),
        ({"flags": ["too long"]}, ["tea good"]),
        ({"without_flags": ["too long"]}, ["parcel good"]),
        ({"tags": ["tea"], "people": ["bea"]}, []),
    ],
)
def test_a_filter_lets_in_what_it_names(project, judged, rule, found):
    assert chosen(rows_of(project, **rule)) == found


def test_days_are_included_at_both_ends(project, judged):
    today = timezone.localdate()
    day = timedelta(days=1)
    assert len(rows_of(project, since=today, until=today)) == 2
    assert rows_of(project, since=today + day) == rows_of(project, until=today - day) == []


def test_items_with_an_answer_of_a_model(project, bob, judged):
    tuned = a_model(project, "tuned")
    prompt = a_prompt(project)
    answered(tuned, {prompt: ["from the model"]})
    says(bob, compares(prompt, "from the model", "from a person"), ranks=(2, 1))
    assert chosen(rows_of(project, answered_by=[tuned.pk])) == ["from a person"]
    assert rows_of(project, answered_by=[a_model(project, "silent").pk]) == []


def test_who_and_what_the_project_has_not_is_refused(project, judged, charlie):
    """A name that is misspelt would quietly let everybody in, or nobody."""
    other = Project.objects.create(slug="other", name="Other")
    theirs = a_model(other, "theirs")
    for rule in ({"people": ["bobb"]}, {"without_people": ["charlie"]}, {"answered_by": [theirs.pk]}):
        with pytest.raises(ValidationError, match=r"called (bobb|charlie)|no model"):
            rows_of(project, **rule)
    Membership.objects.filter(project=project, person__username="bob").delete()
    assert chosen(rows_of(project, people=["bob"])) == ["tea good"]  # who has left said what they said


@pytest.mark.parametrize(
    "rule",
    [
        {"purposes": ["gold"]},
        {"since": "2026-12-02", "until": "2026-12-01"},
        {"weights": {"everything": 2}},
        {"weights": {"import": -1}},
        {"weights": {"import": float("nan")}},
        {"weights": {"import": 21}},
        {"metadata": {"a": ["list"]}},
        {"metadata": {"a": float("inf")}},
        {"tags": ["nul\0"]},
        {"people": ["x" * 201]},
        {"answered_by": [2**63]},
        {"minimum_votes": 0},
        {"aggregation": "loudest"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule):
    with pytest.raises(ValueError, match=next(iter(rule)) + "|first|rule"):
        Rule(**rule)


def test_an_old_rule_gives_the_rows_it_always_gave(project, bob, bea, alice):
    a_preference(bob)
    an_edit(bea)
    assert Rule.model_validate(OLD) == Rule()
    for kind in SnapshotKind.values:
        first = freeze(project=project, kind=kind)
        type(first).objects.filter(pk=first.pk).update(rule=OLD)
        again = freeze(project=project, kind=kind, rule=Rule(**OLD))
        assert (again, again.other_rules) == (first, [])
        assert "weight" not in snapshots.read(again)[0]


# What may never enter


def hostile(project: Project) -> list[dict[str, Any]]:
    """Rules that name everything there is."""
    everybody = sorted(project.memberships.values_list("person__username", flat=True))
    return [
        {"people": everybody},
        {"purposes": ["train", "head_to_head", "audit"]},
        {"tags": ["secret"], "languages": ["xx"], "metadata": {"secret": True}},
        {"flags": ["secret"]},
        {"aggregation": "all_votes", "minimum_agreement": 0.5},
        {"aggregation": "weighted"},
        {"weights": dict.fromkeys(WEIGHTS, 20.0)},
        {"since": "2020-01-01"},
        {"answered_by": sorted(project.model_versions.values_list("pk", flat=True))},
    ]


@pytest.mark.parametrize("simulated", [False, True])
def test_nothing_a_rule_says_brings_in_what_may_never_enter(project, bob, bea, alice, member, simulated):
    project.flags = ["secret"]
    project.save()
    about = {"tags": ["secret"], "language": "xx", "metadata": {"secret": True}}
    held = a_prompt(project, split="heldout", **about)
    model = a_model(project, "tuned")
    answered(model, {held: ["held one", "held two"]})
    labels = [
        says(bob, compares(held, "held one", "held two", purpose="head_to_head"), ranks=(1, 2), flags=["secret"]),
        says(bob, demonstrates(held, "held draft"), verdict="edit", text="held edit", flags=["secret"]),
    ]
    gold = a_prompt(project, **about)
    labels.append(says(bob, compares(gold, "gold one", "gold two", purpose="gold"), ranks=(1, 2), flags=["secret"]))
    labels.append(says(bob, demonstrates(gold, "gold draft", purpose="gold"), verdict="accept", flags=["secret"]))
    for label in (a_preference(bob, a_prompt(project, **about)), an_edit(bea, a_prompt(project, **about))):
        labelling.retract(label=label, actor=alice)
        labels.append(label)
    replaced = says(bea, compares(a_prompt(project, **about), "old", "new"), ranks=(1, 2), flags=["secret"])
    labels.append(replaced)
    labelling.revise(label=replaced, said=Said(ranks=(1, 1)))
    gone = member("gone")
    labels += [a_preference(gone, a_prompt(project, **about)), an_edit(gone, a_prompt(project, **about))]
    excluding.exclude(membership=gone, because="guesses", actor=alice.person)
    if not simulated:
        labels.append(a_preference(member("robot", simulated=True), a_prompt(project, **about)))
    never = {label.pk for label in labels}
    for kind, rule in product(SnapshotKind.values, [{}, *hostile(project)]):
        for row in rows_of(project, kind, simulated=simulated, **rule):
            assert not never & set(row["labels"]), (kind, rule)
            assert row["prompt_sha256"] not in (held.sha256, gold.sha256), (kind, rule)


def test_a_filter_brings_back_no_vote_that_a_reviewer_overruled(project, bob, member):
    item = compares(a_prompt(project), "A", "B")
    says(bob, item, **A)
    rita = member("rita", "reviewer")
    reviewing.open_case(item=item, reason="asked")
    case = reviewing.next_case(membership=rita)
    ranks = dict(zip(item.answers.values_list("response_id", flat=True), (2, 1), strict=True))
    labelling.submit(assignment=case.assignment, said=Said(ranks=[ranks[pk] for pk in case.assignment.order]))
    assert chosen(rows_of(project)) == ["B"]
    assert chosen(rows_of(project, minimum_votes=3)) == ["B"]  # a decision is enough by itself
    assert rows_of(project, without_people=["rita"]) == rows_of(project, people=["bob"]) == []


def test_what_came_with_a_file_can_weigh_less_than_what_was_said_here(project, bob, member):
    rater = member("rater")
    Membership.objects.filter(pk=rater.pk).update(imported=True)
    here, there = a_preference(bob, a_prompt(project)), a_preference(rater, a_prompt(project))
    weighed = {row["labels"][0]: row["weight"] for row in rows_of(project, weights={"imported": 0.25})}
    assert weighed == {here.pk: 1.0, there.pk: 0.25}


def test_rows_of_models_are_held_to_the_filters_of_prompts(project, bob):
    for _ in range(4):
        an_edit(bob, a_prompt(project, language="en"))
    teacher = a_model(project, "teacher")
    dutch, english = a_prompt(project, language="nl"), a_prompt(project, language="en")
    answered(teacher, {dutch: ["Ja."], english: ["Yes."]})
    rule = {"taught_by": [teacher.pk], "most_made": 1.0}
    made = [row for row in rows_of(project, "demonstrations", languages=["en"], **rule) if row["made_by"]]
    assert [row["completion"][0]["content"] for row in made] == ["Yes."]
    assert sum(1 for row in rows_of(project, "demonstrations", **rule) if row["made_by"]) == 2
    weighed = rows_of(project, "demonstrations", weights={"made": 0.5, "edit": 2}, **rule)
    assert {row["made_by"]: row["weight"] for row in weighed} == {None: 2.0, teacher.pk: 0.5}
    assert all(not row["made_by"] for row in rows_of(project, "demonstrations", weights={"made": 0}, **rule))


# How votes are counted


def test_every_vote_may_be_a_row(project, bob, bea, alice):
    item = compares(a_prompt(project), "A", "B")
    labels = [says(who, item, **said) for who, said in ((bob, A), (bea, B), (alice, TIE))]
    assert rows_of(project) == rows_of(project, aggregation="all_votes") == []  # a third each: nobody agrees
    extra = says(Membership.objects.create(person_id=_person("dan"), project=project), item, **A)
    rows = {row["labels"][0]: row for row in rows_of(project, aggregation="all_votes")}
    assert set(rows) == {labels[0].pk, labels[1].pk, extra.pk}  # a tie is a vote, and no row
    assert [rows[one.pk]["agreement"] for one in labels[:2]] == [0.5, 0.25]
    assert [rows[one.pk]["margin"] for one in labels[:2]] == [1.0, 0.5]
    assert chosen(rows.values()) == ["A", "A", "B"]
    assert rows_of(project, aggregation="all_votes", minimum_agreement=0.6) == []


def test_every_vote_on_one_answer_may_be_a_row(project, bob, bea):
    item = demonstrates(a_prompt(project), "A draft.")
    labels = [says(bob, item, verdict="accept"), says(bea, item, verdict="reject")]
    assert rows_of(project, "unpaired") == []
    rows = {row["labels"][0]: row["label"] for row in rows_of(project, "unpaired", aggregation="all_votes")}
    assert rows == {labels[0].pk: True, labels[1].pk: False}
    both = demonstrates(a_prompt(project), "Fine.")
    kept = [says(who, both, verdict="accept").pk for who in (bob, bea)]
    found = rows_of(project, "demonstrations", aggregation="all_votes")
    assert sorted(row["labels"][0] for row in found if row["completion"][0]["content"] == "Fine.") == kept


def _person(name: str) -> int:
    from annotation.models import User

    return User.objects.create_user(name).pk


def test_the_word_of_who_is_right_more_often_weighs_more(project, bob, bea, alice, member):
    """Three agree with each other, two never do: together the two are the majority on the last pair but for their
    record."""
    dan, eve = member("dan"), member("eve")
    good, bad = (bob, bea, alice), (dan, eve)
    for _ in range(12):
        item = compares(a_prompt(project), "right", "wrong")
        for who in good:
            says(who, item, ranks=(1, 2))
    for number in range(8):
        item = compares(a_prompt(project), "right", "wrong")
        for who in (*good, *bad):
            says(who, item, ranks=(2, 1) if who in bad and number % 2 else (1, 2))
    last = compares(a_prompt(project), "trusted", "doubted")
    says(bob, last, **A)
    for who in bad:
        says(who, last, **B)
    assert "doubted" in chosen(rows_of(project))
    weighted = rows_of(project, aggregation="weighted")
    (row,) = [row for row in weighted if row["prompt_sha256"] == last.prompt.sha256]
    assert chosen([row]) == ["trusted"]
    assert 0.5 < row["agreement"] < 1
    assert weighted == rows_of(project, aggregation="weighted")  # the same labels, the same weights
    assert freeze(project=project, kind="preferences", rule=Rule(aggregation="weighted")).sha256 != (
        freeze(project=project, kind="preferences").sha256
    )


def test_as_few_votes_as_asked_for(project, bob, bea, alice):
    prompt = a_prompt(project)
    item = compares(prompt, "A", "B")
    for who in (bob, bea):
        says(who, item, **A)
    says(alice, compares(prompt, "C", "D"), **A)
    assert chosen(rows_of(project)) == ["A", "C"]
    assert chosen(rows_of(project, minimum_votes=2)) == ["A"]
    assert rows_of(project, minimum_votes=3) == []
    draft = demonstrates(a_prompt(project), "A draft.")
    says(bob, draft, verdict="accept")
    assert len(rows_of(project, "demonstrations")) == 1
    assert rows_of(project, "demonstrations", minimum_votes=2) == []
    says(bea, draft, verdict="accept")
    assert len(rows_of(project, "demonstrations", minimum_votes=2)) == 1


# Weights


def test_a_row_weighs_what_its_kind_and_source_do(project, bob, member):
    a_preference(bob)
    an_edit(bob)
    robot = member("robot", simulated=True)
    a_preference(robot)
    weights = {"import": 0.5, "edit": 3, "comparison": 2, "simulated": 0.1}
    rows = rows_of(project, simulated=True, weights=weights)
    found = {row["chosen"][0]["content"].split()[0]: set() for row in rows}
    for row in rows:
        found[row["chosen"][0]["content"].split()[0]].add(row["weight"])
    assert found == {"good": {1.0, 0.1}, "clean": {3.0}}
    assert len(rows_of(project, simulated=True, weights={"simulated": 0})) == 2
    snapshot = freeze(project=project, kind="preferences", rule=Rule(simulated=True, weights=weights))
    assert snapshots.is_intact(snapshot)
    assert snapshot.counts["weight"] == 4.1


def test_a_row_of_several_labels_weighs_their_mean(project, bob, member):
    item = compares(a_prompt(project), "A", "B")
    says(bob, item, **A)
    says(member("robot", simulated=True), item, **A)
    (row,) = rows_of(project, simulated=True, weights={"simulated": 0.5})
    assert row["weight"] == 0.75


# The preview


def test_a_preview_counts_what_a_freeze_would_write(project, bob, bea, alice, member):
    item = compares(a_prompt(project), "A", "B")
    says(bob, item, **A)
    says(bea, item, **A)
    tied = compares(a_prompt(project), "C", "D")
    says(bob, tied, **TIE)
    labelling.retract(label=a_preference(bob), actor=alice)
    a_preference(bob, purpose="gold")
    a_preference(bob, prompt=a_prompt(project, split="heldout"))
    a_preference(member("robot", simulated=True))
    found = previewing.preview(project=project, kind="preferences", rule=Rule())
    assert (found.rows, found.prompts, found.people, found.labels) == (1, 1, 2, 2)
    assert dict(found.left_out) == {
        "withdrawn or replaced": 1,
        "of gold items": 1,
        "on held-out prompts": 1,
        "of simulated annotators": 1,
    }
    assert found.dropped == [("tied, or as many votes either way", 1)]
    assert found.first == snapshots.collect(project=project, kind="preferences", rule=Rule())
    for rule in (Rule(), Rule(aggregation="all_votes"), Rule(weights={"import": 0.5}), Rule(people=["bea"])):
        for kind in SnapshotKind.values:
            rows = snapshots.collect(project=project, kind=kind, rule=rule)
            assert previewing.preview(project=project, kind=kind, rule=rule).rows == len(rows)


def test_every_field_is_told_in_words(project):
    rule = Rule(
        simulated=True,
        edits_as_preferences=False,
        minimum_agreement=0.75,
        guessed_by=[3],
        aggregation="weighted",
        minimum_votes=2,
        purposes=["audit"],
        languages=["en", ""],
        tags=["tea"],
        without_tags=["old"],
        metadata={"source": "letters"},
        people=["bob"],
        without_people=["bea"],
        answered_by=[7],
        since="2026-11-01",
        until="2026-11-30",
        flags=["too long"],
        without_flags=["unsafe"],
        weights={"import": 0.5},
    )
    said = " ".join(words(rule, "preferences"))
    for part in ("weighted by reliability", "75 %", "2 votes", "no preference", "audit", "en, unknown", "tagged tea"):
        assert part in said
    for part in ("source = letters", "by bob", "by bea", "model 7", "2026-11-01", "2026-11-30", "imported 0.5"):
        assert part in said
    assert words(Rule(), "demonstrations") == ["Every text that somebody kept, edited or wrote."]


def test_an_answer_that_is_there_no_more_takes_its_row_along(project, bob):
    """As one is that was excluded between the counting and the writing."""
    a_preference(bob)
    kept = a_prompt(project)
    says(bob, compares(kept, "A", "B"), **A)
    collected = snapshots.collecting.drafts(project=project, kind="preferences", rule=Rule())
    lost = an_answer(kept, "A").pk
    for draft in collected.drafts:
        if draft.answers["chosen"] == lost:
            draft.answers["chosen"] = Response.objects.latest("pk").pk + 1
    assert len(list(snapshots.collecting._written(collected, None))) == 1
