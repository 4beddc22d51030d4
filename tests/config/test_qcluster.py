"""A worker that is newer than its database takes no task."""

from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django_q.management.commands import qcluster as of_django_q

from config.management.commands import qcluster


@pytest.fixture
def begun(monkeypatch):
    """The times that django-q2's own command was reached, with whether the migrations were there."""
    times = []

    def handle(self, *args, **options):
        times.append(MigrationRecorder.Migration.objects.filter(app="evaluation").exists())

    monkeypatch.setattr(of_django_q.Command, "handle", handle)
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's own is open in its transaction
    return times


def test_it_waits_until_the_database_has_its_migrations(db, begun, monkeypatch, capsys):
    applied = list(MigrationRecorder.Migration.objects.filter(app="evaluation").values_list("app", "name"))
    MigrationRecorder.Migration.objects.filter(app="evaluation").delete()
    looked = []

    def migrate_at_the_second_look(seconds):
        looked.append(len(begun))
        if len(looked) == 2:
            for app, name in applied:
                MigrationRecorder.Migration.objects.create(app=app, name=name)

    monkeypatch.setattr(qcluster, "time", SimpleNamespace(sleep=migrate_at_the_second_look))
    call_command("qcluster")
    assert (looked, begun) == ([0, 0], [True])
    assert capsys.readouterr().err.count("manage.py migrate") == 1, "it says so once"


def test_it_begins_at_once_with_a_database_that_has_them(db, begun, monkeypatch):
    monkeypatch.setattr(qcluster, "time", SimpleNamespace(sleep=lambda seconds: pytest.fail("it waits for nothing")))
    call_command("qcluster")
    assert begun == [True]
