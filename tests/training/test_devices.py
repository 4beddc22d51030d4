"""Which devices a worker uses, and the command that runs a recipe on several."""

import doctest
import io
import json
import subprocess
import sys

import pytest
from django.core.exceptions import ValidationError

from tests.training.making import a_model
from training import devices, launching, runner, runs, tasks
from training.models import Run
from training.runs import Plan


@pytest.fixture(autouse=True)
def locks(settings, tmp_path):
    settings.DEVICE_LOCKS = tmp_path / "devices"


def test_worked_examples():
    assert doctest.testmod(devices).failed == 0


def test_each_worker_takes_another_part_and_gives_it_back(settings):
    settings.DEVICES = [("0",), ("1", "2")]
    with devices.taken() as first:
        with devices.taken() as second:
            assert (first, second) == (("0",), ("1", "2"))
            with pytest.raises(devices.NoneFree), devices.taken():
                pass
        with devices.taken() as again:
            assert again == ("1", "2")


def test_a_part_is_free_again_once_its_worker_was_killed(settings):
    settings.DEVICES = [("0",)]
    path = settings.DEVICE_LOCKS / "0.lock"
    path.parent.mkdir()
    code = f"import fcntl; f = open({str(path)!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        with pytest.raises(devices.NoneFree), devices.taken():
            pass
        worker.kill()
        worker.wait()
    with devices.taken() as part:
        assert part == ("0",)


@pytest.mark.parametrize(("named", "part"), [("2,3", ("2", "3")), ("", ("cpu",)), ("0", ("0",))])
def test_without_a_setting_a_worker_has_what_it_sees(settings, monkeypatch, named, part):
    settings.DEVICES = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    with devices.taken() as found:
        assert found == part


@pytest.mark.django_db
def test_a_worker_without_a_free_part_takes_no_run(settings, project):
    settings.DEVICES = [("0",)]
    run = Run.objects.create(project=project, method="generate", base=a_model(project))
    with devices.taken():
        assert tasks.work() == 0
    run.refresh_from_db()
    assert run.status == "queued"


def test_one_device_needs_no_launcher_and_several_have_a_process_each():
    assert launching.command("sft", "/x")[1:] == ["-m", "training.recipes.sft", "/x"]
    for spread, option in (("ddp", "--multi_gpu"), ("fsdp", "--use_fsdp"), ("deepspeed", "--use_deepspeed")):
        command = launching.command("dpo", "/x", devices=4, spread=spread)
        assert command[1:5] == ["-m", "accelerate.commands.launch", "--num_processes", "4"]
        assert option in command
        assert command[-3:] == ["--module", "training.recipes.dpo", "/x"]


@pytest.mark.django_db
def test_what_trains_nothing_uses_one_device(project):
    with pytest.raises(ValidationError, match="uses one device"):
        runs.start(project=project, method="generate", base=a_model(project), plan=Plan(devices=2))


@pytest.mark.process
def test_the_launcher_understands_its_options():
    """Of all three kinds, which need devices to be really started."""
    code = (
        "import json, sys; from accelerate.commands.launch import launch_command_parser as parser\n"
        "for options in json.loads(sys.argv[1]): parser().parse_args(options)"
    )
    options = [launching.command("sft", "/x", devices=2, spread=spread)[3:] for spread in launching.SPREADS]
    subprocess.run([sys.executable, "-c", code, json.dumps(options)], check=True)


@pytest.mark.parametrize(
    ("environment", "driver", "may"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"CUDA_VISIBLE_DEVICES": ""}, True, False),
        ({"CUDA_VISIBLE_DEVICES": "0"}, False, True),
    ],
)
def test_no_recipe_is_forked_where_it_may_find_a_device(monkeypatch, tmp_path, environment, driver, may):
    """Also where the driver names none of them, as within some containers: it would not answer after the fork."""
    monkeypatch.setattr(devices, "DRIVERS", [str(tmp_path / "driver")])
    monkeypatch.setattr(runner._forks, "fork", lambda *asked: asked)
    if driver:
        (tmp_path / "driver").touch()
    forked = runner._forked(Run(method="sft"), tmp_path, io.BytesIO(), environment)
    assert (forked is None) == may
