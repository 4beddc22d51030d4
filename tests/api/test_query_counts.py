"""How many statements each page and each list of the API may take: more is a mistake, or a decision to write down.

The numbers are those of a project that has been once round the loop. That they do not grow with the rows is tested
where the pages are.
"""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver

from annotation import accesskeys
from config.urls import urlpatterns
from tests.api.test_doors import OWN, ROUTES, address

KEPT = Path(__file__).with_name("query_counts.json")


def pages(patterns: list[Any] = urlpatterns, prefix: str = "/") -> dict[str, str]:
    """Every named page by its route, but for the admin's, and for those about a person's own things by number."""
    found = {}
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver) and one.namespace != "admin" and not route.startswith("/api"):
            found |= pages(one.url_patterns, route)
        elif isinstance(one, URLPattern) and one.name:
            found[one.name] = route
    return found


def statements(ask: Callable[[], Any]) -> int | None:
    """Of the second time: what a process asks once and knows then does not count. None where there is no such page."""
    if ask().status_code != 200:
        return None
    with CaptureQueriesContext(connection) as seen:
        answer = ask()
        list(getattr(answer, "streaming_content", []))
    return len(seen)


def counted(api: Callable[..., Any], world: Any, alice: Any) -> dict[str, int]:
    found: dict[str, int | None] = {}
    program, person = api(alice), Client()
    person.force_login(alice.person)
    for method, route in ROUTES:
        where = address(route, world.ids)
        if method == "get" and not route.startswith(OWN):
            found[f"get {route}"] = statements(lambda where=where: program.get(where))
    named = {"kind": "comparison", **world.ids}
    for name, route in pages().items():
        if set(re.findall(r"<\w+:(\w+)>", route)) - set(named):
            continue
        where = "/" + address(route.removeprefix("/"), named).removeprefix("/api/v1/")
        found[name] = statements(lambda where=where: person.get(where))
    return {name: count for name, count in found.items() if count is not None}


@pytest.mark.filterwarnings("ignore")
def test_no_page_and_no_list_takes_more_statements_than_it_may(api, world, alice, tmp_path, monkeypatch):
    monkeypatch.setattr(accesskeys, "USED_EVERY", timedelta(days=1))  # written down anew each minute
    found = counted(api, world, alice)
    assert len(found) > 80
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    (tmp_path / "query_counts.json").write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")
    more = {name: (count, kept.get(name)) for name, count in found.items() if count > kept.get(name, 0)}
    assert not more, f"counted and kept; what was counted is in {tmp_path}/query_counts.json"
    assert not set(kept) - set(found), "these are gone"
