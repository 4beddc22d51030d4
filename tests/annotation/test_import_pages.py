"""The pages of an import: sent, seen, counted, brought in; what went wrong is said."""

import json
import re
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotation import imports
from annotation.models import Event, Import, Item, Prompt
from annotation.models.imports import Stage


def text_of(answer):
    return unescape(re.sub(r"\s+", " ", answer.content.decode()))


def jsonl(*rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


FIGURE = r"<dd[^>]*>(\d+)</dd>"


@pytest.fixture
def desk(client, alice):
    client.force_login(alice.person)
    return client


@pytest.fixture
def upload(desk):
    def send(data, name="data.jsonl", **more):
        files = {"file": SimpleUploadedFile(name, data)} if data is not None else {}
        return desk.post("/projects/desk/data/import/", {**files, **more}, follow=True)

    return send


@pytest.fixture
def press(desk):
    """A button of the page of the newest import."""

    def send(verb, **fields):
        source = Import.objects.latest("id")
        fields.setdefault("shape", source.shape)
        address = f"/projects/desk/data/import/{source.pk}/"
        return desk.post(address, {"verb": verb, **fields}, follow=True)

    return send


def test_an_upload_shows_what_it_becomes_and_stores_nothing(upload, project):
    answer = upload(jsonl({"prompt": "One?", "responses": ["a", "b", "c"], "tags": ["post"]}, {"prompt": 7}))
    html = text_of(answer)
    assert answer.redirect_chain[0][0] == f"/projects/desk/data/import/{Import.objects.get().pk}/"
    assert "It looks like <strong>Touchstone, or chat messages</strong>" in html
    assert "A comparison of 3" in html
    assert "Not understood among the first 2 rows: 1" in html
    assert not Prompt.objects.exists()
    assert not Event.objects.filter(verb="data imported").exists()


def test_an_import_says_what_was_added_known_and_rejected(upload, press, project, alice):
    lines = [
        b'{"prompt": "One?", "completion": "a"}',
        b'{"prompt": "One?", "completion": "a"}',
        b"{",
        b'{"prompt": "Two?", "responses": ["a", "b"]}',
        b'{"prompt": "<script>alert(1)</script>", "responses": 7}',
    ]
    upload(b"\n".join(lines))
    answer = press("import")
    html = text_of(answer)
    assert [int(figure) for figure in re.findall(FIGURE, html)] == [2, 1, 2, 2, 1, 1]
    assert "not JSON" in html
    assert '"responses" must be a list' in html
    assert b"<script>alert" not in answer.content
    assert Item.objects.count() == 2
    assert Event.objects.get(verb="data imported").actor == alice.person


def test_counting_stores_nothing_and_says_what_would_be(upload, press, project):
    upload(jsonl({"prompt": "One?"}, {"prompt": "One?"}, []))
    html = text_of(press("check"))
    assert "What importing it would do" in html
    assert [int(figure) for figure in re.findall(FIGURE, html)] == [1, 1, 1, 1, 0, 0]
    assert not Prompt.objects.exists()
    assert "Imported" in text_of(press("import"))
    assert Prompt.objects.count() == 1


def test_the_same_upload_again_adds_nothing(upload, press, project):
    for _ in range(2):
        upload(b'{"prompt": "One?"}')
        html = text_of(press("import"))
    assert "here already" in html
    assert Prompt.objects.count() == 1


def test_other_columns_are_named_and_shown_before_they_are_stored(upload, press, project):
    html = text_of(upload(jsonl({"q": "Why?", "data": {"said": "Because."}})))
    assert "Choose what comes nearest" in html
    assert 'value="import"' not in html
    html = text_of(press("import", shape="touchstone"))  # not seen yet: it is shown first
    assert "It looks like" in html
    assert not Prompt.objects.exists()
    html = text_of(press("look", part_prompt="q", part_completion="data.said"))
    assert "Why?" in html
    assert "Because." in html
    press("import", part_prompt="q", part_completion="data.said")
    assert str(Item.objects.get().prompt) == "Why?"


@pytest.mark.parametrize("fields", [{"shape": "nonsense"}, {"part_prompt": "nowhere"}])
def test_what_is_no_shape_or_column_is_refused(upload, press, project, fields):
    upload(b'{"prompt": "One?"}')
    assert press("import", **fields).status_code == 422
    assert not Prompt.objects.exists()


@pytest.mark.parametrize(("data", "complaint"), [(None, "Choose a file"), (b"", "The file is empty")])
def test_an_upload_of_nothing_is_refused(upload, project, data, complaint):
    answer = upload(data)
    assert answer.status_code == 422
    assert complaint in text_of(answer)
    assert not Import.objects.exists()


def test_a_file_that_is_too_large_is_refused_with_what_to_do(upload, project, settings):
    settings.IMPORT_LIMIT_MB = 0.00001
    answer = upload(b'{"prompt": "One?"}')
    assert answer.status_code == 422
    assert "split it" in text_of(answer)


def test_a_file_larger_than_memory_keeps_is_read_from_disk(upload, press, project, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    upload(b"\n".join(b'{"prompt": "Question %d?"}' % number for number in range(300)))
    assert re.search(r"<dd[^>]*>300</dd>", text_of(press("import")))
    assert Prompt.objects.count() == 300


def test_several_files_at_once_each_have_their_page(desk, project):
    files = [SimpleUploadedFile(f"{name}.jsonl", b'{"prompt": "?"}') for name in "ab"]
    html = text_of(desk.post("/projects/desk/data/import/", {"file": files}, follow=True))
    assert "2 files are here" in html
    assert [one.name for one in Import.objects.order_by("id")] == ["a.jsonl", "b.jsonl"]


def test_a_file_that_is_large_is_left_to_a_worker_and_told_of_as_it_goes(
    upload, press, desk, project, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(imports, "SMALL", 10)
    woken = []
    monkeypatch.setattr(imports, "wake_worker", woken.append)
    upload(b'{"prompt": "One?"}')
    with django_capture_on_commit_callbacks(execute=True):
        html = text_of(press("import"))
    source = Import.objects.get()
    assert woken == [source.pk]
    assert "It waits for a worker" in html
    address = f"/projects/desk/data/import/{source.pk}/state/"
    assert f'hx-get="{address}"' in html
    answer = desk.get(address)
    assert "HX-Refresh" not in answer
    imports.work(source.pk)
    assert desk.get(address)["HX-Refresh"] == "true"
    assert "Imported" in text_of(desk.get(f"/projects/desk/data/import/{source.pk}/"))


def test_an_import_can_be_stopped_and_a_failed_one_tried_again(upload, desk, project):
    upload(b'{"prompt": "One?"}')
    source = Import.objects.get()
    Import.objects.update(status=Stage.FAILED, error="The disk is full.", shape="touchstone")
    address = f"/projects/desk/data/import/{source.pk}/"
    assert "The disk is full." in text_of(desk.get(address))
    assert "It waits for a worker" in text_of(desk.post(f"{address}retry/", follow=True))
    assert "Thrown away" in text_of(desk.post(f"{address}cancel/", follow=True))
    assert "had ended already" in text_of(desk.post(f"{address}cancel/", follow=True))
    assert "Only an import that failed" in text_of(desk.post(f"{address}retry/", follow=True))
    assert not Prompt.objects.exists()


def test_rejected_rows_are_downloaded_by_leads(upload, press, desk, project):
    upload(jsonl({"prompt": "One?", "responses": ["a"]}))
    press("import")
    answer = desk.get(f"/projects/desk/data/import/{Import.objects.get().pk}/rejected/")
    assert "attachment" in answer["Content-Disposition"]
    row = json.loads(answer.getvalue())
    assert (row["prompt"], row["rejected"]) == ("One?", "line 1: a comparison needs at least two different responses")


def test_an_import_of_another_project_is_not_found(upload, desk, alice, project):
    from annotation.models import Membership, Project

    upload(b'{"prompt": "One?"}')
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(person=alice.person, project=other, role="lead")
    assert desk.get(f"/projects/other/data/import/{Import.objects.get().pk}/").status_code == 404


def test_a_dataset_that_is_none_is_refused(upload, project):
    answer = upload(None, hub="not a name")
    assert answer.status_code == 422
    assert "A dataset is named owner/name" in text_of(answer)


def test_what_is_no_rows_at_all_names_its_lines(upload, project):
    html = text_of(upload(b"\x89PNG\r\n\x1a\n\x00\xff\xd8", "picture.png"))
    assert "not" in html
    assert not Prompt.objects.exists()


def test_imported_raters_are_marked_where_people_are_listed(desk, project):
    from annotation.shapes.rows import Said
    from tests.annotation.test_imported_labels import bring, comparison

    bring(project, comparison(Said(rater="ann", ranks=[1, 2])))
    html = text_of(desk.get("/projects/desk/people/"))
    assert re.search(r"ann-\w+</a>.{0,200}Imported", html)
