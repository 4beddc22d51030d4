"""Runs as a gpu worker does them: real recipes as child processes on the tiny model, watched, stopped and lost.

The processes are run once for all tests, two at a time, against committed rows, since starting one costs seconds.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from annotation.models import Membership, Project, Response, User
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_model_on_disk, compares, demonstrates, says
from training import artifacts, paraphrasing, registry, reproducing, runner, runs, sampling, snapshots
from training.models import Generation, Metric, ModelVersion, Run, Sample

DEADLINE = 240.0
QUESTIONS = [f"Is it open on day {number}?" for number in range(8)]
SETTINGS = {"batch_size": 4, "epochs": 4}
STEPS = 8
LONG = {"batch_size": 1, "epochs": 6, "checkpoint_seconds": 0}
LONG_STEPS = 48


@dataclass
class Done:
    """What came of every run, by name, and what was seen on the way."""

    store: Path
    runs: dict[str, Run] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Run:
        return Run.objects.get(pk=self.runs[name].pk)


def until(reached: Callable[[], Any], why: str) -> Any:
    """Wait for something that another thread or process does."""
    end = time.monotonic() + DEADLINE
    while not (found := reached()):
        assert time.monotonic() < end, f"it never happened: {why}"
        time.sleep(0.02)
    return found


def execute(run: Run) -> Run:
    claimed = runs.claim(worker=runner.worker_name(), run_id=run.pk)
    assert claimed is not None
    return runner.execute(claimed)


class Worker(threading.Thread):
    """A gpu worker that executes one run, while the test watches; `backend` is its connection to the database."""

    def __init__(self, run: Run) -> None:
        super().__init__(daemon=True)
        self.run_row, self.error = run, None
        self.connected = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            connection.ensure_connection()
            self.backend = connection.connection.info.backend_pid
            self.connected.set()
            claimed = runs.claim(worker=runner.worker_name(), run_id=self.run_row.pk)
            assert claimed is not None
            self.claimed = claimed
            runner.execute(claimed)
        except BaseException as error:
            self.error = error
        finally:
            self.connected.set()
            connection.close()

    def ends(self) -> None:
        self.join(DEADLINE)
        assert not self.is_alive(), "the worker never ended"
        if self.error is not None:
            raise self.error


def steps_of(run: Run) -> list[int]:
    return list(Metric.objects.filter(run=run).values_list("step", flat=True))


@pytest.fixture(scope="module")
def done(
    django_db_setup: None, django_db_blocker: Any, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Done]:
    store = tmp_path_factory.mktemp("artifacts")
    with django_db_blocker.unblock():
        try:
            done = Done(store)
            with pytest.MonkeyPatch.context() as patch, override_settings(ARTIFACTS=store, RUN_HEARTBEAT_SECONDS=0):
                patch.setattr(runner, "POLL_SECONDS", 0.05)
                patch.setenv("OMP_NUM_THREADS", "1")
                _do_everything(done, tiny_model)
            yield done
        finally:
            call_command("flush", verbosity=0, interactive=False)


def _do_everything(done: Done, tiny_model: Path) -> None:
    project = Project.objects.create(slug="garden", name="Garden")
    bob = Membership.objects.create(person=User.objects.create_user("bob"), project=project)
    prompts = [a_prompt(project, question) for question in QUESTIONS]
    for prompt in prompts:
        says(bob, demonstrates(prompt, "Dunno."), verdict="edit", text="Yes, from ten until six.")
        says(bob, compares(prompt, "Yes, from ten.", "Go away."), ranks=(1, 2), strength=4)
    frozen = {
        kind: snapshots.freeze(project=project, kind=kind, rule=snapshots.Rule(edits_as_preferences=False))
        for kind in ("demonstrations", "preferences")
    }
    done.seen["bob"], done.seen["frozen"] = bob.person, frozen

    def start(name: str, method: str, **more: Any) -> Run:
        if method in ("sft", "reward", "dpo"):
            more["snapshot"] = frozen["demonstrations" if method == "sft" else "preferences"]
        done.runs[name] = runs.start(project=project, method=method, wake=False, **more)
        return done.runs[name]

    def imported() -> ModelVersion:
        run = done.runs["import"] = registry.import_model(
            project=project, name="tiny", source=str(tiny_model), wake=False
        )

        def uploads(location: str) -> None:
            before = done["import"].heartbeat_at
            until(lambda: done["import"].heartbeat_at > before, "its worker said that it lives")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(artifacts, "keep", uploads)
            return execute(run).model_version

    def policy(base: ModelVersion) -> None:
        worker = Worker(start("sft", "sft", base=base, settings=SETTINGS))
        worker.connected.wait(DEADLINE)
        until(lambda: done["sft"].pid, "a process was started")
        with connection.cursor() as cursor:  # the database server drops the worker's connection
            cursor.execute("select pg_terminate_backend(%s)", [worker.backend])
            done.seen["dropped"] = cursor.fetchone()[0]
        worker.ends()
        execute(start("dpo", "dpo", base=done["sft"].model_version, settings=SETTINGS))
        done.runs["again"] = reproducing.repeat(run=done["sft"], wake=False)
        execute(done.runs["again"])
        done.runs["further"] = runs.carry_on(run=done["sft"], epochs=2, wake=False)
        execute(done.runs["further"])

    def others(base: ModelVersion) -> None:
        execute(start("reward", "reward", base=base, settings=SETTINGS))
        chosen = project.prompts.filter(pk__in=[prompt.pk for prompt in prompts[:3]])
        done.runs["generate"] = sampling.sample(
            project=project,
            model=base,
            prompts=chosen,
            settings={"samples_per_prompt": 3, "max_new_tokens": 8},
            wake=False,
        )
        execute(done.runs["generate"])
        settings = {"samples_per_prompt": 3, "max_new_tokens": 48, "temperature": 1.5}
        done.runs["paraphrase"] = paraphrasing.paraphrase(
            project=project, model=base, prompts=3, settings=settings, wake=False
        )
        execute(done.runs["paraphrase"])
        execute(start("bad", "sft", base=base, settings={"max_length": 16}))
        gone = a_model(project, "gone")  # a row whose folder was deleted
        execute(start("gone", "sft", base=gone, settings=SETTINGS))

    def stopped(base: ModelVersion) -> None:
        early = start("early", "sft", base=base, settings=LONG)
        claimed = runs.claim(worker=runner.worker_name(), run_id=early.pk)
        assert claimed is not None
        runs.cancel(run=early)  # before there is a process
        runner.execute(claimed)

        run = start("cancelled", "sft", base=base, settings=LONG)
        worker = Worker(run)
        until(lambda: len(steps_of(run)) >= 2, "two steps are in the database")
        done.seen["pid"] = done["cancelled"].pid
        assert runs.cancel(run=run)
        worker.ends()
        done.seen["cancelled"] = done["cancelled"]
        done.seen["cancelled steps"] = steps_of(run)
        done.seen["cancelled pid lives"] = psutil.pid_exists(done.seen["pid"])
        done.seen["checkpoints"] = [
            json.loads(path.read_text())["step"] for path in run.folder.glob("checkpoints/*/complete.json")
        ]
        done.seen["cancelled result"] = json.loads((run.folder / "result.json").read_text())
        newest = run.folder / "checkpoints" / f"checkpoint-{max(done.seen['checkpoints'])}"
        (newest / "optimizer.pt").write_bytes(b"what a crash of the machine left")
        assert runs.retry(run=run)
        execute(run)

    def slow(base: ModelVersion) -> None:
        run = start("slow", "sft", base=base, settings=LONG, plan=runs.Plan(limit_minutes=90))
        worker = Worker(run)
        until(lambda: len(steps_of(run)) >= 2, "two steps are in the database")
        worker.claimed.limit_minutes = 0.01  # the worker's own row: its time is over
        worker.ends()

    def lost(base: ModelVersion) -> None:
        run = start("lost", "sft", base=base, settings=LONG)
        worker = Worker(run)
        done.seen["lost pid"] = until(lambda: done["lost"].pid, "a process was started")
        done.seen["lost pid lived"] = psutil.pid_exists(done.seen["lost pid"])
        Run.objects.filter(pk=run.pk).update(worker="elsewhere:1", attempt=2, pid=None)  # as recovered and claimed
        worker.ends()
        done.seen["lost pid lives"] = psutil.pid_exists(done.seen["lost pid"])

    def orphaned(base: ModelVersion) -> None:
        run = start("orphaned", "sft", base=base, settings=LONG)
        worker = Worker(run)
        until(lambda: len(steps_of(run)) >= 2, "two steps are in the database")
        done.seen["orphan's pid"] = done["orphaned"].pid
        runner._forks.process.kill()
        worker.ends()
        done.seen["orphaned"] = done["orphaned"]
        worker = Worker(run)
        until(lambda: max(steps_of(run)) > 2 and done["orphaned"].pid, "it goes on")
        runs.cancel(run=run)
        worker.ends()

    def in_thread(job: Callable[[ModelVersion], None], base: ModelVersion) -> None:
        try:
            job(base)
        finally:
            connection.close()

    base = imported()
    with ThreadPoolExecutor(2) as pool:  # as many as there are cores
        for future in [pool.submit(in_thread, job, base) for job in (policy, stopped, others, lost, slow)]:
            future.result()
    orphaned(base)
    server = runner._forks.process
    runner.release()
    done.seen["server lives"] = psutil.pid_exists(server.pid)


@pytest.fixture
def theirs(db: None, done: Done, settings: Any) -> Done:
    """The runs that were done, with their folders."""
    settings.ARTIFACTS = done.store
    return done


# Runs that go well


def test_an_imported_model_is_registered_and_is_the_first_to_be_in_production(theirs, tiny_model):
    run = theirs["import"]
    version = run.model_version
    assert (run.status, run.error) == ("succeeded", "")
    assert (version.name, version.kind, version.format, version.stage) == ("tiny", "policy", "full", "production")
    assert (version.parent, version.location) == (None, f"garden/runs/{run.pk}/model")
    assert version.sha256 == registry.folder_hash(version.path)
    assert (version.path / "model.safetensors").is_file()


def test_a_worker_that_takes_long_to_store_a_model_says_meanwhile_that_it_lives(theirs):
    """What stands for the upload ended only when the heartbeat was renewed."""
    assert theirs["import"].status == "succeeded", theirs["import"].error


def test_sft_yields_an_adapter(theirs):
    run = theirs["sft"]
    version = run.model_version
    assert (run.status, run.attempt, run.error, run.reason) == ("succeeded", 1, "", "")
    assert (version.name, version.kind, version.format) == (f"sft-{run.pk}", "policy", "adapter")
    assert (version.stage, version.parent.name) == ("candidate", "tiny")
    assert version.sha256 == registry.folder_hash(version.path)
    assert (version.path / "adapter_model.safetensors").is_file()
    assert version.base_and_adapter() == (version.parent.path, version.path)
    assert version.card["rows"]["kept"] == len(QUESTIONS)


def test_its_curve_is_in_the_database(theirs):
    run = theirs["sft"]
    written = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    written = [line for line in written if "step" in line]
    stored = list(Metric.objects.filter(run=run))
    assert [one.step for one in stored] == list(range(1, STEPS + 1))
    assert [one.values["loss"] for one in stored] == [line["loss"] for line in written]
    assert stored[-1].values["loss"] < stored[0].values["loss"]
    assert "total" not in stored[0].values
    assert (run.step, run.total, run.percent) == (STEPS, STEPS, 100)
    assert run.metrics["first_loss"] == stored[0].values["loss"]


def test_its_rows_environment_and_log_are_kept(theirs):
    run = theirs["sft"]
    assert (run.rows["read"], run.rows["kept"], run.rows["dropped"]) == (len(QUESTIONS), len(QUESTIONS), 0)
    assert run.environment["dtype"] in ("float32", "bfloat16")
    assert "trl" in json.dumps(run.environment)
    assert json.loads(run.log_tail().splitlines()[-1])["status"] == "ok"
    assert run.started_at <= run.heartbeat_at <= run.finished_at
    assert (run.worker, run.pid_started is not None) == (runner.worker_name(), True)


def test_a_run_outlives_the_database_connection_of_its_worker(theirs):
    assert theirs.seen["dropped"] is True
    assert theirs["sft"].status == "succeeded"
    assert len(steps_of(theirs["sft"])) == STEPS


def test_dpo_goes_on_from_the_sft_adapter(theirs):
    run = theirs["dpo"]
    tuned = theirs["sft"].model_version
    spec = json.loads((run.folder / "spec.json").read_text())
    assert spec["model"] == {"base": str(tuned.parent.path), "adapter": str(tuned.path)}
    assert run.status == "succeeded", run.error
    assert (run.model_version.parent, run.model_version.format) == (tuned, "adapter")
    assert [one.name for one in run.model_version.ancestry()] == [f"dpo-{run.pk}", tuned.name, "tiny"]
    assert (run.model_version.sha256 != tuned.sha256, len(run.model_version.sha256)) == (True, 64)
    losses = list(Metric.objects.filter(run=run).values_list("values__loss", flat=True))
    assert losses[0] == pytest.approx(0.693, abs=0.001)  # ln 2: it starts as the policy that it is compared with
    assert losses[-1] < losses[0]
    assert {label.person for label in registry.labels_behind(run.model_version)} == {theirs.seen["bob"]}
    assert registry.people_behind(run.model_version) == [("bob", 2 * len(QUESTIONS))]


def test_a_reward_model_is_registered_as_one_and_not_as_a_policy(theirs):
    version = theirs["reward"].model_version
    assert theirs["reward"].status == "succeeded"
    assert (version.kind, version.format, version.parent.name) == ("reward", "adapter", "tiny")
    assert version.sha256 == registry.folder_hash(version.path)
    assert not ModelVersion.objects.policies().filter(pk=version.pk).exists()


def test_sampled_answers_are_responses_with_their_model(theirs):
    run = theirs["generate"]
    generation = run.generation
    assert (run.status, generation.model_version.name, generation.seed) == ("succeeded", "tiny", run.seed)
    assert generation.settings == run.settings
    lines = [json.loads(line) for line in (run.folder / "responses.jsonl").read_text().split("\n")[:-1]]
    assert len(lines) == 9
    said = {(line["prompt_id"], line["sample"]): line for line in lines if line["text"].strip()}
    samples = list(Sample.objects.filter(generation=generation).select_related("response"))
    assert {(one.response.prompt_id, one.index) for one in samples} == set(said)
    for one in samples:
        line = said[one.response.prompt_id, one.index]
        assert (one.response.text, one.tokens, one.finished) == (line["text"].strip(), line["tokens"], line["finished"])
        assert one.response.origin == "model"
        assert registry.authors_of(one.response) == [generation.model_version]
    assert Generation.objects.count() == 1
    assert Response.objects.filter(origin="model").count() == len({one.response_id for one in samples})


def test_what_a_model_says_in_other_words_is_held_against_its_original(theirs):
    """Whatever the tiny model babbles: what it finished is there, and each is kept or refused for a reason."""
    run = theirs["paraphrase"]
    assert run.status == "succeeded", run.error
    lines = [json.loads(line) for line in (run.folder / "responses.jsonl").read_text().split("\n")[:-1]]
    assert len(lines) == 9
    found = {(one.prompt_id, one.index): one for one in run.paraphrases.all()}
    assert set(found) == {(line["prompt_id"], line["sample"]) for line in lines if line["finished"]}
    assert {one.prompt_id for one in found.values()} <= {row["id"] for row in run.inputs["prompts"]}
    assert all(bool(one.text) or one.refused_because == "empty" for one in found.values())
    tally = paraphrasing.tally(run)
    assert tally.all == len(found)
    assert tally.kept == sum(one.is_kept for one in found.values())


def test_each_end_is_told_once(theirs):
    from django_q.models import OrmQ
    from django_q.signing import SignedPackage

    told = [SignedPackage.loads(one.payload) for one in OrmQ.objects.filter(key="default")]
    ended = [task["args"][0] for task in told if task["func"] == "evaluation.tasks.run_finished"]
    names = (
        "import",
        "sft",
        "dpo",
        "again",
        "further",
        "reward",
        "generate",
        "paraphrase",
        "bad",
        "gone",
        "early",
        "cancelled",
        "slow",
        "orphaned",
    )
    expected = [theirs[name].pk for name in names]
    assert sorted(ended) == sorted([*expected, theirs["cancelled"].pk])  # cancelled, and done when tried again


# Runs that do not


def test_bad_data_is_said_in_the_recipe_s_words(theirs):
    run = theirs["bad"]
    result = json.loads((run.folder / "result.json").read_text())
    assert (run.status, run.reason) == ("failed", "bad_data")
    assert run.error == result["error"]
    assert run.error.endswith(".")
    assert run.rows["why_dropped"] == {"prompt too long": len(QUESTIONS)}
    assert not hasattr(run, "model_version")


def test_a_base_model_that_was_deleted_is_named_as_the_cause(theirs):
    run = theirs["gone"]
    assert (run.status, run.reason) == ("failed", "missing_base")
    assert run.error == f"gone is not where it was stored: {theirs.store}/garden/gone holds no model."
    assert run.pid is None  # no process was started for it
    assert run.advice.startswith("Put its folder back")


def test_a_run_that_takes_too_long_stops_with_a_checkpoint(theirs):
    run = theirs["slow"]
    assert (run.status, run.reason) == ("failed", "timed_out")
    assert run.error == "It was stopped after 0.01 minutes, which is its limit."
    assert 2 <= run.step < LONG_STEPS
    assert (run.folder / "checkpoints" / f"checkpoint-{run.step}" / "complete.json").is_file()
    assert not psutil.pid_exists(run.pid)


def test_a_finished_run_is_continued_as_a_new_one_from_its_model(theirs):
    run, before = theirs["further"], theirs["sft"]
    spec = json.loads((run.folder / "spec.json").read_text())
    assert (run.status, run.continues, run.snapshot) == ("succeeded", before, before.snapshot)
    assert (run.settings, run.seed) == ({**before.settings, "epochs": 2.0}, before.seed + 1)
    assert spec["model"]["adapter"] == str(before.model_version.path)
    assert run.model_version.parent == before.model_version
    assert run.metrics["last_loss"] < before.metrics["last_loss"]


def test_a_run_that_is_done_again_has_the_same_losses(theirs):
    again, before = theirs["again"], theirs["sft"]
    found = reproducing.compare(before, again)
    assert (again.repeats, again.seed, again.settings) == (before, before.seed, before.settings)
    assert (found.difference, found.missing, found.is_same) == (0.0, 0, True)
    assert found.other == {}
    assert again.environment["snapshot_sha256"] == before.snapshot.sha256
    assert again.environment["base_sha256"] == before.base.sha256


def test_a_cancel_before_the_process_can_listen_is_a_cancel(theirs):
    run = theirs["early"]
    assert (run.status, run.reason) == ("cancelled", "cancelled")
    assert not psutil.pid_exists(run.pid)


def test_a_cancelled_run_stops_with_a_checkpoint_and_leaves_no_process(theirs):
    run = theirs.seen["cancelled"]
    assert (run.status, run.reason) == ("cancelled", "cancelled")
    assert theirs.seen["cancelled result"]["reason"] == "cancelled"  # by itself: nobody had to kill it
    assert theirs.seen["cancelled pid lives"] is False
    assert 2 <= run.step < LONG_STEPS
    assert set(theirs.seen["checkpoints"]) == {run.step - 1, run.step}
    assert theirs.seen["cancelled steps"] == list(range(1, run.step + 1))


def test_tried_again_it_goes_on_from_the_last_checkpoint_that_is_whole_and_ends(theirs):
    """The newest one was damaged meanwhile."""
    run, before = theirs["cancelled"], theirs.seen["cancelled"]
    assert (run.status, run.attempt, run.error) == ("succeeded", 1, "")
    assert steps_of(run) == list(range(1, LONG_STEPS + 1))
    resumed = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["at_step"] for line in resumed if line.get("event") == "resumed"] == [before.step - 1]
    assert ModelVersion.objects.filter(run=run).count() == 1
    assert not (run.folder / "checkpoints").exists()


def test_who_loses_the_claim_stops_its_process_and_leaves_the_row_alone(theirs):
    run = theirs["lost"]
    assert theirs.seen["lost pid lived"] is True
    assert theirs.seen["lost pid lives"] is False
    assert (run.status, run.worker, run.attempt, run.pid) == ("running", "elsewhere:1", 2, None)
    assert (run.error, run.reason, run.finished_at) == ("", "", None)
    assert not hasattr(run, "model_version")


def test_a_run_whose_process_was_forked_off_one_that_was_killed_is_tried_again(theirs):
    run = theirs.seen["orphaned"]
    assert (run.status, run.attempt) == ("queued", 1)
    assert not psutil.pid_exists(theirs.seen["orphan's pid"])
    assert (theirs["orphaned"].status, theirs["orphaned"].attempt) == ("cancelled", 2)


def test_the_process_that_runs_are_forked_off_ends_when_it_is_needed_no_more(theirs):
    assert theirs.seen["server lives"] is False


def test_a_snapshot_that_was_touched_is_not_trained_on(theirs):
    frozen = theirs.seen["frozen"]["demonstrations"]
    run = Run.objects.create(project=frozen.project, method="sft", snapshot=frozen, base=theirs["import"].model_version)
    path = frozen.path / "train.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"until six", b"until two"))
    try:
        execute(run)
    finally:
        path.write_bytes(whole)
    run.refresh_from_db()
    assert (run.status, run.reason, run.pid) == ("failed", "bad_data", None)
    assert run.error.startswith("The snapshot's file is not what was frozen")


def test_what_the_worker_cannot_do_is_on_the_row(project, tmp_path):
    run = Run.objects.create(project=project, method="generate", base=a_model_on_disk(project))
    run.folder.parent.mkdir(parents=True)
    run.folder.write_text("a file where the folder should be")
    execute(run)
    run.refresh_from_db()
    assert (run.status, run.reason) == ("failed", "crashed")
    assert run.error.startswith("The worker could not go on: [Errno 17]")


@pytest.mark.parametrize(
    ("code", "stopped", "memory", "reason", "words"),
    [
        (-9, "", True, "out_of_memory", "Memory ran out on the worker's machine"),
        (-9, "", False, "killed", "Somebody ended the process with SIGKILL."),
        (-9, "cancelled", True, "cancelled", "signal 9"),  # it did not stop in time
        (-9, "timed_out", False, "timed_out", "signal 9"),
        (-15, "cancelled", False, "cancelled", "signal 15"),  # it was not listening yet
        (-15, "", False, "crashed", "signal 15 and left no result."),
        (28, "", False, "disk_full", "not even the result could be written"),
        (1, "", False, "crashed", "exit code 1 and left no result."),
    ],
)
def test_a_process_without_a_result_is_explained(code, stopped, memory, reason, words):
    result = runner._no_result(code, stopped, memory_ran_out=memory)
    assert (result["status"], result["reason"]) == ("failed", reason)
    assert words in result["error"]
