"""What was acknowledged survives `kill -9` of everything below it: the short form of tests/benchmarks/chaos.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process
REPOSITORY = Path(__file__).parents[2]


def test_people_label_while_web_queue_database_and_connections_are_killed():
    command = [sys.executable, "tests/benchmarks/chaos.py", "--short"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-5000:]
    found = json.loads(done.stdout.splitlines()[-1])
    killed = ("web worker", "web", "queue", "database", "connections")
    assert found["conditions"]["kills"] == dict.fromkeys(killed, 1)
    figures = found["figures"]
    assert figures.pop("kills") == len(killed)
    assert figures.pop("labels_acknowledged") >= 5 * (len(killed) + 1)
    assert figures == dict.fromkeys(
        (
            *("labels_lost", "labels_stored_twice", "given_beyond_wanted", "stuck_leases", "prompts_lost"),
            *("wrong_hashes", "stuck_runs"),
        ),
        0,
    )
