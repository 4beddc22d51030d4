"""Reading for toxicity: by a classifier that a lead names, each text once; what follows from it are findings."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.utils import timezone

from annotation import cleaning, leaving_out, tidying
from annotation.models import Event, Finding, Item, Project, Prompt, Response
from config.apps import EVERY
from evaluation import head_to_head, scoring, second_opinion
from evaluation import tasks as after
from tests import tiny_classifier
from tests.annotation.making import a_prompt, an_answer
from tests.training.making import a_model, claimed, fails, succeeds
from training import cards, registry, runs, tasks, toxicity, watching
from training.models import ModelVersion, Run, ToxicityPolicy, ToxicityScore
from training.recipeforms import RecipeForm
from training.runner import _prepare

LABELS = ["toxic", "insult", "praise"]


@pytest.fixture
def classifier(project) -> ModelVersion:
    return a_model(project, "detector", kind="classifier", card={"labels": LABELS})


@pytest.fixture
def policy(project, classifier) -> ToxicityPolicy:
    return toxicity.set_policy(project=project, model=classifier)


@pytest.fixture(autouse=True)
def _store(settings, tmp_path) -> None:
    settings.ARTIFACTS = tmp_path


def reads(run: Run, scores: dict[str, float] | None = None, **more: Any) -> Run:
    """End a run as the recipe would: every text it was given has a low score, but those that hold these words."""
    _prepare(run)
    lines = []
    for line in (run.folder / "texts.jsonl").read_text().splitlines():
        row = json.loads(line)
        score = max([value for word, value in (scores or {}).items() if word in row["text"]], default=0.01)
        lines.append({"id": row["id"], "score": score, "label": "insult", "start": None, "end": None, **more})
    run = succeeds(run, lines)
    run.metrics = {"texts": len(lines)}
    run.save(update_fields=["metrics"])
    return run


def read_all(project: Project, scores: dict[str, float] | None = None, **more: Any) -> Run:
    return reads(toxicity.start(project=project), scores, **more)


def toxic(**of: Any) -> list[Finding]:
    """The worst last."""
    return list(Finding.objects.filter(kind="toxicity", **of).order_by("score", "pk"))


# Which classifier


def test_labels_mean_toxic_by_their_names(project, classifier, alice):
    policy = toxicity.set_policy(project=project, model=classifier, actor=alice.person)
    assert (policy.labels, policy.threshold) == (["toxic", "insult"], 0.5)
    event = Event.objects.get(verb="toxicity policy changed")
    assert (event.actor, event.data["labels"]) == (alice.person, ["toxic", "insult"])


@pytest.mark.parametrize("labels", [["LABEL_0", "LABEL_1"], ["positive", "negative"]])
def test_a_model_of_which_no_label_says_toxic_is_refused_until_a_lead_names_one(project, labels):
    version = a_model(project, "other", kind="classifier", card={"labels": labels})
    with pytest.raises(ValidationError, match="says toxic by its name: choose those"):
        toxicity.set_policy(project=project, model=version)
    chosen = toxicity.set_policy(project=project, model=version, labels=[labels[1]])
    assert chosen.labels == [labels[1]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": ["rude"]}, "has no label “rude”"),
        ({"labels": []}, "was chosen"),
        ({"threshold": 0}, "from 0.01 to 0.99"),
        ({"threshold": float("nan")}, "from 0.01 to 0.99"),
    ],
)
def test_what_cannot_be_read_with_is_refused(project, classifier, change, words):
    with pytest.raises(ValidationError, match=words):
        toxicity.set_policy(project=project, model=classifier, **change)
    assert not ToxicityPolicy.objects.exists()


def test_only_a_classifier_of_this_project_reads(project, classifier):
    other = Project.objects.create(slug="other", name="Other")
    theirs = a_model(other, kind="classifier", card={"labels": ["toxic"]})
    unknown = a_model(project, "unknown", kind="classifier")  # what it tells apart is not on record
    for version in (a_model(project), a_model(project, "judge", kind="reward"), theirs, unknown):
        with pytest.raises(ValidationError, match="no classifier of this project"):
            toxicity.set_policy(project=project, model=version, labels=["toxic"])


def test_a_classifier_is_no_model_to_train_answer_measure_or_promote(project, classifier):
    base = a_model(project, stage="production")
    for start in (
        lambda: runs.start(project=project, method="generate", base=classifier),
        lambda: runs.start(project=project, method="score", base=classifier),
        lambda: runs.start(project=project, method="toxicity", base=base),
        lambda: registry.promote(version=classifier),
        lambda: registry.merge(version=classifier),
        lambda: scoring.measure(project=project, model=classifier),
        lambda: head_to_head.start(challenger=classifier),
        lambda: second_opinion.ask(challenger=base, champion=classifier, judge=base),
    ):
        with pytest.raises(ValidationError):
            start()
    assert not Run.objects.exists()
    assert "detector" not in str(RecipeForm(project=project))
    assert "which labels a text has" in cards.card(classifier)


def test_an_imported_classifier_is_not_put_in_production(project):
    run = registry.import_model(project=project, name="detector", source="some/detector", kind="classifier")
    assert run.inputs["kind"] == "classifier"
    version = ModelVersion.objects.get(run=succeeds(run))
    assert (version.kind, version.stage) == ("classifier", "candidate")
    for wrong in ({"kind": "reward"}, {"kind": "classifier", "source": "https://host/v1#model"}):
        with pytest.raises(ValidationError):
            registry.import_model(project=project, name="b", **{"source": "some/detector", **wrong})


def test_a_classifier_that_reads_is_not_deleted(policy, classifier):
    with pytest.raises(ValidationError, match="1 reading for toxicity"):
        registry.delete(version=classifier)


# Runs


def test_a_run_reads_what_users_ask_and_what_is_answered_and_nothing_twice(project, policy):
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Three?"},
    ]
    prompt = Prompt.objects.create(project=project, messages=turns, sha256="0" * 64, split="heldout")
    answer = an_answer(prompt, "Four\u2028\n😀")
    gone = an_answer(prompt, "Five.")
    leaving_out.exclude(project=project, responses=[gone.pk], because="No.")
    an_answer(a_prompt(Project.objects.create(slug="other", name="Other")), "Six.")
    run = toxicity.start(project=project)
    assert (run.priority, run.base, run.inputs) == (-10, policy.model_version, {"labels": ["toxic", "insult"]})
    _prepare(run)
    spec = json.loads((run.folder / "spec.json").read_text())
    labels, found = (
        [json.loads(line) for line in Path(spec["data"][name]).read_text().splitlines()] for name in ("labels", "texts")
    )
    assert labels == ["toxic", "insult"]
    assert {row["id"]: row["text"] for row in found} == {
        f"prompt {prompt.pk} 1": "One?",
        f"prompt {prompt.pk} 3": "Three?",
        f"answer {prompt.pk} {answer.pk}": "Four\u2028\n😀",
    }
    reads(run)
    with pytest.raises(ValidationError, match="read already"):
        toxicity.start(project=project)
    leaving_out.bring_back(project=project, responses=[gone.pk])
    assert [one.pk for one in toxicity.unread(policy)[1]] == [gone.pk]


def test_one_run_at_a_time_and_none_without_a_model(project):
    with pytest.raises(ValidationError, match="name one first"):
        toxicity.start(project=project)
    version = a_model(project, "detector", kind="classifier", card={"labels": LABELS})
    toxicity.set_policy(project=project, model=version)
    a_prompt(project)
    toxicity.start(project=project)
    with pytest.raises(ValidationError, match="on its way already"):
        toxicity.start(project=project)


def test_a_run_reads_so_much_and_the_next_follows_it(project, policy, monkeypatch):
    monkeypatch.setattr(toxicity, "MOST_TEXTS", 2)
    for number in range(2):
        an_answer(a_prompt(project), f"Answer {number}.")
    after.run_finished(read_all(project).pk)
    second = Run.objects.get(status="queued")
    after.run_finished(reads(second).pk)
    assert not Run.objects.filter(status="queued").exists()
    assert toxicity.standing(project).unread == 0
    assert ToxicityScore.objects.count() == 4


def test_by_the_clock_a_run_begins_for_what_is_new_and_not_soon_after_another(project, policy):
    assert EVERY["toxicity"] == ("training.tasks.read_for_toxicity", 10)
    assert tasks.read_for_toxicity() == 0  # nothing is there
    a_prompt(project)
    assert tasks.read_for_toxicity() == 1
    assert tasks.read_for_toxicity() == 0  # it is on its way
    run = reads(Run.objects.get())
    a_prompt(project)
    assert tasks.read_for_toxicity() == 0
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(hours=1, minutes=1))
    assert tasks.read_for_toxicity() == 1
    assert Run.objects.get(status="queued").created_by is None


def test_an_archived_project_is_not_read(project, policy):
    a_prompt(project)
    Project.objects.update(archived=True)
    assert tasks.read_for_toxicity() == 0


def test_after_a_failure_none_begins_until_somebody_asks_or_chooses_otherwise(project, policy, classifier):
    a_prompt(project)
    run = fails(toxicity.start(project=project), reason="bad_data")
    after.run_finished(run.pk)
    Run.objects.update(finished_at=timezone.now() - timedelta(days=1))
    assert toxicity.standing(project).failed
    assert tasks.read_for_toxicity() == 0
    toxicity.set_policy(project=project, model=classifier, labels=["insult"])
    assert not toxicity.standing(project).failed
    assert tasks.read_for_toxicity() == 1


def test_a_model_that_is_named_once_more_begins_by_the_clock_though_its_run_had_been_stopped(project, policy):
    a_prompt(project)
    toxicity.start(project=project)
    toxicity.stop(project=project)
    again = toxicity.set_policy(project=project, model=policy.model_version)
    assert not toxicity.standing(project).failed
    assert tasks.read_for_toxicity() == 1
    fails(Run.objects.get(status="queued"))
    toxicity.set_policy(project=project, model=again.model_version, threshold=0.7)
    assert toxicity.standing(project).failed  # the same reading, at another threshold


def test_whoever_wants_everything_checked_has_this_read_too(project, policy, alice):
    a_prompt(project, "Is it open today?")
    cleaning.check(project=project)  # as the clock does it
    assert not Run.objects.exists()
    cleaning.ask(project=project, actor=alice.person, wake=False)
    cleaning.check(project=project)
    assert Run.objects.get().created_by == alice.person


# Findings


def test_what_is_likely_toxic_is_a_finding_with_its_place(project, policy):
    prompt = a_prompt(project, "You fool!")
    nasty = an_answer(prompt, "What a nasty tea.")
    an_answer(prompt, "A good tea.")
    read_all(project, {"fool": 0.5, "nasty": 0.9999}, start=2, end=9)
    about_prompt, about_answer = toxic()
    assert (about_prompt.response, about_prompt.turn, about_prompt.score) == (None, 0, 0.5)
    assert (about_answer.response, about_answer.turn, about_answer.score) == (nasty, None, 1.0)
    assert (about_answer.start, about_answer.end) == (2, 9)
    assert about_answer.sentence == "Reads as “insult” to detector: 99 % sure."
    assert about_answer.data == {"label": "insult", "model": policy.model_version_id}
    assert (about_answer.state, about_answer.key) == ("open", "")


def test_of_a_users_turns_the_worst_counts(project, policy):
    turns = [{"role": "user", "content": one} for one in ("Good.", "Nasty.", "Bad.")]
    Prompt.objects.create(project=project, messages=turns, sha256="0" * 64, split="train")
    read_all(project, {"Nasty": 0.9, "Bad": 0.7})
    (found,) = toxic()
    assert (found.turn, found.score) == (1, 0.9)


def test_another_threshold_counts_at_once_and_decisions_stay(project, policy, classifier):
    prompt = a_prompt(project)
    for text in ("nasty", "bad", "poor"):
        an_answer(prompt, text)
    read_all(project, {"nasty": 0.9, "bad": 0.6, "poor": 0.3})
    bad, worst = toxic()
    assert bad.pk < worst.pk  # the page begins with the newest
    tidying.accept(project=project, findings=Finding.objects.filter(pk=worst.pk))
    toxicity.set_policy(project=project, model=classifier, threshold=0.95)
    assert [(one.pk, one.state) for one in toxic()] == [(worst.pk, "accepted")]
    toxicity.set_policy(project=project, model=classifier, threshold=0.2)
    assert [(one.response.text, one.state) for one in toxic()] == [
        ("poor", "open"),
        ("bad", "open"),
        ("nasty", "accepted"),
    ]
    assert toxicity.standing(project).found == 3
    assert not Run.objects.filter(status="queued").exists()  # nothing was read anew
    assert bad.pk not in [one.pk for one in toxic()]


def test_another_model_reads_anew_and_decisions_stay(project, policy):
    prompt = a_prompt(project)
    for text in ("nasty", "bad"):
        an_answer(prompt, text)
    first = read_all(project, {"nasty": 0.9, "bad": 0.9})
    tidying.accept(project=project, findings=Finding.objects.filter(response__text="nasty"))
    other = a_model(project, "another", kind="classifier", card={"labels": ["hate"]})
    toxicity.set_policy(project=project, model=other)
    assert [one.response.text for one in toxic()] == ["nasty"]
    assert toxicity.standing(project).unread == 3
    read_all(project, {"nasty": 0.8, "bad": 0.01})
    assert [(one.response.text, one.state, one.score) for one in toxic()] == [("nasty", "accepted", 0.9)]
    toxicity.take_in(first, first.folder / "features.jsonl")  # delivered late: it is of the model before
    assert len(toxic()) == 1


def test_a_run_of_the_choice_before_is_stopped_and_stores_nothing(project, policy, classifier):
    a_prompt(project, "nasty")
    waiting = toxicity.start(project=project)
    toxicity.set_policy(project=project, model=classifier, labels=["insult"])
    waiting.refresh_from_db()
    assert waiting.status == "cancelled"
    running = claimed(toxicity.start(project=project))
    assert toxicity.stop(project=project)
    assert not toxicity.stop(project=project)
    running.refresh_from_db()
    assert running.cancel_requested


def test_a_run_that_ends_after_the_choice_changed_stores_nothing(project, policy, classifier):
    prompt = a_prompt(project, "nasty")
    run = toxicity.start(project=project)
    _prepare(run)
    ToxicityPolicy.objects.update(labels=["insult"])
    row = {"id": f"prompt {prompt.pk} 0", "score": 0.9, "label": "toxic", "start": None, "end": None}
    succeeds(run, [row])
    assert not ToxicityScore.objects.exists()
    assert toxic() == []
    _prepare(run)  # and one that begins then is given nothing
    assert (run.folder / "texts.jsonl").read_text() == ""


def test_without_a_model_open_findings_go_and_decisions_stay(project, policy, alice):
    prompt = a_prompt(project)
    for text in ("nasty", "bad"):
        an_answer(prompt, text)
    read_all(project, {"nasty": 0.9, "bad": 0.9})
    tidying.accept(project=project, findings=Finding.objects.filter(response__text="bad"))
    assert toxicity.stop(project=project, actor=alice.person)
    assert [one.response.text for one in toxic()] == ["bad"]
    assert not ToxicityScore.objects.exists()
    assert toxicity.standing(project).policy is None


def test_findings_of_this_kind_are_decided_like_all_others(project, policy, alice):
    prompts = [a_prompt(project) for _ in range(4)]
    answers = [an_answer(prompt, f"nasty {number}") for number, prompt in enumerate(prompts)]
    read_all(project, {"nasty": 0.9})
    found = Finding.objects.filter(kind="toxicity")
    assert tidying.matching(found, kind="toxicity", state="open", text="answer").count() == 4
    assert tidying.mend(project=project, findings=found).passed_over == 4
    some = found.filter(response__in=answers[:2])
    assert tidying.exclude(project=project, findings=some, because="Toxic.", actor=alice.person).done == 2
    assert Response.objects.filter(excluded_because="Toxic.").count() == 2
    assert tidying.send(project=project, findings=found.filter(response=answers[2])).done == 1
    assert Item.objects.get(kind="demonstration").prompt == prompts[2]
    assert tidying.bring_back(project=project, findings=some).done == 2
    assert not Response.objects.filter(excluded_at__isnull=False).exists()
    toxicity.judge(policy)
    assert sorted(one.state for one in toxic()) == ["open", "open", "open", "sent"]


def test_what_was_excluded_while_it_was_read_is_found_as_excluded(project, policy):
    prompt = a_prompt(project)
    answer = an_answer(prompt, "nasty")
    run = toxicity.start(project=project)
    _prepare(run)
    leaving_out.exclude(project=project, prompts=[prompt.pk], because="No.")
    line = {"id": f"answer {prompt.pk} {answer.pk}", "score": 0.9, "label": "toxic", "start": None, "end": None}
    succeeds(run, [line])
    (found,) = toxic()
    assert (found.state, found.decided_at is not None) == ("excluded", True)
    leaving_out.bring_back(project=project, prompts=[prompt.pk])
    assert [one.state for one in toxic()] == ["open"]


def test_a_result_that_is_stored_twice_adds_nothing(project, policy):
    an_answer(a_prompt(project), "nasty 100 % “quoted”")
    run = read_all(project, {"nasty": 0.9})
    before = [(one.pk, one.created_at) for one in toxic()]
    toxicity.take_in(run, run.folder / "features.jsonl")
    assert [(one.pk, one.created_at) for one in toxic()] == before
    assert ToxicityScore.objects.count() == 2


def test_the_names_of_models_and_labels_are_words_and_no_code(project):
    label = "“%s'); DROP TABLE” " * 10
    version = a_model(project, "50 % 'sure", kind="classifier", card={"labels": [label]})
    toxicity.set_policy(project=project, model=version, labels=[label])
    an_answer(a_prompt(project), "nasty")
    read_all(project, {"nasty": 0.9}, label=label)
    (found,) = toxic()
    assert found.sentence == f"Reads as “{label[:64]}” to 50 % 'sure: 90 % sure."


# With the model itself


@pytest.mark.process
def test_a_classifier_is_imported_reads_and_is_believed(project, tmp_path, monkeypatch):
    """As a lead does it: the command imports it, it is named, a run reads, and findings stand there."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    source = tiny_classifier.build(tmp_path / "source")
    call_command("import_model", "desk", source, "--name=detector", "--kind=classifier", stdout=io.StringIO())
    version = ModelVersion.objects.get()
    assert (version.kind, version.stage, version.card["labels"]) == ("classifier", "candidate", LABELS)
    toxicity.set_policy(project=project, model=version)
    prompt = a_prompt(project, "You fool, what is a good tea?")
    long = "good " * 100 + "nasty " + "good " * 100
    answers = [an_answer(prompt, text) for text in ("A good tea.", long, "😀" * 50, "x" * 1_000_000)]
    run = toxicity.start(project=project, wake=False)

    watching.here(run)
    run.refresh_from_db()
    assert (run.status, run.error) == ("succeeded", "")
    (about_prompt,), (about_answer,) = toxic(response=None), toxic(response__isnull=False)
    assert about_prompt.data["label"] == "insult"
    assert about_answer.response == answers[1]
    assert "nasty" in long[about_answer.start : about_answer.end]
    assert about_answer.sentence == "Reads as “toxic” to detector: 99 % sure."
    assert run.metrics["texts"] == 5
    assert toxicity.standing(project).unread == 0
