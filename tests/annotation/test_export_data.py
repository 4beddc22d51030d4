"""The command that takes labelled data out."""

import io
import json
import os

import pytest
from django.core.management import CommandError, call_command

from annotation import labelling
from annotation.labelling import Said
from tests.annotation.making import a_comparison, a_demonstration, first_is_better, lease


@pytest.fixture
def labelled(project, bob):
    """A demonstration that was accepted, and a comparison."""
    a_demonstration(project)
    a_comparison(project)
    labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="accept"))
    labelling.submit(assignment=lease(bob), said=first_is_better())


def export(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("export_data", "desk", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_each_labelled_item_is_a_line_and_nothing_else_is_printed_there(labelled):
    out, err = export()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["kind"] for row in rows] == ["demonstration", "comparison"]
    assert rows[0]["labels"][0]["verdict"] == "accept"
    assert "bob" not in out
    assert err == "2 labelled items exported.\n"


def test_one_kind_and_a_file(labelled, tmp_path):
    file = tmp_path / "out.jsonl"
    out, err = export("--kind=comparison", f"--output={file}")
    assert (out, err) == ("", "1 labelled item exported.\n")
    assert [json.loads(line)["kind"] for line in file.read_text().splitlines()] == ["comparison"]
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o444


def test_a_project_without_labels_is_an_empty_file(project, tmp_path):
    file = tmp_path / "out.jsonl"
    assert export(f"-o{file}") == ("", "0 labelled items exported.\n")
    assert file.read_bytes() == b""


def test_what_cannot_be_done_is_said_in_a_sentence(project, tmp_path):
    with pytest.raises(CommandError, match="There is no project 'desc'"):
        call_command("export_data", "desc")
    with pytest.raises(CommandError, match="No such file or directory"):
        export(f"--output={tmp_path / 'nowhere' / 'out.jsonl'}")


def test_a_reader_that_has_seen_enough_is_no_error(labelled):
    """As in `manage.py export_data desk | head -0`."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        call_command("export_data", "desk", stdout=out, stderr=io.StringIO())
