"""What was said orders what is asked next; the random slice, gold and what a lead set are left alone."""

import re
from random import Random

import numpy as np
import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from annotation import leasing
from annotation.models import Event, Item, Project
from evaluation import features, report, steering, tasks
from evaluation.models import Aim, AnswerFeatures, Steering
from evaluation.steering import HEAD, RANDOM_SHARE, in_slice, interleaved
from evaluation.surface import NAMES, surface
from tests.annotation.making import a_prompt, all_at_once, an_answer
from tests.training.making import a_model, a_preference, compares, says, succeeds
from training import runs
from training.methods.answers import FEATURES_WIDTH

pytestmark = pytest.mark.django_db

SHORT, LONG = "Yes.", "Yes, and let me tell you in many words, one after the other, why that is so and how."


def vector(*numbers: float) -> list[float]:
    return [*numbers, *[0.0] * (FEATURES_WIDTH - len(numbers))]


@pytest.fixture
def judged(project, bob, monkeypatch) -> Project:
    """Enough pairs in which the longer of two answers was preferred."""
    monkeypatch.setattr(steering, "FEWEST_PAIRS", 12)
    for n in range(steering.FEWEST_PAIRS):
        item = compares(a_prompt(project), f"{LONG} {n}", f"{SHORT} {n}", wanted=1)
        says(bob, item, ranks=(1, 2), strength=1)
    return project


def waiting(project: Project, *answers: str, **more) -> Item:
    """An open comparison that is not in the random slice."""
    more = {"wanted": 2, **more}
    while True:
        item = compares(a_prompt(project), *answers, **more)
        if not in_slice(item.fingerprint, {}):
            return item
        item.delete()


def priority(item: Item) -> float:
    return Item.objects.get(pk=item.pk).priority


def test_pairs_of_a_label_are_what_it_says(project, bob, member):
    ranked = says(bob, compares(a_prompt(project), "a", "b", "c"), ranks=(1, 2, 2))
    says(bob, compares(a_prompt(project), "d", "e"), ranks=(1, 1), unacceptable=(True, True))
    says(bob, compares(a_prompt(project), "f", "g", purpose="gold"), ranks=(1, 2))
    says(bob, compares(a_prompt(project, split="heldout"), "h", "i"), ranks=(1, 2))
    says(member("robot", simulated=True), compares(a_prompt(project), "j", "k"), ranks=(2, 1))
    a, b, c = ranked.item.answers.order_by("order").values_list("response_id", flat=True)
    found = steering.judged_pairs(project, simulated=False)
    assert [(one.first, one.second, one.outcome) for one in found] == [(a, b, 1.0), (a, c, 1.0), (b, c, 0.5)]
    assert [one.weight for one in found] == pytest.approx([2 / 3] * 3)
    assert [one.outcome for one in steering.judged_pairs(project, simulated=True)] == [1.0, 1.0, 0.5, 0.0]


def test_the_posterior_learns_what_people_like(judged):
    prompt = a_prompt(judged)
    long, short = an_answer(prompt, f"{LONG} 9"), an_answer(prompt, f"{SHORT} 9")
    features.look_at([long.pk, short.pk])
    known = steering.know(judged, also=[long.pk, short.pk])
    assert known.posterior.probability(known.differences([(long.pk, short.pk)]))[0] > 0.75
    assert AnswerFeatures.objects.get(response=long).surface == pytest.approx(
        surface(prompt.last_turn, long.text), abs=1e-5
    )


def test_labels_on_a_prompt_and_on_answers_are_known_but_for_an_items_own(judged, bob, bea):
    prompt = a_prompt(judged, "A prompt that is asked about twice?")
    ranked, other = compares(prompt, "a", "b", "c", wanted=2), compares(prompt, "a", "d")
    says(bob, ranked, ranks=(1, 2, 3))
    says(bea, ranked, ranks=(1, 2, 3))
    says(bob, other, ranks=(1, 2))
    by_text = {one.text: one.pk for one in prompt.responses.all()}
    found = steering.know(judged)
    assert found is not None
    pairs = [tuple(by_text[text] for text in pair) for pair in ("ab", "cd")]
    assert found.pool(pairs, [1.0, 1.0]).labels.tolist() == [[2, 3], [2, 2]]
    assert found.pool(pairs, [1.0, 1.0], [ranked.pk, 0]).labels.tolist() == [[1, 1], [2, 2]]


def test_too_little_said_orders_nothing(project, bob, monkeypatch):
    monkeypatch.setattr(steering, "FEWEST_PAIRS", 3)
    for _ in range(2):
        a_preference(bob)
    assert steering.know(project) is None
    item = waiting(project, LONG, SHORT)
    assert steering.refresh(project)["ordered"] == 0
    assert priority(item) == 0


def test_where_choosing_does_harm_all_are_asked_at_random(judged, monkeypatch):
    items = [waiting(judged, f"one {n}", f"{'another! ' * n}") for n in range(1, 6)]
    monkeypatch.setattr(steering, "_saved", lambda known: [-0.5, -0.9, -0.1])
    assert steering.refresh(judged)["at_random"]
    by_lot = sorted(items, key=lambda item: item.fingerprint)  # which knows nothing of what they are worth
    assert sorted(items, key=priority, reverse=True) == by_lot


def test_to_tune_a_model_wide_margins_are_asked_first(judged, bob, alice):
    close = [waiting(judged, f"{LONG} {n}", f"{LONG} {n}{n}") for n in range(4)]
    wide = [waiting(judged, f"{LONG} {n}", f"{SHORT} {n}") for n in range(4)]
    order = {}
    for aim in (Aim.KNOWING, Aim.TUNING):
        steering.set_aim(project=judged, aim=aim, actor=alice.person)
        told = steering.refresh(judged)
        order[aim] = sorted([*close, *wide], key=priority, reverse=True)
        assert told["aim"] == aim
    assert sum(one in close for one in order[Aim.KNOWING][:4]) >= 3
    assert sum(one in wide for one in order[Aim.TUNING][:4]) >= 3


def test_a_new_aim_puts_the_queue_in_order_anew_and_is_on_record(judged, alice):
    assert steering.refresh_if_due(judged)
    assert not steering.refresh_if_due(judged)
    assert not steering.set_aim(project=judged, aim=Aim.KNOWING, actor=alice.person)
    assert steering.set_aim(project=judged, aim=Aim.TUNING, actor=alice.person)
    assert Event.objects.get(verb="round aim set").data == {"aim": "tuning"}
    assert steering.refresh_if_due(judged)
    assert "worth very different things" in " ".join(report.of_steering(judged))


def test_what_tuning_asks_costs_no_labels_of_knowing(judged, alice, monkeypatch):
    """The random slice tells what is known; what is asked for another end is not turned off by it."""
    monkeypatch.setattr(steering, "_saved", lambda known: [-0.5, -0.9, -0.1])
    waiting(judged, LONG, SHORT)
    steering.set_aim(project=judged, aim=Aim.TUNING, actor=alice.person)
    told = steering.refresh(judged)
    assert (told["saved"], told["at_random"]) == (None, False)


def test_a_lead_says_on_the_page_what_comparisons_are_chosen_for(client, judged, alice):
    client.force_login(alice.person)
    page = client.post("/projects/desk/rounds/aim/", {"aim": "tuning"}, follow=True).content.decode()
    assert "put in order anew" in page
    assert re.search(r'value="tuning"[^>]* checked', page)
    assert "Choose what" in client.post("/projects/desk/rounds/aim/", {"aim": "?"}, follow=True).content.decode()
    assert steering.aim_of(judged) == Aim.TUNING


def test_only_open_training_comparisons_are_ordered(judged, bob):
    gold = waiting(judged, "g1", "g2", purpose="gold")
    duel = waiting(judged, "h1", "h2", purpose="head_to_head")
    full = waiting(judged, "f1", "f2", wanted=1)
    says(bob, full, ranks=(1, 2))
    dropped = waiting(judged, "d1", "d2")
    Item.objects.filter(pk=dropped.pk).update(dropped=True)
    urgent = waiting(judged, "u1", "u2", priority=50)
    last = waiting(judged, "l1", "l2", priority=-1)
    mine = waiting(judged, "m1", "m2")
    steering.refresh(judged)
    assert [priority(one) for one in (gold, duel, full, dropped, urgent, last)] == [0, 0, 0, 0, 50, -1]
    assert 0 < priority(mine) <= 2


def test_rankings_are_ordered_too(judged):
    ranking = waiting(judged, "one", "two", "three things", "four things, (perhaps) more!")
    assert steering.refresh(judged)["ordered"] >= 1
    assert priority(ranking) > 0


def test_a_tenth_is_in_the_slice_and_a_rounds_own_draw_counts():
    drawn = [in_slice(f"{Random(n).getrandbits(32):08x}", {"selector": "import"}) for n in range(4000)]
    assert np.mean(drawn) == pytest.approx(RANDOM_SHARE, abs=0.02)
    assert in_slice("f" * 64, {"round": 1, "selector": "random"})
    assert not in_slice("0" * 64, {"round": 1, "selector": "posterior"})
    assert in_slice("0" * 64, {})


def test_the_slice_waits_no_longer_than_the_rest():
    mixed = interleaved(list(range(900)), list(range(1000, 1100)), Random(1))
    assert sorted(mixed) == [*range(900), *range(1000, 1100)]
    assert [one for one in mixed if one < 900] == list(range(900))
    for start in range(0, 1000, 10):
        assert sum(one >= 1000 for one in mixed[start : start + 10]) == 1
    places = [place % 10 for place, one in enumerate(mixed) if one >= 1000]
    assert len(set(places)) == 10
    assert interleaved([1, 2], [], Random(1)) == [1, 2]
    assert interleaved([], [3, 4], Random(1)) == [3, 4]


@pytest.mark.django_db(transaction=True)
def test_an_item_that_is_being_given_out_is_not_waited_for(project):
    """Its row is locked by somebody's claim, and keeps its place; the other is ordered at once."""
    claimed, other = (waiting(project, f"{LONG} {n}", SHORT) for n in range(2))
    with transaction.atomic():
        Item.objects.select_for_update(no_key=True).get(pk=claimed.pk)
        all_at_once(lambda: steering._store([claimed.pk, other.pk]), patience=20)
    assert priority(claimed) == 0
    assert priority(other) > 1


def test_behind_the_head_priorities_are_steps(judged):
    """So that most of a long queue stays as it is when it is ordered anew."""
    items = [waiting(judged, f"a {n}", f"b {n}").pk for n in range(4)]
    order = [*range(10**9, 10**9 + HEAD - 1), *items, *range(2 * 10**9, 2 * 10**9 + 5000)]
    steering._store(order)
    found = [Item.objects.get(pk=pk).priority for pk in items]
    assert found == [pytest.approx(1 + 1 / HEAD), 1.0, 1.0, 1.0]


def test_a_queue_is_ordered_when_enough_is_new(judged, bob):
    assert tasks.steer() == 1
    row = Steering.objects.get(project=judged)
    assert row.report["pairs"] == steering.FEWEST_PAIRS
    assert row.report["saved"] is None
    assert tasks.steer() == 0
    for _ in range(steering.NEW_LABELS - 1):
        a_preference(bob)
    assert tasks.steer() == 0
    a_preference(bob)
    assert tasks.steer() == 1
    assert Steering.objects.get().report["pairs"] == steering.FEWEST_PAIRS + steering.NEW_LABELS


def test_two_workers_do_not_order_one_queue_at_once(judged):
    Steering.objects.create(project=judged, started_at=timezone.now())
    assert not steering.refresh_if_due(judged)
    Steering.objects.update(started_at=F("started_at") - steering.PATIENCE)  # its worker died
    assert steering.refresh_if_due(judged)


def test_an_archived_projects_queue_is_left_alone(judged):
    Project.objects.update(archived=True)
    assert tasks.steer() == 0


def test_the_most_telling_item_is_given_next(judged, bea):
    """The other pair's answers look the same to the posterior, so that it can learn nothing from them."""
    waiting(judged, "Monday.", "Friday.")
    telling = waiting(judged, "- one\n- two\n- three", "one; two (three)!!")
    steering.refresh(judged)
    assert leasing.next_assignment(membership=bea, kind="comparison").item == telling


def test_a_run_that_reads_answers_leaves_features(project, judged):
    base = a_model(project, stage="production")
    answers = [an_answer(a_prompt(project), f"answer {n}") for n in range(3)]
    asked = features.unread([one.pk for one in answers], reader=base)
    assert [(one["id"], one["text"]) for one in asked] == [(one.pk, one.text) for one in answers]
    run = runs.start(project=project, method="features", base=base, inputs={"answers": asked})
    succeeds(run, [{"id": one.pk, "vector": vector(n, -n)} for n, one in enumerate(answers)])
    tasks.run_finished(run.pk)
    tasks.run_finished(run.pk)
    assert features.unread([one.pk for one in answers], reader=base) == []
    stored = AnswerFeatures.objects.get(response=answers[2])
    assert (list(stored.states)[:3], stored.model_version) == ([2.0, -2.0, 0.0], base)
    assert list(stored.surface) == pytest.approx(surface(answers[2].prompt.last_turn, answers[2].text), abs=1e-5)
    loaded = features.load([one.pk for one in answers], reader=base)
    assert loaded.read.all()
    other = a_model(project, "other")
    assert not features.load([one.pk for one in answers], reader=other).read.any()
    assert len(features.unread([one.pk for one in answers], reader=other)) == 3


def test_states_without_a_model_are_refused(project):
    answer = an_answer(a_prompt(project), "x")
    with pytest.raises(IntegrityError, match="states_are_somebodys"), transaction.atomic():
        AnswerFeatures.objects.create(response=answer, surface=[0.0] * len(NAMES), states=vector(1.0))


def test_features_are_known_by_their_ids_whatever_the_order(project):
    answers = [an_answer(a_prompt(project), f"{'word ' * n}end.") for n in range(1, 4)]
    ids = [one.pk for one in answers]
    assert features.look_at(ids[::-1], most=2) == 2
    assert features.look_at(ids) == 1
    loaded = features.load(ids[::-1], reader=None)
    assert loaded.places([ids[2], ids[0], 10**12, 0]).tolist() == [2, 0, -1, -1]
    assert loaded.characters.tolist() == [len(one.text) for one in answers]
    assert features.load([10**12], reader=None) is None
