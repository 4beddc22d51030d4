"""What Prometheus reads: for whoever has the token, right, and about what the dashboard asks for."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families as families

from annotation import labelling
from annotation.labelling import Said
from annotation.models import Assignment, Delivery, Export, Import, Webhook
from config import facts, metrics
from config.facts import Kept
from tests.annotation.making import a_comparison, a_demonstration, lease
from training.models import Run, Worker

TOKEN = "a-token-of-the-operator's"
DASHBOARD = Path(__file__).parents[2] / "docker" / "grafana" / "touchstone.json"


@pytest.fixture(autouse=True)
def _token(settings, monkeypatch):
    settings.METRICS_TOKEN = TOKEN
    monkeypatch.setattr(facts, "recent", Kept(facts.gather))


@pytest.fixture
def read():
    """Ask, as Prometheus does, which knows neither our name nor HTTPS; gives a value by name and labels."""

    def ask(name, **labels):
        answer = Client(headers={"host": "10.0.0.7:8000"}).get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        lines = [line for line in answer.content.decode().splitlines() if line.startswith(name)]  # of thousands
        samples = [one for family in families("\n".join(lines)) for one in family.samples]
        return next((one.value for one in samples if one.name == name and one.labels.items() >= labels.items()), None)

    return ask


def test_it_answers_only_who_has_the_token(client, settings):
    assert client.get("/metrics").status_code == 401
    for wrong in ("Bearer ", "Bearer a-token", f"Basic {TOKEN}", "Bearer é"):
        assert client.get("/metrics", headers={"Authorization": wrong}).status_code == 401
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_requests_are_counted_by_view_method_and_status(client, db, read):
    seen = {"view": "login", "method": "GET"}
    before = read("touchstone_responses_total", **seen, status="200") or 0
    timed = read("touchstone_request_seconds_count", **seen) or 0
    client.get("/sign-in/")
    client.get("/sign-in/?next=/")
    assert read("touchstone_responses_total", **seen, status="200") == before + 2
    assert read("touchstone_request_seconds_count", **seen) == timed + 2


def test_nobody_makes_labels_up(client, db, read):
    """Each address and each method of its own would be a series that is kept for ever."""
    for number in range(3):
        client.generic(f"MADEUP{number}", f"/made-up-{number}/")
    assert read("touchstone_responses_total", view="", method="other", status="404") >= 3
    assert b"MADEUP" not in metrics.exposition()
    assert b"made-up" not in metrics.exposition()


def test_work_is_told_by_project_and_kind(project, bob, read, monkeypatch):
    monkeypatch.setattr(facts, "LABELS", facts.LABELS.replace("1 minute", "1 hour"))  # however slow this machine is
    for _ in range(3):
        a_comparison(project)
    a_demonstration(project)
    assignment = lease(bob, "comparison")
    labelling.submit(assignment=assignment, said=Said(ranks=[1, 2], strength=1))
    lease(bob, "demonstration")
    Assignment.objects.filter(state="leased").update(leased_at=timezone.now() - timedelta(hours=3))
    here = {"project": "desk"}
    assert read("touchstone_items_open", **here, kind="comparison") == 2
    assert read("touchstone_items_open", **here, kind="demonstration") is None
    assert read("touchstone_items_leased", **here, kind="demonstration") == 1
    assert read("touchstone_labels_last_minute", **here, kind="comparison") == 1
    assert 3 * 3600 <= read("touchstone_lease_age_seconds") < 4 * 3600
    assert read("touchstone_leases_overdue") == 0


def test_a_lease_is_overdue_when_nobody_has_returned_it_for_five_minutes(project, bob, read):
    a_comparison(project)
    lease(bob, "comparison")
    Assignment.objects.update(lease_until=timezone.now() - timedelta(minutes=6))
    assert read("touchstone_leases_overdue") == 1


def test_an_archived_project_has_no_work(project, read):
    a_comparison(project)
    project.archived = True
    project.save()
    assert read("touchstone_items_open", project="desk") is None


def test_runs_are_told_by_status_and_the_first_that_could_begin_by_its_age(project, read):
    now = timezone.now()
    first, later, ended = (Run.objects.create(project=project, method="sft") for _ in range(3))
    Run.objects.filter(pk=first.pk).update(created_at=now - timedelta(hours=5))
    first.waits_for.add(later)
    Run.objects.filter(pk=later.pk).update(created_at=now - timedelta(hours=2), heartbeat_at=now - timedelta(hours=1))
    Run.objects.filter(pk=ended.pk).update(status="failed", reason="crashed", finished_at=now)
    assert [read("touchstone_runs", status=one) for one in ("queued", "running", "failed")] == [2, 0, 1]
    assert read("touchstone_runs_failed_last_day") == 1
    assert 3600 <= read("touchstone_run_queued_age_seconds") < 7200


def test_workers_tell_when_they_spoke_and_what_their_devices_hold(db, read):
    h200 = {"number": "0", "name": "NVIDIA H200", "used": 2**30, "total": 2**37}
    beat = timezone.now() - timedelta(seconds=20)
    Worker.objects.create(name="anvil:12", queue="gpu", beat_at=beat, devices=[h200])
    assert read("touchstone_worker_heartbeat_age_seconds", queue="gpu", worker="anvil:12") >= 20
    assert read("touchstone_device_memory_used_bytes", worker="anvil:12", device="0", model="NVIDIA H200") == 2**30
    assert read("touchstone_device_memory_bytes", device="0") == 2**37


def test_what_waits_and_what_failed_is_told(project, alice, read):
    now = timezone.now()
    Import.objects.create(project=project, name="a", status="waiting")
    Import.objects.create(project=project, name="b", status="failed", finished_at=now)
    Export.objects.create(project=project, shape="trl-preference", status="failed", expires_at=now)
    hook = Webhook.objects.create(project=project, url="https://there.example/", groups=["runs"], author=alice.person)
    for state in ("waiting", "failed", "delivered"):
        Delivery.objects.create(webhook=hook, verb="ping", payload={}, state=state)
    assert [read("touchstone_imports", status=one) for one in ("waiting", "failed")] == [1, 1]
    assert [read(f"touchstone_{one}_failed_last_day") for one in ("imports", "exports")] == [1, 1]
    assert read("touchstone_webhook_deliveries_waiting") == 1
    assert read("touchstone_webhook_deliveries_failed_last_day") == 1


def test_without_a_database_the_rest_is_told_and_that_it_is_away(client, db, read, monkeypatch, tmp_path):
    client.get("/sign-in/")
    away = connection.copy()
    away.settings_dict = {**connection.settings_dict, "HOST": str(tmp_path)}
    monkeypatch.setattr(facts, "connection", away)
    assert read("touchstone_database_up") == 0
    assert read("touchstone_responses_total", view="login") >= 1


def test_what_is_asked_often_is_read_now_and_then():
    now, asked = [100.0], []

    def ask():
        asked.append(now[0])
        now[0] += 1.0  # it took a second
        return len(asked)

    recent = Kept(ask, clock=lambda: now[0])
    assert [recent(), recent()] == [1, 1]
    now[0] += 19.9
    assert recent() == 1
    now[0] += 0.2
    assert recent() == 2


def test_every_metric_of_the_dashboard_exists(client, db):
    client.get("/sign-in/")
    said = metrics.exposition().decode()
    there = set(re.findall(r"^(\w+)", re.sub(r"^# HELP ", "", said, flags=re.M), re.M))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    named = {name for expression in asked for name in re.findall(r"touchstone_\w+", expression)}
    assert len(named) > 20
    assert named <= there, f"there is no {named - there}"


def test_the_dashboard_shows_every_metric(db):
    shown = DASHBOARD.read_text()
    known = [*metrics.COUNTED.collect(), *metrics.gauges(facts.gather())]
    assert [family.name for family in known if family.name not in shown] == []


def test_panels_of_the_dashboard_do_not_overlap():
    taken = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
