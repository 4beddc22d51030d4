"""What machines do to runs: a disk that is full, weights that are damaged. Each ends with its cause."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tiny_model import build

SETTINGS = {"epochs": 0.3, "checkpoint_seconds": 0}  # three steps, with a checkpoint after each


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """As on a disk with so little room: whatever grows beyond so many bytes fails in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_the_cause_and_with_room_again_the_run_ends_as_it_would_have(new_run, demonstrations):
    whole = new_run("sft", data={"train": demonstrations}, **SETTINGS).here()
    run = new_run("sft", data={"train": demonstrations}, **SETTINGS)
    with no_file_above(60_000):  # less than an adapter
        run.here()
    assert (run.result["status"], run.result["reason"]) == ("failed", "disk_full")
    assert run.result["error"] == "The disk is full: nothing more could be written."
    run.here()
    assert run.result["status"] == "ok"
    assert run.losses == whole.losses


def test_damaged_weights_are_the_cause(new_run, demonstrations, tmp_path):
    base = Path(build(tmp_path / "model"))
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    run = new_run("sft", data={"train": demonstrations}, base=str(base), **SETTINGS).here()
    assert run.result["reason"] == "missing_base"
    assert run.result["error"].startswith("A file with weights is damaged")
