"""What a member sees of a project."""

from annotation.models import Project
from tests.annotation.making import a_comparison, a_demonstration


def test_the_list_says_the_role_and_what_waits(api, project, bob):
    a_comparison(project)
    a_demonstration(project)
    Project.objects.create(slug="other", name="Other")
    answer = api(bob).get("/api/v1/projects/").json()
    assert answer["results"] == [
        {
            "slug": "desk",
            "name": "Desk",
            "description": "",
            "role": "annotator",
            "waiting": {"demonstration": 1, "comparison": 1},
        }
    ]


def test_the_list_asks_for_memberships_once(api, member, bob, django_assert_max_num_queries):
    from annotation.models import Membership

    client = api(bob)
    for number in range(5):
        other = Project.objects.create(slug=f"p{number}", name=f"P{number}")
        Membership.objects.create(person=bob.person, project=other)
    client.get("/api/v1/notices/")  # that the key was used is noted once a minute
    with django_assert_max_num_queries(4 + 2 * 6):  # two counts for each project
        assert len(client.get("/api/v1/projects/").json()["results"]) == 6


def test_an_archived_project_is_not_listed(api, project, bob):
    project.archived = True
    project.save()
    assert api(bob).get("/api/v1/projects/").json()["results"] == []


def test_one_project_shows_its_rules_and_not_its_secrets(api, project, bob):
    a_comparison(project)
    answer = api(bob).get("/api/v1/projects/desk/").json()
    assert answer["guidelines"] == "# Be *kind*"
    assert answer["progress"]["comparison"] == {"items": 1, "done": 0, "wanted": 1}
    assert answer["own_labels"] == 0
    assert len(answer["strength_levels"]) == 4
    assert not {"gold_share", "heldout_share"} & set(answer)
