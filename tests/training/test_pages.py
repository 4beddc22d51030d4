"""The leads' pages about runs."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Event, Membership, Project
from tests.training.making import an_edit
from training import snapshots
from training.methods import METHODS
from training.models import Metric, ModelVersion, Run, Snapshot


@pytest.fixture
def base(project: Project) -> ModelVersion:
    return ModelVersion.objects.create(
        project=project, name="base", kind="policy", format="full", location="base", stage="production"
    )


@pytest.fixture
def run(base: ModelVersion, alice: Any) -> Run:
    """A DPO run that is halfway through."""
    snapshot = Snapshot.objects.create(project=base.project, kind="preferences", rule={}, sha256="a" * 64, folder="x")
    made = Run.objects.create(
        project=base.project,
        method="dpo",
        base=base,
        snapshot=snapshot,
        settings={"beta": 0.3},
        status="running",
        step=3,
        total=12,
        started_at=timezone.now() - timedelta(seconds=30),
        created_by=alice.person,
    )
    for step in (1, 2, 3):
        Metric.objects.create(run=made, step=step, values={"loss": 1 / step})
    return made


def pages(run: Run) -> list[str]:
    slug = run.project.slug
    return [reverse("runs", args=[slug]), *(reverse(name, args=[slug, run.pk]) for name in ("run", "run_metrics"))]


class TestWho:
    def test_a_stranger_is_asked_to_sign_in(self, client: Client, run: Run) -> None:
        for page in pages(run):
            assert client.get(page)["Location"].startswith(reverse("login"))

    def test_an_outsider_finds_nothing(self, client: Client, run: Run, charlie: Any) -> None:
        client.force_login(charlie)
        for page in pages(run):
            assert client.get(page).status_code == 404

    @pytest.mark.parametrize("role", ["annotator", "reviewer"])
    def test_whoever_does_not_lead_is_refused(self, client: Client, run: Run, member: Any, role: str) -> None:
        client.force_login(member("eve", role).person)
        for page in pages(run):
            assert client.get(page).status_code == 403
        for verb in ("cancel_run", "retry_run", "continue_run", "move_run"):
            assert client.post(reverse(verb, args=["desk", run.pk])).status_code == 403
        run.refresh_from_db()
        assert not run.cancel_requested

    def test_a_run_of_another_project_is_not_found(self, client: Client, run: Run, alice: Any) -> None:
        other = Project.objects.create(slug="other", name="Other")
        Membership.objects.create(person=alice.person, project=other, role="lead")
        client.force_login(alice.person)
        for name in ("run", "run_metrics"):
            assert client.get(reverse(name, args=["other", run.pk])).status_code == 404
        for verb in ("cancel_run", "retry_run", "continue_run", "move_run"):
            assert client.post(reverse(verb, args=["other", run.pk])).status_code == 404


@pytest.fixture
def lead(client: Client, alice: Any) -> Client:
    client.force_login(alice.person)
    return client


class TestPages:
    def test_the_list_has_the_newest_first(self, lead: Client, run: Run, base: ModelVersion) -> None:
        newer = Run.objects.create(project=run.project, method="generate", base=base)
        shown = lead.get(reverse("runs", args=["desk"]))
        assert list(shown.context["runs"]) == [newer, run]
        assert shown.context["is_lead"]

    def test_a_run_tells_its_settings_and_where_it_belongs(self, lead: Client, run: Run, base: ModelVersion) -> None:
        yielded = ModelVersion.objects.create(
            project=run.project, name="dpo-1", kind="policy", format="adapter", parent=base, run=run, location="y"
        )
        context = lead.get(reverse("run", args=["desk", run.pk])).context
        assert context["method"].title == "Prefer what people chose"
        rows = {row["title"]: row for row in context["settings_rows"]}
        assert rows["Beta: loyalty to the model before"]["value"] == "0.3"
        assert rows["Batch size"]["value"] == 4
        assert rows["What is trained"]["value"] == "LoRA: a small adapter"
        assert "memory" in rows["Batch size"]["help"]
        assert (context["can_cancel"], context["can_retry"]) == (True, False)
        links = {row["label"]: row["url"] for row in context["lineage"]}
        assert links["Yielded: dpo-1"] == reverse("model", args=["desk", yielded.pk])
        assert links["Started from: base"] == reverse("model", args=["desk", base.pk])
        assert any(label.startswith("Data: Preferences") for label in links)

    def test_a_run_tells_what_it_was_mixed_from(self, lead: Client, run: Run) -> None:
        rows = {"read": 90, "kept": 90, "trained_on": 60, "watched": 6, "longest_tokens": 9}
        run.rows = {**rows, "data_sets": {"main": 48, "7": 12}, "languages": {"en": 40, "sw": 20}}
        run.save()
        page = " ".join(lead.get(reverse("run", args=["desk", run.pk])).content.decode().split())
        for title, count in (("Of snapshot 7", 12), ("In sw", 20), ("Kept back to watch", 6)):
            assert f"<dt>{title}</dt> <dd> {count} </dd>" in page

    def test_a_model_being_imported_has_a_page_too(self, lead: Client, project: Project) -> None:
        run = Run.objects.create(project=project, method="convert", inputs={"source": "/x", "name": "x"})
        assert lead.get(reverse("run", args=["desk", run.pk])).status_code == 200

    def test_what_is_over_does_not_wait_for_its_first_step(self, lead: Client, project: Project) -> None:
        for status, waits in (("queued", True), ("failed", False)):
            run = Run.objects.create(project=project, method="convert", status=status)
            page = lead.get(reverse("run", args=["desk", run.pk])).content.decode()
            assert ("not yet begun" in page) == waits

    def test_the_log_is_shown_as_text(self, lead: Client, run: Run) -> None:
        run.folder.mkdir(parents=True)
        (run.folder / "log.txt").write_text("<script>alert(1)</script>")
        page = lead.get(reverse("run", args=["desk", run.pk])).content.decode()
        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)" in page


class TestMetrics:
    def test_only_what_is_new(self, lead: Client, run: Run) -> None:
        found = lead.get(reverse("run_metrics", args=["desk", run.pk]), {"after": 1}).json()
        assert [point["step"] for point in found["points"]] == [2, 3]
        assert found["points"][0]["values"] == {"loss": 0.5}
        assert (found["status"], found["step"], found["total"], found["percent"]) == ("running", 3, 12, 25)
        assert found["seconds_left"] == pytest.approx(90, rel=0.1)
        assert (found["error"], found["log"]) == ("", "")

    def test_nonsense_after_means_from_the_start(self, lead: Client, run: Run) -> None:
        found = lead.get(reverse("run_metrics", args=["desk", run.pk]), {"after": "x"}).json()
        assert len(found["points"]) == 3

    def test_a_long_curve_is_thinned_evenly(self, lead: Client, run: Run) -> None:
        Metric.objects.bulk_create(Metric(run=run, step=step, values={}) for step in range(4, 9001))
        steps = [point["step"] for point in lead.get(reverse("run_metrics", args=["desk", run.pk])).json()["points"]]
        assert len(steps) == 2000
        assert (steps[0], steps[-1]) == (1, 9000)
        assert max(b - a for a, b in pairwise(steps)) <= 5

    def test_a_run_that_waits_has_no_time(self, lead: Client, base: ModelVersion) -> None:
        run = Run.objects.create(project=base.project, method="generate", base=base)
        found = lead.get(reverse("run_metrics", args=["desk", run.pk])).json()
        assert (found["seconds"], found["seconds_left"], found["points"]) == (None, None, [])


class TestVerbs:
    def test_cancel_and_retry(self, lead: Client, run: Run) -> None:
        answer = lead.post(reverse("cancel_run", args=["desk", run.pk]))
        assert answer["Location"] == reverse("run", args=["desk", run.pk])
        run.refresh_from_db()
        assert run.cancel_requested
        Run.objects.filter(pk=run.pk).update(status="cancelled")
        lead.post(reverse("retry_run", args=["desk", run.pk]))
        run.refresh_from_db()
        assert (run.status, run.cancel_requested) == ("queued", False)
        assert [event.verb for event in Event.objects.order_by("id")] == ["run cancelled", "run retried"]

    def test_a_link_changes_nothing(self, lead: Client, run: Run) -> None:
        for verb in ("cancel_run", "retry_run"):
            assert lead.get(reverse(verb, args=["desk", run.pk])).status_code == 405

    def test_what_cannot_be_done_is_said(self, lead: Client, run: Run) -> None:
        page = lead.post(reverse("retry_run", args=["desk", run.pk]), follow=True)
        assert "Only a run that failed or was cancelled" in page.content.decode()
        Run.objects.filter(pk=run.pk).update(status="succeeded")
        page = lead.post(reverse("cancel_run", args=["desk", run.pk]), follow=True)
        assert "ended already" in page.content.decode()


class TestStart:
    """The form for one run: the method stands in the address and brings its settings."""

    page = "/projects/desk/runs/start/"

    def test_only_leads_come_in(self, client: Client, base: ModelVersion, charlie: Any, member: Any) -> None:
        assert client.get(self.page)["Location"].startswith(reverse("login"))
        for person, status in ((charlie, 404), (member("rita", "reviewer").person, 403)):
            client.force_login(person)
            assert client.get(self.page).status_code == status
            assert client.post(self.page).status_code == status
        assert not Run.objects.exists()

    def test_each_method_shows_its_settings_with_their_reasons(self, lead: Client, base: ModelVersion) -> None:
        assert lead.get(reverse("runs", args=["desk"])).content.decode().count(self.page) == 1
        for method, fields in (
            *(("sft", {"tuning", "packing"}), ("reward", {"use_margin", "center"})),
            *(("dpo", {"tuning", "beta"}), ("probe", {"depth"}), ("classify", {"tags"})),
        ):
            shown = lead.get(self.page, {"method": method})
            form = shown.context["form"]
            assert fields < set(form.fields)
            plan = {"after", "limit_minutes", "devices", "spread"}
            assert set(form.fields) - {"base", "snapshot", "simulated", "seed"} - plan == set(
                METHODS[method].settings.model_fields
            )
            page = shown.content.decode()
            for name in METHODS[method].settings.model_fields:
                assert f'name="{name}"' in page
                assert form[name].help_text
        assert lead.get(self.page).context["method"].name == "sft"
        assert lead.get(self.page, {"method": "convert"}).status_code == 404

    def test_a_run_on_the_labels_as_they_are_now(self, lead: Client, base: ModelVersion, bob: Any, alice: Any) -> None:
        an_edit(bob)
        sent = {"base": base.pk, "epochs": "1.5", "schedule": "linear", "gradient_checkpointing": "on", "seed": ""}
        sent["start"] = "yes"
        answer = lead.post(self.page + "?method=sft", sent)
        run = Run.objects.get()
        assert answer["Location"] == reverse("run", args=["desk", run.pk])
        assert (run.method, run.base, run.snapshot, run.seed) == ("sft", base, Snapshot.objects.get(), 17)
        assert run.created_by == alice.person
        assert (run.settings["epochs"], run.settings["schedule"]) == (1.5, "linear")
        assert (run.settings["gradient_checkpointing"], run.settings["batch_size"]) == (True, 4)

    def test_each_setting_is_on_the_form_once(self, lead: Client, base: ModelVersion) -> None:
        for method in ("sft", "reward", "dpo", "probe"):
            form = lead.get(self.page, {"method": method}).context["form"]
            shown = [*form.what_fields, *form.basic_fields, *(one for _, fields, _ in form.groups for one in fields)]
            names = [field.name for field in (*shown, *form.plan_fields)]
            assert sorted(names) == sorted(set(form.fields) - {"after"})  # nothing is there to wait for

    def test_a_setting_names_what_it_goes_with(self, lead: Client, base: ModelVersion) -> None:
        form = lead.get(self.page).context["form"]
        assert form.fields["layers"].widget.attrs["data-only-with"] == "tuning"
        assert form.fields["layers"].widget.attrs["data-only-for"] == "llama_adapter top_layers"
        assert form.fields["mix_alpha"].widget.attrs["data-only-with"] == "mix_by"
        assert "data-only-for" not in form.fields["epochs"].widget.attrs
        assert ("dora", "DoRA: an adapter that also scales") in form.fields["tuning"].choices

    def test_a_link_fills_the_form_in(self, lead: Client, base: ModelVersion) -> None:
        link = {"tuning": "ia3", "validation_share": "0.1", "packing": "True", "base": "7", "nonsense": "1"}
        form = lead.get(self.page, link).context["form"]
        assert {name: form[name].value() for name in ("tuning", "validation_share", "packing", "epochs")} == {
            **{"tuning": "ia3", "validation_share": "0.1"},
            **{"packing": True, "epochs": 3.0},
        }
        assert form["base"].value() == base.pk
        assert [title for title, _, is_open in form.groups if is_open] == [
            *("Against learning by heart", "More settings"),
        ]

    def test_data_may_be_mixed_in(self, lead: Client, base: ModelVersion, bob: Any) -> None:
        an_edit(bob)
        assert "others" not in lead.get(self.page).context["form"].fields
        first = snapshots.freeze(project=base.project, kind="demonstrations")
        an_edit(bob)
        lead.post(
            self.page, {"base": base.pk, "others": [first.pk], "replay_share": "0.5", "tuning": "dora", "start": "yes"}
        )
        run = Run.objects.get()
        assert [snapshot.pk for snapshot in run.snapshots][1:] == [first.pk]
        assert (run.settings["tuning"], run.settings["learning_rate"]) == ("dora", 2e-4)
        shown = lead.get(reverse("run", args=["desk", run.pk])).context
        assert f"Mixed in: {first}" in [row["label"] for row in shown["lineage"]]
        titles = {row["title"] for row in shown["settings_rows"]}
        assert "Adapter rank" in titles
        assert "Learned words" not in titles

    def test_what_does_not_go_together_is_said(self, lead: Client, base: ModelVersion, bob: Any) -> None:
        an_edit(bob)
        sent = {"base": base.pk, "tuning": "prompt", "gradient_checkpointing": "on"}
        page = lead.post(self.page, sent)
        assert page.status_code == 422
        assert "cannot save memory" in page.content.decode()
        refused = lead.post(self.page, {"base": base.pk, "mix_by": "language", "mix_weights": "en"})
        assert set(refused.context["form"].errors) == {"mix_weights"}
        assert not Run.objects.exists()

    def test_a_snapshot_may_be_chosen(self, lead: Client, base: ModelVersion, bob: Any) -> None:
        an_edit(bob)
        first = snapshots.freeze(project=base.project, kind="demonstrations")
        other = snapshots.freeze(project=base.project, kind="preferences")
        an_edit(bob)
        choices = lead.get(self.page).context["form"].fields["snapshot"].queryset
        assert list(choices) == [first]
        lead.post(self.page, {"base": base.pk, "snapshot": first.pk, "start": "yes"})
        assert Run.objects.get().snapshot == first
        refused = lead.post(self.page, {"base": base.pk, "snapshot": other.pk})
        assert "snapshot" in refused.context["form"].errors
        assert Run.objects.count() == 1

    @pytest.mark.parametrize(
        ("sent", "field"),
        [
            ({"epochs": "0"}, "epochs"),
            ({"batch_size": "0"}, "batch_size"),
            ({"schedule": "sometimes"}, "schedule"),
            ({"learning_rate": "fast"}, "learning_rate"),
            ({"seed": "-1"}, "seed"),
            ({"base": "0"}, "base"),
        ],
    )
    def test_what_is_wrong_is_said_first_and_beside_its_field(
        self, lead: Client, base: ModelVersion, bob: Any, sent: dict[str, str], field: str
    ) -> None:
        an_edit(bob)
        answer = lead.post(self.page, {"base": base.pk, **sent})
        assert answer.status_code == 422
        assert set(answer.context["form"].errors) == {field}
        assert f'<a href="#id_{field}">' in answer.content.decode()
        assert not Run.objects.exists()
        assert not Snapshot.objects.exists()

    def test_without_a_label_to_learn_from_it_says_so(self, lead: Client, base: ModelVersion) -> None:
        answer = lead.post(self.page + "?method=dpo", {"base": base.pk, "start": "yes"})
        assert "No comparison on a training prompt has a preferred answer yet." in answer.content.decode()
        assert not Run.objects.exists()

    def test_without_a_model_nothing_can_start(self, lead: Client, project: Project) -> None:
        page = lead.get(self.page)
        assert page.context["form"].lacks == "model"
        assert "There is no model to start from yet" in page.content.decode()
        assert lead.post(self.page).status_code == 422
