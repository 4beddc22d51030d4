"""The leads' desk: what a lead sees and does in the admin, and what nobody may."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation import accesskeys, labelling
from annotation.asking import add_response, ask
from annotation.models import Assignment, Event, Item, Label, Membership, Project, Prompt, User
from annotation.text import sha256
from config import permissions
from evaluation.models import Evaluation, Round, RoundStep, Score
from tests.api.test_doors import Walk
from training.models import Generation, ModelVersion, Run, Snapshot

PASSWORD = "alice-has-a-secret"
SEND = {"_form_submitted": "True"}  # what a dialog's form sends along

SCOPED = [
    "annotation_project", "annotation_prompt", "annotation_response", "annotation_item", "annotation_assignment",
    "annotation_label", "annotation_event", "training_snapshot", "training_run", "training_modelversion",
    "training_generation", "evaluation_round", "evaluation_evaluation",
]  # fmt: skip
PROVENANCE = [
    name
    for name in SCOPED
    if name not in ("annotation_project", "annotation_prompt", "annotation_item", "evaluation_round")
]


def rows_of(project: Project, person: User) -> dict[str, Any]:
    """One row of everything, by the name of its admin page."""
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "<script>alert(1)</script>?"}]
    prompt = Prompt.objects.create(project=project, messages=messages, sha256=sha256(messages), split="train")
    response, _ = add_response(prompt=prompt, text="<b>Yes</b>", origin="model")
    other, _ = add_response(prompt=prompt, text="No", origin="import")
    item, _ = ask(project=project, prompt=prompt, kind="comparison", responses=[response, other])
    Item.objects.filter(pk=item.pk).update(taken=1)
    now = timezone.now()
    assignment = Assignment.objects.create(
        item=item, person=person, leased_at=now, lease_until=now, order=[response.pk, other.pk]
    )
    label = labelling.submit(assignment=assignment, said=labelling.Said(ranks=(1, 2), strength=1))
    snapshot = Snapshot.objects.create(
        project=project, kind="preferences", rule={}, sha256=sha256(project.slug), folder="gone", counts={"rows": 1}
    )
    base = ModelVersion.objects.create(
        project=project, name="base", kind="policy", format="full", location="base", stage="production"
    )
    run = Run.objects.create(project=project, method="generate", base=base, snapshot=snapshot, step=1, total=4)
    generation = Generation.objects.create(project=project, run=run, model_version=base, seed=1)
    generation.samples.create(response=response, index=0)
    current = Round.objects.create(project=project, number=1, champion=base, challenger=base, status="done")
    step = RoundStep.objects.create(round=current, name="collecting", detail={"preferences": 3, "wanted": 2})
    step.step_runs.create(purpose="generate champion", run=run)
    evaluation = Evaluation.objects.create(project=project, model_version=base, kind="held-out pairs")
    Score.objects.create(evaluation=evaluation, name="reward accuracy", value=0.7, lower=0.6, upper=0.8, n=50)
    event = Event.objects.create(project=project, actor=person, verb="looked", target="item:1")
    rows = [
        project, prompt, response, item, assignment, label, event, snapshot, run, base, generation, current, evaluation
    ]  # fmt: skip
    return {f"{row._meta.app_label}_{row._meta.model_name}": row for row in rows}


@pytest.fixture
def rows(project: Project, bob: Any) -> dict[str, Any]:
    return rows_of(project, bob.person)


@pytest.fixture
def others(db: None) -> dict[str, Any]:
    """The rows of a project that alice has nothing to do with."""
    project = Project.objects.create(slug="elsewhere", name="Elsewhere")
    dora = User.objects.create_user("dora", password="dora-has-a-secret")
    Membership.objects.create(person=dora, project=project, role="annotator")
    return rows_of(project, dora)


@pytest.fixture
def desk(alice: Any, client: Client) -> Client:
    """Alice, who leads a project, signs in to the admin with nothing but `is_staff`."""
    User.objects.filter(pk=alice.person_id).update(is_staff=True)
    door = client.get(reverse("admin:index"), follow=True)
    assert door.request["PATH_INFO"] == reverse("login")
    answer = client.post(door.request["PATH_INFO"], {"username": "alice", "password": PASSWORD, "next": "/admin/"})
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:index"))
    return client


def url(name: str, page: str = "changelist", row: Any = None) -> str:
    return reverse(f"admin:{name}_{page}", args=[row.pk] if row is not None else [])


class TestWhoSeesWhat:
    def test_a_lead_sees_every_page_of_their_project(self, desk: Client, rows: dict[str, Any]) -> None:
        assert desk.get(reverse("admin:index")).status_code == 200
        for name, row in rows.items():
            assert str(row.pk) in desk.get(url(name)).content.decode(), name
            page = desk.get(url(name, "change", row))
            assert page.status_code == 200, name
            assert "<script>alert(1)" not in page.content.decode()
            assert "<b>Yes</b>" not in page.content.decode()

    def test_rows_of_another_project_are_not_found(self, desk: Client, others: dict[str, Any]) -> None:
        for name, row in others.items():
            listed = desk.get(url(name))
            assert listed.status_code == 200
            assert url(name, "change", row) not in listed.content.decode(), name
            assert "Elsewhere" not in listed.content.decode(), name
            for page in ("change", "history", "delete"):
                assert desk.get(url(name, page, row)).status_code in (403, 404), (name, page)
            assert desk.post(url(name, "change", row), {}).status_code in (403, 404), name

    @pytest.mark.parametrize(
        ("name", "button"),
        [
            ("annotation_project", "open_page"), ("annotation_label", "withdraw"), ("training_snapshot", "check_file"),
            ("training_run", "live"), ("training_run", "cancel"), ("training_run", "retry"),
            ("training_modelversion", "live"), ("evaluation_round", "advance"), ("evaluation_round", "cancel"),
            ("evaluation_round", "retry"), ("evaluation_round", "live"),
        ],
    )  # fmt: skip
    def test_buttons_do_not_reach_another_project(
        self, desk: Client, others: dict[str, Any], name: str, button: str
    ) -> None:
        where = url(name, button, others[name])
        assert desk.get(where).status_code == 404
        assert desk.post(where, SEND).status_code == 404

    def test_no_side_door_to_the_address_of_a_row(self, desk: Client, others: dict[str, Any]) -> None:
        for name in ("annotation_project", "evaluation_round"):
            row = others[name]
            kind = ContentType.objects.get_for_model(row)
            assert desk.get(f"/admin/r/{kind.pk}/{row.pk}/").status_code == 404

    def test_a_superuser_sees_all(self, admin_client: Client, others: dict[str, Any]) -> None:
        for name, row in others.items():
            assert admin_client.get(url(name, "change", row)).status_code == 200, name

    @pytest.mark.parametrize("role", ["annotator", "reviewer"])
    def test_staff_who_lead_nothing_see_nothing(
        self, client: Client, rows: dict[str, Any], member: Any, role: str
    ) -> None:
        person = member("eve", role).person
        User.objects.filter(pk=person.pk).update(is_staff=True)
        client.force_login(person)
        assert client.get(reverse("admin:index")).status_code == 200
        for name, row in rows.items():
            assert client.get(url(name)).status_code == 403, name
            assert client.get(url(name, "change", row)).status_code in (403, 404), name
        for button in ("freeze", "import_model", "begin"):
            model = {
                "freeze": "training_snapshot",
                "import_model": "training_modelversion",
                "begin": "evaluation_round",
            }
            assert client.post(url(model[button], button), SEND).status_code == 403
        assert client.post(url("evaluation_round", "add"), {}).status_code == 403

    def test_a_lead_who_is_not_staff_and_strangers_are_sent_to_the_door(self, client: Client, alice: Any) -> None:
        for _ in range(2):
            answer = client.get(url("evaluation_round"))
            assert answer.status_code == 302
            assert reverse("admin:login") in answer["Location"]
            client.force_login(alice.person)

    def test_a_lead_no_more(self, desk: Client, alice: Any, rows: dict[str, Any]) -> None:
        Membership.objects.filter(pk=alice.pk).update(role="reviewer")
        assert desk.get(url("training_run")).status_code == 403


class TestTheTable:
    """What docs/permissions.md says of the admin, tried line by line."""

    LET_IN = {200, 302}

    @pytest.fixture
    def people(self, member: Any, charlie: User, others: dict[str, Any]) -> dict[str, User]:
        olga = User.objects.create_user("olga", is_staff=True)
        Membership.objects.create(person=olga, project=others["annotation_project"], role="lead")
        alice, eve = member("alice", "lead").person, member("eve", "reviewer").person
        User.objects.filter(pk__in=[alice.pk, eve.pk]).update(is_staff=True)
        root = User.objects.create_superuser("root")
        return {"charlie": charlie, "eve": eve, "olga": olga, "alice": alice, "root": root}

    def test_each_line_holds(self, people: dict[str, User], rows: dict[str, Any], bob: Any) -> None:
        key, _ = accesskeys.make(owner=bob.person, name="A program", scopes=["read"], days=1)
        rows |= {"annotation_user": bob.person, "annotation_accesskey": key, "auth_group": Group.objects.create()}
        walk = Walk(people, {}, {})
        lines = list(permissions.desks())
        assert len(lines) > 90
        for line in lines:
            name = f"{line.model._meta.app_label}_{line.model._meta.model_name}"
            for method, page, row in self.addresses(line.verb, rows.get(name)):
                where = url(name, page, row)
                for who, may in {
                    "nobody": None,
                    "charlie": None,
                    "eve": line.staff,
                    "olga": line.lead and row is None,
                    "alice": line.lead,
                    "root": line.superuser,
                }.items():
                    self.check(walk, who, method, where, may)

    @staticmethod
    def addresses(verb: str, row: Any) -> list[tuple[str, str, Any]]:
        """(method, page, row) at which a verb is there; Django's own queue has no rows here."""
        if verb == "view":
            return [("GET", "changelist", None)] + ([("GET", "change", row), ("GET", "history", row)] if row else [])
        if verb in ("add", "freeze", "start", "import_model", "begin"):
            return [("GET", verb, None)]
        return [("POST" if verb == "change" else "GET", verb, row)] if row else []

    def check(self, walk: Walk, who: str, method: str, where: str, may: bool | None) -> None:
        answer = walk.answer(who, method, where)
        if may is None:  # no mark of staff
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, reverse("admin:login")), where
        else:
            expected = self.LET_IN if may else {403, 404}
            assert answer.status_code in expected, (who, method, where)


class TestProvenance:
    @pytest.mark.parametrize("name", PROVENANCE)
    def test_is_read_only_even_for_a_superuser(self, admin_client: Client, rows: dict[str, Any], name: str) -> None:
        row = rows[name]
        assert admin_client.get(url(name, "add")).status_code == 403
        assert admin_client.post(url(name, "change", row), {"verb": "x"}).status_code == 403
        assert admin_client.get(url(name, "delete", row)).status_code == 403
        deleted = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        admin_client.post(url(name), deleted)
        assert type(row).objects.filter(pk=row.pk).exists()

    def test_rounds_cannot_be_changed_or_deleted(self, admin_client: Client, rows: dict[str, Any]) -> None:
        row = rows["evaluation_round"]
        assert admin_client.post(url("evaluation_round", "change", row), {"number": 9}).status_code == 403
        assert admin_client.post(url("evaluation_round", "delete", row), {"post": "yes"}).status_code == 403

    def test_a_label_is_withdrawn_and_not_deleted(self, desk: Client, rows: dict[str, Any]) -> None:
        label = rows["annotation_label"]
        where = url("annotation_label", "withdraw", label)
        assert "stays on record" in desk.get(where).content.decode()
        assert Label.objects.live().filter(pk=label.pk).exists()
        assert desk.post(where, SEND).status_code == 302
        label.refresh_from_db()
        assert label.retracted_at
        assert "already" in desk.post(where, SEND, follow=True).content.decode()


@pytest.fixture
def base(project: Project) -> ModelVersion:
    return ModelVersion.objects.create(
        project=project, name="base", kind="policy", format="full", location="base", stage="production"
    )


class TestRounds:
    def test_a_lead_starts_a_round(self, desk: Client, base: ModelVersion, others: dict[str, Any], alice: Any) -> None:
        assert desk.get(url("evaluation_round", "begin")).status_code == 302
        page = desk.get(url("evaluation_round", "add")).content.decode()
        assert "Preferences to wait for" in page
        assert "Elsewhere" not in page
        sent = {"project": base.project_id, "minimum_comparisons": 5, "dpo_beta": 0.2, "skip_sft": "on"}
        answer = desk.post(url("evaluation_round", "add"), sent)
        started = Round.objects.get(project=base.project)
        assert answer["Location"] == url("evaluation_round", "change", started)
        assert started.started_by == alice.person
        assert started.settings["minimum_comparisons"] == 5
        assert started.settings["fresh_prompts"] == 24
        assert started.settings["dpo"]["beta"] == 0.2
        assert started.settings["skip"] == ["sft"]

        again = desk.post(url("evaluation_round", "add"), sent)
        assert again.status_code == 200
        assert "A round is under way" in again.content.decode()

    def test_what_is_wrong_is_said_in_the_form(self, desk: Client, base: ModelVersion) -> None:
        sent = {"project": base.project_id, "minimum_comparisons": 0, "random_share": 2}
        page = desk.post(url("evaluation_round", "add"), sent).content.decode()
        assert "greater than or equal to 1" in page
        assert "less than or equal to 1" in page
        assert not Round.objects.exists()

    def test_no_round_in_a_project_of_others(self, desk: Client, others: dict[str, Any]) -> None:
        page = desk.post(url("evaluation_round", "add"), {"project": others["annotation_project"].pk})
        assert "not one of the available choices" in page.content.decode()
        assert Round.objects.count() == 1

    def test_a_round_is_cancelled_and_retried(self, desk: Client, base: ModelVersion) -> None:
        current = Round.objects.create(project=base.project, number=1, champion=base)
        page = desk.get(url("evaluation_round", "change", current)).content.decode()
        assert url("evaluation_round", "cancel", current) in page
        assert url("evaluation_round", "retry", current) not in page

        assert desk.get(url("evaluation_round", "cancel", current)).status_code == 200
        current.refresh_from_db()
        assert current.status == "active", "a link must not change anything"
        desk.post(url("evaluation_round", "cancel", current), SEND)
        current.refresh_from_db()
        assert current.status == "cancelled"

        page = desk.get(url("evaluation_round", "change", current)).content.decode()
        assert url("evaluation_round", "cancel", current) not in page
        desk.post(url("evaluation_round", "retry", current), SEND)
        current.refresh_from_db()
        assert current.status == "active"
        assert list(Event.objects.order_by("id").values_list("verb", flat=True)) == [
            "round cancelled", "round retried",
        ]  # fmt: skip

    def test_advance_needs_something_to_learn_from(self, desk: Client, base: ModelVersion) -> None:
        current = Round.objects.create(project=base.project, number=1, champion=base)
        page = desk.post(url("evaluation_round", "advance", current), SEND, follow=True)
        assert "rank some answers first" in page.content.decode()

    def test_a_dialog_ends_with_the_page_being_loaded_anew(self, desk: Client, base: ModelVersion) -> None:
        current = Round.objects.create(project=base.project, number=1, champion=base)
        answer = desk.post(url("evaluation_round", "cancel", current), SEND, headers={"HX-Request": "true"})
        assert answer["HX-Redirect"] == url("evaluation_round", "change", current)


class TestRunsAndModels:
    def test_a_run_is_stopped_and_retried(self, desk: Client, base: ModelVersion) -> None:
        run = Run.objects.create(project=base.project, method="generate", base=base)
        desk.post(url("training_run", "cancel", run), SEND)
        run.refresh_from_db()
        assert run.status == "cancelled"
        assert "ended already" in desk.post(url("training_run", "cancel", run), SEND, follow=True).content.decode()
        desk.post(url("training_run", "retry", run), SEND)
        run.refresh_from_db()
        assert run.status == "queued"

    def test_a_model_is_promoted_on_its_page_where_the_gate_is(self, desk: Client, base: ModelVersion) -> None:
        answer = desk.get(url("training_modelversion", "live", base))
        assert answer["Location"] == f"/projects/{base.project.slug}/models/{base.pk}/"

    def test_a_base_model_is_imported(self, desk: Client, project: Project, others: dict[str, Any]) -> None:
        where = url("training_modelversion", "import_model")
        assert "Elsewhere" not in desk.get(where).content.decode()
        desk.post(where, {**SEND, "project": project.pk, "name": "small", "source": "acme/small"})
        run = Run.objects.get(project=project)
        assert (run.method, run.inputs) == ("convert", {"source": "acme/small", "name": "small"})
        page = desk.post(
            where, {**SEND, "project": project.pk, "name": "mine", "source": "/models/x.gguf"}, follow=True
        )
        assert "paths are for superusers" in page.content.decode()
        refused = {**SEND, "project": others["annotation_project"].pk, "name": "small", "source": "x"}
        assert "not one of the available choices" in desk.post(where, refused).content.decode()

    def test_labels_are_frozen(self, desk: Client, project: Project, rows: dict[str, Any]) -> None:
        where = url("training_snapshot", "freeze")
        desk.post(where, {**SEND, "project": project.pk, "kind": "preferences"})
        frozen = Snapshot.objects.filter(project=project).first()
        assert frozen is not None
        assert frozen.counts["rows"] == 1
        page = desk.get(url("training_snapshot", "check_file", frozen), follow=True)
        assert "byte for byte" in page.content.decode()
        page = desk.post(where, {**SEND, "project": project.pk, "kind": "demonstrations"}, follow=True)
        assert "No accepted or edited demonstration" in page.content.decode()


def memberships(*people: dict[str, Any], initial: int = 0) -> dict[str, Any]:
    form: dict[str, Any] = {"memberships-TOTAL_FORMS": len(people), "memberships-INITIAL_FORMS": initial}
    for number, person in enumerate(people):
        form |= {f"memberships-{number}-{key}": value for key, value in person.items()}
    return form


class TestProjectsAndPeople:
    FIELDS = {
        "name": "Help desk", "slug": "help", "labels_per_item": 2, "lease_minutes": 10, "skip_policy": "drop",
        "most_labels_per_item": 3,
        "strength_levels": "slightly\nmuch", "criteria": "helpful", "heldout_share": 0.2, "gold_share": 0,
        "flags": "dull\nrude\ndull",
    }  # fmt: skip

    def test_whoever_makes_a_project_leads_it(self, desk: Client, alice: Any) -> None:
        answer = desk.post(url("annotation_project", "add"), {**self.FIELDS, **memberships()})
        made = Project.objects.get(slug="help")
        assert answer.status_code == 302
        assert made.strength_levels == ["slightly", "much"]
        assert made.flags == ["dull", "rude"]
        assert made.memberships.get().person == alice.person
        assert made.memberships.get().role == "lead"

    def test_a_lead_changes_the_rules_and_not_the_address(self, desk: Client, project: Project, alice: Any) -> None:
        page = desk.get(url("annotation_project", "change", project)).content.decode()
        assert "significantly better" in page
        own = {"id": alice.pk, "role": "lead", "project": project.pk}
        answer = desk.post(url("annotation_project", "change", project), {**self.FIELDS, **memberships(own, initial=1)})
        assert answer.status_code == 302
        project.refresh_from_db()
        assert (project.name, project.slug, project.labels_per_item) == ("Help desk", "desk", 2)
        assert project.most_labels_per_item == 3
        assert Event.objects.filter(verb="project changed").exists()
        assert Membership.objects.get(pk=alice.pk).person_id == alice.person_id

    def test_a_lead_adds_people_by_name(self, desk: Client, project: Project, alice: Any, charlie: User) -> None:
        where = url("annotation_project", "change", project)
        own = {"id": alice.pk, "role": "lead", "project": project.pk}
        assert "charlie" not in desk.get(where).content.decode()
        nobody = desk.post(where, {**self.FIELDS, **memberships(own, {"person": "nobody", "role": "lead"}, initial=1)})
        assert "Nobody has this user name" in nobody.content.decode()
        desk.post(where, {**self.FIELDS, **memberships(own, {"person": "charlie", "role": "lead"}, initial=1)})
        assert Membership.objects.get(person=charlie).role == "lead"
        charlie.refresh_from_db()
        assert charlie.is_staff, "leads work in the admin"
        assert not charlie.is_superuser

    def test_a_lead_makes_an_account_that_can_do_nothing_else(
        self, desk: Client, project: Project, others: dict[str, Any]
    ) -> None:
        where = url("annotation_user", "add")
        assert "Elsewhere" not in desk.get(where).content.decode()
        sent = {
            "username": "fred", "usable_password": "true",
            "password1": "a-long-secret-7", "password2": "a-long-secret-7",
            "is_superuser": "on", "is_staff": "on",
            **memberships({"project": project.pk, "role": "annotator"}),
        }  # fmt: skip
        assert desk.post(where, sent).status_code == 302
        fred = User.objects.get(username="fred")
        assert (fred.is_staff, fred.is_superuser) == (False, False)
        assert fred.memberships.get().project == project
        assert "at least 1" in desk.post(where, sent | memberships() | {"username": "g"}).content.decode()
        refused = sent | memberships({"project": others["annotation_project"].pk, "role": "annotator"})
        assert "not one of the available choices" in desk.post(where, refused | {"username": "g"}).content.decode()

    def test_a_lead_sees_their_people_and_changes_none(
        self, desk: Client, bob: Any, others: dict[str, Any], charlie: User
    ) -> None:
        listed = desk.get(url("annotation_user")).content.decode()
        assert "bob" in listed
        assert "dora" not in listed
        assert "charlie" not in listed
        assert desk.get(url("annotation_user", "change", bob.person)).status_code == 200
        changed = {"username": "bob", "is_superuser": "on", **memberships()}
        assert desk.post(url("annotation_user", "change", bob.person), changed).status_code == 403
        password = reverse("admin:auth_user_password_change", args=[bob.person_id])
        assert desk.get(password).status_code == 403
        assert desk.get(url("annotation_user", "change", charlie)).status_code == 404
        assert desk.get(reverse("admin:auth_group_changelist")).status_code == 403

    def test_an_item_is_never_wanted_less_often_than_it_is_taken(self, desk: Client, rows: dict[str, Any]) -> None:
        item = rows["annotation_item"]
        where = url("annotation_item", "change", item)
        inlines = {
            f"{name}-{kind}": 0
            for name in ("answers", "assignments")
            for kind in ("TOTAL_FORMS", "INITIAL_FORMS")
        }  # fmt: skip
        page = desk.post(where, {"priority": 3, "wanted": 0, **inlines})
        assert "1 or more" in page.content.decode()
        Item.objects.filter(pk=item.pk).update(wanted=3, taken=1)
        assert desk.post(where, {"priority": 3, "wanted": 4, **inlines}).status_code == 302
        item.refresh_from_db()
        assert (item.priority, item.wanted, item.taken) == (3, 4, 1)
