"""The registry: which policy is in production, what a version stands on, and whose labels are behind it."""

import hashlib

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from annotation import labelling
from annotation.models import Event, Project
from tests.annotation.making import a_prompt, all_at_once
from tests.training.making import a_model, a_preference, an_edit, claimed, compares, fails, says, succeeds
from training import lineage, registry, runs, sampling, snapshots
from training.models import Generation, ModelVersion, Run, Sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def base(project):
    return a_model(project)


def in_production(project) -> list[str]:
    return [version.name for version in ModelVersion.objects.filter(project=project).production()]


# Promotion


def test_promoting_retires_the_one_before_and_rollback_is_promotion(project, alice, base):
    better = a_model(project, "better", parent=base)
    for version, retired in ((base, None), (better, base), (base, better)):
        registry.promote(version=version, actor=alice.person, reason="wins")
        assert in_production(project) == [version.name]
        assert version.stage == "production"
        if retired is not None:
            retired.refresh_from_db()
            assert retired.stage == "retired"
    events = Event.objects.filter(verb="model promoted").order_by("id")
    assert [event.data["before"] for event in events] == [None, base.pk, better.pk]
    assert {event.actor for event in events} == {alice.person}


def test_promoting_twice_is_written_down_once(project, base):
    registry.promote(version=base)
    registry.promote(version=base)
    assert in_production(project) == ["base"]
    assert Event.objects.filter(verb="model promoted").count() == 1


def test_each_project_has_its_own_production_model(project, base):
    theirs = a_model(Project.objects.create(slug="other", name="Other"))
    registry.promote(version=base)
    registry.promote(version=theirs)
    base.refresh_from_db()
    assert (base.stage, theirs.stage) == ("production", "production")


def test_a_reward_model_is_not_promoted(project, base):
    registry.promote(version=base)
    judge = a_model(project, "judge", kind="reward", format="adapter", parent=base)
    with pytest.raises(ValidationError, match="Only a policy can be promoted"):
        registry.promote(version=judge)
    judge.refresh_from_db()
    assert (judge.stage, in_production(project)) == ("candidate", ["base"])


def test_the_database_refuses_a_second_production_policy(project):
    a_model(project, "one", stage="production")
    with pytest.raises(IntegrityError, match="one_production_policy_per_project"), transaction.atomic():
        a_model(project, "two", stage="production")
    other = a_model(project, "three")
    with pytest.raises(IntegrityError, match="one_production_policy_per_project"), transaction.atomic():
        ModelVersion.objects.filter(pk=other.pk).update(stage="production")


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"name": "base"}, "model_name_once_per_project"),
        ({"format": "adapter"}, "adapter_has_parent"),
        ({"kind": "oracle"}, "model_kind_known"),
        ({"stage": "live"}, "model_stage_known"),
    ],
)
def test_the_database_refuses_what_no_version_can_be(project, base, wrong, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        a_model(project, **{"name": "new", **wrong})


@pytest.mark.django_db(transaction=True)
def test_many_promotions_at_once_leave_one_in_production(project):
    versions = [a_model(project, f"model {n}") for n in range(6)]
    registry.promote(version=versions[0])
    all_at_once(*[lambda version=version: registry.promote(version=version) for version in versions * 2])
    (name,) = in_production(project)
    promoted = Event.objects.filter(verb="model promoted").order_by("id")
    assert promoted.last().target == f"modelversion:{ModelVersion.objects.get(name=name).pk}"
    line = [(int(event.target.split(":")[1]), event.data["before"]) for event in promoted]
    assert [before for _, before in line] == [None, *[after for after, _ in line[:-1]]]  # each retired the one before
    assert set(ModelVersion.objects.exclude(name=name).values_list("stage", flat=True)) == {"retired"}


# Importing


def test_a_project_s_first_model_is_promoted_and_the_next_waits(project, alice):
    first = registry.import_model(project=project, name="first", source="hub/first", actor=alice.person)
    succeeds(first)
    succeeds(registry.import_model(project=project, name="second", source="hub/second"))
    stages = dict(ModelVersion.objects.values_list("name", "stage"))
    assert stages == {"first": "production", "second": "candidate"}
    assert ModelVersion.objects.get(name="first").run == first
    assert Event.objects.get(verb="model promoted").data["reason"] == "the project's first model"


def test_a_name_is_taken_by_a_model_and_by_an_import_under_way(project, base):
    with pytest.raises(ValidationError, match="This project has a model called base already"):
        registry.import_model(project=project, name="base", source="hub/x")
    run = registry.import_model(project=project, name="new", source="hub/x")
    with pytest.raises(ValidationError, match="A model called new is being imported already"):
        registry.import_model(project=project, name="new", source="hub/y")
    fails(run)
    assert registry.import_model(project=project, name="new", source="hub/y").status == "queued"


# Folders and ancestors


def test_a_folder_s_hash_is_of_names_and_bytes_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    parts = [b"a\0", hashlib.sha256(b"1").digest(), b"b/two\0", hashlib.sha256(b"2").digest()]
    assert registry.folder_hash(tmp_path) == hashlib.sha256(b"".join(parts)).hexdigest()


def test_a_folder_s_hash_tells_every_change(tmp_path):
    def folder(name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return registry.folder_hash(tmp_path / name)

    whole = {"config.json": "{}", "model": "weights"}
    others = [
        {"config.json": "{ }", "model": "weights"},
        {"config.json": "{}", "model2": "weights"},
        {"config.json": "{}"},
        {"config.json": "{}", "model": "weights", "ref/model": ""},
        {"config.json": "weights", "model": "{}"},
    ]
    found = [folder(str(number), files) for number, files in enumerate([whole, *others])]
    assert len(set(found)) == 6
    assert folder("again", dict(reversed(whole.items()))) == found[0]


def test_an_adapter_lies_on_the_nearest_full_weights(project, base):
    sft = a_model(project, "sft", format="adapter", parent=base)
    dpo = a_model(project, "dpo", format="adapter", parent=sft)
    full = a_model(project, "full", parent=dpo)
    last = a_model(project, "last", format="adapter", parent=full)
    assert [one.name for one in last.ancestry()] == ["last", "full", "dpo", "sft", "base"]
    assert base.base_and_adapter() == (base.path, None)
    assert sft.base_and_adapter() == (base.path, sft.path)
    assert dpo.base_and_adapter() == (base.path, dpo.path)
    assert full.base_and_adapter() == (full.path, None)
    assert last.base_and_adapter() == (full.path, last.path)


@pytest.mark.parametrize(("start", "parent"), [("dpo", "base"), ("base", "base"), ("full", "full"), ("last", "full")])
def test_a_reward_model_stands_on_the_weights_it_grew_from(project, bob, base, start, parent):
    sft = a_model(project, "sft", format="adapter", parent=base)
    a_model(project, "dpo", format="adapter", parent=sft)
    full = a_model(project, "full", parent=base)
    a_model(project, "last", format="adapter", parent=full)
    a_preference(bob)
    frozen = snapshots.freeze(project=project, kind="preferences")
    run = runs.start(
        project=project, method="reward", base=ModelVersion.objects.get(name=start), snapshot=frozen, wake=False
    )
    judge = succeeds(run).model_version
    assert (judge.kind, judge.parent.name) == ("reward", parent)
    assert judge.base_and_adapter() == (ModelVersion.objects.get(name=parent).path, judge.path)


# Lineage


@pytest.fixture
def loop(project, bob, bea, alice, base):
    """bob's edit made `tuned`; `tuned` answered; bea judged that answer, and it made `again`, which came of `tuned`."""
    edit = an_edit(bob)
    demonstrations = snapshots.freeze(project=project, kind="demonstrations")
    sft = runs.start(project=project, method="sft", base=base, snapshot=demonstrations, wake=False)
    tuned = succeeds(sft).model_version

    prompt = a_prompt(project)
    lines = [
        {"prompt_id": prompt.pk, "sample": n, "text": text, "tokens": 3, "finished": True}
        for n, text in enumerate([" The new answer. ", "Another.", "Another.", "", "\x00 \n"])
    ]
    sampled = succeeds(sampling.sample(project=project, model=tuned, prompts=project.prompts.all(), wake=False), lines)
    new, another = sampled.generation.responses.distinct().order_by("id")
    item = compares(prompt, new.text, another.text)
    label = says(bea, item, ranks=(1, 2), strength=1)
    rule = snapshots.Rule(edits_as_preferences=False)
    preferences = snapshots.freeze(project=project, kind="preferences", rule=rule)
    dpo = runs.start(project=project, method="dpo", base=tuned, snapshot=preferences, wake=False)
    again = succeeds(dpo).model_version
    return {
        "edit": edit,
        "label": label,
        "tuned": tuned,
        "again": again,
        "new": new,
        "another": another,
        "sampled": sampled,
        "alice": alice,
    }


def test_labels_behind_a_model_are_those_of_all_its_ancestors(loop, base):
    assert set(registry.labels_behind(base)) == set()
    assert set(registry.labels_behind(loop["tuned"])) == {loop["edit"]}
    assert set(registry.labels_behind(loop["again"])) == {loop["edit"], loop["label"]}
    assert registry.people_behind(loop["tuned"]) == [("bob", 1)]
    assert registry.people_behind(loop["again"]) == [("bea", 1), ("bob", 1)]


def test_labels_that_were_mixed_in_are_behind_a_model_too(loop, project, bea, base):
    earlier = loop["tuned"].run.snapshot
    mine = an_edit(bea)
    now = snapshots.freeze(project=project, kind="demonstrations")
    run = runs.start(project=project, method="sft", base=base, snapshot=now, others=[earlier], wake=False)
    version = succeeds(run).model_version
    assert set(registry.labels_behind(version)) == {loop["edit"], mine}
    assert lineage.of_model(version)["ancestry"][0]["others"] == [earlier.pk]
    assert registry.people_behind(version) == [("bea", 1), ("bob", 1)]


def test_an_answer_leads_to_its_model_and_a_model_to_its_judged_answers(loop, base):
    assert registry.authors_of(loop["new"]) == [loop["tuned"]]
    assert registry.authors_of(loop["edit"].response) == []
    assert registry.judged_answers(loop["tuned"]) == 2
    assert registry.judged_answers(loop["again"]) == 0
    walked = lineage.of_response(loop["new"])["generations"]
    assert [one["model"]["labels"] for one in walked] == [[loop["edit"].pk]]
    assert {row.pk for row in lineage.answers_of(loop["tuned"])} == {loop["new"].pk, loop["another"].pk}
    answer = lineage.answers_of(loop["tuned"], judged=True).get(pk=loop["new"].pk)
    assert [label for item in answer.items.all() for label in item.live_labels] == [loop["label"]]
    labelling.retract(label=loop["label"], actor=loop["alice"])
    assert not lineage.answers_of(loop["tuned"], judged=True).exists()


def test_what_a_model_wrote_is_taken_in_once_and_nothing_of_nothing(loop):
    generation = loop["sampled"].generation
    samples = Sample.objects.filter(generation=generation).order_by("index")
    assert [(one.index, one.response.text) for one in samples] == [
        (0, "The new answer."),
        (1, "Another."),
        (2, "Another."),
    ]
    assert {one.response.origin for one in samples} == {"model"}
    assert generation.silent == []  # it said something to that prompt


def test_a_snapshot_s_withdrawn_label_is_still_behind_the_model(loop):
    """What made a model stays on record, whatever is thought of it later."""
    labelling.retract(label=loop["edit"], actor=loop["alice"])
    assert set(registry.labels_behind(loop["tuned"])) == {loop["edit"]}


def test_a_run_that_did_not_succeed_yields_nothing(project, base):
    run = Run.objects.create(project=project, method="generate", base=base)
    fails(run)
    assert not Generation.objects.exists()
    assert not ModelVersion.objects.filter(run=run).exists()
    with pytest.raises(AssertionError, match="no queued run"):
        claimed(run)


# Asking for answers


def test_examples_that_were_shown_are_on_record(loop, project, base):
    prompts = project.prompts.all()
    with pytest.raises(ValidationError, match="snapshot of demonstrations"):
        sampling.sample(project=project, model=base, prompts=prompts, snapshot=loop["again"].run.snapshot)
    settings = {"few_shot": 2}
    run = sampling.sample(project=project, model=base, prompts=prompts, settings=settings, wake=False)
    assert run.snapshot == loop["tuned"].run.snapshot
    assert sampling.sample(project=project, model=base, prompts=prompts, wake=False).snapshot is None


def test_sampling_is_refused_in_words(project, base):
    with pytest.raises(ValidationError, match=r"There is no prompt to answer\."):
        sampling.sample(project=project, model=base, prompts=project.prompts.all())
    other = Project.objects.create(slug="other", name="Other")
    theirs = a_prompt(other)
    with pytest.raises(ValidationError, match=r"There is no prompt to answer\."):
        sampling.sample(project=project, model=base, prompts=type(theirs).objects.all())


def test_too_many_prompts_are_refused_in_words(project, base, monkeypatch):
    monkeypatch.setattr(sampling, "MOST_PROMPTS", 2)
    for _ in range(2):
        a_prompt(project)
    assert len(sampling.sample(project=project, model=base, prompts=project.prompts.all()).inputs["prompts"]) == 2
    a_prompt(project)
    with pytest.raises(ValidationError, match="more than 2 prompts"):
        sampling.sample(project=project, model=base, prompts=project.prompts.all())
