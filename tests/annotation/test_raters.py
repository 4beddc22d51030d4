"""What is unusual about a person: by each rule, against the others, and nobody without good reason."""

from random import Random

import numpy as np
import pytest
from django.urls import reverse

from annotation import competence, raters
from annotation.models import Event, Membership
from tests.annotation.making import a_prompt
from tests.benchmarks import raters as simulated
from tests.training.making import compares, demonstrates, says


def world(project, kinds, seed=1, labels=60):
    """People of these kinds in the project; what the bias watch says of each, by name."""
    random = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "LABELS", labels)
        truth = simulated.fill(project, kinds, random)
    found = {one.person: one for one in raters.of_project(project, simulated=True)}
    return [(kind, found[person]) for person, kind in truth.items()]


def rules(ways):
    return {finding.name for finding in ways.findings}


def test_each_bad_habit_is_named_by_its_rule_and_honest_people_are_not(project):
    kinds = ["careful"] * 8 + ["noisy"] * 4 + ["left-clicker", "length-lover", "adversary"]
    found = world(project, kinds, labels=100)
    by_kind = {kind: ways for kind, ways in found if kind not in simulated.GOOD}
    assert "side" in rules(by_kind["left-clicker"])
    assert "length" in rules(by_kind["length-lover"])
    assert rules(by_kind["adversary"]) == {"contradicts"}
    assert all(not ways.findings for kind, ways in found if kind in simulated.GOOD)


def test_the_figures_say_what_people_did(project):
    found = world(project, ["careful"] * 4 + ["left-clicker", "length-lover"])
    ways = dict(found)
    assert ways["left-clicker"].left.value > 0.85
    assert ways["length-lover"].longer.value > 0.85
    assert ways["length-lover"].longer.value > ways["length-lover"].longer_others + 0.2
    assert ways["careful"].right.value > 0.85
    assert (ways["careful"].labels, ways["careful"].right.n <= 60) == (60, True)
    assert 100 < ways["careful"].pace < 600
    assert ways["careful"].fast.value < 0.1


def test_a_taste_for_length_that_all_share_is_no_bias(project):
    assert all(not ways.findings for _, ways in world(project, ["length-lover"] * 6))


def test_who_is_excluded_is_measured_and_does_not_measure(project, alice):
    found = world(project, ["careful"] * 5 + ["adversary"] * 4, labels=63)
    careful = [ways for kind, ways in found if kind == "careful"]
    before = np.mean([ways.agreement.value for ways in careful])
    Membership.objects.filter(pk__in=[ways.membership.pk for kind, ways in found if kind == "adversary"]).update(
        excluded_at="2026-01-01T00:00Z"
    )
    after = {one.person: one for one in raters.of_project(project, simulated=True)}
    assert len(after) == 9
    assert np.mean([after[ways.person].agreement.value for ways in careful]) > before + 0.1
    assert all(after[ways.person].right.value < 0.2 for kind, ways in found if kind == "adversary")


def test_who_accepts_everything_is_named_beside_those_who_read(project, bob, bea, alice):
    random = Random(3)
    for _ in range(24):
        item = demonstrates(a_prompt(project))
        bad = random.random() < 0.6
        says(bob, item, verdict="accept")
        for who in (bea, alice):
            says(who, item, verdict="reject" if bad else "accept")
    found = {one.person: one for one in raters.of_project(project)}
    assert rules(found["bob"]) == {"verdicts"}
    assert "Accepts 100 % of the drafts" in found["bob"].findings[0].words
    assert not found["bea"].findings
    assert not found["alice"].findings


def test_who_is_done_before_anybody_could_have_read_is_named(project, bob, bea):
    for _ in range(22):
        item = demonstrates(a_prompt(project), "word " * 200)
        says(bob, item, verdict="accept", seconds=2)
        says(bea, item, verdict="accept", seconds=40)
    found = {one.person: one for one in raters.of_project(project)}
    assert rules(found["bob"]) == {"speed"}
    assert found["bob"].fast.value == 1.0
    assert found["bea"].pace == pytest.approx(200 * 5 / 6 * 60 / 40, rel=0.01)


def test_in_rankings_of_three_the_same_habits_are_named(project, bob, bea, alice, member):
    random = Random(8)
    tom, lea = member("tom"), member("lea")
    for _ in range(30):
        sizes = random.sample([20, 60, 120], 3)
        item = compares(a_prompt(project), *(f"{size} " + "word " * size for size in sizes))
        truth = random.sample([1, 2, 3], 3)
        by_length = [1 + sorted(sizes, reverse=True).index(size) for size in sizes]
        for who, ranks, seconds in (
            (alice, truth, 50),
            (bea, truth, 60),
            (bob, [1, 2, 3], 50),
            (lea, by_length, 50),
            (tom, [1, 1, 1], 1),
        ):
            says(who, item, ranks=tuple(ranks), strength=2 if ranks != [1, 1, 1] else None, seconds=seconds)
    found = {one.person: one for one in raters.of_project(project)}
    assert "side" in rules(found["bob"])
    assert "length" in rules(found["lea"])
    assert {"ties", "speed"} <= rules(found["tom"])
    assert not found["alice"].findings
    assert not found["bea"].findings
    assert found["tom"].pace == pytest.approx(200 * 5 / 6 * 60, rel=0.05)  # all three answers are to be read
    assert (found["bob"].left.n, found["bob"].left.value) == (30, 1.0)


def test_nothing_is_said_of_somebody_who_has_hardly_begun(project, bob, bea):
    for _ in range(3):
        item = demonstrates(a_prompt(project), "word " * 200)
        says(bob, item, verdict="accept", seconds=1)
        says(bea, item, verdict="reject", seconds=40)
    assert all(not one.findings for one in raters.of_project(project))
    assert raters.of_project(project)[0].right is None


def test_without_labels_there_is_nobody(project, bob):
    assert raters.of_project(project) == []


# The rules themselves, on numbers


def judged(accuracies, pairs=200, each=3, seed=0):
    """Who said what of pairs whose first answer is better, and how many people that were."""
    random = np.random.default_rng(seed)
    unit, who, said = [], [], []
    for pair in range(pairs):
        for person in random.choice(len(accuracies), each, replace=False):
            unit.append(pair)
            who.append(person)
            said.append(1 if random.random() < accuracies[person] else -1)
    turned = np.where(np.array(unit) % 2, 1, -1) * np.array(said)
    return np.array(unit), np.array(who), turned


def test_competence_finds_how_often_each_is_right():
    accuracies = [0.95, 0.9, 0.85, 0.8, 0.7, 0.5, 0.1]
    found = competence.measure(*judged(accuracies, pairs=1500), np.ones(7))
    assert found.chance == pytest.approx(np.array(accuracies), abs=0.06)
    covered = (found.lower <= accuracies) & (accuracies <= found.upper)
    assert covered.sum() >= 5


def test_a_person_s_own_word_is_not_what_they_are_measured_by():
    """Of pairs that nobody else judged, nothing is known."""
    unit, who, said = np.arange(30), np.zeros(30, int), np.ones(30)
    found = competence.measure(unit, who, said, np.ones(1))
    assert found.support == pytest.approx(0.5)
    assert np.isnan(found.chance).all()
    assert found.informative.tolist() == [0]


def test_of_honest_people_hardly_anybody_is_said_to_guess():
    """The promise is one in twenty of those named; where nobody guesses, nearly nobody is named at all."""
    named = 0
    for seed in range(20):
        found = competence.measure(*judged([0.9] * 6 + [0.75] * 6, pairs=160, seed=seed), np.ones(12))
        named += competence.below(found, 0.5 + 0.4 * 0.4, 0.05, 20).sum()
    assert named <= 3  # of 240


def test_of_those_who_guess_most_are_named():
    named = wrongly = 0
    for seed in range(20):
        found = competence.measure(*judged([0.9] * 8 + [0.5] * 4, pairs=400, seed=seed), np.ones(12))
        guilty = competence.below(found, 0.5 + 0.4 * 0.4, 0.05, 20)
        named += guilty[8:].sum()
        wrongly += guilty[:8].sum()
    assert named >= 72  # of 80
    assert wrongly <= 4


def test_a_drift_within_the_margin_is_none():
    random = np.random.default_rng(5)
    own = (random.random(600) < 0.55).astype(float)
    who = np.repeat([0, 1], 300)
    own[:300] = random.random(300) < 0.9
    _, p = competence.drift(own, np.full(600, 0.5), who, 2, margin=0.1)
    assert p[0] < 1e-6
    assert p[1] > 0.5


# The page


@pytest.fixture
def lead(client, alice):
    client.force_login(alice.person)
    return client


def test_the_page_names_people_with_the_reason_and_a_lead_acts_on_it(lead, project, django_capture_on_commit_callbacks):
    found = world(project, ["careful"] * 5 + ["left-clicker"])
    clicker = next(ways for kind, ways in found if kind == "left-clicker")
    page = lead.get(reverse("raters", args=["desk"]), {"simulated": ""}).content.decode()
    assert "Takes the left answer in" in page
    assert clicker.person in page
    address = reverse("rate_person", args=["desk", clicker.membership.person_id])
    with django_capture_on_commit_callbacks():
        answer = lead.post(address, {"verb": "exclude", "because": "always left"}, follow=True)
    assert "count for nothing" in answer.content.decode()
    assert Event.objects.get(verb="person excluded").data["because"] == "always left"
    assert Membership.objects.get(pk=clicker.membership.pk).excluded_at
    lead.post(address, {"verb": "include"})
    assert Membership.objects.get(pk=clicker.membership.pk).excluded_at is None
    pause = reverse("pause", args=["desk", clicker.membership.person_id])
    assert f'formaction="{pause}?back=raters"' in page
    assert "whoever is paused reads it" in page
    back = lead.post(f"{pause}?back=raters", {"because": "always left"})
    assert back["Location"] == reverse("raters", args=["desk"])
    assert Membership.objects.get(pk=clicker.membership.pk).paused_because == "always left"
    assert pause not in lead.get(reverse("raters", args=["desk"]), {"simulated": ""}).content.decode()
    assert "Choose what to do" in lead.post(address, {"verb": "sing"}, follow=True).content.decode()


def test_at_a_glance_a_share_of_two_labels_is_not_told(lead, project, bob, bea):
    for number in range(22):
        item = compares(a_prompt(project), "one", "other")
        for who in (bob, bea) if number < 2 else (bob,):
            says(who, item, ranks=(1, 2) if number % 4 < 2 else (2, 1), strength=1)
    page = lead.get(reverse("raters", args=["desk"])).content.decode()
    one_line = {name: page.split(f"<strong>{name}</strong>")[1].split("</summary>")[0] for name in ("bob", "bea")}
    assert ">left<" in one_line["bob"]
    assert ">left<" not in one_line["bea"]


def test_a_reviewer_reads_the_page_and_acts_on_nobody(client, project, member, bob):
    says(bob, demonstrates(a_prompt(project)), verdict="accept")
    client.force_login(member("rita", "reviewer").person)
    page = client.get(reverse("raters", args=["desk"])).content.decode()
    assert "bob" in page
    assert "Exclude" not in page


def test_who_is_in_another_project_is_not_found(lead, project, charlie):
    assert lead.post(reverse("rate_person", args=["desk", charlie.pk]), {"verb": "exclude"}).status_code == 404


def test_a_lead_has_the_consensus_worked_out_anew(lead, project, bob, django_capture_on_commit_callbacks):
    from django_q.models import OrmQ

    with django_capture_on_commit_callbacks(execute=True):
        assert lead.post(reverse("recompute", args=["desk"]), {"method": "mace"}).status_code == 302
        lead.post(reverse("recompute", args=["desk"]), {"method": "dice"})
    (message,) = OrmQ.objects.all()
    assert message.func() == "annotation.tasks.consensus"
    assert message.task["args"] == (project.pk, "mace", Membership.objects.get(role="lead").person_id)
