"""Fine-tuning jobs: from a file to a run, and what is refused on the way."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.models import Event
from evaluation import tasks
from tests.annotation.making import a_prompt
from tests.training.making import a_model, claimed, fails, succeeds
from training import cards, files, jobevents, jobs, lineage, registry, runs, snapshots
from training.models import Metric, Run, Snapshot, TrainingFile, TuningJob


def lines(*rows: Any) -> list[bytes]:
    return [json.dumps(row).encode() + b"\n" for row in rows]


def example(asked: str = "Where is my parcel?", said: str = "On its way.") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}


def pair(asked: str = "Where is my parcel?") -> dict[str, Any]:
    return {
        "input": {"messages": [{"role": "user", "content": asked}]},
        "preferred_output": [{"role": "assistant", "content": "On its way."}],
        "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
    }


@pytest.fixture
def base(project):
    return a_model(project, "base", stage="production")


@pytest.fixture
def send(project, alice):
    def keep(*rows: Any, name: str = "examples.jsonl") -> TrainingFile:
        return files.keep(project=project, name=name, parts=lines(*rows), actor=alice.person)

    return keep


@pytest.fixture
def ordered(project, base, send, alice):
    """A job whose files were looked at."""

    def make(*rows: Any, **more: Any) -> TuningJob:
        file = send(*(rows or (example(),)))
        job = jobs.create(project=project, base=base, training_file=file, actor=alice.person, **more)
        jobs.prepare(job_id=job.pk)
        return TuningJob.objects.get(pk=job.pk)

    return make


def told(job: TuningJob, **more: Any) -> list[str]:
    found = jobevents.page(TuningJob.objects.get(pk=job.pk), after=None, limit=100)
    assert found is not None
    return [event.message for event in found[0]]


class TestAFile:
    def test_is_kept_as_it_was_sent(self, project, alice):
        file = files.keep(project=project, name="../../a.jsonl", parts=[b"one ", b"two"], actor=alice.person)
        assert (file.name, file.bytes) == ("a.jsonl", 7)
        assert file.key.startswith("file-")
        with files.lines_of(file) as content:
            assert content.read() == b"one two"
        assert [path.name for path in file.path.parent.iterdir()] == [f"{file.key}.jsonl"]
        assert Event.objects.filter(verb="file sent", actor=alice.person).count() == 1

    def test_that_is_empty_or_too_large_is_refused_and_leaves_nothing(self, project, monkeypatch):
        monkeypatch.setattr(files, "MOST_BYTES", 5)
        for parts in ([], [b"123", b"456"]):
            with pytest.raises(ValidationError):
                files.keep(project=project, name="a", parts=parts)
        assert not TrainingFile.objects.exists()
        assert list((files.TrainingFile(project=project).path.parent).iterdir()) == []

    def test_is_deleted_and_its_row_stays(self, send, ordered, django_capture_on_commit_callbacks):
        job = ordered()
        with django_capture_on_commit_callbacks(execute=True):
            files.delete(file=job.training_file)
        assert not job.training_file.path.exists()
        assert not TrainingFile.objects.there().exists()
        assert job.snapshot.source["file"] == TrainingFile.objects.get().key

    def test_that_a_job_has_yet_to_read_is_not_deleted(self, project, base, send):
        file = send(example())
        jobs.create(project=project, base=base, training_file=file)
        with pytest.raises(ValidationError, match="has yet to read"):
            files.delete(file=file)


class TestAJob:
    def test_becomes_a_snapshot_and_a_run_like_any_other(self, project, base, ordered, alice):
        job = ordered(example(), example("May I return it?", "Yes."), suffix="kind", seed=5)
        run = job.run
        assert job.status == "queued"
        assert (run.method, run.base, run.seed, run.created_by) == ("sft", base, 5, alice.person)
        assert run.inputs["name"] == job.model_name == f"ft:base:desk:kind:{job.key[-8:]}"
        rows = snapshots.read(run.snapshot)
        assert [row["completion"][0]["content"] for row in rows] in (["On its way.", "Yes."], ["Yes.", "On its way."])
        assert all(row["labels"] == [] for row in rows)
        assert snapshots.is_intact(run.snapshot)

    def test_its_model_says_of_which_file_it_was_made_and_that_nobody_labelled_it(self, project, ordered):
        job = ordered()
        version = succeeds(job.run).model_version
        assert version.name == job.model_name
        assert jobs.model_of(TuningJob.objects.get()) == version
        source = Snapshot.objects.get(runs__model_version=version).source
        assert source == {"file": job.training_file.key, "file_sha256": job.training_file.sha256}
        assert lineage.of_model(version)["labels"] == []
        assert registry.people_behind(version) == []
        assert f"| Made of the file | {job.training_file.key} |" in cards.card(version)

    def test_of_preferences_is_a_dpo_run(self, ordered):
        job = ordered(pair(), method="dpo", hyperparameters={"beta": 0.3, "n_epochs": 1, "batch_size": "auto"})
        assert job.run.method == "dpo"
        assert (job.run.settings["beta"], job.run.settings["epochs"]) == (0.3, 1)
        assert snapshots.read(job.run.snapshot)[0]["rejected"][0]["content"] == "No idea."

    def test_the_learning_rate_is_a_multiple_of_what_is_usual(self, ordered):
        usual = runs.checked_settings("sft", {})["learning_rate"]
        job = ordered(hyperparameters={"learning_rate_multiplier": 0.5})
        assert job.run.settings["learning_rate"] == usual / 2

    def test_never_trains_on_what_the_project_holds_out(self, project, ordered):
        a_prompt(project, "A secret question?", split="heldout")
        secret, turns = "A secret question?", example("A secret question?")["messages"]
        longer = {"messages": [*turns, *example("And then?", "Then this.")["messages"]]}
        job = ordered(example(), example(secret, "An answer."), longer)
        assert job.report["training_file"] == {"lines": 3, "examples": 1, "held_out": 2}
        assert secret not in json.dumps(snapshots.read(job.run.snapshot))
        assert any("2 lines were left out" in said for said in told(job))

    def test_with_nothing_but_held_out_prompts_fails_in_words(self, project, ordered):
        a_prompt(project, "A secret question?", split="heldout")
        job = ordered(example("A secret question?"))
        assert (job.status, job.run) == ("failed", None)
        assert "never trained on" in job.error["message"]

    def test_with_a_bad_line_fails_and_names_it(self, ordered):
        job = ordered(example(), {"messages": []}, {"prompt": "a"})
        assert job.status == "failed"
        assert job.error["code"] == "invalid_training_file"
        assert 'line 2: "messages" must be a list of messages; line 3' in job.error["message"]
        assert not Run.objects.exists()

    def test_whose_file_was_changed_on_disk_fails(self, project, base, send):
        file = send(example())
        file.path.write_bytes(b"{}" * (file.bytes // 2))
        job = jobs.create(project=project, base=base, training_file=file)
        assert "not what was sent" in jobs.prepare(job_id=job.pk).error["message"]

    def test_watches_its_validation_file(self, project, send, ordered):
        job = ordered(example(), validation_file=send(example("And this?", "That.")))
        assert job.run.validation.source["file"] == job.validation_file.key
        assert job.run.snapshots == [job.snapshot]

    def test_is_prepared_once_however_often_its_message_comes(self, ordered):
        job = ordered()
        assert jobs.prepare(job_id=job.pk) is None
        assert Run.objects.count() == 1

    def test_whose_message_was_lost_is_taken_up_by_the_clock(self, project, base, send):
        job = jobs.create(project=project, base=base, training_file=send(example()))
        assert tasks.recover()["jobs"] == 1
        assert TuningJob.objects.get(pk=job.pk).status == "queued"
        assert tasks.recover()["jobs"] == 0

    def test_that_cannot_be_checked_fails_and_holds_up_no_other(self, project, base, send, monkeypatch):
        one, other = (jobs.create(project=project, base=base, training_file=send(example())) for _ in range(2))
        whole = jobs.prepare

        def breaks(*, job_id: int) -> Any:
            if job_id == one.pk:
                raise MemoryError
            return whole(job_id=job_id)

        monkeypatch.setattr(jobs, "prepare", breaks)
        assert tasks.recover()["jobs"] == 1
        assert [TuningJob.objects.get(pk=job.pk).status for job in (one, other)] == ["failed", "queued"]
        assert tasks.recover()["jobs"] == 0

    def test_the_same_rows_are_the_same_snapshot(self, ordered):
        assert ordered(example()).snapshot == ordered(example()).snapshot

    def test_needs_a_model_with_weights_that_answers(self, project, send):
        file = send(example())
        for more in ({"kind": "reward"}, {"format": "endpoint"}):
            base = a_model(project, f"base {more}", **more)
            with pytest.raises(ValidationError, match="cannot be tuned here"):
                jobs.create(project=project, base=base, training_file=file)

    @pytest.mark.parametrize("chosen", [{"n_epochs": 1000}, {"batch_size": 5000}, {"learning_rate_multiplier": 1e9}])
    def test_refuses_settings_that_no_run_takes(self, project, base, send, chosen):
        with pytest.raises(ValidationError):
            jobs.create(project=project, base=base, training_file=send(example()), hyperparameters=chosen)

    def test_cannot_have_a_run_and_be_over_without_one(self, ordered):
        from django.db import IntegrityError

        job = ordered()
        with pytest.raises(IntegrityError), transaction.atomic():
            TuningJob.objects.filter(pk=job.pk).update(error={"code": "odd"})


class TestCancelling:
    def test_before_its_files_were_looked_at(self, project, base, send, alice):
        job = jobs.create(project=project, base=base, training_file=send(example()))
        assert jobs.cancel(job=job, actor=alice.person)
        job.refresh_from_db()
        assert job.status == "cancelled"
        assert jobs.prepare(job_id=job.pk) is None
        assert not jobs.cancel(job=job)

    def test_cancels_its_run(self, ordered):
        job = ordered()
        assert jobs.cancel(job=job)
        job.run.refresh_from_db()
        assert job.run.status == "cancelled"
        assert not jobs.cancel(job=job)
        assert "The job was cancelled." in told(job)


class TestEvents:
    def test_tell_the_story_newest_first(self, ordered):
        job = ordered()
        run = claimed(job.run)
        Run.objects.filter(pk=run.pk).update(total=2)
        for step in (1, 2):
            Metric.objects.create(run=run, step=step, values={"loss": 3.0 / step, "validation_loss": 1.5})
        Run.objects.filter(pk=run.pk).update(status="queued")
        succeeds(job.run)
        name = TuningJob.objects.get().model_name
        assert told(job) == [
            f"New fine-tuned model created: {name}",
            "Step 2/2: training loss=1.5000, validation loss=1.5000",
            "Step 1/2: training loss=3.0000, validation loss=1.5000",
            "Fine-tuning job started.",
            f"Files are valid; run {run.pk} is queued.",
            "training_file: lines 1, examples 1.",
            f"Created fine-tuning job: {job.key}",
        ]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    def test_come_in_pages_without_a_gap(self, ordered, limit):
        job = ordered()
        run = claimed(job.run)
        Metric.objects.bulk_create(Metric(run=run, step=step, values={"loss": 1.0}) for step in range(1, 12))
        job = TuningJob.objects.get(pk=job.pk)
        whole = [event.key for event in jobevents.page(job, after=None, limit=100)[0]]
        assert len(whole) == len(set(whole)) == 15
        found, after, more = [], None, True
        while more:
            events, more = jobevents.page(job, after=after, limit=limit)
            found += [event.key for event in events]
            after = found[-1]
        assert found == whole
        assert jobevents.page(job, after="ftevent-other-step-1", limit=5) is None

    def test_say_why_it_failed_and_what_to_do(self, ordered):
        job = ordered()
        fails(job.run)
        assert told(job)[0].startswith("No row was left.")
        assert jobs.checkpoints(TuningJob.objects.get()) == []


def test_the_checkpoint_is_the_model_at_the_end(ordered):
    job = ordered()
    assert jobs.checkpoints(job) == []
    version = succeeds(job.run).model_version
    (one,) = jobs.checkpoints(TuningJob.objects.get())
    assert one.model == version
