"""Doubted comparisons are shown to one person more, where the project allows it and people are known to disagree."""

import pytest

from annotation import labelling, leasing, overlap, votes
from annotation.models import Item, Label, Project, Review
from evaluation import doubt, relabelling, report, steering
from evaluation.steering import in_slice
from tests.annotation.making import a_prompt
from tests.training.making import compares, says

pytestmark = pytest.mark.django_db

SHORT, LONG = "Yes.", "Yes, and let me tell you in many words, one after the other, why that is so and how."
LONGER, SHORTER = (1, 2), (2, 1)


def a_pair(project: Project, n: int, **more) -> Item:
    """A long and a short answer, in no random slice."""
    while True:
        item = compares(a_prompt(project), f"{LONG} {n}", f"{SHORT} {n}", **{"wanted": 1, **more})
        if not in_slice(item.fingerprint, item.selection):
            return item
        item.delete()


@pytest.fixture
def bought(project, bob, bea, monkeypatch) -> Project:
    """One label each is wanted, up to three are allowed. Bob prefers what is longer; bea, who judged some of the same
    pairs, says otherwise of two in ten."""
    monkeypatch.setattr(steering, "FEWEST_PAIRS", 12)
    project.most_labels_per_item, project.review_disagreement = 3, False
    project.save()
    for n in range(doubt.FEWEST):
        item = compares(a_prompt(project), f"{LONG} b {n}", f"{SHORT} b {n}", wanted=2)
        says(bob, item, ranks=LONGER, strength=1)
        says(bea, item, ranks=SHORTER if n % 5 == 0 else LONGER, strength=1)
    return project


@pytest.fixture
def slip(bought, bob) -> Item:
    """Bob says of one pair that the short answer is better."""
    for n in range(6):
        says(bob, a_pair(bought, n), ranks=LONGER, strength=1)
    item = a_pair(bought, 99)
    says(bob, item, ranks=SHORTER, strength=1)
    return item


def state(item: Item) -> tuple[int, int]:
    return Item.objects.values_list("taken", "wanted").get(pk=item.pk)


def test_slips_follow_from_pairs_that_two_people_judged(bought):
    assert relabelling.slips(bought, simulated=False) == doubt.slips(16, 20)
    Project.objects.update(most_labels_per_item=0)
    bought.refresh_from_db()
    assert relabelling.slips(bought, simulated=False) is None


def test_a_label_that_contradicts_is_asked_again_and_the_same_person_is_not(bought, slip, bob, bea):
    found = steering.refresh(bought)
    assert state(slip) == (1, 2)
    assert found["doubted"] >= 1
    assert Item.objects.get(pk=slip.pk).selection == {"doubted_after": 1}
    assert Item.objects.get(pk=slip.pk).priority > 0
    assert leasing.next_assignment(membership=bob, kind="comparison") is None
    assert leasing.next_assignment(membership=bea, kind="comparison") is not None


def test_they_are_few_at_a_time(bought, slip, bob, monkeypatch):
    monkeypatch.setattr(steering, "NEW_LABELS", 1)
    for n in range(200, 205):
        says(bob, a_pair(bought, n), ranks=SHORTER, strength=1)
    most = max(1, (2 * doubt.FEWEST + 12) // 50)
    for _ in range(2):
        assert steering.refresh(bought)["doubted"] == most
        assert Item.objects.filter(selection__has_key="doubted_after").count() == most


@pytest.mark.parametrize("why", ["one label is one label", "too few met", "harm", "in the slice", "to be reviewed"])
def test_nothing_is_asked_again(bought, slip, monkeypatch, why):
    if why == "one label is one label":
        bought.most_labels_per_item = 1
        bought.save()
    elif why == "too few met":
        monkeypatch.setattr(doubt, "FEWEST", 1000)
    elif why == "harm":
        monkeypatch.setattr(steering, "_saved", lambda known: [-0.5, -0.9, -0.1])
    elif why == "in the slice":
        monkeypatch.setattr(steering, "in_slice", lambda *item: True)
    else:
        Review.objects.bulk_create(Review(item=item, reason="flag") for item in Item.objects.all())
    before = dict(Item.objects.values_list("pk", "wanted"))
    steering.refresh(bought)
    assert dict(Item.objects.values_list("pk", "wanted")) == before


def test_a_tie_is_taken_at_its_word(bought, slip, bob):
    tied = a_pair(bought, 100)
    says(bob, tied, ranks=(1, 1))
    found = relabelling.candidates(bought, steering.judged_pairs(bought, simulated=False), simulated=False)
    assert slip.pk in found
    assert tied.pk not in found


def test_candidates_have_every_label_they_wanted_and_room_for_more(bought, slip, bob, bea, member):
    open_, full, dropped, gold = (a_pair(bought, 200 + n, **more) for n, more in enumerate(
        ({"wanted": 2}, {"wanted": 3}, {}, {"purpose": "gold"})
    ))  # fmt: skip
    for item in (open_, full, dropped, gold):
        says(bob, item, ranks=LONGER, strength=1)
    for who in (bea, member("dan")):
        says(who, full, ranks=LONGER, strength=1)
    Item.objects.filter(pk=dropped.pk).update(dropped=True)
    found = relabelling.candidates(bought, steering.judged_pairs(bought, simulated=False), simulated=False)
    assert slip.pk in found
    assert not {open_.pk, full.pk, dropped.pk, gold.pk} & set(found)


def test_nobody_is_left_to_ask(bought, slip, bea, member, alice):
    bea.paused_at = bea.created_at
    bea.save()
    member("idle")  # has never labelled here
    assert relabelling.candidates(bought, steering.judged_pairs(bought, simulated=False), simulated=False) == {}
    assert overlap.ask_another(project=bought, items=[slip.pk]) == set()
    robot = member("robot", simulated=True)
    says(robot, a_pair(bought, 7, wanted=2), ranks=LONGER, strength=1)
    assert overlap.ask_another(project=bought, items=[slip.pk]) == set()
    assert overlap.ask_another(project=bought, items=[slip.pk], simulated=True) == {slip.pk}
    assert overlap.ask_another(project=bought, items=[slip.pk], simulated=True) == set()  # it waits already
    assert state(slip) == (1, 2)


def test_what_doubt_asked_for_says_nothing_of_agreement(bought, slip, bea, member):
    before = relabelling.slips(bought, simulated=False)
    overlap.ask_another(project=bought, items=[slip.pk])
    says(bea, slip, ranks=LONGER, strength=1)
    said = votes.comparisons(bought).asked_anyway()
    assert [one for one, item in zip(said.person, said.item, strict=True) if item == slip.pk] != [bea.person_id]
    assert (said.item == slip.pk).sum() == 1
    assert (votes.comparisons(bought).item == slip.pk).sum() == 2
    assert relabelling.slips(bought, simulated=False) == before


def test_a_word_that_is_said_anew_was_not_asked_for_out_of_doubt(bought, slip, bob, bea):
    overlap.ask_another(project=bought, items=[slip.pk])
    says(bea, slip, ranks=LONGER, strength=1)
    label = Label.objects.get(item=slip, person=bob.person)
    labelling.revise(label=label, said=labelling.Said(ranks=LONGER, strength=1))
    said = votes.comparisons(bought).asked_anyway()
    assert list(said.person[said.item == slip.pk]) == [bob.person_id]


def test_a_criterion_that_only_doubt_has_asked_about_says_nothing_of_agreement(bought, slip, bea):
    bought.criteria = ["kind"]
    bought.save()
    overlap.ask_another(project=bought, items=[slip.pk])
    says(bea, slip, ranks=LONGER, strength=1, criteria={"kind": 1})
    found = votes.criteria(bought)["kind"]
    assert (found.item == slip.pk).any()
    assert not len(found.asked_anyway())


def test_a_third_can_be_asked_and_no_fourth(bought, slip, bea, member):
    for number, who in enumerate((bea, member("dan"), member("eve"))):
        says(who, a_pair(bought, 300 + number), ranks=LONGER, strength=1)
    for who in (bea, Project.objects.get().memberships.get(person__username="dan")):
        assert overlap.ask_another(project=bought, items=[slip.pk]) == {slip.pk}
        says(who, slip, ranks=LONGER, strength=1)
    assert overlap.ask_another(project=bought, items=[slip.pk]) == set()
    assert state(slip) == (3, 3)
    assert Item.objects.get(pk=slip.pk).selection == {"doubted_after": 1}


def test_the_page_of_rounds_says_so(bought, slip):
    steering.refresh_if_due(bought)
    assert any("are doubted" in sentence for sentence in report.of_steering(bought))
