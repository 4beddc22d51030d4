"""A lead finds rows, ticks some, changes them, saves the view, and goes through it by keyboard and without a script."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.benchmarks.product import Product
from tests.journeys.desk import pages_alone

ROWS = """
from annotation import searching
from annotation.models import Project
from tests.annotation.making import a_prompt
project = Project.objects.get()
for number in range(5):
    a_prompt(project, f"Where is parcel {number}?", tags=["old"])
a_prompt(project, "Do you sell tea?")
searching.fill()
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with pages_alone() as made:
        made.manage("shell", "--verbosity=0", stdin=ROWS)
        yield made


def test_rows_are_found_ticked_and_changed(sign_in: Callable[..., Page]) -> None:
    page = sign_in("alice")
    page.goto("/projects/desk/")
    page.get_by_role("link", name="Data", exact=True).click()
    page.get_by_label("Words").fill("parcel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="5 prompts")).to_be_visible()
    expect(page.locator("mark").first).to_have_text("parcel")
    rows = page.locator("input[name=row]")
    button = page.get_by_role("button", name="Change the ticked rows")
    rows.nth(0).click()
    rows.nth(2).click(modifiers=["Shift"])
    expect(button).to_have_text("Change the ticked rows: 3")
    page.get_by_label("Tick all on this page").check()
    expect(button).to_have_text("Change the ticked rows: 5")
    rows.nth(4).click()
    expect(button).to_have_text("Change the ticked rows: 4")
    page.get_by_label("Put on tags").fill("looked at")
    button.click()
    expect(page.get_by_text("Done, for 4 prompts.")).to_be_visible()
    expect(page.get_by_role("link", name="looked at")).to_have_count(4)


def test_a_view_is_saved_and_opened_again(sign_in: Callable[..., Page]) -> None:
    page = sign_in("alice")
    page.goto("/projects/desk/data/?q=tea")
    page.get_by_text("Save this view").click()
    page.keyboard.type("About tea")
    page.get_by_role("button", name="Save it").click()
    page.goto("/projects/desk/data/")
    page.get_by_role("link", name="About tea").click()
    expect(page.get_by_role("heading", name="1 prompt")).to_be_visible()
    page.get_by_role("link", name="Do you sell tea?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Prompt 6")
    page.get_by_role("link", name="Browse", exact=True).click()
    expect(page.get_by_role("heading", name="6 prompts")).to_be_visible()


def test_without_a_script_boxes_are_plain_boxes(browser: Browser, product: Any, sign_in: Callable[..., Page]) -> None:
    page = sign_in("alice", java_script_enabled=False)
    page.goto("/projects/desk/data/?tag=old")
    expect(page.get_by_label("Tick all on this page")).to_be_hidden()
    page.locator("input[name=row]").first.check()
    page.get_by_label("Take off tags").fill("old")
    page.get_by_role("button", name="Change the ticked rows").click()
    expect(page.get_by_text("Done, for 1 prompt.")).to_be_visible()
