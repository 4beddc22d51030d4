"""What has changed between two snapshots, row by row."""

import pytest
from django.core.exceptions import ValidationError

from annotation import labelling
from annotation.labelling import Said
from annotation.models import Project
from tests.annotation.making import a_prompt
from tests.training.making import a_preference, an_edit, compares, demonstrates, says
from training.models import Snapshot
from training.snapshots import Rule, comparing, freeze

pytestmark = pytest.mark.django_db


def compare(first: Snapshot, second: Snapshot) -> comparing.Comparison:
    return comparing.compare(first=first, second=second)


def test_rows_come_go_and_turn_round(project, bob, bea, alice):
    items = [compares(a_prompt(project), f"A {number}", f"B {number}") for number in range(4)]
    labels = [says(bob, item, ranks=(1, 2), strength=2) for item in items]
    first = freeze(project=project, kind="preferences")
    labelling.revise(label=labels[0], said=Said(ranks=(2, 1), strength=2))  # as seen: the first to the left
    labelling.retract(label=labels[1], actor=alice)
    says(bea, items[2], ranks=(1, 2), strength=4)
    added = a_preference(bob)
    second = freeze(project=project, kind="preferences")
    found = compare(first, second)
    assert found.counts() == {"added": 1, "removed": 1, "changed": 2, "same": 1}
    (came,) = found.page("added", 0, 10)
    assert (came.row["labels"], came.before, came.told) == ([added.pk], None, [])
    (gone,) = found.page("removed", 0, 10)
    assert (gone.row["labels"], gone.after) == ([labels[1].pk], None)
    changed = {one.row["prompt_sha256"]: one for one in found.page("changed", 0, 10)}
    turned, firmer = changed[items[0].prompt.sha256], changed[items[2].prompt.sha256]
    assert turned.told == ["The other answer is preferred.", "Labels behind it: 1 more, 1 less."]
    assert firmer.told == ["Margin: 0.5 → 0.75.", "Labels behind it: 1 more, 0 less."]
    assert compare(second, first).counts() == {"added": 1, "removed": 1, "changed": 2, "same": 1}
    assert compare(first, first).counts() == {"added": 0, "removed": 0, "changed": 0, "same": 4}


def test_pages_of_changes_hold_each_once(project, bob):
    a_preference(bob)
    first = freeze(project=project, kind="preferences")
    for _ in range(7):
        a_preference(bob)
    found = compare(first, freeze(project=project, kind="preferences"))
    pages = [found.page("added", start, 3) for start in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert len({one.row["prompt_sha256"] for page in pages for one in page}) == 7


def test_rows_of_single_votes_are_matched_one_by_one(project, bob, bea):
    item = compares(a_prompt(project), "A", "B")
    says(bob, item, ranks=(1, 2))
    rule = Rule(aggregation="all_votes")
    first = freeze(project=project, kind="preferences", rule=rule)
    says(bea, item, ranks=(1, 2))
    found = compare(first, freeze(project=project, kind="preferences", rule=rule))
    assert found.counts() == {"added": 1, "removed": 0, "changed": 0, "same": 1}


def test_answers_turn_good_or_bad_and_rows_weigh_more(project, bob, bea):
    item = demonstrates(a_prompt(project), "A draft.")
    label = says(bob, item, verdict="accept")
    first = freeze(project=project, kind="unpaired")
    labelling.revise(label=label, said=Said(verdict="reject"))
    second = freeze(project=project, kind="unpaired")
    (change,) = compare(first, second).page("changed", 0, 5)
    assert change.told[0] == "Bad by now."
    weighed = freeze(project=project, kind="unpaired", rule=Rule(weights={"demonstration": 2}))
    (change,) = compare(second, weighed).page("changed", 0, 5)
    assert change.told == ["Weight: none → 2."]


def test_what_was_found_is_kept_and_a_damaged_file_is_said(project, bob):
    a_preference(bob)
    first = freeze(project=project, kind="preferences")
    a_preference(bob)
    second = freeze(project=project, kind="preferences")
    counts = compare(first, second).counts()
    (first.path / "train.parquet").unlink()
    again = compare(first, second)
    assert again.counts() == counts
    with pytest.raises(ValidationError, match="gone or damaged"):
        compare(second, first)


def test_only_two_of_a_kind_are_compared(project, bob):
    a_preference(bob)
    an_edit(bob)
    pairs = freeze(project=project, kind="preferences")
    with pytest.raises(ValidationError, match="same kind"):
        compare(pairs, freeze(project=project, kind="demonstrations"))
    other = Project.objects.create(slug="other", name="Other")
    theirs = Snapshot.objects.create(project=other, kind="preferences", rule={}, sha256="0" * 64, folder="x")
    with pytest.raises(ValidationError, match="same kind"):
        compare(pairs, theirs)
