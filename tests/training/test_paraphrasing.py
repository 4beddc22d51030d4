"""Paraphrases of people's prompts: what is kept, what never is, and how they enter snapshots."""

import csv
import io
import json
import zipfile
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation import excluding, labelling, leaving_out
from annotation.models import Event, Item, Prompt
from tests.annotation.making import a_prompt
from tests.training.making import a_model, an_edit, compares, demonstrates, says, succeeds
from training import paraphrasing, registry, runs, snapshots, staleness
from training.models import ModelVersion, Paraphrase
from training.snapshots import Rule, comparing, freeze, outgoing
from training.snapshots.previewing import preview

pytestmark = pytest.mark.django_db

ASKED = "How do I return a parcel that came broken?"
OTHER = "What is to be done with a damaged delivery?"
HELD = "Can a package be sent back to the warehouse?"


@pytest.fixture
def asked(project, bob) -> Prompt:
    """A prompt that bob has answered."""
    prompt = a_prompt(project, ASKED)
    says(bob, demonstrates(prompt, "Dunno."), verdict="edit", text="By the label inside.")
    return prompt


def wordings(model: ModelVersion, said: dict[Prompt, list[str]], **more: Any) -> list[Paraphrase]:
    """What a run of this model wrote."""
    run = paraphrasing.paraphrase(project=model.project, model=model, wake=False)
    lines = [
        {"prompt_id": prompt.pk, "sample": n, "text": text, "tokens": 9, "finished": True, **more}
        for prompt, texts in said.items()
        for n, text in enumerate(texts)
    ]
    return list(succeeds(run, lines).paraphrases.all())


def rows(project, model: ModelVersion, kind: str = "demonstrations", **rule: Any) -> list[dict[str, Any]]:
    """Those in other words, with no limit to their share."""
    wanted = Rule(paraphrased_by=[model.pk], **{"most_made": 1.0, **rule})
    found = snapshots.collect(project=project, kind=kind, rule=wanted)
    return [row for row in found if row["paraphrase"]]


def held_out(project, text: str) -> Prompt:
    return a_prompt(project, text, split="heldout")


def test_only_training_prompts_that_people_answered_are_said_in_other_words(project, bob, base, asked):
    compared, rejected, out = a_prompt(project, "a"), a_prompt(project, "b"), a_prompt(project, "c")
    a_prompt(project, "nobody judged it")
    held = held_out(project, HELD)
    says(bob, demonstrates(held), verdict="accept")
    says(bob, compares(compared, "x", "y"), ranks=(1, 2))
    says(bob, demonstrates(rejected), verdict="reject")
    says(bob, demonstrates(out), verdict="accept")
    leaving_out.exclude(project=project, prompts=[out.pk], because="spam", actor=bob.person)
    run = paraphrasing.paraphrase(project=project, model=base, wake=False)
    assert [row["id"] for row in run.inputs["prompts"]] == [asked.pk, compared.pk]
    assert run.inputs["prompts"][0]["messages"] == [{"role": "user", "content": ASKED}]


def test_prompts_that_were_not_done_come_first(bob, base, asked):
    wordings(base, {asked: [OTHER]})
    new = an_edit(bob).item.prompt
    run = paraphrasing.paraphrase(project=base.project, model=base, prompts=1, wake=False)
    assert [row["id"] for row in run.inputs["prompts"]] == [new.pk]
    elsewhere = a_model(base.project, "other")
    run = paraphrasing.paraphrase(project=base.project, model=elsewhere, prompts=1, wake=False)
    assert [row["id"] for row in run.inputs["prompts"]] == [asked.pk]


@pytest.mark.parametrize("prompts", [0, 10_001])
def test_what_cannot_be_paraphrased_is_refused(project, base, prompts):
    with pytest.raises(ValidationError, match="takes training prompts with accepted"):
        paraphrasing.paraphrase(project=project, model=base)
    with pytest.raises(ValidationError, match="1 to 10,000"):
        paraphrasing.paraphrase(project=project, model=base, prompts=prompts)


def test_a_wording_that_says_something_else_is_refused(project, base, bob):
    held_out(project, HELD)
    text = "How do I return parcel 17 that came broken to the office in Oslo yesterday, please?"
    prompt = a_prompt(project, text, language="en")
    says(bob, demonstrates(prompt), verdict="accept")
    good = "Parcel 17 came to the office in Oslo yesterday and was damaged: in what way can it be sent back?"
    said = [
        *(" -----\n-----", text.upper(), HELD, "Parcel 17, Oslo?", f"{good} {'Tell me more, please. ' * 9}"),
        "Wie kann ich das Paket 17 zurückschicken, das gestern kaputt im Büro in Oslo angekommen ist?",
        "You return parcel 17, which came broken to the office in Oslo, by the label inside.",
        "How can a broken parcel be returned that came to the office in Oslo yesterday?",
        *(f'Here is another wording:\n\n"{good}"', good.replace(":", ";")),
    ]
    found = wordings(base, {prompt: said})
    assert [one.refused_because for one in found] == [
        *("empty", "same", "heldout", "shorter", "longer", "language", "question", "detail", "", "repeated")
    ]
    assert found[7].why == "A number, a name or a place to fill in is not the same: 17"
    assert found[8].text == good
    assert paraphrasing.tally(found[0].run).all == 10
    assert paraphrasing.tally(found[0].run).kept == 1
    again = wordings(base, {prompt: [good]})
    assert [one.refused_because for one in again] == ["repeated"], "an earlier run wrote it"
    assert wordings(base, {prompt: ["cut off in the"]}, finished=False) == []


def test_a_wording_of_a_held_out_prompt_never_enters(project, base, bob, asked, alice):
    """Neither as it stands, nor with a word changed, nor if it was held out later, nor by anybody's decision."""
    held_out(project, HELD)
    near = "Can a broken package be sent back to the warehouse?"
    same, nearer, kept = wordings(base, {asked: [HELD, near, OTHER]})
    assert (same.refused_because, nearer.refused_because, kept.refused_because) == ("heldout", "nearer", "")
    assert same.nearness == 1
    assert 0.3 < nearer.nearness < 1
    for one in (same, nearer):
        with pytest.raises(ValidationError, match="stays refused, whatever anybody decides: near"):
            paraphrasing.decide(paraphrase=one, keep=True, actor=alice.person)
        with pytest.raises(IntegrityError), transaction.atomic():
            Paraphrase.objects.filter(pk=one.pk).update(decision="kept", decided_at=one.created_at)
    assert [row["prompt"][-1]["content"] for row in rows(project, base)] == [OTHER]
    held_out(project, "What is to be done with a damaged delivery, please?")
    assert rows(project, base) == []
    assert kept.is_kept, "it is looked at when labels are frozen"


def test_a_held_out_prompt_in_a_run_is_dropped(project, base, asked):
    """A run's file may name what it likes."""
    held = held_out(project, HELD)
    run = paraphrasing.paraphrase(project=project, model=base, wake=False)
    run.inputs["prompts"].append({"id": held.pk, "messages": held.messages})
    path = run.folder / "responses.jsonl"
    path.parent.mkdir(parents=True)
    lines = [{"prompt_id": one.pk, "sample": 0, "text": OTHER, "tokens": 9, "finished": True} for one in (asked, held)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [one.prompt for one in paraphrasing.judged(run, path)] == [asked]


def test_a_row_is_peoples_own_answer_to_other_words(project, bob, base, asked):
    says(bob, compares(asked, "Good.", "Bad."), ranks=(1, 2), unacceptable=(False, True))
    wordings(base, {asked: [OTHER]})
    snapshot = freeze(project=project, kind="demonstrations", rule=Rule(paraphrased_by=[base.pk], most_made=0.5))
    own, other = sorted(snapshots.read(snapshot), key=lambda row: bool(row["paraphrase"]))
    assert (own["made_by"], own["paraphrase"]) == (None, None)
    assert (other["made_by"], other["paraphrase"]) == (base.pk, True)
    assert other["prompt"] == [{"role": "user", "content": OTHER}]
    changed = ("prompt", "made_by", "paraphrase")
    assert {k: v for k, v in own.items() if k not in changed} == {k: v for k, v in other.items() if k not in changed}
    assert snapshot.counts["made_by"] == {str(base.pk): 1}
    assert (snapshot.counts["paraphrases"], snapshot.counts["prompts"]) == (1, 1)
    assert json.loads((snapshot.path / "manifest.json").read_text())["counts"] == snapshot.counts
    (pair,) = rows(project, base, "preferences", edits_as_preferences=False)
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == ("Good.", "Bad.")
    assert sorted(row["label"] for row in rows(project, base, "unpaired")) == [False, True, True]
    assert "paraphrase" not in snapshots.collect(project=project, kind="demonstrations", rule=Rule())[0]


def test_they_go_out_marked(project, base, asked):
    wordings(base, {asked: [OTHER]})
    snapshot = freeze(project=project, kind="demonstrations", rule=Rule(paraphrased_by=[base.pk], most_made=0.5))
    table = b"".join(outgoing.take_out(snapshot=snapshot, shape="csv", actor=None).content).decode("utf-8-sig")
    rows = {row["paraphrase"]: row for row in csv.DictReader(io.StringIO(table))}
    assert (rows["true"]["made_by"], rows[""]["made_by"]) == (str(base.pk), "")
    with zipfile.ZipFile(outgoing.take_out(snapshot=snapshot, shape="dataset", actor=None).content) as archive:
        (card,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("README.md"))
        (recipe,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("recipe.yaml"))
    assert "Of these, people's answers to other words" in card
    assert f"paraphrased_by:\n- {base.pk}\n" in recipe


def test_they_are_what_came_where_two_snapshots_are_compared(project, base, asked):
    wordings(base, {asked: [OTHER, "Something arrived in pieces: what must be done to give it back?"]})
    plain, one, both = (
        freeze(project=project, kind="demonstrations", rule=rule)
        for rule in (Rule(), *(Rule(paraphrased_by=[base.pk], most_made=share) for share in (0.5, 1.0)))
    )
    counts = [comparing.compare(first=plain, second=other).counts() for other in (one, both)]
    assert counts == [{"added": n, "removed": 0, "changed": 0, "same": 1} for n in (1, 2)]
    assert comparing.compare(first=one, second=both).counts() == {"added": 1, "removed": 0, "changed": 0, "same": 2}


def test_only_the_last_turn_is_in_other_words(project, bob, base):
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": ASKED},
    ]
    prompt = a_prompt(project)
    Prompt.objects.filter(pk=prompt.pk).update(messages=turns)
    says(bob, demonstrates(prompt), verdict="accept")
    wordings(base, {prompt: [OTHER]})
    (row,) = rows(project, base)
    assert row["prompt"] == [*turns[:3], {"role": "user", "content": OTHER}]


@pytest.mark.parametrize(("share", "made"), [(0.0, 0), (0.2, 1), (0.5, 4), (1.0, 8)])
def test_their_share_is_capped_together_with_other_rows_of_models(project, bob, base, share, made):
    for number in range(4):
        prompt = a_prompt(project, f"{ASKED} I ask for parcel {number}.")
        says(bob, demonstrates(prompt), verdict="accept")
    texts = [
        f"{OTHER} It is parcel {{}}.",
        "Something arrived in pieces, parcel {}: what must be done to give it back?",
    ]
    prompts = project.prompts.order_by("pk")
    wordings(base, {prompt: [text.format(number) for text in texts] for number, prompt in enumerate(prompts)})
    rule = Rule(paraphrased_by=[base.pk], most_made=share)
    found = snapshots.collect(project=project, kind="demonstrations", rule=rule)
    assert sum(bool(row["paraphrase"]) for row in found) == made
    assert found == snapshots.collect(project=project, kind="demonstrations", rule=rule)
    assert preview(project=project, kind="demonstrations", rule=rule).made == made


def test_weights_of_made_rows_are_theirs_too(project, base, asked):
    wordings(base, {asked: [OTHER]})
    (row,) = rows(project, base, weights={"edit": 2.0, "made": 0.25})
    assert row["weight"] == 0.5
    assert rows(project, base, weights={"made": 0}) == []
    rule = Rule(paraphrased_by=[base.pk], weights={"made": 0}, most_made=1.0)
    assert preview(project=project, kind="demonstrations", rule=rule).made == 0


def test_what_people_take_out_takes_its_paraphrases_along(project, bob, base, asked, alice):
    other = a_prompt(project, "Is the shop open on the days before a feast?")
    label = an_edit(bob, other)
    wordings(base, {asked: [OTHER], other: ["Before a feast, does one find the shop closed?"]})
    assert len(rows(project, base)) == 2
    labelling.retract(label=label, actor=bob)
    assert [row["prompt_sha256"] for row in rows(project, base)] == [asked.sha256]
    leaving_out.exclude(project=project, prompts=[asked.pk], because="spam", actor=alice.person)
    assert rows(project, base) == []


def test_who_made_the_paraphraser_is_behind_what_learns_from_it(project, bob, base, asked, alice):
    frozen = freeze(project=project, kind="demonstrations")
    first = succeeds(runs.start(project=project, method="sft", base=base, snapshot=frozen, wake=False)).model_version
    wordings(first, {asked: [OTHER]})
    both = freeze(project=project, kind="demonstrations", rule=Rule(paraphrased_by=[first.pk], most_made=0.5))
    pupil = succeeds(runs.start(project=project, method="sft", base=base, snapshot=both, wake=False)).model_version
    assert first in registry.behind(pupil)
    assert excluding.exclude(membership=bob, because="guesses", actor=alice.person)
    assert "bob" in staleness.of_model(pupil)
    with pytest.raises(ValidationError, match="1 run"):
        registry.delete(version=first)


def test_no_paraphrase_is_asked_about(project, base, asked):
    before = Item.objects.count(), Prompt.objects.count()
    wordings(base, {asked: [OTHER]})
    assert (Item.objects.count(), Prompt.objects.count()) == before


def test_what_a_run_was_given_is_not_fetched_with_each_of_its_paraphrases(project, client, base, asked, alice):
    run = wordings(base, {asked: [OTHER]})[0].run
    client.force_login(alice.person)
    with CaptureQueriesContext(connection) as done:
        assert rows(project, base)
        listed = client.get("/api/v1/projects/desk/paraphrases/")
        page = client.get(reverse("paraphrases", args=["desk", run.pk]))
    assert listed.json()["results"][0]["run"] == run.pk
    assert OTHER in page.content.decode()
    assert not [one for one in done if "inputs" in one["sql"]]


def test_models_of_another_project_bring_nothing(project, base, asked):
    wordings(base, {asked: [OTHER]})
    elsewhere = a_model(type(project).objects.create(slug="other", name="Other"), "theirs")
    assert rows(project, elsewhere) == []


def test_a_person_refuses_one_and_takes_one_back(project, base, asked, alice):
    kept, short = wordings(base, {asked: [OTHER, "Return it?"]})
    assert (kept.is_kept, short.is_kept, short.refused_because) == (True, False, "shorter")
    assert paraphrasing.decide(paraphrase=kept, keep=False, actor=alice.person)
    assert paraphrasing.decide(paraphrase=short, keep=True, actor=alice.person)
    assert not paraphrasing.decide(paraphrase=short, keep=True, actor=alice.person)
    assert [row["prompt"][0]["content"] for row in rows(project, base)] == ["Return it?"]
    for one in (kept, short):
        one.refresh_from_db()
        assert one.decided_by == alice.person
    assert kept.why == "Refused by a person"
    assert paraphrasing.tally(kept.run).refused == [("person", "Refused by a person", 1)]
    assert list(Paraphrase.objects.kept()) == [short]
    assert list(Paraphrase.objects.refused()) == [kept]
    done = Event.objects.filter(verb__startswith="paraphrase ").order_by("pk")
    assert [one.verb for one in done] == ["paraphrase refused", "paraphrase taken back"]
    assert {one.actor for one in done} == {alice.person}


def test_what_a_person_refused_does_not_come_back_with_the_next_run(project, base, asked, alice):
    (refused,) = wordings(base, {asked: [OTHER]})
    paraphrasing.decide(paraphrase=refused, keep=False, actor=alice.person)
    (again,) = wordings(a_model(project, "other"), {asked: [OTHER]})
    assert (again.is_kept, again.refused_because) == (False, "repeated")
    assert rows(project, base) == []
    assert paraphrasing.decide(paraphrase=again, keep=True, actor=alice.person)
