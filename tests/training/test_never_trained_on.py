"""What never enters a snapshot, whatever people do."""

from collections import defaultdict
from random import Random

import pytest

from annotation import labelling, reviewing
from annotation.labelling import Said
from tests.annotation.making import a_prompt
from tests.training.making import a_preference, an_edit, compares, demonstrates, says
from tests.training.rows import A_BETTER, B_BETTER, answers, rows_of
from training import snapshots
from training.snapshots import NoRows, freeze

pytestmark = pytest.mark.django_db


# What never enters


def decides(member, item, **said):
    """The label by which a reviewer settles this item."""
    reviewing.open_case(item=item, reason="asked")
    case = reviewing.next_case(membership=member)
    ranks = dict(zip(item.answers.values_list("response_id", flat=True), said.pop("ranks", ()), strict=False))
    return labelling.submit(
        assignment=case.assignment, said=Said(ranks=[ranks[pk] for pk in case.assignment.order if ranks], **said)
    )


def test_a_reviewers_decision_counts_alone_whatever_the_majority(project, bob, bea, alice, member):
    item = compares(a_prompt(project), "A", "B")
    for person in (bob, bea, alice):
        says(person, item, **A_BETTER)
    rita = member("rita", "reviewer")
    decision = decides(rita, item, **B_BETTER)
    (row,) = rows_of(project)
    assert (answers([row], "chosen"), answers([row], "rejected")) == (["B"], ["A"])
    assert (row["labels"], row["agreement"]) == ([decision.pk], 1.0)
    labelling.retract(label=decision, actor=rita)
    assert answers(rows_of(project), "chosen") == ["A"]


def test_a_decision_for_a_tie_or_a_rejection_leaves_no_row(project, bob, member):
    ranked, cleaned = compares(a_prompt(project), "A", "B"), demonstrates(a_prompt(project), "A draft.")
    says(bob, ranked, **A_BETTER)
    says(bob, cleaned, verdict="accept")
    rita = member("rita", "reviewer")
    decides(rita, ranked, ranks=(1, 1))
    decides(rita, cleaned, verdict="reject")
    assert rows_of(project) == rows_of(project, "demonstrations") == []


def test_a_reviewer_may_take_over_an_edit_of_somebody(project, bob, member):
    item = demonstrates(a_prompt(project), "yes 10")
    says(bob, item, verdict="edit", text="Yes, from ten.")
    decision = decides(member("rita", "reviewer"), item, verdict="edit", text="Yes, from ten.")
    (row,) = rows_of(project, "demonstrations")
    assert (answers([row]), row["labels"]) == (["Yes, from ten."], [decision.pk])


def test_gold_heldout_withdrawn_replaced_and_simulated_labels_stay_out(project, bob, bea, alice, robot):
    held = a_prompt(project, split="heldout")
    a_preference(bob, purpose="gold")
    a_preference(bob, prompt=held, purpose="head_to_head")
    an_edit(bob, prompt=held)
    says(bob, demonstrates(a_prompt(project), "gold draft", purpose="gold"), verdict="accept")
    labelling.retract(label=a_preference(bob), actor=alice)
    labelling.retract(label=an_edit(bea), actor=alice)
    a_preference(robot)
    for kind in ("demonstrations", "preferences"):
        assert rows_of(project, kind) == []
    item = compares(a_prompt(project), "A", "B")
    replaced = says(bob, item, **A_BETTER)
    kept = labelling.revise(label=replaced, said=Said(ranks=(2, 1)))
    (row,) = rows_of(project)
    assert (answers([row], "chosen"), row["labels"]) == (["B"], [kept.pk])
    assert len(rows_of(project, simulated=True)) == 2


def test_a_word_that_was_replaced_does_not_come_back_when_the_new_one_is_withdrawn(project, bob, alice):
    first = says(bob, compares(a_prompt(project), "A", "B"), **A_BETTER)
    second = labelling.revise(label=first, said=Said(ranks=(2, 1)))
    labelling.retract(label=second, actor=alice)
    assert rows_of(project) == []


def test_labels_of_another_project_stay_out(project, bob, charlie):
    from annotation.models import Membership, Project

    other = Project.objects.create(slug="other", name="Other")
    an_edit(Membership.objects.create(person=charlie, project=other))
    with pytest.raises(NoRows):
        freeze(project=project, kind="preferences")


@pytest.mark.parametrize("seed", range(8))
def test_whatever_people_do_only_what_may_enter_does(project, member, seed):
    """Random work of all sorts, against a count kept here by hand, in which nothing forbidden is ever written."""
    random = Random(seed)
    people = [member(f"person{n}", simulated=n == 3) for n in range(4)]
    lead = member("lead", "lead")
    simulated = seed % 2 == 1
    voices: dict[tuple[str, str, str], list[tuple[str | None, float]]] = defaultdict(list)
    kept: dict[tuple[str, str], list[int]] = defaultdict(list)
    alive = set()
    for number in range(14):
        prompt = a_prompt(project, f"{seed} {number}", split=random.choice(["train", "train", "train", "heldout"]))
        purpose = random.choice(["train", "train", "train", "gold", "audit", "head_to_head"])
        texts = [f"{letter} {number}" for letter in "abc"[: random.choice([2, 2, 3])]]
        is_comparison = random.random() < 0.6
        item = compares(prompt, *texts, purpose=purpose) if is_comparison else None
        item = item or demonstrates(prompt, texts[0], purpose=purpose)
        for person in random.sample(people, random.randint(0, 4)):
            words = None
            times, fate = random.choice([(1, "stays"), (1, "stays"), (2, "stays"), (1, "withdrawn")])
            for _ in range(times):
                if is_comparison:
                    ranks = [random.randint(1, len(texts)) for _ in texts]
                    ranks[random.randrange(len(texts))] = 1
                    bad = [random.random() < 0.2 for _ in texts]
                    worst_good = max((rank for rank, is_bad in zip(ranks, bad, strict=True) if not is_bad), default=0)
                    bad = [is_bad and rank >= worst_good for rank, is_bad in zip(ranks, bad, strict=True)]
                    said = Said(ranks=ranks, unacceptable=bad, strength=random.choice([None, 1, 2, 3, 4]))
                else:
                    verdict = random.choice(["accept", "edit", "reject"])
                    text = random.choice(["x", "y"]) + f" {number}" if verdict == "edit" else ""
                    said = Said(verdict=verdict, text=text)
                words = labelling.revise(label=words, said=said) if words else says(person, item, **vars(said))
            if fate == "withdrawn":
                labelling.retract(label=words, actor=lead)
                continue
            if prompt.split == "heldout" or purpose == "gold" or (person.simulated and not simulated):
                continue
            alive.add(words.pk)
            if is_comparison:
                for i in range(len(texts)):
                    for j in range(i + 1, len(texts)):
                        if bad[i] and bad[j]:
                            continue
                        better = None if ranks[i] == ranks[j] else texts[i] if ranks[i] < ranks[j] else texts[j]
                        strength = words.strength or 4
                        voices[prompt.sha256, texts[i], texts[j]].append((better, strength / 4))
            elif verdict == "edit":
                voices[prompt.sha256, texts[0], text].append((text, 1.0))
                kept[prompt.sha256, text].append(words.pk)
            elif verdict == "accept":
                kept[prompt.sha256, texts[0]].append(words.pk)

    expected = set()
    for (prompt, first, second), said in voices.items():
        for_first = [strength for better, strength in said if better == first]
        for_second = [strength for better, strength in said if better == second]
        if len(for_first) == len(for_second):
            continue
        swap = len(for_second) > len(for_first)
        won, lost = (for_second, for_first) if swap else (for_first, for_second)
        if len(won) / len(said) < 0.5:
            continue
        chosen, rejected = (second, first) if swap else (first, second)
        margin = max(0.0, (sum(won) - sum(lost)) / len(said))
        expected.add((prompt, chosen, rejected, round(margin, 6), round(len(won) / len(said), 6)))
    rows = rows_of(project, simulated=simulated)
    assert len(rows) == len(expected)
    assert {
        (r["prompt_sha256"], r["chosen"][0]["content"], r["rejected"][0]["content"], r["margin"], r["agreement"])
        for r in rows
    } == expected
    assert {label for row in rows for label in row["labels"]} <= alive
    demonstrations = rows_of(project, "demonstrations", simulated=simulated)
    assert {(r["prompt_sha256"], r["completion"][0]["content"]): r["labels"] for r in demonstrations} == kept


# Held-out pairs


def test_heldout_pairs_are_those_that_are_never_trained_on(project, bob, bea, robot, alice):
    held = a_prompt(project, split="heldout")
    item = compares(held, "A", "B", purpose="head_to_head")
    says(bob, item, **A_BETTER)
    says(bea, item, **A_BETTER)
    says(robot, item, **B_BETTER)
    a_preference(bob, prompt=held, purpose="gold")
    a_preference(bob)
    labelling.retract(label=a_preference(bea, prompt=held), actor=alice)
    (pair,) = snapshots.heldout_pairs(project=project)
    assert (answers([pair], "chosen"), pair["agreement"]) == (["A"], 1.0)
    (pair,) = snapshots.heldout_pairs(project=project, simulated=True)
    assert pair["agreement"] == round(2 / 3, 6)
    assert held.sha256 not in {row["prompt_sha256"] for row in rows_of(project, simulated=True)}
