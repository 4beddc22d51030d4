"""What a load balancer and a container ask."""

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from config import health


@pytest.fixture
def stranger():
    """A health check knows neither our name nor HTTPS."""
    return Client(headers={"host": "10.0.0.7:8000"})


def test_a_process_that_lives_says_so_without_a_database(stranger, settings):
    settings.SECURE_SSL_REDIRECT = True
    answer = stranger.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


def test_a_server_that_can_serve_is_ready(stranger, settings, db):
    settings.SECURE_SSL_REDIRECT = True
    answer = stranger.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_a_database_behind_the_code_is_named(stranger, db):
    MigrationRecorder.Migration.objects.filter(app="evaluation").delete()
    answer = stranger.get("/health/ready")
    assert answer.status_code == 503
    assert "manage.py migrate" in answer.json()["missing"]


def test_a_database_that_is_away_is_named(stranger, db, monkeypatch, tmp_path):
    away = connection.copy()
    away.settings_dict = {**connection.settings_dict, "HOST": str(tmp_path)}
    monkeypatch.setattr(health, "connection", away)
    answer = stranger.get("/health/ready")
    assert answer.json() == {"status": "not ready", "missing": "The database does not answer."}


def test_nothing_else_answers_a_host_that_is_not_ours(stranger):
    assert stranger.get("/sign-in/").status_code == 400
