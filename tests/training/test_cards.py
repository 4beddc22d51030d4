"""A model's card, the folder it is exported as, the drawing of who grew from whom, and what may be deleted."""

import io
import json
import zipfile

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from annotation import accesskeys
from annotation.models import Event
from tests.training.making import a_model, a_model_on_disk, an_edit, succeeds
from training import cards, graph, registry, runs, snapshots
from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def base(project) -> ModelVersion:
    return a_model_on_disk(project, stage="production", card={"licence": "apache-2.0"}, sha256="b" * 64)


@pytest.fixture
def tuned(project, base, bob) -> ModelVersion:
    an_edit(bob)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")
    settings = {"epochs": 2.0}
    run = succeeds(runs.start(project=project, method="sft", base=base, snapshot=snapshot, settings=settings, seed=5))
    version = run.model_version
    (version.path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/a/folder/here"}))
    return version


def test_a_card_says_what_is_on_record(tuned):
    text = cards.card(tuned, [("reward accuracy", "0.75")])
    for line in (
        "library_name: peft",
        'base_model: "base"',
        'license: "apache-2.0"',
        "| Licence of the base | apache-2.0 |",
        "| Seed | 5 |",
        "| Data | Demonstrations, 1 rows |",
        f"| SHA-256 of the data | {tuned.run.snapshot.sha256} |",
        "| `epochs` | 2.0 |",
        "| Labels behind it | 1 |",
        "- reward accuracy: 0.75",
    ):
        assert line in text.splitlines()
    assert "bob" not in text  # people are counted, not named


def test_the_licence_is_given_with_the_import(project):
    run = registry.import_model(project=project, name="small", source="acme/small", licence="mit", wake=False)
    assert "| Licence of the base | mit |" in cards.card(succeeds(run).model_version)


def test_a_card_of_a_base_says_what_is_not_known(project):
    text = cards.card(a_model(project))
    assert "| Licence of the base | not on record |" in text
    assert "license:" not in text
    assert "Nothing was measured." in text


def test_an_export_can_be_loaded_elsewhere(tuned, tmp_path, capsys):
    folder = tmp_path / "out"
    call_command("export_model", "desk", str(folder), "--model", tuned.name)
    assert capsys.readouterr().out.strip() == str(folder)
    assert {path.name for path in folder.iterdir()} == {"weights", "adapter_config.json", "README.md"}
    assert json.loads((folder / "adapter_config.json").read_text()) == {"base_model_name_or_path": "base"}
    with pytest.raises(CommandError, match="is not empty"):
        call_command("export_model", "desk", str(folder), "--model", tuned.name)


def test_what_is_not_on_disk_is_not_exported(project, tmp_path):
    with pytest.raises(ValidationError, match="not where it was stored"):
        cards.export(a_model(project), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_lead_downloads_model_and_card(client, alice, bob, tuned):
    client.force_login(alice.person)
    answer = client.get(reverse("export_model", args=["desk", tuned.pk]))
    names = zipfile.ZipFile(io.BytesIO(answer.getvalue())).namelist()
    assert set(names) == {f"{tuned.name}/{name}" for name in ("weights", "adapter_config.json", "README.md")}
    card = client.get(reverse("model_card", args=["desk", tuned.pk]))
    assert (card["Content-Type"], "# sft-" in card.content.decode()) == ("text/markdown; charset=utf-8", True)
    client.force_login(bob.person)
    for name in ("export_model", "model_card"):
        assert client.get(reverse(name, args=["desk", tuned.pk])).status_code == 403
    assert client.post(reverse("delete_model", args=["desk", tuned.pk])).status_code == 403


def test_so_does_a_program_with_an_access_key(alice, bob, tuned):
    where = f"/api/v1/projects/desk/models/{tuned.pk}/export/"
    for who, scope, status in ((alice, "data", 200), (alice, "read", 403), (bob, "data", 403)):
        _, secret = accesskeys.make(owner=who.person, name="x", scopes=[scope], days=1)
        answer = Client().get(where, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == status
        if status == 200:
            assert answer["Content-Type"] == "application/zip"
            assert f"{tuned.name}/README.md" in zipfile.ZipFile(io.BytesIO(answer.getvalue())).namelist()


# Deleting


def test_what_nothing_depends_on_goes_with_its_files(client, alice, tuned, django_capture_on_commit_callbacks):
    client.force_login(alice.person)
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("delete_model", args=["desk", tuned.pk]))
    assert not ModelVersion.objects.filter(pk=tuned.pk).exists()
    assert not tuned.path.exists()
    assert Run.objects.filter(pk=tuned.run_id).exists()
    assert Event.objects.get(verb="model deleted").data["name"] == tuned.name


def test_what_something_depends_on_stays(client, alice, project, base, tuned):
    with pytest.raises(ValidationError, match="it is the production model, 1 run, 1 model version"):
        registry.delete(version=base)
    a_model(project, "child", format="adapter", parent=tuned)
    client.force_login(alice.person)
    page = client.get(reverse("model", args=["desk", tuned.pk])).content.decode()
    assert "It cannot be deleted, as these refer to it: 1 model version." in page
    api = client.delete(f"/api/v1/projects/desk/models/{tuned.pk}/")
    assert api.status_code == 400
    assert tuned.path.exists()


def test_over_the_api_too(client, alice, tuned):
    client.force_login(alice.person)
    assert client.delete(f"/api/v1/projects/desk/models/{tuned.pk}/").status_code == 204
    assert not ModelVersion.objects.filter(pk=tuned.pk).exists()


def test_a_folder_that_was_brought_by_path_is_left_alone(project, tmp_path, django_capture_on_commit_callbacks):
    folder = tmp_path / "theirs"
    folder.mkdir()
    with django_capture_on_commit_callbacks(execute=True):
        registry.delete(version=a_model(project, location=str(folder)))
    assert folder.exists()


# Merging


def test_an_adapter_is_merged_by_a_run_that_yields_a_whole_model(client, alice, base, tuned):
    client.force_login(alice.person)
    assert b"Merge into whole weights" in client.get(reverse("model", args=["desk", tuned.pk])).content
    client.post(reverse("merge_model", args=["desk", tuned.pk]))
    run = Run.objects.get(method="merge")
    assert (run.base, run.settings, run.created_by) == (tuned, {}, alice.person)
    merged = succeeds(run).model_version
    assert (merged.parent, merged.kind) == (tuned, "policy")
    assert b"Merge into whole weights" not in client.get(reverse("model", args=["desk", base.pk])).content
    with pytest.raises(ValidationError, match="Only the adapter"):
        registry.merge(version=base)
    assert client.post(f"/api/v1/projects/desk/models/{base.pk}/merge/").status_code == 400
    assert client.post(f"/api/v1/projects/desk/models/{tuned.pk}/merge/").status_code == 201


# The drawing


def test_parents_stand_left_of_their_children_and_nothing_overlaps(project, client, alice):
    base = a_model(project)
    one = a_model(project, "one", format="adapter", parent=base)
    two = a_model(project, "two", format="adapter", parent=base)
    three = a_model(project, "three", format="adapter", parent=one)
    other = a_model(project, "other")
    drawn = graph.draw([three, two, one, base, other])
    at = {node.version: (node.x, node.y) for node in drawn.nodes}
    assert at[base][0] < at[one][0] == at[two][0] < at[three][0]
    assert at[one][1] <= at[base][1] <= at[two][1] < at[other][1]
    assert len(set(at.values())) == 5
    assert {(a.version, b.version) for a, b in drawn.edges} == {(base, one), (base, two), (one, three)}
    assert max(node.right for node in drawn.nodes) == drawn.width
    client.force_login(alice.person)
    page = client.get(reverse("models", args=["desk"])).content.decode()
    assert page.count('class="graph-edge"') == 3
    assert page.count(f'href="{reverse("model", args=["desk", three.pk])}"') == 2  # in the table, and in the drawing
