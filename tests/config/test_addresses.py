"""No page without a look: every address is known to the journey that asks for accessibility."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver

from config.urls import urlpatterns
from tests.journeys.test_accessibility import NO_PAGES, PAGES


def names(patterns: list[Any] = urlpatterns) -> Iterator[str]:
    """The name of every address but those of the admin and the API."""
    for one in patterns:
        if isinstance(one, URLPattern):
            if one.name:
                yield one.name
        elif isinstance(one, URLResolver) and one.namespace != "admin":
            yield from names(one.url_patterns)


def test_every_page_is_looked_at() -> None:
    assert set(names()) == set(PAGES) | set(NO_PAGES), "a new page needs one line in PAGES of test_accessibility.py"
    assert not set(PAGES) & set(NO_PAGES)
