"""Exports as files: made once, whole or not at all, listed, downloaded in parts, gone after some days."""

import base64
import hashlib
import json
import socket
import threading
import zipfile
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pyarrow.parquet
import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ

from annotation import labelling, tasks
from annotation.exporting import files, hub
from annotation.exporting.wanted import Wanted
from annotation.labelling import Said
from annotation.models import Event, Export, Membership, Project
from annotation.shapes.outgoing import SHAPES
from tests.annotation.making import a_comparison, a_demonstration, lease, prefers

PAGE = "/projects/desk/data/export/"


@pytest.fixture
def labelled(project, bob, bea):
    project.labels_per_item = 2
    project.licence = "cc-by-4.0"
    project.save()
    greeting = a_comparison(project, ("Good day.", "Hi | you"))
    a_demonstration(project)
    best = greeting.answers.earliest("order").response_id
    for who in (bob, bea):
        prefers(who, greeting, best)
    labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="edit", text="Better."))
    return project


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice.person)
    return client


def make(project, shape="touchstone", **wanted) -> Export:
    return files.ask(project=project, shape=shape, wanted=Wanted(**wanted), actor=None)


def body(answer) -> bytes:
    return b"".join(answer.streaming_content)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_small_file_is_made_at_once_and_has_its_hash(labelled, shape):
    export = make(labelled, shape)
    assert (export.status, export.error) == ("ready", "")
    data = export.path.read_bytes()
    assert (export.size, export.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert export.rows > 0
    assert export.done == export.total > 0
    assert make(labelled, shape).sha256 == export.sha256  # the same data, the same bytes
    assert sorted(path.suffix for path in export.path.parent.iterdir()) == [f".{SHAPES[shape].suffix}"] * 2


def test_parquet_has_everything(labelled):
    rows = pyarrow.parquet.read_table(make(labelled, "parquet").path).to_pylist()
    assert [row["kind"] for row in rows] == ["comparison", "demonstration"]
    assert [len(row["labels"]) for row in rows] == [2, 1]
    best, other = (answer["id"] for answer in rows[0]["answers"])
    for label in rows[0]["labels"]:
        assert {vote["answer"]: vote["rank"] for vote in label["votes"]} == {best: 1, other: 2}


def test_a_dataset_has_a_table_of_each_kind_and_a_card_made_from_facts(labelled, tmp_path):
    with zipfile.ZipFile(make(labelled, "dataset").path) as archive:
        archive.extractall(tmp_path)
    card = (tmp_path / "README.md").read_text()
    tables = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    assert tables == [f"{name}/train.parquet" for name in ("demonstrations", "items", "preferences", "unpaired")]
    for said in (
        'license: "cc-by-4.0"',
        "- config_name: preferences",
        "| Labels | 3 |",
        "| People | 2 |",
        "| Guidelines | version 1 |",
        "two people said the same in",
        "95 % interval",
        "pseudonyms",
        "> # Be *kind*",
    ):
        assert said in card
    (preference, *_) = pyarrow.parquet.read_table(tmp_path / "preferences/train.parquet").to_pylist()
    assert preference["chosen"] == [{"role": "assistant", "content": preference["chosen"][0]["content"]}]


def test_a_dataset_is_read_by_the_library_it_is_named_after(labelled, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    with zipfile.ZipFile(make(labelled, "dataset").path) as archive:
        archive.extractall(tmp_path / "desk")
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset(str(tmp_path / "desk"), "demonstrations", cache_dir=cache)
    assert list(loaded) == ["train"]
    assert loaded["train"][0]["completion"][0]["content"] == "Better."


def test_a_dataset_of_nothing_says_so(project):
    with zipfile.ZipFile(make(project, "dataset").path) as archive:
        assert archive.namelist() == ["README.md"]
        card = archive.read("README.md").decode()
    assert "Nothing that was asked for has been labelled yet." in card
    assert "| Licence | not stated |" in card
    assert "license:" not in card


def test_held_out_prompts_lie_in_a_dataset_of_their_own(labelled, tmp_path):
    labelled.prompts.update(split="heldout")
    with zipfile.ZipFile(make(labelled, "dataset").path) as archive:
        assert archive.namelist() == ["README.md"]
    with zipfile.ZipFile(make(labelled, "dataset", split="heldout").path) as archive:
        assert "items/heldout.parquet" in archive.namelist()


def test_a_large_file_is_made_by_the_queue(labelled, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(files, "AT_ONCE", 1)
    with django_capture_on_commit_callbacks(execute=True):
        export = make(labelled)
    assert (export.status, export.path.exists()) == ("waiting", False)
    assert OrmQ.objects.count() == 1
    tasks.make_export(export.pk)
    export.refresh_from_db()
    assert (export.status, export.rows) == ("ready", 2)
    before = export.path.stat().st_mtime_ns
    tasks.make_export(export.pk)  # delivered twice
    assert export.path.stat().st_mtime_ns == before


def waiting(project, **more) -> Export:
    return Export.objects.create(
        project=project, shape="touchstone", expires_at=timezone.now() + timedelta(days=1), **more
    )


def test_what_a_worker_that_died_had_begun_is_taken_up_again(labelled):
    now = timezone.now()
    export = waiting(labelled, status="making", touched_at=now, attempts=1)
    assert not files.make(export_id=export.pk)  # somebody is at it
    assert files.tend() == 0
    Export.objects.update(touched_at=now - timedelta(hours=1))
    assert files.tend() == 1
    assert files.make(export_id=export.pk)
    export.refresh_from_db()
    assert (export.status, export.attempts) == ("ready", 2)
    assert files.tend() == 0


def test_a_worker_that_was_taken_for_dead_gives_way(labelled, monkeypatch):
    """It comes back to life after another one took over: the file is the other one's."""
    export = waiting(labelled)
    write = files.write

    def slowly(path, **asked):
        write(path, **asked)
        Export.objects.filter(pk=export.pk).update(attempts=2)

    monkeypatch.setattr(files, "write", slowly)
    assert not files.make(export_id=export.pk)
    export.refresh_from_db()
    assert (export.status, export.path.exists()) == ("making", False)
    assert list(export.path.parent.iterdir()) == []


def test_after_three_deaths_it_has_failed_and_says_where_to_look(labelled):
    export = waiting(labelled, status="making", touched_at=timezone.now() - timedelta(hours=1), attempts=3)
    assert files.tend() == 0
    export.refresh_from_db()
    assert export.status == "failed"
    assert "log of the queue" in export.error


def test_a_full_disk_is_a_reason(labelled, monkeypatch):
    def full(path, **asked):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    export = make(labelled)
    assert (export.status, export.error) == ("failed", "The file could not be written: No space left on device.")


def test_files_go_after_some_days_and_when_they_are_deleted(labelled, alice):
    old, new, unwanted = make(labelled), make(labelled), make(labelled)
    Export.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    files.tend()
    files.delete(export=unwanted, actor=alice.person)
    assert list(Export.objects.all()) == [new]
    assert [one.path.exists() for one in (old, new, unwanted)] == [False, True, False]
    assert Event.objects.filter(verb="export deleted").count() == 2


def test_what_cannot_be_is_refused(labelled):
    with pytest.raises(ValidationError, match="There is no shape 'excel'"):
        make(labelled, "excel")
    with pytest.raises(ValidationError, match="set HF_TOKEN"):
        files.ask(project=labelled, shape="dataset", wanted=Wanted(), actor=None, repository="team/desk")
    assert Export.objects.count() == 0


# The hub


@pytest.mark.parametrize("name", ["desk", "team/", "/desk", "team/desk/more", "../desk", "team/de sk", "t/" + "d" * 96])
def test_a_data_set_on_the_hub_has_an_owner_and_a_name(settings, name):
    settings.HUB_TOKEN = "hf_secret"
    with pytest.raises(ValidationError, match="its owner and its name"):
        hub.check(name)
    hub.check("my-team/shop-desk")


@pytest.fixture
def to_the_hub(labelled, settings, monkeypatch):
    """Push a data set to a server at this address; returns the export."""
    settings.HUB_TOKEN = "hf_secret"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)

    def push(endpoint: str) -> Export:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        export = files.ask(project=labelled, shape="dataset", wanted=Wanted(), actor=None, repository="team/desk")
        assert files.make(export_id=export.pk)
        export.refresh_from_db()
        assert (export.status, export.path.exists()) == ("ready", True)
        return export

    return push


def test_a_hub_that_cannot_be_reached_leaves_the_file_and_says_what_to_do(to_the_hub):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        export = to_the_hub(f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert "cannot be reached" in export.error
    assert "hf upload team/desk" in export.error


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as one commit needs, in the words of its API; it keeps what it is sent."""

    seen: ClassVar[list[tuple[str, str, bytes]]] = []
    refuses: ClassVar[bool] = False

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.path, self.headers["Authorization"], sent))
        if self.refuses:
            return self.answer({"error": "You may not."}, 403)
        if self.path.endswith("/preupload/main"):
            paths = [one["path"] for one in json.loads(sent)["files"]]
            return self.answer({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]})
        base = f"http://{self.headers['Host']}/datasets/team/desk"
        return self.answer({"url": base, "commitUrl": f"{base}/commit/1", "commitOid": "1"})

    def do_GET(self) -> None:
        self.answer([] if "/tree/" in self.path else {"id": "team/desk", "sha": "0" * 40, "siblings": []})

    def answer(self, said: object, status: int = 200) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        pass


@pytest.fixture
def hub_server(monkeypatch):
    monkeypatch.setattr(Hub, "seen", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_data_set_is_put_on_the_hub_in_one_commit_and_private(to_the_hub, hub_server):
    export = to_the_hub(hub_server)
    assert export.error == ""
    assert export.address == f"{hub_server}/datasets/team/desk"
    made, *_, committed = Hub.seen
    assert made[0] == "/api/repos/create"
    assert json.loads(made[2])["visibility"] == "private"
    assert {token for _, token, _ in Hub.seen} == {"Bearer hf_secret"}
    assert committed[0].startswith("/api/datasets/team/desk/commit/main")
    entries = [json.loads(line) for line in committed[2].splitlines()]
    sent = {one["value"]["path"]: base64.b64decode(one["value"]["content"]) for one in entries if one["key"] == "file"}
    with zipfile.ZipFile(export.path) as archive:
        assert sent == {name: archive.read(name) for name in archive.namelist()}
    assert Event.objects.get(verb="data pushed to the hub").data == {"address": export.address}


def test_a_hub_that_refuses_is_quoted(to_the_hub, hub_server, monkeypatch):
    monkeypatch.setattr(Hub, "refuses", True)
    export = to_the_hub(hub_server)
    assert export.error == "The hub refused team/desk: the token may not write there."
    assert export.address == ""


# The page


def test_a_lead_has_a_file_made_and_downloads_it(as_alice, labelled):
    answer = as_alice.post(PAGE, {"shape": "trl-preference"}, follow=True)
    assert "The file is ready." in answer.content.decode()
    export = Export.objects.get()
    answer = as_alice.get(reverse("export_file", args=["desk", export.pk]))
    assert answer["Content-Disposition"] == f'attachment; filename="desk-trl-preference-{export.pk}.jsonl"'
    assert answer["Content-Type"] == "application/x-ndjson"
    assert len([json.loads(line) for line in body(answer).splitlines()]) == 2
    as_alice.post(reverse("delete_export", args=["desk", export.pk]))
    assert as_alice.get(reverse("export_file", args=["desk", export.pk])).status_code == 404


def test_the_page_says_what_is_wrong(as_alice, labelled):
    assert as_alice.post(PAGE, {}).status_code == 422
    answer = as_alice.post(PAGE, {"shape": "trl-preference", "names": "on"})
    assert answer.status_code == 422
    assert "Rows to train on name nobody" in answer.content.decode()
    assert as_alice.post(PAGE, {"shape": "csv", "minimum_agreement": "20"}).status_code == 422
    assert not Export.objects.exists()


def test_the_page_shows_how_far_a_file_is(as_alice, labelled):
    export = waiting(labelled, status="making", touched_at=timezone.now(), done=5, total=10)
    assert "5 of 10" in as_alice.get(PAGE).content.decode()
    shown = as_alice.get(reverse("export_state", args=["desk", export.pk])).content.decode()
    assert "hx-get" in shown
    assert as_alice.get(reverse("export_file", args=["desk", export.pk])).status_code == 404
    Export.objects.update(status="failed", error="No space.")
    shown = as_alice.get(reverse("export_state", args=["desk", export.pk])).content.decode()
    assert "hx-get" not in shown
    assert "No space." in shown


def test_a_file_of_another_project_is_not_there(as_alice, alice, labelled, charlie):
    other = Project.objects.create(slug="other", name="Other")
    theirs = make(other)
    for name in ("export_state", "export_file"):
        assert as_alice.get(reverse(name, args=["desk", theirs.pk])).status_code == 404
        assert as_alice.get(reverse(name, args=["other", theirs.pk])).status_code == 404
    assert as_alice.post(reverse("delete_export", args=["desk", theirs.pk])).status_code == 404
    assert Membership.objects.filter(project=other).count() == 0
    assert Export.objects.get() == theirs


# In parts


@pytest.fixture
def kept(labelled):
    return make(labelled, "csv")


def asked(client, export, **headers):
    return client.get(reverse("export_file", args=["desk", export.pk]), headers=headers)


def test_a_download_goes_on_where_it_broke_off(as_alice, kept):
    whole = body(asked(as_alice, kept))
    assert whole == kept.path.read_bytes()
    first = asked(as_alice, kept, Range="bytes=0-99")
    assert (first.status_code, first["Content-Range"]) == (206, f"bytes 0-99/{kept.size}")
    rest = asked(as_alice, kept, Range="bytes=100-", If_Range=first["ETag"])
    assert (rest.status_code, rest["Content-Length"]) == (206, str(kept.size - 100))
    assert body(first) + body(rest) == whole
    assert body(asked(as_alice, kept, Range="bytes=-10")) == whole[-10:]


def test_a_part_of_another_file_is_not_sent(as_alice, kept):
    answer = asked(as_alice, kept, Range="bytes=100-", If_Range='"another"')
    assert (answer.status_code, len(body(answer))) == (200, kept.size)


def test_a_client_that_has_it_all_is_told(as_alice, kept):
    answer = asked(as_alice, kept, Range=f"bytes={kept.size}-")
    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{kept.size}")
    assert asked(as_alice, kept, If_None_Match=f'"{kept.sha256}"').status_code == 304
    head = as_alice.head(reverse("export_file", args=["desk", kept.pk]))
    assert (head["Content-Length"], body(head)) == (str(kept.size), b"")


@pytest.mark.parametrize(
    "nonsense", ["bytes=5-2", "bytes=a-b", "bytes=0-1,4-5", "lines=1-2", "bytes=" + "9" * 40 + "-"]
)
def test_nonsense_is_answered_with_the_whole_file(as_alice, kept, nonsense):
    assert len(body(asked(as_alice, kept, Range=nonsense))) == kept.size


def test_a_file_that_is_gone_from_this_machine_is_said_to_be(as_alice, kept):
    kept.path.unlink()
    assert asked(as_alice, kept).status_code == 404
