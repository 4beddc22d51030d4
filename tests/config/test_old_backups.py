"""Old backups go once they are old enough; never the newest, and never what is no backup."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from config import backups
from config.backups import ARTIFACTS, MANIFEST, NAME, remove_old


@pytest.fixture
def made(tmp_path):
    """Make a backup of so many days ago; returns its name."""

    def make(days, *, artifacts=True, prefix="", manifest=True):
        folder = tmp_path / (prefix + (datetime.now(UTC) - timedelta(days=days, hours=1)).strftime(NAME))
        (folder / "inside").mkdir(parents=True)
        if artifacts:
            (folder / ARTIFACTS).mkdir()
        if manifest:
            (folder / MANIFEST).write_text("{}")
        return folder.name

    return make


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_older_than_the_days_goes_and_the_rest_stays(tmp_path, made):
    old, older, young, new = made(30), made(400), made(29), made(0)
    assert remove_old(into=tmp_path, days=30) == sorted([old, older])
    assert left(tmp_path) == sorted([young, new])
    assert remove_old(into=tmp_path, days=30) == []


def test_the_newest_stays_however_old_it_is(tmp_path, made):
    newest, old = made(90), made(91)
    assert remove_old(into=tmp_path, days=7) == [old]
    assert left(tmp_path) == [newest]


def test_the_newest_with_artifacts_stays_beside_newer_ones_of_the_database_alone(tmp_path, made):
    new, whole, old = made(0, artifacts=False), made(50), made(60)
    assert remove_old(into=tmp_path, days=30) == [old]
    assert left(tmp_path) == sorted([new, whole])


def test_what_was_cut_off_goes_as_late_and_counts_for_nothing(tmp_path, made):
    newest, at_work = made(40), made(0, prefix=".", manifest=False)
    cut_off, removed_by_half = made(31, prefix=".", manifest=False), made(35, manifest=False)
    assert remove_old(into=tmp_path, days=30) == sorted([cut_off, removed_by_half])
    assert left(tmp_path) == sorted([newest, at_work])


def test_one_that_cannot_be_removed_keeps_no_other(tmp_path, made, monkeypatch):
    new, young, stuck = made(0), made(40), made(50)
    remove = shutil.rmtree

    def refuse(path, **more):
        if stuck in path.name:
            raise PermissionError(13, "Permission denied", path.name)
        remove(path, **more)

    monkeypatch.setattr(backups.shutil, "rmtree", refuse)
    with pytest.raises(PermissionError, match=stuck):
        remove_old(into=tmp_path, days=30)
    assert left(tmp_path) == sorted([new, f".{stuck}"])
    assert not (tmp_path / young).exists()


def test_what_is_no_backup_is_left_alone(tmp_path, made):
    new = made(0)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "kept").mkdir(parents=True)
    (tmp_path / "touchstone-20200101").mkdir()
    (tmp_path / "touchstone-20200101-000000.txt").write_text("notes")
    (tmp_path / "touchstone-20200101-000000").symlink_to(elsewhere)
    before = left(tmp_path)
    assert remove_old(into=tmp_path, days=1) == []
    assert left(tmp_path) == before
    assert new in before
    assert (elsewhere / "kept").is_dir()
