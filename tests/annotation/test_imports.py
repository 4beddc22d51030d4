"""Imports as jobs: received, looked through, brought in by a worker, stopped, taken up after a kill."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from annotation import importing, imports, receiving, storing
from annotation.models import Event, Import, Item, Prompt, RejectedRow
from annotation.models.imports import Stage
from evaluation.tasks import recover


def lines(count, start=0):
    return [json.dumps({"prompt": f"{n}?", "responses": [f"a{n}", f"b{n}"]}) for n in range(start, start + count)]


def sent(project, *rows, name="data.jsonl", actor=None):
    return receiving.receive(project=project, name=name, chunks=["\n".join(rows).encode()], actor=actor)


def fresh(source):
    return Import.objects.get(pk=source.pk)


# Receiving


def test_a_file_is_kept_and_its_shape_found(project, alice):
    source = sent(project, *lines(2), name="../../My data.jsonl", actor=alice.person)
    assert (source.name, source.shape, source.status, source.actor) == (
        "My data.jsonl",
        "touchstone",
        Stage.UPLOADED,
        alice.person,
    )
    assert source.path.read_text().count("\n") == 1
    assert source.path.name == "My_data.jsonl"
    assert not Prompt.objects.exists()


def test_a_file_that_is_too_large_or_empty_leaves_nothing_behind(project, settings):
    settings.IMPORT_LIMIT_MB = 0.00001
    with pytest.raises(ValidationError, match="larger than"):
        sent(project, *lines(2))
    with pytest.raises(ValidationError, match="empty"):
        receiving.receive(project=project, name="a", chunks=[])
    assert list((Path(settings.ARTIFACTS) / "imports").iterdir()) == []
    assert not Import.objects.exists()


def test_a_file_of_no_known_shape_waits_until_somebody_says_what_it_is(project):
    source = sent(project, json.dumps({"number": 7}))
    assert source.shape == ""
    with pytest.raises(ValidationError, match="Choose what kind of data"):
        imports.start(source=source, shape="")
    with pytest.raises(ValidationError, match="no part called colour"):
        imports.start(source=source, shape="touchstone", mapping={"colour": "number"})
    assert fresh(source).status == Stage.UPLOADED


# Bringing in


def test_after_many_rows_postgresql_knows_how_many(project, monkeypatch):
    monkeypatch.setattr(imports, "MANY", 3)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE annotation_response")  # what earlier tests left it to believe
    assert imports.bring_in(source=sent(project, *lines(40)), shape="touchstone")
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'annotation_response'")
        assert cursor.fetchone() == (80,)


def test_a_small_file_is_brought_in_at_once_and_put_away(project, alice, django_capture_on_commit_callbacks):
    source = sent(project, *lines(3), "{", *lines(1), actor=alice.person)
    with django_capture_on_commit_callbacks(execute=True):
        assert imports.bring_in(source=source, shape="touchstone", actor=alice.person)
    done = fresh(source)
    assert (done.status, done.done, done.location) == (Stage.DONE, 1, "")
    assert (done.counts["added"], done.counts["known"], done.rejected) == (3, 1, 1)
    assert not source.path.exists()
    assert Item.objects.count() == 3
    event = Event.objects.get(verb="data imported")
    assert (event.actor, event.data) == (alice.person, {"added": 3, "known": 1, "rejected": 1})
    assert not imports.bring_in(source=source, shape="touchstone")  # over is over


def test_a_mapping_names_the_columns(project):
    source = sent(project, json.dumps({"question": "Why?", "reply": "Because."}))
    imports.bring_in(source=source, shape="touchstone", mapping={"prompt": "question", "completion": "reply"})
    assert [str(item.prompt) for item in Item.objects.all()] == ["Why?"]


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_a_dry_run_counts_what_an_import_then_does_and_stores_nothing(project, monkeypatch, batch):
    monkeypatch.setattr(importing, "BATCH", batch)
    importing.import_lines(project=project, lines=lines(2))
    more = [json.dumps({"prompt": "0?", "completion": "c"}), json.dumps({"prompt": "0?"}), "[]", *lines(5), *lines(3)]
    source = sent(project, *more)
    imports.bring_in(source=source, shape="touchstone", dry_run=True)
    looked = fresh(source)
    assert (looked.status, looked.rejected, Prompt.objects.count()) == (Stage.UPLOADED, 1, 2)
    assert looked.path.exists()
    imports.bring_in(source=looked, shape="touchstone")
    done = fresh(source)
    same = ("added", "known", "prompts", "demonstrations", "comparisons")
    assert [looked.counts[name] for name in same] == [done.counts[name] for name in same] == [4, 6, 3, 1, 3]
    assert looked.rejected == done.rejected == RejectedRow.objects.count() == 1


def test_refused_rows_can_be_taken_out_mended_and_imported_again(project):
    bad = [json.dumps({"prompt": "?", "responses": ["a"]}), '{"prompt": "x"', "[1]"]
    source = sent(project, *lines(1), *bad)
    imports.bring_in(source=source, shape="touchstone")
    out = [json.loads(line) for line in imports.rejected_lines(source)]
    assert out[0]["prompt"] == "?"
    assert out[0]["rejected"] == "line 2: a comparison needs at least two different responses"
    assert out[1]["line"].startswith('{"prompt": "x"')
    assert out[2]["line"].startswith("[1]")
    out[0]["responses"].append("b")
    again = sent(project, *map(json.dumps, out))
    imports.bring_in(source=again, shape="touchstone")
    assert (fresh(again).counts["added"], fresh(again).rejected) == (1, 2)


def test_rejected_rows_are_kept_up_to_a_number_and_all_counted(project, monkeypatch):
    monkeypatch.setattr(imports, "MOST_REJECTED", 5)
    monkeypatch.setattr(importing, "BATCH", 4)
    source = sent(project, *["{"] * 10, *lines(1))
    imports.bring_in(source=source, shape="touchstone")
    assert (fresh(source).rejected, RejectedRow.objects.count()) == (10, 5)


# Workers


def test_only_one_worker_takes_an_import(project):
    source = sent(project, *lines(3))
    imports.start(source=source, shape="touchstone", wake=False)
    Import.objects.update(status=Stage.RUNNING)
    imports.work(source.pk)
    assert not Prompt.objects.exists()


def test_an_import_goes_on_where_the_last_stored_batch_ended(project, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 10)
    source = sent(project, *lines(25), "{", *lines(5))
    imports.start(source=source, shape="touchstone", wake=False)
    keep, calls = imports._keep, []

    def dies(*args):
        if len(calls) == 2:
            raise SystemExit
        calls.append(keep(*args))
        return calls[-1]

    monkeypatch.setattr(imports, "_keep", dies)
    with pytest.raises(SystemExit):  # as near to a kill as a test comes
        imports.work(source.pk)
    monkeypatch.setattr(imports, "_keep", keep)
    stopped = fresh(source)
    assert (stopped.status, stopped.number, stopped.counts["added"]) == (Stage.RUNNING, 20, 20)
    assert Prompt.objects.count() == 20

    assert recover()["imports"] == 0  # its worker may be at it
    Import.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert recover()["imports"] == 1
    imports.work(source.pk)
    done = fresh(source)
    assert (done.status, done.counts["added"], done.counts["known"], done.rejected) == (Stage.DONE, 25, 5, 1)
    assert done.counts["prompts"] == Prompt.objects.count() == 25


@pytest.mark.django_db(transaction=True)
def test_batches_do_not_wait_for_the_disk_and_the_end_waits_for_them_all(project, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 10)
    said = {"batch": [], "end": []}

    def watched(name, verb):
        def ask(**what):
            with connection.cursor() as cursor:
                cursor.execute("SHOW synchronous_commit")
                said[name] += cursor.fetchone()
            return verb(**what)

        return ask

    monkeypatch.setattr(storing, "store", watched("batch", storing.store))
    monkeypatch.setattr(importing, "put_on_record", watched("end", importing.put_on_record))
    source = sent(project, *lines(25))
    imports.start(source=source, shape=source.shape, wake=False)
    imports.work(source.pk)
    assert said == {"batch": ["off"] * 3, "end": ["on"]}


def test_a_worker_that_was_thought_lost_stores_nothing_more(project, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 10)
    source = sent(project, *lines(30))
    imports.start(source=source, shape="touchstone", wake=False)
    keep = imports._keep

    def loses(mine, batch, foresight):
        if batch.number == 20:
            Import.objects.filter(pk=source.pk).update(turn=99)  # another one has taken it
        return keep(mine, batch, foresight)

    monkeypatch.setattr(imports, "_keep", loses)
    imports.work(source.pk)
    assert (fresh(source).status, Prompt.objects.count()) == (Stage.RUNNING, 10)


def test_a_long_import_hands_over_to_another_message(project, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(importing, "BATCH", 10)
    monkeypatch.setattr(imports, "SLICE", -1)
    woken = []
    monkeypatch.setattr(imports, "wake_worker", woken.append)
    source = sent(project, *lines(25))
    with django_capture_on_commit_callbacks(execute=True):
        imports.start(source=source, shape="touchstone")
    turns = 0
    while woken:
        imports.work(woken.pop())
        turns += 1
    assert turns == 4  # the last finds nothing left
    assert (fresh(source).status, fresh(source).counts["added"]) == (Stage.DONE, 25)


def test_stopping_an_import_keeps_what_it_has_stored(project, alice, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(importing, "BATCH", 10)
    source = sent(project, *lines(30))
    imports.start(source=source, shape="touchstone", wake=False)
    keep = imports._keep

    def stopped(mine, batch, foresight):
        if batch.number == 20:
            with django_capture_on_commit_callbacks(execute=True):
                assert imports.cancel(source=source, actor=alice.person)
        return keep(mine, batch, foresight)

    monkeypatch.setattr(imports, "_keep", stopped)
    imports.work(source.pk)
    assert (fresh(source).status, Prompt.objects.count()) == (Stage.CANCELLED, 10)
    assert not source.path.exists()
    assert not imports.cancel(source=source)
    assert not imports.start(source=source, shape="touchstone")


def test_a_dry_run_that_is_stopped_leaves_the_file_as_it_was(project):
    source = sent(project, *lines(3))
    imports.start(source=source, shape="touchstone", dry_run=True, wake=False)
    assert imports.cancel(source=source)
    assert (fresh(source).status, fresh(source).dry_run) == (Stage.UPLOADED, False)
    assert source.path.exists()


def test_a_file_that_cannot_be_read_says_so_and_can_be_tried_again(project):
    source = sent(project, *lines(3))
    text = source.path.read_bytes()
    source.path.unlink()
    imports.bring_in(source=source, shape="touchstone")
    failed = fresh(source)
    assert failed.status == Stage.FAILED
    assert "No such file" in failed.error
    source.path.write_bytes(text)
    assert imports.retry(source=source)
    imports.work(source.pk)
    assert fresh(source).status == Stage.DONE
    assert not imports.retry(source=source)


def test_an_upload_that_nobody_wanted_is_forgotten(project):
    source = sent(project, *lines(3))
    recover()
    assert source.path.exists()
    Import.objects.update(created_at=timezone.now() - timedelta(days=8))
    recover()
    assert (fresh(source).status, fresh(source).location) == (Stage.CANCELLED, "")
    assert not source.path.exists()


def test_a_dataset_of_the_hub_must_be_named_and_readable(project):
    for name in ("", "a b", "../etc", "/etc/passwd", "a/b/c", "https://x.example/a"):
        with pytest.raises(ValidationError, match="named owner/name"):
            imports.receive_from_hub(project=project, dataset=name)
    assert not Import.objects.exists()
