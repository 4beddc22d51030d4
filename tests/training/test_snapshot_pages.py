"""The leads' pages about snapshots: listed, made by a form with a preview, looked into, taken out and compared."""

import csv
import io
import json
import zipfile
from typing import Any

import pyarrow.parquet
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation import excluding, labelling
from annotation.exporting import lines
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import Event, Membership, Project
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, an_edit, compares, demonstrates, says, succeeds
from training import runs, snapshots
from training.models import Freezing, RecipeVersion, Snapshot
from training.snapshots import Rule, asking, outgoing, recipes, saving

pytestmark = pytest.mark.django_db
FORM = {"kind": "preferences", "edits_as_preferences": "on"}


@pytest.fixture
def frozen(project: Project, bob: Any) -> Snapshot:
    for number in range(3):
        a_preference(bob, a_prompt(project, f"Where is parcel {number}?", language="en", tags=["parcels"]))
    return snapshots.freeze(project=project, kind="preferences")


@pytest.fixture
def lead(client: Client, alice: Any) -> Client:
    client.force_login(alice.person)
    return client


def page(name: str, *more: Any, slug: str = "desk") -> str:
    return reverse(name, args=[slug, *more])


def addresses(frozen: Snapshot, slug: str = "desk") -> dict[str, str]:
    """Every page that is read; and by `post`, those that are written to."""
    saved, _ = RecipeVersion.objects.get_or_create(
        project=frozen.project, name="house", number=1, kind="preferences", rule=Rule().stored()
    )
    asked = Freezing.objects.create(project=frozen.project, kind="preferences", rule=Rule().stored())
    of_one = ("snapshot", "snapshot_recipe", "snapshot_file", "compare_snapshots")
    return {
        **{name: page(name, slug=slug) for name in ("snapshots", "new_snapshot")},
        **{name: page(name, frozen.pk, slug=slug) for name in of_one},
        "snapshot_row": page("snapshot_row", frozen.pk, 0, slug=slug),
        "freezing": page("freezing", asked.pk, slug=slug),
        "recipe_file": page("recipe_file", saved.pk, slug=slug),
    }


def writes(frozen: Snapshot, slug: str = "desk") -> list[str]:
    return [
        page("new_snapshot", slug=slug),
        page("preview_snapshot", slug=slug),
        page("check_snapshot", frozen.pk, slug=slug),
    ]


# Who


def test_only_leads_of_the_project_get_in(client, frozen, alice, charlie, member):
    reads = addresses(frozen)
    for address in reads.values():
        assert client.get(address)["Location"].startswith(reverse("login"))
    for who, status in ((charlie, 404), (member("eve").person, 403), (member("rita", "reviewer").person, 403)):
        client.force_login(who)
        for address in reads.values():
            assert client.get(address).status_code == status, address
        for address in writes(frozen):
            assert client.post(address, FORM).status_code == status, address
    client.force_login(alice.person)
    for address in reads.values():
        assert client.get(address).status_code == 200, address


def test_what_belongs_to_another_project_is_not_found(lead, frozen, alice):
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(person=alice.person, project=other, role="lead")
    for name, address in addresses(frozen, slug="other").items():
        assert lead.get(address).status_code == (200 if name in ("snapshots", "new_snapshot") else 404), name
    assert lead.post(page("check_snapshot", frozen.pk, slug="other")).status_code == 404
    theirs = Snapshot.objects.create(project=other, kind="preferences", rule={}, sha256="0" * 64, folder="x")
    saved = saving.save(project=other, name="theirs", kind="preferences", rule=Rule())
    assert lead.get(page("compare_snapshots", frozen.pk), {"with": theirs.pk}).status_code == 404
    assert lead.get(page("new_snapshot"), {"from": theirs.pk}).status_code == 404
    assert lead.get(page("new_snapshot"), {"recipe": saved.pk}).status_code == 404


# The list


def test_the_list_says_what_each_is_made_of_and_who_used_it(lead, frozen, project, alice, bob):
    base = a_model(project, stage="production")
    run = succeeds(runs.start(project=project, method="dpo", base=base, snapshot=frozen, wake=False))
    shown = lead.get(page("snapshots")).content.decode()
    assert f'href="{page("run", run.pk)}"' in shown
    assert f'href="{page("model", run.model_version.pk)}"' in shown
    assert "Each pair of answers, by majority." in shown
    assert "Stale" not in shown
    excluding.exclude(membership=bob, because="guesses", actor=alice.person)
    assert "Stale" in lead.get(page("snapshots")).content.decode()


def test_without_snapshots_it_says_what_to_do(lead, project):
    shown = lead.get(page("snapshots")).content.decode()
    assert "Nothing is frozen yet" in shown
    assert page("new_snapshot") in shown


def test_that_nothing_was_frozen_is_told_until_its_kind_is_asked_for_again(lead, project, bob):
    def shown() -> list[str]:
        return [one.kind for one in lead.get(page("snapshots")).context["asked"]]

    for kind in ("preferences", "demonstrations", "preferences"):
        asking.ask(project=project, kind=kind, rule=Rule())
    assert shown() == ["preferences", "demonstrations"]
    a_preference(bob)
    asking.ask(project=project, kind="preferences", rule=Rule())
    assert shown() == ["demonstrations"]


def test_the_list_asks_the_same_number_of_questions_however_long_it_is(
    lead, frozen, project, django_assert_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(
        connection,
    ) as few:
        lead.get(page("snapshots"))
    for number in range(5):
        Snapshot.objects.create(project=project, kind="unpaired", rule={}, sha256=f"{number}" * 64, folder="x")
    with django_assert_num_queries(len(few)):
        lead.get(page("snapshots"))


# A new one


def test_a_form_is_looked_at_and_frozen(lead, frozen, project, bob, alice):
    says(bob, compares(a_prompt(project), "tied", "so"), ranks=(1, 1))
    for address, sent in ((page("preview_snapshot"), FORM), (page("new_snapshot"), {**FORM, "preview": "yes"})):
        shown = lead.post(address, sent)
        assert shown.status_code == 200
        assert shown.context["preview"].rows == 3
        assert "tied, or as many votes either way" in shown.content.decode()
        assert "Where is parcel" in shown.content.decode()
    assert Snapshot.objects.count() == 1
    answer = lead.post(page("new_snapshot"), {**FORM, "languages": ["en"], "minimum_votes": "1", "freeze": "yes"})
    assert answer["Location"] == page("snapshot", frozen.pk)  # the very same rows
    a_preference(bob)
    answer = lead.post(page("new_snapshot"), {**FORM, "freeze": "yes"})
    made = Snapshot.objects.latest("pk")
    assert answer["Location"] == page("snapshot", made.pk)
    assert (made.counts["rows"], made.created_by) == (4, alice.person)


def test_every_field_of_the_form_is_in_the_rule_and_comes_back(lead, frozen, project):
    project.flags = ["too long"]
    project.save()
    robot = a_model(project, "judge", kind="reward")
    sent = {
        **FORM,
        "aggregation": "weighted",
        "minimum_agreement": "0.6",
        "minimum_votes": "2",
        "simulated": "on",
        "purposes": ["train", "audit"],
        "languages": ["en"],
        "tags": 'parcels, "tea, green"',
        "without_tags": "old",
        "metadata": 'year = 2026\nname = "2026"\nsource = letters',
        "people": "bob",
        "without_people": "alice",
        "since": "2026-01-01",
        "until": "2026-12-31",
        "without_flags": ["too long"],
        "guessed_by": [str(robot.pk)],
        "confidence": "0.95",
        "most_made": "0.2",
        "weight_import": "0.5",
        "weight_edit": "1",
        "name": "everything",
        "save": "yes",
    }
    answer = lead.post(page("new_snapshot"), sent)
    saved = RecipeVersion.objects.get()
    assert answer["Location"] == f"{page('new_snapshot')}?recipe={saved.pk}"
    rule = Rule.model_validate(saved.rule)
    assert rule == Rule(
        aggregation="weighted",
        minimum_agreement=0.6,
        minimum_votes=2,
        simulated=True,
        purposes=["train", "audit"],
        languages=["en"],
        tags=["parcels", "tea, green"],
        without_tags=["old"],
        metadata={"year": 2026, "name": "2026", "source": "letters"},
        people=["bob"],
        without_people=["alice"],
        since="2026-01-01",
        until="2026-12-31",
        without_flags=["too long"],
        guessed_by=[robot.pk],
        confidence=0.95,
        most_made=0.2,
        weights={"import": 0.5},
    )
    form = lead.get(answer["Location"]).context["form"]
    again = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "", [], False)}
    lead.post(page("new_snapshot"), {**again, "name": "everything", "save": "yes"})
    assert RecipeVersion.objects.count() == 1  # nothing had changed


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"kind": "essays"}, "Select a valid choice"),
        ({"minimum_agreement": "0.2"}, "greater than or equal to 0.5"),
        ({"people": "bobb"}, "Nobody in this project is called bobb"),
        ({"since": "2026-12-02", "until": "2026-12-01"}, "The last day is before the first"),
        ({"metadata": "no equals sign"}, "is not name = value"),
        ({"weight_import": "50"}, "less than or equal to 20"),
        ({"tags": "\0"}, "contains a NUL character"),
        ({"minimum_votes": "3"}, "loosen its filters"),
        ({"answered_by": ["999999"]}, "no model 999999"),
        ({"answered_by": ["x"]}, "valid integer"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_frozen(lead, frozen, project, sent, said):
    project.model_versions.create(name="m", kind="policy", format="full", location="m")
    answered = a_model(project, "answering")
    from tests.training.test_made_rows import answers

    answers(answered, {a_prompt(project): ["an answer"]})
    answer = lead.post(page("new_snapshot"), {**FORM, **sent, "freeze": "yes"})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert Snapshot.objects.count() == 1
    preview = lead.post(page("preview_snapshot"), {**FORM, **sent})
    assert preview.status_code == 200
    assert said in preview.content.decode() or said == "loosen its filters"


def test_many_labels_do_not_hold_the_page_up(lead, frozen, bob, monkeypatch):
    monkeypatch.setattr(asking, "AT_ONCE", 1)
    a_preference(bob)
    answer = lead.post(page("new_snapshot"), {**FORM, "freeze": "yes"})
    asked = Freezing.objects.get()
    assert answer["Location"] == page("freezing", asked.pk)
    assert "waits for its turn" in lead.get(answer["Location"]).content.decode()
    assert "are being frozen" in lead.get(page("snapshots")).content.decode()
    Freezing.objects.filter(pk=asked.pk).update(done=1, total=4, state="running")
    part = lead.get(answer["Location"], headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    assert 'hx-trigger="every 1s"' in part.content.decode()
    Freezing.objects.filter(pk=asked.pk).update(state="waiting")
    made = asking.perform(asked.pk)
    part = lead.get(answer["Location"], headers={"HX-Request": "true"})
    assert part["HX-Redirect"] == page("freezing", asked.pk)
    assert lead.get(part["HX-Redirect"])["Location"] == page("snapshot", made.pk)


def test_a_recipe_is_saved_used_and_taken_from_a_file(lead, frozen, project, alice):
    lead.post(page("new_snapshot"), {**FORM, "languages": ["en"], "name": "english", "save": "yes"})
    saved = RecipeVersion.objects.get()
    assert saved.created_by == alice.person
    assert "english" in lead.get(page("snapshots")).content.decode()
    sent = {**FORM, "languages": ["en"], "recipe": saved.pk, "freeze": "yes"}
    a_preference(Membership.objects.get(person__username="bob"), a_prompt(project, language="en"))
    lead.post(page("new_snapshot"), sent)
    assert Snapshot.objects.latest("pk").recipe == saved
    text = lead.get(page("recipe_file", saved.pk)).content
    assert recipes.read(text) == recipes.Recipe("preferences", Rule(languages=["en"]))
    file = SimpleUploadedFile("recipe.yaml", text)
    shown = lead.post(page("new_snapshot"), {"file": file, "read": "yes"})
    assert shown.context["form"]["languages"].value() == ["en"]
    assert Snapshot.objects.count() == 2
    bad = lead.post(page("new_snapshot"), {"file": SimpleUploadedFile("x", b"- no"), "read": "yes"}, follow=True)
    assert "That is no recipe" in bad.content.decode()
    unnamed = lead.post(page("new_snapshot"), {**FORM, "name": " ", "save": "yes"})
    assert unnamed.status_code == 422


# One of them


def test_its_page_shows_recipe_rows_and_counts(lead, frozen):
    shown = lead.get(page("snapshot", frozen.pk)).content.decode()
    for part in (frozen.sha256, "by majority", "Where is parcel 0?", "parcels", "1 to 3 of 3", "kind: preferences"):
        assert part in shown
    row = lead.get(page("snapshot_row", frozen.pk, 1)).content.decode()
    assert "Labels behind it" in row
    assert ">bob</a>" in row
    assert lead.get(page("snapshot_row", frozen.pk, 3)).status_code == 404
    assert lead.get(page("snapshot_row", frozen.pk, 10**15)).status_code == 404


@pytest.mark.parametrize("start", ["", "x", "-1", "²", "99", "9" * 30])
def test_pages_of_rows_begin_somewhere(lead, frozen, start):
    assert "1 to 3" in (shown := lead.get(page("snapshot", frozen.pk), {"start": start}).content.decode()) or (
        "3 to 3" in shown
    )


def test_a_label_that_was_withdrawn_since_is_marked(lead, frozen, alice):
    labelling.retract(label=frozen.labels.get(pk=snapshots.read(frozen)[0]["labels"][0]), actor=alice)
    assert "Withdrawn since" in lead.get(page("snapshot_row", frozen.pk, 0)).content.decode()


def test_what_people_wrote_cannot_run(lead, project, bob):
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    says(bob, compares(a_prompt(project, attack, tags=[attack[:60]]), attack, f"{attack}."), ranks=(1, 2))
    frozen = snapshots.freeze(project=project, kind="preferences")
    sent = lead.post(page("preview_snapshot"), FORM)
    for shown in (
        sent,
        lead.get(page("snapshot", frozen.pk)),
        lead.get(page("snapshot_row", frozen.pk, 0)),
        lead.get(page("compare_snapshots", frozen.pk), {"with": frozen.pk}),
    ):
        assert "<script>alert" not in shown.content.decode()
        assert "<img src=x" not in shown.content.decode()


def taken_out(lead, frozen, shape: str) -> bytes:
    return b"".join(lead.get(page("snapshot_file", frozen.pk), {"as": shape}).streaming_content)


def test_it_is_taken_out_as_parquet_and_as_a_dataset_with_its_card(lead, frozen):
    answer = lead.get(page("snapshot_file", frozen.pk))
    sent = b"".join(answer.streaming_content)
    assert int(answer["Content-Length"]) == len(sent)
    assert pyarrow.parquet.read_table(io.BytesIO(sent)).to_pylist() == snapshots.read(frozen)
    archive = zipfile.ZipFile(io.BytesIO(taken_out(lead, frozen, "dataset")))
    files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert set(files) == {"preferences/train.parquet", "manifest.json", "recipe.yaml", "README.md"}
    assert json.loads(files["manifest.json"])["sha256"] == frozen.sha256
    assert files["preferences/train.parquet"] == sent
    card = files["README.md"].decode()
    for said in (
        "path: preferences/train.parquet",
        frozen.sha256,
        "| `preferences` | train | 3 | en 3 |",
        "- Each pair of answers, by majority.",
        "> # Be *kind*",
    ):
        assert said in card
    as_json = lead.get(page("snapshot_recipe", frozen.pk), {"as": "json"})
    assert json.loads(as_json.content) == {"kind": "preferences"}


def test_rows_go_out_as_those_of_the_project_did_when_it_was_frozen(lead, frozen, project, bob):
    """In each shape that has a line for each row; and they stay so, whatever is said later."""
    an_edit(bob, a_prompt(project, "A form?"))
    kinds = [frozen, *(snapshots.freeze(project=project, kind=kind) for kind in ("demonstrations", "unpaired"))]
    for one in kinds:
        shapes = [name for name, shape in outgoing.shapes(one.kind).items() if shape.line]
        assert shapes
        for shape in shapes:
            then = b"".join(lines.chunks(project=project, shape=shape, wanted=Wanted(), tally=Tally()))
            found = taken_out(lead, one, shape)
            wanted = [line for line in then.splitlines() if one != frozen or b"A form?" not in line]
            assert sorted(found.splitlines()) == sorted(wanted), shape
    assert Event.objects.filter(verb="data exported", data__snapshot=frozen.pk).count() == 3


def test_in_a_spreadsheet_nothing_of_it_runs(lead, project, bob):
    says(bob, demonstrates(a_prompt(project, "A sum?"), "2"), verdict="edit", text="=1+1")
    one = snapshots.freeze(project=project, kind="demonstrations")
    rows = list(csv.DictReader(io.StringIO(taken_out(lead, one, "csv").decode("utf-8-sig"), newline="")))
    assert [row["completion"] for row in rows] == ["'=1+1"]
    assert json.loads(rows[0]["prompt"]) == [{"role": "user", "content": "A sum?"}]


def test_a_shape_that_its_kind_has_not_is_refused(lead, frozen):
    answer = lead.get(page("snapshot_file", frozen.pk), {"as": "alpaca"}, follow=True)
    assert "There is no shape &#x27;alpaca&#x27; for preferences" in answer.content.decode()
    address = f"/api/v1/projects/desk/snapshots/{frozen.pk}/file/"
    assert lead.get(address, {"shape": "alpaca"}).status_code == 400
    sent = lead.get(address, {"shape": "trl-margin"})
    assert sent["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line)["margin"] for line in b"".join(sent.streaming_content).splitlines()] == [0.5] * 3


def test_a_damaged_file_is_told_and_written_anew(lead, frozen):
    checked = lead.post(page("check_snapshot", frozen.pk), follow=True)
    assert "its rows have the hash of then" in checked.content.decode()
    (frozen.path / "train.parquet").write_bytes(b"x")
    assert "has changed" in lead.post(page("check_snapshot", frozen.pk), follow=True).content.decode()
    assert "gone or damaged" in lead.get(page("snapshot", frozen.pk)).content.decode()
    assert lead.get(page("snapshot_file", frozen.pk), {"as": "csv"}).status_code == 302
    (frozen.path / "train.parquet").unlink()
    assert lead.get(page("snapshot_file", frozen.pk)).status_code == 302
    lead.post(page("new_snapshot"), {**FORM, "freeze": "yes"})
    assert snapshots.is_intact(frozen)


def test_two_are_compared(lead, frozen, project, bob):
    assert "no other snapshot" in lead.get(page("compare_snapshots", frozen.pk)).content.decode()
    a_preference(bob)
    later = snapshots.freeze(project=project, kind="preferences")
    shown = lead.get(page("compare_snapshots", later.pk), {"with": frozen.pk})
    assert shown.context["counts"] == {"added": 1, "removed": 0, "changed": 0, "same": 3}
    assert len(shown.context["changes"]) == 1
    none = lead.get(page("compare_snapshots", later.pk), {"with": frozen.pk, "what": "removed", "start": "7"})
    assert none.context["changes"] == []
    an_edit(bob)
    others = snapshots.freeze(project=project, kind="demonstrations")
    refused = lead.get(page("compare_snapshots", others.pk), {"with": frozen.pk})
    assert "same kind" in refused.content.decode()
