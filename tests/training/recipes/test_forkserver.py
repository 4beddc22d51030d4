"""A recipe that is forked off is a process like any other."""

import json
import os
import signal
import socket
import subprocess
import sys

import psutil

from tests.training.recipes.runs import DEADLINE, ENVIRONMENT, FORKS, ROOT


def test_a_recipe_has_its_own_session_environment_log_and_end(new_run):
    run = new_run("sft", data={})
    with (run.folder / "log.txt").open("ab") as log:
        forked = FORKS.fork("sft", str(run.folder), log, {**os.environ, **ENVIRONMENT, "TOUCHSTONE_RUN": "42"})
    assert forked.pid != FORKS.process.pid
    assert forked.wait(DEADLINE) == forked.poll() == 1
    said = json.loads(run.log.splitlines()[-1])
    assert (said["run_id"], said["reason"]) == ("42", "bad_data")


def test_one_that_is_killed_is_told_and_the_next_is_forked_off_the_same_server(new_run, demonstrations):
    run = new_run("sft", data={"train": demonstrations}, epochs=50)
    forked = run.start()
    server = FORKS.process.pid
    while not run.steps:
        assert forked.poll() is None, run.log
    assert (os.getsid(forked.pid), psutil.Process(forked.pid).name()) == (forked.pid, "recipe sft")
    os.killpg(forked.pid, signal.SIGKILL)
    assert forked.wait(DEADLINE) == -signal.SIGKILL
    assert new_run("sft", data={}).finish().exit_code == 1
    assert FORKS.process.pid == server


def test_a_server_that_has_nothing_to_do_ends():
    script = (
        "from training.recipes import forkserver as it; it._import_libraries = print; it.IDLE_SECONDS = 0; it.main()"
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, "-c", script, str(theirs.fileno())]
        assert subprocess.run(command, cwd=ROOT, pass_fds=[theirs.fileno()], timeout=DEADLINE).returncode == 0
