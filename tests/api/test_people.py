"""People, teams, invitations and work over HTTP: the same verbs as on the pages."""

import json

import pytest

from annotation import labelling
from annotation.models import Event, Invitation, Membership, Project, Team, User
from tests.annotation.making import a_comparison, first_is_better, lease

DESK = "/api/v1/projects/desk/"


@pytest.fixture
def lead(api, alice):
    return api(alice)


def test_a_lead_reads_people_and_their_workload(lead, project, alice, bob):
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better(seconds=12))
    rows = lead.get(f"{DESK}people/").json()["results"]
    assert [row["person"] for row in rows] == ["bob", "alice"]
    bobs = rows[0]
    assert (bobs["role"], bobs["labels"], bobs["recent"], bobs["median_seconds"]) == ("annotator", 1, 1, 12.0)
    assert lead.get(f"{DESK}people/{bob.person_id}/").json() == bobs


def test_a_lead_changes_role_and_teams(lead, project, alice, bob):
    team = Team.objects.create(project=project, name="Letters")
    where = f"{DESK}people/{bob.person_id}/"
    changed = lead.patch(where, {"role": "reviewer", "teams": [team.pk]}, format="json").json()
    assert (changed["role"], changed["teams"]) == ("reviewer", [team.pk])
    elsewhere = Team.objects.create(project=Project.objects.create(slug="other", name="Other"), name="There")
    assert lead.patch(where, {"teams": [elsewhere.pk]}, format="json").status_code == 400
    assert lead.patch(where, {"teams": []}, format="json").json()["teams"] == []
    refused = lead.patch(f"{DESK}people/{alice.person_id}/", {"role": "annotator"}, format="json")
    assert refused.status_code == 400
    assert "needs a lead" in refused.json()["non_field_errors"][0]


def test_a_lead_takes_somebody_out(lead, bob, alice):
    assert lead.delete(f"{DESK}people/{bob.person_id}/").status_code == 204
    assert not Membership.objects.filter(person=bob.person_id).exists()
    assert lead.delete(f"{DESK}people/{bob.person_id}/").status_code == 404
    assert lead.delete(f"{DESK}people/{alice.person_id}/").status_code == 400


def test_a_persons_work_is_taken_out_as_lines_or_as_a_table(lead, project, bob):
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    where = f"{DESK}people/{bob.person_id}/export/"
    (row,) = [json.loads(line) for line in lead.get(where).getvalue().decode().splitlines()]
    assert row["person"] != "bob"
    (row,) = [json.loads(line) for line in lead.get(where, {"names": "true"}).getvalue().decode().splitlines()]
    assert row["person"] == "bob"
    table = lead.get(where, {"file": "csv", "kind": "comparison"})
    assert table["Content-Type"].startswith("text/csv")
    assert table.getvalue().decode().count("\r\n") == 2
    assert lead.get(where, {"live": "false"}).getvalue() == b""
    assert lead.get(where, {"since": "soon"}).status_code == 400


def test_teams_are_made_changed_and_ended(lead, project, bob):
    sent = {"name": "Tea", "tags": ["tea"], "people": [bob.person_id]}
    made = lead.post(f"{DESK}teams/", sent, format="json")
    assert made.status_code == 201
    assert made.json() == {**sent, "id": made.json()["id"], "languages": []}
    where = f"{DESK}teams/{made.json()['id']}/"
    changed = lead.patch(where, {"languages": ["de"]}, format="json").json()
    assert (changed["tags"], changed["languages"], changed["people"]) == (["tea"], ["de"], [bob.person_id])
    assert lead.post(f"{DESK}teams/", {"name": "Tea"}, format="json").status_code == 400
    assert lead.patch(where, {"people": [10**6]}, format="json").status_code == 400
    assert [one["name"] for one in lead.get(f"{DESK}teams/").json()["results"]] == ["Tea"]
    assert lead.delete(where).status_code == 204
    assert not Team.objects.exists()


def test_a_link_is_made_used_and_taken_back(api, lead, charlie, db):
    made = lead.post(f"{DESK}invitations/", {"role": "reviewer", "uses": 3}, format="json")
    assert made.status_code == 201
    link = made.json()
    assert link["url"].endswith(f"/join/{link['token']}/")
    assert link["open"]
    joined = api(charlie).post("/api/v1/join/", {"token": link["token"]}, format="json")
    assert joined.json() == {"project": "desk", "role": "reviewer", "new": True}
    again = api(charlie).post("/api/v1/join/", {"token": link["token"]}, format="json")
    assert again.json()["new"] is False
    new = {"token": link["token"], "username": "dora", "password": "a-long-secret-7"}
    assert api().post("/api/v1/join/", new, format="json").json()["new"]
    assert User.objects.get(username="dora").check_password("a-long-secret-7")
    assert lead.get(f"{DESK}invitations/").json()["results"][0]["came_by_it"] == ["charlie", "dora"]
    where = f"{DESK}invitations/{link['id']}/revoke/"
    assert lead.post(where).json()["open"] is False
    assert lead.post(where).status_code == 409
    late = api().post("/api/v1/join/", {**new, "username": "dan"}, format="json")
    assert late.status_code == 409
    assert "taken back" in late.json()["detail"]
    assert Event.objects.filter(verb="invitation used").count() == 2


def test_joining_is_refused_with_a_reason(api, alice, project):
    link = Invitation.objects.create(project=project, author=alice.person)
    nobody = api()
    assert nobody.post("/api/v1/join/", {"token": "unknown"}, format="json").status_code == 404
    assert nobody.post("/api/v1/join/", {"token": link.token}, format="json").status_code == 401
    weak = {"token": link.token, "username": "dora", "password": "12345678"}
    refused = nobody.post("/api/v1/join/", weak, format="json")
    assert refused.status_code == 400
    assert "too common" in " ".join(refused.json()["non_field_errors"])
    taken = {"token": link.token, "username": "alice", "password": "a-long-secret-7"}
    assert nobody.post("/api/v1/join/", taken, format="json").status_code == 400
    assert User.objects.count() == 1
