"""A lead reads how people agree, finds who clicks left, and excludes them: by keyboard, on a desktop and on a phone."""

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.benchmarks.product import Product, running

DATA = """
import numpy as np
from annotation.guidelines import publish
from annotation.models import Membership, Project, User
from tests.benchmarks import raters
for slug in ("desk", "shop"):
    project = Project.objects.create(slug=slug, name=slug.capitalize(), labels_per_item=3)
    publish(project=project, text="# House style", asks_again=False)
    raters.LABELS = 60
    raters.fill(project, ["careful", "careful", "careful", "careful", "left-clicker"], np.random.default_rng(3), slug)
    lead, _ = User.objects.get_or_create(username="alice")
    lead.set_password("alice-has-a-secret")
    lead.save()
    Membership.objects.create(person=lead, project=project, role="lead")
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """Pages, and two projects with five people who have judged a hundred pairs."""
    with running() as made:
        made.manage("shell", "--no-imports", stdin=DATA)
        made.start("web")
        made.wait_for_pages()
        yield made


def accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def press_until(page: Page, focused: str, key: str = "Tab", most: int = 120) -> None:
    """Move on by keyboard until what matches has the focus."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("selector => document.activeElement.matches(selector)", focused):
            return
    raise AssertionError(f"{focused} cannot be reached with {key}")


@pytest.mark.parametrize(("width", "slug"), [(1440, "desk"), (360, "shop")])
def test_from_the_agreement_to_excluding_somebody(sign_in: Callable[..., Page], width: int, slug: str) -> None:
    lead = sign_in("alice", viewport={"width": width, "height": 800})
    lead.goto(f"/projects/{slug}/quality/?simulated")
    expect(lead.locator(".quality-sentence")).to_contain_text("People agree on")
    expect(lead.locator(".matrix tbody tr")).to_have_count(5)
    assert lead.evaluate("document.documentElement.scrollWidth <= innerWidth")
    accessible(lead)

    press_until(lead, ".tabs a:not([aria-current])")
    lead.keyboard.press("Enter")
    lead.wait_for_url("**/quality/people/")
    lead.goto(f"/projects/{slug}/quality/people/?simulated")
    unusual = lead.locator("[aria-labelledby=unusual-title] .way")
    expect(unusual).to_have_count(1)
    expect(unusual).to_contain_text("Takes the left answer")
    name = unusual.locator("h3").inner_text()
    press_until(lead, "[aria-labelledby=unusual-title] summary")
    lead.keyboard.press("Enter")
    accessible(lead)
    press_until(lead, "[name=because]")
    lead.keyboard.press("Control+a")
    lead.keyboard.type("always left")
    press_until(lead, "[value=exclude]")
    lead.keyboard.press("Enter")
    expect(lead.locator(".messages")).to_contain_text(f"The labels of {name} count for nothing")
    lead.goto(f"/projects/{slug}/quality/people/?simulated")
    expect(unusual.locator(".chip", has_text="Excluded")).to_be_visible()
    assert lead.evaluate("document.documentElement.scrollWidth <= innerWidth")

    lead.goto(f"/projects/{slug}/quality/?simulated")
    expect(lead.locator(".matrix tbody tr")).to_have_count(4)
    press_until(lead, "#method")
    lead.keyboard.press("Tab")
    lead.keyboard.press("Enter")
    expect(lead.locator(".messages")).to_contain_text("being worked out anew")
