"""The processes of the queue say that they are alive, on their own row, whatever their workers do."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_q.conf import Conf
from django_q.signing import SignedPackage

from config import heartbeat
from config.heartbeat import Broker
from training import devices
from training.models import Worker

H200 = {"number": "0", "name": "NVIDIA H200", "used": 2**30, "total": 140 * 2**30}


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(heartbeat, "monotonic", lambda: now.seconds)
    return now


def stat(status=Conf.IDLE, workers=(7, 8)):
    """What django-q2 gives its broker twice a second."""
    return SignedPackage.dumps(SimpleNamespace(status=status, workers=list(workers)), True)


def test_a_queue_that_runs_has_a_row_that_is_renewed_every_few_seconds(db, clock):
    broker = Broker("default")
    broker.set_stat("stat", stat(), 3)
    worker = Worker.objects.get()
    assert (worker.queue, worker.processes, worker.devices) == ("default", 2, [])
    Worker.objects.update(beat_at=timezone.now() - timedelta(seconds=90))
    clock.seconds += 9
    broker.set_stat("stat", stat(), 3)
    assert list(Worker.objects.silent()) == [worker]
    clock.seconds += 1
    broker.set_stat("stat", stat(), 3)
    assert list(Worker.objects.alive()) == [worker]


def test_one_that_stops_in_order_takes_its_row_along(db, clock):
    broker = Broker("default")
    broker.set_stat("stat", stat(), 3)
    broker.set_stat("stat", stat(Conf.STOPPING), 3)
    assert not Worker.objects.exists()


def test_one_that_was_killed_is_seen_for_an_hour(db, clock):
    now = timezone.now()
    for name, minutes in (("away:1", 30), ("gone:1", 90)):
        Worker.objects.create(name=name, queue="default", beat_at=now - timedelta(minutes=minutes))
    Broker("default").set_stat("stat", stat(), 3)
    assert {one.name for one in Worker.objects.all()} == {"away:1", heartbeat.name()}


def test_only_a_gpu_worker_asks_for_devices(db, clock, monkeypatch):
    monkeypatch.setattr(devices, "memory", lambda: [H200])
    Broker("default").set_stat("stat", stat(), 3)
    assert Worker.objects.get().devices == []
    Broker("gpu").set_stat("stat", stat(), 3)
    assert Worker.objects.get().devices == [H200]


def test_a_database_that_is_away_stops_no_queue_and_is_asked_again_in_a_while(db, clock, monkeypatch, caplog):
    asked = []

    def away(**more):
        asked.append(more)
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(heartbeat, "beat", away)
    monkeypatch.setattr(heartbeat, "connection", SimpleNamespace(close=lambda: None))
    broker = Broker("default")
    for _ in range(3):
        broker.set_stat("stat", stat(), 3)
    assert len(asked) == 1
    assert "The database is away" in caplog.text


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """A program that stands for NVIDIA's, which this machine may not have; it says what it was asked."""
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def says(text, code=0):
        program.write_text(f"#!/bin/sh\necho \"$@\" >{tmp_path}/asked\nprintf '{text}'\nexit {code}\n")
        program.chmod(0o755)
        return tmp_path / "asked"

    return says


def test_memory_is_what_the_driver_says_of_our_devices(driver, settings, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    settings.DEVICES = [("1",), ("2", "3")]
    asked = driver(r"1, NVIDIA H200, 1024, 143360\n2, NVIDIA H200, [N/A], [N/A]\n")
    assert devices.memory() == [H200 | {"number": "1"}]
    assert asked.read_text().split()[-1] == "--id=1,2,3"


@pytest.mark.parametrize("code", [0, 9])
def test_without_an_answer_no_device_is_told_of(driver, settings, monkeypatch, code):
    settings.DEVICES = [("0",)]
    driver("No devices were found", code)
    assert devices.memory() == []


def test_a_worker_on_the_cpu_asks_nobody(driver, settings):
    settings.DEVICES = [("cpu",)]
    asked = driver(r"0, NVIDIA H200, 1024, 143360\n")
    assert devices.memory() == []
    assert not asked.exists()
