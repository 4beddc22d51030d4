"""The product as a person meets it: real PostgreSQL, real processes, real Chromium, a tiny model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from config import postgres
from tests import browser as chromium
from tests import template
from tests.benchmarks.product import Beginning, Product, filled_once, running, usually
from tests.journeys.desk import PEOPLE

expect.set_options(timeout=15_000)  # milliseconds: two journeys share the cores


@pytest.fixture(scope="session", autouse=True)
def _migrated(django_db_modify_db_settings: None) -> Iterator[None]:
    """Products begin with the template of the other tests' databases, which is migrated."""
    with filled_once(lambda made: template.copy_to(postgres.url(made.var / "postgres"))) as migrated, usually(migrated):
        yield


@pytest.fixture(scope="session")
def desk(_migrated: None, tiny_model: Path) -> Iterator[Beginning]:
    """A desk with alice, bob, charlie outside, and the tiny model."""

    def fill(made: Product) -> None:
        template.copy_to(postgres.url(made.var / "postgres"))
        made.manage("shell", stdin=PEOPLE)
        made.manage("import_model", "desk", str(tiny_model), "--name=tiny")

    with filled_once(fill) as begin:
        yield begin


@pytest.fixture(scope="module")
def product(desk: Beginning) -> Iterator[Product]:
    """Web, queue and gpu worker at the desk."""
    with running("web", "queue", "gpu", begin=desk) as made:
        yield made


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium.find(),
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        )
        yield started
        started.close()


@pytest.fixture
def sign_in(browser: Browser, product: Product) -> Iterator[Callable[..., Page]]:
    """Open a browser of one's own, signed in: `sign_in("bob")`. A script error on any page fails the test, and so does
    whatever the page's own policy refuses."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(name: str, **options: Any) -> Page:
        context = browser.new_context(base_url=product.url, **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
        page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto("/sign-in/")
        page.locator("[name=username]").fill(name)
        page.locator("[name=password]").fill(f"{name}-has-a-secret")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/sign-in/" not in url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors
