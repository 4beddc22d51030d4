"""Teams: people are given items of their part alone, and what waits for them is what they are given."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from annotation import labelling, leasing, parts, progress, teams
from annotation.asking import ask
from annotation.models import Assignment, Event, Item, Team
from tests.annotation.making import a_prompt, all_at_once, an_answer, first_is_better, lease, miscounted


def about(project, language="", tags=(), **more) -> Item:
    """A comparison whose prompt has this language and these tags."""
    prompt = a_prompt(project, language=language, tags=list(tags))
    responses = [an_answer(prompt, text) for text in ("one", "two")]
    return ask(project=project, prompt=prompt, kind="comparison", responses=responses, **more)[0]


@pytest.fixture
def queue(project) -> dict[str, Item]:
    return {
        "plain": about(project),
        "tea": about(project, "en", ["tea"]),
        "plants": about(project, "en", ["plants"]),
        "tee": about(project, "de", ["tea"]),
        "pflanzen": about(project, "de", ["plants", "letters"], priority=1),
    }


def a_team(project, *members, name="Team", tags=(), languages=()) -> Team:
    made = Team.objects.create(project=project, name=name, tags=list(tags), languages=list(languages))
    made.members.set(members)
    return made


def given(member) -> list[Item]:
    """Everything the member is handed, in order, until nothing is left."""
    found = []
    while assignment := leasing.next_assignment(membership=member, kind="comparison"):
        found.append(assignment.item)
        labelling.submit(assignment=assignment, said=first_is_better())
    return found


@pytest.mark.parametrize(
    ("tags", "languages", "expected"),
    [
        ([], [], ["pflanzen", "plain", "tea", "plants", "tee"]),
        (["tea"], [], ["tea", "tee"]),
        ([], ["de"], ["pflanzen", "tee"]),
        (["tea"], ["de"], ["tee"]),
        (["letters", "tea"], ["de", "fr"], ["pflanzen", "tee"]),
        (["coffee"], [], []),
    ],
)
def test_people_are_given_what_fits_their_team_in_the_order_of_the_queue(
    project, bob, queue, tags, languages, expected
):
    a_team(project, bob, tags=tags, languages=languages)
    assert progress.waiting_for(bob)["comparison"] == len(expected)
    assert given(bob) == [queue[name] for name in expected]
    assert progress.waiting_for(bob)["comparison"] == 0


def test_people_in_several_teams_are_given_what_fits_any_of_them(project, bob, queue):
    a_team(project, bob, name="German tea", tags=["tea"], languages=["de"])
    a_team(project, bob, name="English plants", tags=["plants"], languages=["en"])
    assert progress.waiting_for(bob)["comparison"] == 2
    assert given(bob) == [queue["plants"], queue["tee"]]


def test_one_team_without_limits_opens_everything(project, bob, queue):
    a_team(project, bob, name="Tea", tags=["tea"])
    a_team(project, bob, name="All")
    assert parts.of(bob) == []
    assert len(given(bob)) == len(queue)


def test_people_in_no_team_are_given_everything(project, bob, bea, queue):
    a_team(project, bea, tags=["tea"])
    assert progress.waiting_for(bob)["comparison"] == len(given(bob)) == len(queue)


def test_a_team_of_another_project_says_nothing_here(project, bob, queue):
    from annotation.models import Membership, Project

    other = Project.objects.create(slug="other", name="Other")
    a_team(other, Membership.objects.create(person=bob.person, project=other), tags=["tea"])
    assert len(given(bob)) == len(queue)


def test_what_was_leased_before_stays_and_is_counted(project, bob, queue):
    held = lease(bob)
    assert held.item == queue["pflanzen"]
    a_team(project, bob, tags=["tea"])
    assert progress.waiting_for(bob)["comparison"] == 3
    assert given(bob) == [queue["pflanzen"], queue["tea"], queue["tee"]]


@pytest.mark.parametrize("wanted", [1, 2])
def test_what_waits_is_what_is_handed_out_whatever_others_did(project, bob, bea, queue, wanted):
    about(project, "fr", ["tea"])
    Item.objects.update(wanted=wanted)
    a_team(project, bob, bea, tags=["tea", "letters"])
    labelling.submit(assignment=lease(bea), said=first_is_better())
    leasing.skip(assignment=lease(bea))
    leasing.skip(assignment=lease(bob))
    lease(bea)
    waits = progress.waiting_for(bob)["comparison"]
    assert waits == len(given(bob)) > 0


def test_items_far_down_the_queue_are_found_and_known_to_the_team(project, bob, bea, queue, monkeypatch):
    monkeypatch.setattr(parts, "HEAD", 2)
    monkeypatch.setattr(parts, "MOST_KNOWN", 1)
    a_team(project, bob, bea, tags=["tea"])
    assert lease(bob).item == queue["tea"]
    assert lease(bea).item == queue["tee"], "the one known is taken: it is searched for anew"
    assert leasing.next_assignment(membership=bob, kind="comparison").item == queue["tea"]


@pytest.mark.django_db(transaction=True)
def test_a_team_at_once_shares_its_part_without_overlap(project, member, monkeypatch):
    monkeypatch.setattr(parts, "HEAD", 3)
    for number in range(16):
        about(project, tags=["tea"] if number % 2 else [])
    crew = [member(f"b{number}") for number in range(8)]
    a_team(project, *crew, tags=["tea"])
    found = all_at_once(*(lambda one=one: lease(one).item_id for one in crew))
    assert len(set(found)) == 8
    assert set(found) == set(Item.objects.filter(prompt__tags=["tea"]).values_list("pk", flat=True))
    assert not miscounted()


def test_the_claim_of_people_without_teams_does_not_look_at_prompts(project, bob, queue):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        lease(bob)
    (claim,) = [one["sql"].partition("), item AS (")[0] for one in asked if "candidate AS (" in one["sql"]]
    assert "annotation_prompt" not in claim


MANY = """
WITH prompts AS (
    INSERT INTO annotation_prompt (project_id, messages, sha256, split, language, tags, metadata, created_at)
    SELECT %s, '[]', 'many ' || n, 'train', '', CASE WHEN n > 4950 THEN '{rare}' ELSE '{often}' END::varchar[], '{}',
           now()
    FROM generate_series(1, 5000) n RETURNING id, project_id, sha256
)
INSERT INTO annotation_item (project_id, prompt_id, kind, purpose, priority, wanted, taken, dropped, selection,
                             fingerprint, created_at)
SELECT project_id, id, 'comparison', 'train', 0, 1, 0, false, '{}', sha256, now() FROM prompts ORDER BY id
"""


def test_what_stands_at_the_end_of_a_long_queue_is_found_by_the_index_of_the_prompts(project, bob):
    """The planner may not walk the queue, however evenly it thinks that what fits is spread."""
    from django.db import connection

    fits, more = parts.claims([parts.Part(tags=["rare"], languages=[])])
    asked = {"project": project.pk, "kind": "comparison", "person": bob.person_id, "spent": ["leased"], "most_known": 9}
    with connection.cursor() as cursor:
        cursor.execute(MANY, [project.pk])
        cursor.execute("ANALYZE annotation_prompt")
        cursor.execute("ANALYZE annotation_item")
        cursor.execute("EXPLAIN " + parts.SEARCH.format(fits=fits), {**asked, **more})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "prompt_tags" in plan
    assert "item_queue" not in plan
    a_team(project, bob, tags=["rare"])
    first = Item.objects.filter(prompt__tags=["rare"]).earliest("pk")
    assert Item.objects.filter(pk__lt=first.pk).count() > parts.HEAD
    assert lease(bob).item == first


# Making them


def test_a_lead_makes_changes_and_deletes_a_team_on_its_pages(client, project, alice, bob, queue):
    client.force_login(alice.person)
    page = client.get(reverse("new_team", args=["desk"])).content.decode()
    assert "tea · 2" in page
    assert "de · 2" in page
    sent = {"name": "Tea", "tags": ["tea"], "languages": ["de"], "members": [bob.pk]}
    assert client.post(reverse("new_team", args=["desk"]), sent).status_code == 302
    team = Team.objects.get()
    assert (team.tags, team.languages, list(team.members.all())) == (["tea"], ["de"], [bob])
    taken = client.post(reverse("new_team", args=["desk"]), {"name": "Tea"})
    assert taken.status_code == 422
    assert b"Another team of this project has this name" in taken.content
    unknown = client.post(reverse("team", args=["desk", team.pk]), {**sent, "languages": ["xx"]})
    assert unknown.status_code == 422
    client.post(reverse("team", args=["desk", team.pk]), {"name": "Letters", "tags": ["letters"]})
    team.refresh_from_db()
    assert (team.name, team.tags, team.languages, team.members.count()) == ("Letters", ["letters"], [], 0)
    assert "letters" in client.get(reverse("people", args=["desk"])).content.decode()
    client.post(reverse("delete_team", args=["desk", team.pk]))
    assert not Team.objects.exists()
    assert list(Event.objects.values_list("verb", flat=True)) == ["team made", "team changed", "team deleted"]


def test_a_tag_that_the_data_no_longer_has_stays_chosen(client, project, alice, queue):
    team = a_team(project, tags=["gone"])
    client.force_login(alice.person)
    assert "gone · 0" in client.get(reverse("team", args=["desk", team.pk])).content.decode()
    assert client.post(reverse("team", args=["desk", team.pk]), {"name": "Team", "tags": ["gone"]}).status_code == 302


def test_a_team_of_another_project_is_not_found(client, project, alice):
    from annotation.models import Project

    team = a_team(Project.objects.create(slug="other", name="Other"))
    client.force_login(alice.person)
    assert client.get(reverse("team", args=["desk", team.pk])).status_code == 404
    assert client.post(reverse("delete_team", args=["desk", team.pk])).status_code == 404
    assert Team.objects.exists()


def test_the_same_name_is_refused_with_a_reason(project, alice):
    a_team(project, name="Tea")
    with pytest.raises(ValidationError, match="has this name"):
        teams.save(project=project, actor=alice.person, name="Tea", tags=[], languages=[], members=[])
    assert Assignment.objects.count() == 0
