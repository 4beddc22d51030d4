"""Is everything well? What each check says, and what it says to do; on the page and in the terminal."""

from collections import namedtuple
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ, Task

from annotation.models import Assignment, Delivery, Event, Export, Webhook
from config import checkup, health
from config.backups import MADE
from tests.annotation.making import a_comparison, lease
from training.models import Run, Worker

Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def ago():
    return lambda **how: timezone.now() - timedelta(**how)


@pytest.fixture
def well(db, monkeypatch, ago):
    """An installation in which nothing is wrong."""
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda place: Disk(2**40, 2**39, 2**39))
    for queue in ("default", "gpu"):  # alive however slow this machine is
        Worker.objects.create(
            name=f"anvil:{queue}", queue=queue, beat_at=ago(minutes=-10)
        )  # however slow this machine is


@pytest.fixture
def backed_up(monkeypatch):
    """As if a backup had been made then; what is on record can be changed by nobody."""

    def at(when, **data):
        with monkeypatch.context() as patch:
            patch.setattr(timezone, "now", lambda: when)
            Event.objects.create(verb=MADE, target="touchstone-1", data={"artifacts": True, **data})

    return at


def found(title):
    return next(one for one in checkup.look() if one.title == title)


def test_all_is_well(well, backed_up, ago):
    backed_up(ago(hours=20))
    findings = checkup.look()
    assert [one for one in findings if one.state != "well"] == []
    assert len(findings) == len({one.title for one in findings}) == 14
    assert not any(one.todo for one in findings)
    assert "PostgreSQL 18" in found("Database").found
    assert "pgvector 0." in found("Database").found


def test_a_database_behind_the_code_is_what_readiness_says_too(well, monkeypatch):
    monkeypatch.setattr(health, "is_behind", lambda: True)
    assert found("Migrations").state == "wrong"
    assert "manage.py migrate" in found("Migrations").todo
    assert "manage.py migrate" in health.why_not_ready()


def test_a_database_that_is_away_leaves_what_needs_none(monkeypatch, tmp_path, db):
    away = connection.copy()
    away.settings_dict = {**connection.settings_dict, "HOST": str(tmp_path)}
    monkeypatch.setattr(checkup, "connection", away)
    titles = [one.title for one in checkup.look()]
    assert titles[0] == "Database"
    assert "Queue" not in titles
    assert {"Disk of the artifacts", "Settings", "Versions"} <= set(titles)
    assert found("Database").state == "wrong"


def test_without_a_queue_worker_nothing_goes_on(well):
    Worker.objects.filter(queue="default").delete()
    assert found("Queue").state == "wrong"
    assert "manage.py qcluster" in found("Queue").todo


def test_a_worker_that_fell_silent_is_named_beside_one_that_lives(well, ago):
    Worker.objects.create(name="forge:9", queue="default", beat_at=ago(hours=2))
    assert found("Queue").state == "look"
    assert "forge:9 for 2 hours" in found("Queue").found


def test_messages_that_nobody_takes_are_told(well, ago):
    OrmQ.objects.create(key="default", payload="", lock=ago(seconds=1))
    assert found("Queue").state == "well"
    OrmQ.objects.create(key="default", payload="", lock=ago(hours=2))
    assert "2 messages waiting. The first has waited for 2 hours" in found("Queue").found
    assert found("Queue").state == "look"


def test_a_missing_gpu_worker_is_wrong_only_if_a_run_waits_for_it(well, project):
    Worker.objects.filter(queue="gpu").delete()
    assert found("GPU workers").state == "look"
    Run.objects.create(project=project, method="sft")
    assert found("GPU workers").state == "wrong"


def test_devices_are_told_with_their_memory(well):
    device = {"number": "0", "name": "NVIDIA H200", "used": 10 * 2**30, "total": 140 * 2**30}
    Worker.objects.filter(queue="gpu").update(devices=[device])
    assert "NVIDIA H200: 10.0 GB of 140.0 GB in use" in found("GPU workers").found


def test_runs_that_wait_long_are_silent_or_failed_are_told_with_a_way_to_them(well, project, ago):
    run = Run.objects.create(project=project, method="sft")
    assert found("Runs").state == "well"
    Run.objects.update(created_at=ago(hours=3))
    assert "waited for 3 hours" in found("Runs").found
    Run.objects.update(status="running", heartbeat_at=ago(hours=2))
    assert "silent for 2 hours" in found("Runs").found
    assert found("Failed runs").state == "well"
    Run.objects.filter(pk=run.pk).update(status="failed", reason="crashed", finished_at=ago(hours=2))
    assert found("Runs").state == "well"
    assert found("Failed runs").found == "1 run failed in the last day."
    assert found("Failed runs").page == "/admin/training/run/?status__exact=failed"
    Run.objects.update(finished_at=ago(hours=25))
    assert found("Failed runs").state == "well"


def test_leases_that_nobody_returns_are_told(well, project, bob, ago):
    a_comparison(project)
    lease(bob)
    assert found("Leases").found == "1 item in people's hands, none of them overdue."
    Assignment.objects.update(lease_until=ago(minutes=6))
    assert "manage.py recover" in found("Leases").todo


def test_tasks_that_failed_are_named(well, ago):
    for number, stopped in enumerate((ago(hours=1), ago(hours=2), ago(hours=30))):
        values = {"func": "annotation.tasks.deliver", "success": False, "started": stopped, "stopped": stopped}
        Task.objects.create(id=str(number), name=str(number), **values)
    assert found("Tasks of the queue").found == "Failed in the last day: annotation.tasks.deliver (2)."


def test_exports_and_messages_that_failed_are_told(well, project, alice):
    Export.objects.create(project=project, shape="trl-preference", status="failed", expires_at=timezone.now())
    assert found("Imports and exports").state == "look"
    hook = Webhook.objects.create(project=project, url="https://there.example/", groups=["runs"], author=alice.person)
    Delivery.objects.create(webhook=hook, verb="ping", payload={}, state="failed")
    assert "1 given up in the last day" in found("Webhooks").found


def test_a_backup_that_is_old_or_not_known_is_told(well, backed_up, ago):
    assert found("Backup").state == "look"
    backed_up(ago(hours=37))
    assert found("Backup").state == "look"
    backed_up(ago(hours=20), artifacts=False)
    assert found("Backup").state == "well"
    assert found("Backup").found == "The last one was made 20 hours ago, of the database alone."


@pytest.mark.parametrize(("free", "state"), [(0.5, "well"), (0.09, "look"), (0.02, "wrong")])
def test_a_disk_that_fills_is_told(well, monkeypatch, free, state):
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda place: Disk(2**40, 0, free * 2**40))
    assert found("Disk of the artifacts").state == state


def test_unsafe_settings_of_production_are_told(well, settings):
    settings.PRODUCTION, settings.SECURE_SSL_REDIRECT = True, False
    assert found("Settings").state == "look"
    assert "security.W008" in found("Settings").found


def test_the_page_is_for_staff_and_names_no_project(client, well, backed_up, ago, project, alice, bob):
    backed_up(ago(hours=1))
    address = "/is-everything-well/"
    assert client.get(address)["Location"].startswith("/sign-in/")
    client.force_login(bob.person)
    assert client.get(address).status_code == 404
    assert address not in client.get("/").content.decode()
    a_comparison(project)
    lease(bob)
    alice.person.is_staff = True
    alice.person.save()
    client.force_login(alice.person)
    assert address in client.get("/").content.decode()
    page = client.get(address).content.decode()
    assert "Yes: every check found what it should." in page
    assert project.name not in page
    Worker.objects.filter(queue="default").delete()
    Worker.objects.update(beat_at=ago(minutes=2))
    Worker.objects.create(name="forge:1", queue="gpu", beat_at=ago(minutes=-10))
    page = client.get(address).content.decode()
    assert page.index("Wrong") < page.index("Look at this") < page.index("Well</span>")


def test_the_page_asks_as_much_of_the_database_however_much_there_is(client, well, project, alice):
    alice.person.is_staff = True
    alice.person.save()
    client.force_login(alice.person)

    def asked():
        with CaptureQueriesContext(connection) as seen:
            client.get("/is-everything-well/")
        return len(seen)

    asked()
    before = asked()
    for number in range(3):
        a_comparison(project)
        Run.objects.create(project=project, method="sft")
        Worker.objects.create(name=f"more:{number}", queue="gpu", beat_at=timezone.now())
    assert asked() == before


def test_the_terminal_says_the_same_and_ends_with_1_if_something_is_wrong(well, capsys):
    call_command("doctor")
    said = capsys.readouterr().out
    assert all(f"{one.title}: " in said for one in checkup.look())
    Worker.objects.all().delete()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 1
    assert "manage.py qcluster" in capsys.readouterr().out
