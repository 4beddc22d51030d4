"""The order of queued runs: a lead moves their project's, a superuser decides between projects."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from annotation.models import Event, Project, User
from tests.training.making import a_model
from training import queueing, runs
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def four(project) -> list[Run]:
    base = a_model(project)
    return [Run.objects.create(project=project, method="generate", base=base) for _ in range(4)]


def order() -> list[int]:
    """In which workers take them."""
    taken = []
    while run := runs.claim(worker="a:1"):
        taken.append(run.pk)
    return taken


@pytest.mark.parametrize(
    ("place", "way", "expected"),
    [(2, "first", [2, 0, 1, 3]), (2, "up", [0, 2, 1, 3]), (1, "down", [0, 2, 1, 3]), (3, "first", [3, 0, 1, 2])],
)
def test_a_run_is_moved_among_its_project_s(four, alice, place, way, expected):
    assert queueing.move(run=four[place], way=way, actor=alice.person)
    assert order() == [four[one].pk for one in expected]
    assert Event.objects.get(verb="run moved").actor == alice.person


def test_it_stays_where_it_cannot_go_further(four):
    assert not queueing.move(run=four[0], way="first")
    assert not queueing.move(run=four[3], way="down")
    Run.objects.filter(pk=four[1].pk).update(status="running")
    assert not queueing.move(run=four[1], way="up")
    with pytest.raises(ValidationError, match="first, up or down"):
        queueing.move(run=four[2], way="sideways")


def test_no_run_of_another_project_waits_longer_for_it(project, four):
    other = Project.objects.create(slug="other", name="Other")
    theirs = Run.objects.create(project=other, method="generate", base=a_model(other))
    last = Run.objects.create(project=project, method="generate", base=four[0].base)
    queueing.move(run=last, way="first")
    assert order() == [last.pk, four[0].pk, four[1].pk, four[2].pk, theirs.pk, four[3].pk]


def test_a_superuser_lets_a_run_go_before_all_others(four, alice):
    root = User.objects.create_superuser("root")
    queueing.prioritise(run=four[3], priority=5, actor=root)
    with pytest.raises(ValidationError, match="superuser"):
        queueing.prioritise(run=four[2], priority=9, actor=alice.person)
    with pytest.raises(ValidationError, match="from -100 to 100"):
        queueing.prioritise(run=four[2], priority=101, actor=root)
    queueing.move(run=four[0], way="down")
    assert order() == [four[3].pk, four[1].pk, four[0].pk, four[2].pk]


def test_the_page_shows_the_line_and_moves_it(four, client, alice, bob):
    client.force_login(alice.person)
    page = reverse("runs", args=["desk"])
    assert list(client.get(page).context["line"]) == four
    client.post(reverse("move_run", args=["desk", four[3].pk]), {"way": "first"})
    assert client.get(page).context["line"][0] == four[3]
    client.post(reverse("move_run", args=["desk", four[3].pk]), {"way": "out"})
    client.force_login(bob.person)
    assert client.post(reverse("move_run", args=["desk", four[0].pk]), {"way": "first"}).status_code == 403
    assert order()[0] == four[3].pk


def test_so_does_the_api(four, client, alice):
    client.force_login(alice.person)
    address = f"/api/v1/projects/desk/runs/{four[1].pk}/move/"
    sent = {"way": "first"}
    assert client.post(address, sent, content_type="application/json").status_code == 200
    assert client.post(address, sent, content_type="application/json").status_code == 409
    assert client.post(address, {"way": "out"}, content_type="application/json").status_code == 400
