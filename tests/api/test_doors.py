"""Every address of the API, tried by those who may not: nobody reads or does what is not theirs."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLResolver

from config.api import urlpatterns

FOR_ALL = {
    "token/",
    "join/",
    "projects/",
    "notices/",
    "notices/read/",
    "access-keys/",
}  # a password, an invitation; then one's own rows
OWN = ("assignments/", "notices/<", "labels/")  # not even a superuser reads them for somebody else
FOR_ANNOTATORS = {
    "projects/<slug:slug>/",
    "projects/<slug:slug>/next/",
    "projects/<slug:slug>/undo/",
    "projects/<slug:slug>/labels/",
    "projects/<slug:slug>/check/",
    "projects/<slug:slug>/me/",
    "projects/<slug:slug>/guidelines/",
    "projects/<slug:slug>/guidelines/<int:number>/read/",
}


ASKED = {  # what must stand in the query
    "projects/<slug:slug>/models/compare/": "?first={base_id}&second={model_id}",
    "projects/<slug:slug>/runs/advice/": "?goal=manner&subject=known&means=one",
}
WITHOUT_FILES = "projects/<slug:slug>/models/<int:model_id>/export/"  # there are none of the world's models


def routes(patterns: list[Any] = urlpatterns, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(method, route) for all that the URL configuration knows."""
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, route)
        else:
            names = one.callback.view_class.http_method_names
            yield from ((name, route) for name in names if name != "options" and hasattr(one.callback.view_class, name))


ROUTES = list(routes())
LEADS = [
    (method, route)
    for method, route in ROUTES
    if route.startswith("projects/<slug:slug>/") and route not in FOR_ANNOTATORS
]


def address(route: str, ids: dict[str, Any]) -> str:
    path = re.sub(r"<\w+:(\w+)>", lambda found: str(ids[found[1]]), route)
    return f"/api/v1/{path}{ASKED.get(route, '').format(**ids)}"


def test_the_walk_sees_the_whole_api():
    assert len(ROUTES) >= 38
    assert ("post", "assignments/<int:assignment_id>/submit/") in ROUTES
    assert ("get", "projects/<slug:slug>/runs/<int:run_id>/metrics/") in LEADS


def test_nobody_gets_nothing(api, world):
    client = api()
    for method, route in ROUTES:
        answer = getattr(client, method)(address(route, world.ids))
        assert answer.status_code == (400 if route in ("token/", "join/") else 401), (method, route)


def test_an_outsider_finds_nothing(api, world, charlie):
    client = api(charlie)
    for method, route in ROUTES:
        if route not in FOR_ALL:
            answer = getattr(client, method)(address(route, world.ids))
            assert answer.status_code == 404, (method, route)
            assert list(answer.json()) == ["error" if "/openai/" in route else "detail"], (method, route)
    assert client.get("/api/v1/projects/").json()["results"] == []


def test_a_lead_of_another_project_finds_nothing_by_id(api, world, charlie):
    from annotation.models import Membership, Project

    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(person=charlie, project=other, role="lead")
    client = api(charlie)
    for method, route in ROUTES:
        if route.count("<") == 2:  # an id of the desk below one's own project
            answer = getattr(client, method)(address(route, {**world.ids, "slug": "other"}))
            assert answer.status_code == 404, (method, route)


FOR_REVIEWERS = {
    ("get", "projects/<slug:slug>/agreement/"): 200,
    ("get", "projects/<slug:slug>/raters/"): 200,
    ("get", "projects/<slug:slug>/review/"): 200,
    ("post", "projects/<slug:slug>/review/"): 200,
    ("get", "projects/<slug:slug>/prompts/"): 200,
    ("get", "projects/<slug:slug>/responses/"): 200,
    ("get", "projects/<slug:slug>/views/"): 200,
    ("post", "projects/<slug:slug>/views/"): 400,  # with nothing sent
    ("patch", "projects/<slug:slug>/views/<int:view_id>/"): 404,  # alice's own
    ("delete", "projects/<slug:slug>/views/<int:view_id>/"): 404,
}


@pytest.mark.parametrize("role", ["annotator", "reviewer"])
def test_what_is_for_leads_is_for_leads(api, world, member, role):
    client = api(member("dana", role))
    for method, route in LEADS:
        answer = getattr(client, method)(address(route, world.ids))
        expected = FOR_REVIEWERS.get((method, route), 403) if role == "reviewer" else 403
        assert answer.status_code == expected, (method, route)


def test_a_lead_reads_it_all(api, world, alice):
    """The same addresses do exist, so that the refusals above say something."""
    client = api(alice)
    for method, route in ROUTES:
        if method == "get" and not route.startswith(OWN):
            expected = 400 if route == WITHOUT_FILES else 200
            assert client.get(address(route, world.ids)).status_code == expected, route


def test_a_superuser_is_a_lead_everywhere_but_labels_only_as_a_member(api, world, django_user_model):
    client = api(django_user_model.objects.create_superuser("root", password="root-has-a-secret"))
    for method, route in ROUTES:
        if method == "get" and not route.startswith(OWN):
            expected = 400 if route == WITHOUT_FILES else 200
            assert client.get(address(route, world.ids)).status_code == expected, route
    assert client.get("/api/v1/projects/").json()["results"][0]["role"] == "lead"
    answer = client.post("/api/v1/projects/desk/next/", {"kind": "comparison"}, format="json")
    assert answer.status_code == 403
    assert "Join" in answer.json()["detail"]


def test_a_session_needs_the_csrf_token(api, world, alice):
    from rest_framework.test import APIClient

    client = APIClient(enforce_csrf_checks=True)
    client.force_login(alice.person)
    assert client.get("/api/v1/projects/").status_code == 200
    assert client.post("/api/v1/projects/desk/next/", {"kind": "comparison"}, format="json").status_code == 403
