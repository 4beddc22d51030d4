"""Roles, teams and leaving; who does how much; what somebody has done, and taking it out."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from annotation import exporting, labelling, leasing, people, work_done, workload
from annotation.models import Assignment, Event, Item, Label, Membership, Team
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    all_at_once,
    first_is_better,
    lease,
    miscounted,
)


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice.person)
    return client


def verbs() -> list[str]:
    return list(Event.objects.order_by("id").values_list("verb", flat=True))


# Roles, and leaving


def test_a_role_changes_on_record_and_a_new_lead_may_use_the_admin(alice, bob):
    people.set_role(membership=bob, role="lead", actor=alice.person)
    bob.refresh_from_db()
    bob.person.refresh_from_db()
    assert (bob.role, bob.person.is_staff) == ("lead", True)
    event = Event.objects.get()
    assert (event.verb, event.actor, event.data) == ("membership set", alice.person, {"person": "bob", "role": "lead"})
    people.set_role(membership=bob, role="lead", actor=alice.person)
    assert Event.objects.count() == 1, "the same role again is no change"


def test_the_last_lead_neither_steps_down_nor_leaves(alice, bob):
    for leave in (
        lambda: people.set_role(membership=alice, role="annotator", actor=alice.person),
        lambda: people.remove(membership=alice, actor=alice.person),
    ):
        with pytest.raises(ValidationError, match="needs a lead"):
            leave()
    people.set_role(membership=bob, role="lead", actor=alice.person)
    people.remove(membership=alice, actor=alice.person)
    assert list(Membership.objects.leads()) == [bob]


def test_a_lead_whose_account_is_closed_does_not_count(alice, bob):
    people.set_role(membership=bob, role="lead", actor=alice.person)
    bob.person.is_active = False
    bob.person.save()
    with pytest.raises(ValidationError, match="needs a lead"):
        people.remove(membership=alice, actor=alice.person)


@pytest.mark.django_db(transaction=True)
def test_two_leads_who_remove_each_other_leave_one(project, member):
    first, second = member("alice", "lead"), member("ann", "lead")

    def remove(one, actor):
        try:
            people.remove(membership=one, actor=actor.person)
        except ValidationError:
            return False
        return True

    done = all_at_once(lambda: remove(first, second), lambda: remove(second, first))
    assert sorted(done) == [False, True]
    assert project.memberships.leads().count() == 1


def test_who_is_removed_gives_back_what_they_hold_and_what_they_said_stays(project, alice, bob, bea):
    a_comparison(project)
    label = labelling.submit(assignment=lease(bob), said=first_is_better())
    item = a_comparison(project)
    held = lease(bob)
    Assignment.objects.filter(pk=held.pk).update(draft={"comment": "half a thought"})
    people.remove(membership=bob, actor=alice.person)
    assert not Membership.objects.filter(pk=bob.pk).exists()
    assert Label.objects.live().get() == label
    assert lease(bea).item == item
    assert not miscounted()
    assert "membership ended" in verbs()


def test_who_is_excluded_is_not_removed_since_their_labels_would_count_again(project, alice, bob):
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    Membership.objects.filter(pk=bob.pk).update(excluded_at=timezone.now())
    with pytest.raises(ValidationError, match="would count again"):
        people.remove(membership=bob, actor=alice.person)
    assert not Label.objects.counted().exists()


def test_teams_are_set_within_the_project(project, alice, bob):
    from annotation.models import Project

    here = Team.objects.create(project=project, name="Here")
    there = Team.objects.create(project=Project.objects.create(slug="other", name="Other"), name="There")
    people.set_teams(membership=bob, teams=[here, there], actor=alice.person)
    assert list(bob.teams.all()) == [here]
    assert Event.objects.get().data["teams"] == ["Here"]


@pytest.fixture
def in_the_admin(admin_client, project):
    """Take one member out by the project's page in the admin."""

    def take_out(one):
        where = reverse("admin:annotation_project_change", args=[project.pk])
        page = admin_client.get(where)
        sent = {}
        for form in page.context["inline_admin_formsets"][0].formset.initial_forms:
            role = form.instance.role
            sent |= {f"{form.prefix}-id": form.instance.pk, f"{form.prefix}-role": role}
            if form.instance.pk == one.pk:
                sent[f"{form.prefix}-DELETE"] = "on"
        fields = page.context["adminform"].form.initial
        lists = {name: "\n".join(value) for name, value in fields.items() if isinstance(value, list)}
        plain = {name: value for name, value in fields.items() if value is not None and value is not False}
        count = project.memberships.count()
        management = {"memberships-TOTAL_FORMS": count, "memberships-INITIAL_FORMS": count}
        return admin_client.post(where, plain | lists | sent | management)

    return take_out


def test_the_admin_sees_people_off_in_the_same_way(in_the_admin, project, alice, bob):
    a_comparison(project)
    lease(bob)
    assert in_the_admin(bob).status_code == 302
    assert list(project.memberships.all()) == [alice]
    assert not Assignment.objects.held().exists()
    assert not miscounted()
    assert "membership ended" in verbs()


def test_the_admin_keeps_whom_the_page_keeps(in_the_admin, project, alice, bob):
    assert "make somebody else one first" in in_the_admin(alice).content.decode()
    Membership.objects.filter(pk=bob.pk).update(excluded_at=timezone.now())
    assert "would count again" in in_the_admin(bob).content.decode()
    assert project.memberships.count() == 2


# Workload


def test_the_workload_counts_live_labels_leases_and_pace(project, alice, bob, bea):
    for _ in range(4):
        a_comparison(project, wanted=2)
    for seconds in (10, 30, 50):
        labelling.submit(assignment=lease(bob), said=first_is_better(seconds=seconds))
    old, withdrawn, _ = Label.objects.order_by("pk")
    labelling.retract(label=withdrawn, actor=bob)
    lease(bob)
    row, idle = workload.of([bob, bea])
    assert (row.labels, row.recent, row.leases, row.median_seconds) == (2, 2, 1, 30.0)
    assert row.last_active == Assignment.objects.held().get().leased_at
    assert (idle.labels, idle.recent, idle.leases, idle.median_seconds, idle.last_active) == (0, 0, 0, None, None)
    assert old.seconds == 10


def test_labels_of_another_project_are_no_work_in_this_one(project, bob):
    from annotation.models import Project

    other = Project.objects.create(slug="other", name="Other")
    there = Membership.objects.create(person=bob.person, project=other)
    a_comparison(other)
    labelling.submit(assignment=lease(there), said=first_is_better())
    assert [row.labels for row in workload.of([bob])] == [0]
    assert [row.labels for row in workload.of([there])] == [1]


def test_the_page_shows_who_does_how_much(as_alice, project, alice, bob):
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better(seconds=42))
    Membership.objects.filter(pk=bob.pk).update(paused_at=timezone.now(), paused_because="too fast")
    page = as_alice.get(reverse("people", args=["desk"])).content.decode()
    assert "42 s" in page
    assert "Paused" in page
    assert page.index("alice") < page.index("bob"), "leads come first"
    people.remove(membership=bob, actor=alice.person)
    page = as_alice.get(reverse("people", args=["desk"])).content.decode()
    assert "No longer members" in page
    assert as_alice.get(reverse("person", args=["desk", bob.person_id])).status_code == 200


# The page of one person


def test_a_lead_changes_role_and_teams_on_the_page(as_alice, project, bob):
    team = Team.objects.create(project=project, name="Letters")
    where = reverse("person", args=["desk", bob.person_id])
    assert as_alice.post(where, {"role": "reviewer", "teams": [team.pk]}).status_code == 302
    bob.refresh_from_db()
    assert (bob.role, list(bob.teams.all())) == ("reviewer", [team])
    refused = as_alice.post(where, {"role": "king"})
    assert refused.status_code == 422
    assert b"not one of the available choices" in refused.content


def test_the_last_lead_is_told_why_on_the_page(as_alice, alice):
    where = reverse("person", args=["desk", alice.person_id])
    answer = as_alice.post(where, {"role": "annotator"})
    assert answer.status_code == 422
    assert b"make somebody else one first" in answer.content
    answer = as_alice.post(reverse("remove_person", args=["desk", alice.person_id]), follow=True)
    assert b"make somebody else one first" in answer.content


def test_what_somebody_has_done_is_paged_by_key_and_filtered(as_alice, project, bob, monkeypatch):
    monkeypatch.setattr("annotation.views.people.LABELS_A_PAGE", 2)
    labels = []
    for number in range(4):
        a_comparison(project)
        said = first_is_better(comment=f"word {number}")
        labels.append(labelling.submit(assignment=lease(bob), said=said))
    a_demonstration(project)
    labelling.submit(assignment=lease(bob, "demonstration"), said=labelling.Said(verdict="accept", comment="kept"))
    labelling.retract(label=labels[0], actor=bob)
    where = reverse("person", args=["desk", bob.person_id])
    first = as_alice.get(where, {"kind": "comparison"}).content.decode()
    assert [f"word {n}" in first for n in range(4)] == [False, False, True, True]
    assert "kept" not in first
    assert f"?kind=comparison&amp;before={labels[2].pk}" in first
    older = as_alice.get(where, {"kind": "comparison", "before": labels[2].pk}).content.decode()
    assert [f"word {n}" in older for n in range(4)] == [True, True, False, False]
    assert "Newest" in older
    assert "Older" not in older
    ended = as_alice.get(where, {"standing": "ended"}).content.decode()
    assert "word 0" in ended
    assert "word 1" not in ended
    tomorrow = (timezone.now() + timedelta(days=1)).date().isoformat()
    assert "Nothing that fits" in as_alice.get(where, {"since": tomorrow}).content.decode()
    for nonsense in ({"before": "x"}, {"before": "9" * 30}, {"kind": "x"}, {"since": "yesterday"}):
        assert as_alice.get(where, nonsense).status_code == 200


def test_a_person_of_another_project_is_not_found(as_alice, charlie, project):
    for page in ("person", "export_work"):
        assert as_alice.get(reverse(page, args=["desk", charlie.pk])).status_code == 404
    assert as_alice.post(reverse("remove_person", args=["desk", charlie.pk])).status_code == 404


# Taking their work out


@pytest.fixture
def worked(project, bob):
    a_comparison(project, answers=("=1+1", "Good day."))
    labelling.submit(assignment=lease(bob), said=first_is_better(comment="=HYPERLINK(1)", seconds=7))
    a_demonstration(project, "+44 20 1234")
    said = labelling.Said(verdict="edit", text="@home, we say: call us", flags=["tone"])
    labelling.submit(assignment=lease(bob, "demonstration"), said=said)


def body(answer) -> str:
    return b"".join(answer.streaming_content).decode()


def test_work_is_taken_out_under_the_same_pseudonym_as_everywhere(as_alice, project, bob, worked):
    where = reverse("export_work", args=["desk", bob.person_id])
    rows = [json.loads(line) for line in body(as_alice.get(where)).splitlines()]
    pseudonym = exporting.pseudonym(project=project, person_id=bob.person_id)
    assert {row["person"] for row in rows} == {pseudonym}
    assert [row["kind"] for row in rows] == ["comparison", "demonstration"]
    assert rows[0]["votes"][0]["rank"] == 1
    assert rows[1]["text"] == "@home, we say: call us"
    everything = [label for row in exporting.labelled_rows(project=project) for label in row["labels"]]
    assert {label["person"] for label in everything} == {pseudonym}
    assert "bob" not in body(as_alice.get(where))


def test_names_are_a_choice_that_is_put_on_record(as_alice, bob, alice, worked):
    where = reverse("export_work", args=["desk", bob.person_id])
    answer = as_alice.get(where, {"names": "on", "kind": "demonstration"})
    rows = [json.loads(line) for line in body(answer).splitlines()]
    assert [row["person"] for row in rows] == ["bob"]
    event = Event.objects.get(verb="work exported")
    assert (event.actor, event.data) == (alice.person, {"person": "bob", "names": True})


def test_a_spreadsheet_runs_nothing_of_it(as_alice, bob, worked):
    answer = as_alice.get(reverse("export_work", args=["desk", bob.person_id]), {"format": "csv"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].endswith('.csv"')
    table = list(csv.DictReader(io.StringIO(body(answer).removeprefix("\ufeff"))))
    assert tuple(table[0]) == work_done.COLUMNS
    assert table[0]["comment"] == "'=HYPERLINK(1)"
    assert table[0]["ranks"] == "1 2"
    assert table[1]["text"] == "'@home, we say: call us"
    dangerous = [cell for row in table for cell in row.values() if cell.startswith(work_done.FORMULA)]
    assert not dangerous


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "\u00a0=1", "＝1"])
def test_what_a_spreadsheet_takes_for_a_formula_is_marked_as_text(text):
    assert work_done.cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["Good day.", "", "a=b", 4.5, -3, True])
def test_other_cells_stay_as_they_are(value):
    assert work_done.cell(value) == value


def test_a_paused_lease_or_item_is_no_label(project, bob):
    a_comparison(project)
    leasing.skip(assignment=lease(bob))
    assert workload.of([bob])[0].labels == 0
    assert Item.objects.get().taken == 0
