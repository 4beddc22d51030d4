"""Rounds, evaluations and the leaderboard."""

import pytest
from django_q.models import OrmQ

from annotation import labelling
from annotation.labelling import Said
from annotation.models import Item
from evaluation import winrate
from evaluation.models import Round
from tests.annotation.making import a_prompt, lease
from tests.training.making import a_model, a_preference
from training import registry
from training.models import ModelVersion, Sample

DESK = "/api/v1/projects/desk/"


@pytest.fixture
def lead(api, alice):
    return api(alice)


def post(client, path, **body):
    return client.post(DESK + path, body, format="json")


def test_a_round_starts_with_the_production_model(world, lead, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = post(lead, "rounds/", settings={"minimum_comparisons": 3})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["number"], made["status"], made["step"], made["started_by"]) == (2, "active", "collecting", "alice")
    assert made["champion"]["name"] == "base"
    assert made["settings"]["minimum_comparisons"] == 3
    assert OrmQ.objects.exists()
    assert [one["number"] for one in lead.get(DESK + "rounds/").json()["results"]] == [2, 1]
    second = post(lead, "rounds/")
    assert second.status_code == 400
    assert "under way" in second.json()["non_field_errors"][0]


@pytest.mark.parametrize("chosen", [{"minimum": 3}, {"skip": ["dpo"]}, {"sft": {"epoch": 1}}, {"seed": -1}])
def test_settings_that_do_not_fit_are_refused(world, lead, chosen):
    answer = post(lead, "rounds/", settings=chosen)
    assert answer.status_code == 400
    assert answer.json()["non_field_errors"]
    assert Round.objects.count() == 1


def test_without_a_model_there_is_no_round(project, lead):
    assert "import a base model" in post(lead, "rounds/").json()["non_field_errors"][0]


def test_a_lead_goes_on_with_the_labels_that_are_there(world, lead):
    number = post(lead, "rounds/").json()["number"]
    waits = post(lead, f"rounds/{number}/advance/", force=False).json()
    assert (waits["step"], waits["steps"][0]["detail"]["wanted"]) == ("collecting", 20)
    goes_on = post(lead, f"rounds/{number}/advance/").json()
    assert goes_on["step"] == "sft"
    assert [one["name"] for one in goes_on["steps"]] == ["collecting", "freezing", "sft"]
    assert goes_on["steps"][2]["runs"][0]["purpose"] == "sft"
    assert lead.get(f"{DESK}rounds/{number}/").json() == goes_on


def test_a_round_is_cancelled_and_retried(world, lead):
    number = post(lead, "rounds/").json()["number"]
    assert post(lead, f"rounds/{number}/retry/").status_code == 409
    assert post(lead, "rounds/1/retry/").status_code == 400
    assert post(lead, f"rounds/{number}/cancel/").json()["status"] == "cancelled"
    for verb in ("cancel", "advance"):
        assert post(lead, f"rounds/{number}/{verb}/").status_code == 409
    assert post(lead, f"rounds/{number}/retry/").json()["status"] == "active"


def test_evaluations_come_with_their_figures(world, lead):
    (found,) = lead.get(DESK + "evaluations/").json()["results"]
    assert found["model"]["name"] == "tuned"
    assert found["scores"] == [
        {"name": "reward accuracy", "group": "", "value": 0.75, "lower": 0.3, "upper": 0.95, "n": 4}
    ]


def test_a_reward_model_is_measured_by_a_run(world, lead, bob):
    judge = a_model(world.base.project, "judge", kind="reward")
    assert "nothing to measure with" in post(lead, "evaluations/", model=judge.pk).content.decode()
    a_preference(bob, a_prompt(world.base.project, split="heldout"))
    policy = post(lead, "evaluations/", model=world.tuned.pk)
    assert (policy.status_code, policy.json()["method"]) == (201, "measure")
    assert "model" in post(lead, "evaluations/", model=0).json()
    made = post(lead, "evaluations/", model=judge.pk, seed=4)
    assert made.status_code == 201
    assert (made.json()["method"], made.json()["base"]["name"], made.json()["seed"]) == ("score", "judge", 4)


def test_the_leaderboard_counts_judged_pairs(world, lead):
    first, second = lead.get(DESK + "leaderboard/").json()["standings"]
    assert (first["model"]["name"], first["wins"], first["losses"], first["ties"]) == ("tuned", 1, 0, 0)
    assert (second["model"]["name"], second["wins"], second["losses"], second["ties"]) == ("base", 0, 1, 0)
    assert first["rate"]["n"] == 1
    assert round(first["rate"]["lower"], 3) == 0.207  # Wilson's interval for 1 of 1


def test_the_leaderboard_and_the_win_rate_count_alike(world, lead, bea):
    """Of two people who disagree about one item, each is half a word: one observation, and not two."""
    Item.objects.filter(pk=world.label.item_id).update(wanted=2)
    assignment = lease(bea)
    labelling.submit(
        assignment=assignment, said=Said(ranks=[2 if one == world.new_answer else 1 for one in assignment.shown()])
    )
    first, second = lead.get(DESK + "leaderboard/").json()["standings"]
    assert (first["wins"], first["losses"], first["rate"]["value"], first["rate"]["n"]) == (1, 1, 0.5, 1)
    between = winrate.between(world.tuned, world.base).human
    assert {**first["rate"]} == {**vars(between.interval)}
    assert second["rate"] == first["rate"]


def test_an_answer_that_both_gave_counts_for_neither(world, lead):
    generation = world.base.generations.get()
    Sample.objects.create(generation=generation, response=world.new_answer, index=1)
    assert lead.get(DESK + "leaderboard/").json()["standings"] == []


def test_simulated_labels_count_only_when_asked_for(world, lead, member):
    Item.objects.filter(pk=world.label.item_id).update(wanted=2)
    labelling.submit(assignment=lease(member("robot", simulated=True)), said=Said(ranks=[1, 1]))
    url = DESK + "leaderboard/"
    assert [one["ties"] for one in lead.get(url).json()["standings"]] == [0, 0]
    first, _ = lead.get(url, {"simulated": "true"}).json()["standings"]
    assert (first["wins"], first["ties"], first["rate"]["value"]) == (1, 1, 0.75)


@pytest.mark.parametrize("purpose", ["gold", "withdrawn"])
def test_gold_and_withdrawn_labels_do_not_count(world, lead, alice, purpose):
    if purpose == "gold":
        Item.objects.filter(pk=world.label.item_id).update(purpose="gold")
    else:
        labelling.retract(label=world.label, actor=alice)
    assert lead.get(DESK + "leaderboard/").json()["standings"] == []


def test_an_empty_project_has_an_empty_leaderboard(project, lead):
    assert ModelVersion.objects.count() == 0
    assert lead.get(DESK + "leaderboard/").json() == {"standings": [], "left": None, "longer": None, "warnings": []}


# The gate, the way back, head to head


def test_the_gate_tells_what_it_asks_and_finds(world, lead):
    found = lead.get(f"{DESK}models/{world.tuned.pk}/gate/").json()
    assert (found["outcome"], found["words"][:23]) == ("undecided", "It cannot be told yet: ")
    assert {row["outcome"] for row in found["rows"]} == {"undecided"}
    nothing = {"min_accuracy": None, "min_win_rate": None, "max_length_growth": None, "max_distance": None}
    nothing["blind_prompts"] = None
    changed = lead.patch(f"{DESK}gate/", {**nothing, "max_forgetting": 0.2}, format="json")
    assert changed.json() == {**nothing, "max_forgetting": 0.2} == lead.get(f"{DESK}gate/").json()
    assert [row["goal"] for row in lead.get(f"{DESK}models/{world.tuned.pk}/gate/").json()["rows"]] == [
        "at most 20 % more than the base model"
    ]
    assert lead.patch(f"{DESK}gate/", {"min_accuracy": 2}, format="json").status_code == 400


def test_a_model_before_the_gate_needs_a_reason_and_the_way_back_none(world, lead):
    assert "No other model was in production" in post(lead, "roll-back/").content.decode()
    registry.promote(version=world.base)
    refused = post(lead, f"models/{world.tuned.pk}/promote/")
    assert refused.status_code == 400
    assert "say why; it stays on record" in refused.json()["non_field_errors"][0]
    assert post(lead, f"models/{world.tuned.pk}/promote/", reason="Wins.").json()["stage"] == "production"
    back = post(lead, "roll-back/", reason="It is rude.").json()
    assert (back["name"], back["stage"]) == ("base", "production")


def test_two_models_are_compared_head_to_head(world, lead):
    assert "no held-out prompt" in post(lead, "head-to-heads/", challenger=world.tuned.pk).content.decode()
    a_prompt(world.base.project, split="heldout")
    made = post(lead, "head-to-heads/", challenger=world.tuned.pk, prompts=1)
    assert made.status_code == 201
    match = made.json()
    assert (match["champion"]["name"], match["decided"], match["asked"]) == ("base", 0, 0)
    assert match["words"] == "Both models are answering the held-out prompts."
    assert lead.get(f"{DESK}head-to-heads/").json()["results"][0]["id"] == match["id"]
    assert post(lead, "head-to-heads/", challenger=world.tuned.pk).status_code == 400
    assert post(lead, f"head-to-heads/{match['id']}/stop/").json()["ended_at"]
    assert post(lead, f"head-to-heads/{match['id']}/stop/").status_code == 409
