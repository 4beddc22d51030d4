"""What is backed up comes back whole, somewhere else; what is damaged or in the way is refused."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from annotation.models import Event
from config import postgres
from config.backups import MADE
from tests.training.making import a_preference, an_edit
from training import snapshots

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]
REPOSITORY = Path(__file__).parents[2]
SAID = "SELECT id, client_uuid::text, person_id, item_id FROM annotation_label ORDER BY id"


@pytest.fixture
def backup(bob, tmp_path, capsys):
    """Of a project with labels and a frozen snapshot; and what it held."""
    for _ in range(3):
        a_preference(bob)
    an_edit(bob)
    snapshot = snapshots.freeze(project=bob.project, kind="preferences", rule=snapshots.Rule())
    checkpoint = snapshot.path.parent / "checkpoints" / "half.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("half of a model")
    call_command("backup", str(tmp_path / "backups"))
    with connection.cursor() as cursor:
        cursor.execute(SAID)
        said = cursor.fetchall()
    return Path(capsys.readouterr().out.strip()), said, snapshot


@pytest.fixture
def elsewhere(tmp_path):
    """Another database on the same server, empty; and the environment of a process that uses it."""
    name = f"{connection.settings_dict['NAME']}_restored"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}"')
    host = connection.settings_dict["HOST"]
    address = f"postgresql://{connection.settings_dict['USER']}@/{name}?host={host}&port={postgres.PORT}"
    yield address, {**os.environ, "DATABASE_URL": address, "TOUCHSTONE_ARTIFACTS": str(tmp_path / "restored")}
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def manage(environment, *arguments):
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)


def test_dump_restore_elsewhere_and_hashes_equal(backup, elsewhere, tmp_path):
    folder, said, snapshot = backup
    assert Event.objects.get(verb=MADE).target == folder.name
    address, environment = elsewhere
    done = manage(environment, "restore", str(folder))
    assert (done.returncode, done.stdout) == (0, "Restored.\n"), done.stderr
    with psycopg.connect(address) as database:
        assert database.execute(SAID).fetchall() == said
        assert database.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal").fetchone()[0] >= 3
        ((digest, place),) = database.execute("SELECT sha256, folder FROM training_snapshot").fetchall()
    assert digest == snapshot.sha256
    assert (tmp_path / "restored" / place / "train.parquet").read_bytes() == (
        snapshot.path / "train.parquet"
    ).read_bytes()
    assert not list((tmp_path / "restored").rglob("checkpoints"))
    again = manage(environment, "restore", str(folder))
    assert again.returncode == 1
    assert "There are projects in this database" in again.stderr


def test_a_damaged_backup_is_refused_and_fills_nothing(backup, elsewhere):
    folder, _, _ = backup
    (parquet,) = folder.rglob("train.parquet")
    parquet.write_bytes(parquet.read_bytes()[:-1] + b"?")
    with pytest.raises(CommandError, match=r"train\.parquet is not what was stored"):
        call_command("restore", str(folder), check=True)
    done = manage(elsewhere[1], "restore", str(folder))
    assert (done.returncode, "take another backup" in done.stderr) == (1, True)
    with psycopg.connect(elsewhere[0]) as database:
        assert database.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_file_that_is_missing_or_no_backup_at_all_is_named(backup, tmp_path):
    folder, _, _ = backup
    call_command("restore", str(folder), check=True)
    (folder / "database.dump").unlink()
    with pytest.raises(CommandError, match=r"database\.dump is missing"):
        call_command("restore", str(folder), check=True)
    with pytest.raises(CommandError, match="is no backup"):
        call_command("restore", str(tmp_path), check=True)


def test_artifacts_in_the_way_are_not_overwritten(backup, elsewhere, tmp_path):
    (tmp_path / "restored").mkdir()
    (tmp_path / "restored" / "mine").write_text("kept")
    done = manage(elsewhere[1], "restore", str(backup[0]))
    assert done.returncode == 1
    assert "restore into an empty folder" in done.stderr


def test_the_database_alone_can_be_backed_up(backup, tmp_path, capsys):
    call_command("backup", str(tmp_path / "small"), without_artifacts=True)
    folder = Path(capsys.readouterr().out.strip())
    assert sorted(path.name for path in folder.iterdir()) == ["database.dump", "manifest.json"]


def test_old_ones_go_once_a_new_one_is_made_and_not_where_it_fails(backup, tmp_path, settings, monkeypatch, capsys):
    first, _, _ = backup
    old = first.with_name("touchstone-20200101-000000")
    first.rename(old)
    settings.BACKUP_DAYS = 30
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", "nowhere")
        with pytest.raises(CommandError, match="pg_dump failed"):
            call_command("backup", str(old.parent))
    assert list(old.parent.iterdir()) == [old]
    settings.BACKUP_DAYS = 0
    call_command("backup", str(old.parent), without_artifacts=True)
    assert old.is_dir()
    settings.BACKUP_DAYS = 30
    call_command("backup", str(tmp_path / "backups"))
    said = capsys.readouterr()
    new = Path(said.out.splitlines()[-1])
    assert "Removed touchstone-20200101-000000." in said.err
    assert not old.exists()
    call_command("restore", str(new), check=True)
