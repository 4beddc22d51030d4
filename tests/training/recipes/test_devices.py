"""Two processes on the CPU, under the launcher that several devices have: one run, as with one process."""

import os
import signal
import subprocess
import time
from contextlib import suppress

import psutil
import pytest

from tests.training.recipes.runs import DEADLINE, ROOT, Run, weights
from training.devices import environment
from training.launching import command

SETTINGS = {"epochs": 1, "learning_rate": 3e-3, "schedule": "linear"}
STEPS = 10


def launched(run: Run) -> subprocess.Popen[bytes]:
    log = (run.folder / "log.txt").open("ab")
    return subprocess.Popen(
        command(run.method, str(run.folder), devices=2),
        cwd=ROOT,
        env={**os.environ, **environment(("cpu", "cpu"), 2), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def both(new_run, demonstrations) -> Run:
    """Two processes with two examples each."""
    run = new_run("sft", data={"train": demonstrations}, batch_size=2, **SETTINGS)
    run.exit_code = launched(run).wait(timeout=DEADLINE)
    return run


def test_two_processes_learn_what_one_learns_from_as_many_examples(both, new_run, demonstrations):
    alone = new_run("sft", data={"train": demonstrations}, batch_size=4, **SETTINGS).here()
    assert (both.exit_code, both.result["status"]) == (0, "ok"), both.log
    assert both.losses == pytest.approx(alone.losses, abs=1e-4)
    ours, theirs = weights(both.folder / "model"), weights(alone.folder / "model")
    assert ours.keys() == theirs.keys()
    assert all(ours[name].allclose(theirs[name], atol=1e-4) for name in theirs)


def test_one_of_them_writes(both):
    assert [line["step"] for line in both.steps] == list(range(1, STEPS + 1))
    assert both.log.count('"status": "ok"') == 2  # each says that it is done
    assert not (both.folder / "failure.json").exists()


def test_a_killed_launcher_leaves_no_process(new_run, demonstrations):
    run = new_run("sft", data={"train": demonstrations}, batch_size=1, epochs=50)
    process = launched(run)
    end = time.monotonic() + DEADLINE
    while len(run.steps) < 2:
        assert process.poll() is None, run.log
        assert time.monotonic() < end, run.log
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
