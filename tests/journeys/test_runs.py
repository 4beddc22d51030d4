"""A lead tunes a model by hand: asks which method, looks before it starts, watches it end, trains it further."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.benchmarks.product import Product

LABELLED = """
from annotation.models import Membership
from tests.training.making import an_edit
bob = Membership.objects.get(project__slug="desk", person__username="bob")
for _ in range(6):
    an_edit(bob)
"""
SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 360, "height": 740}}


@pytest.fixture(scope="module")
def labelled(product: Product) -> None:
    product.manage("shell", stdin=LABELLED)


def by_key(page: Page, role: str, name: str | re.Pattern[str]) -> None:
    """Press what has this name, with no mouse."""
    with page.expect_navigation():
        page.get_by_role(role, name=name).press("Enter")  # type: ignore[arg-type]


@pytest.mark.parametrize("screen", SIZES)
def test_from_the_question_which_method_to_a_model_that_is_trained_further(
    sign_in: Callable[..., Page], labelled: None, screen: str
) -> None:
    lead = sign_in("alice", viewport=SIZES[screen], reduced_motion="reduce")  # pulsing would take part of a core
    lead.goto("/projects/desk/runs/")
    by_key(lead, "link", "Start a run")
    by_key(lead, "link", "Which method?")
    for answer in ("The manner", "Well enough", "A processor"):
        lead.get_by_role("radio", name=re.compile(answer)).press("Space")
    by_key(lead, "button", "Propose")
    expect(lead.locator("main")).to_contain_text("Good answers")
    lead.goto("/projects/desk/runs/start/?method=sft&epochs=1")
    expect(lead.get_by_label("Passes over the examples")).to_have_value("1")
    by_key(lead, "button", "Look at it first")
    expect(lead.get_by_role("heading", level=1)).to_contain_text("before it starts")
    expect(lead.locator("main")).to_contain_text("of 6")
    by_key(lead, "button", "Start the run")
    expect(lead.locator("main")).to_contain_text("Succeeded", timeout=180_000)  # the page follows by itself
    expect(lead.locator("main")).to_contain_text("6 of 6 kept")
    by_key(lead, "button", "Continue as a new run")
    expect(lead.locator("main")).to_contain_text("Succeeded", timeout=180_000)
    expect(lead.locator("main")).to_contain_text("Continues")
    by_key(lead, "link", re.compile("^Yielded: "))
    expect(lead.locator("main")).to_contain_text("At the gate")
    by_key(lead, "link", "Its card")
    expect(lead.locator("body")).to_contain_text("# sft-")
