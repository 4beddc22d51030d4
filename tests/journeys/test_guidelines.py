"""Guidelines that changed are read before the next item, and the label says which version it follows; by keyboard."""

import json
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.benchmarks.product import Product
from tests.journeys.desk import pages_alone
from tests.pages import until

SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 360, "height": 740}}
PREPARE = """
from annotation.importing import import_lines
from annotation.models import Project
project = Project.objects.get(slug="desk")
project.labels_per_item = 1
project.save()
import_lines(project=project, lines=ROWS)
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with pages_alone() as made:
        yield made


@pytest.fixture(scope="module")
def items(product: Product) -> None:
    rows = [json.dumps({"prompt": f"Do you sell tea {n}?", "responses": ["Yes, we do.", "No."]}) for n in range(30)]
    product.manage("shell", stdin=PREPARE.replace("ROWS", repr(rows)))


def judge(page: Page) -> int:
    """Judge the item on the page; returns the version of the guidelines on the label."""
    page.keyboard.press("ArrowLeft")
    with page.expect_response(lambda answer: answer.url.endswith("/submit/")):
        page.keyboard.press("Enter")
    until(page, "document.documentElement.dataset.outbox === 'sent'")
    return page.evaluate("fetch('/api/v1/projects/desk/labels/').then(r => r.json())")["results"][0]["guidelines"]


def publish(lead: Page, text: str, note: str) -> None:
    lead.goto("/projects/desk/guidelines/edit/")
    lead.get_by_label("Guidelines", exact=True).fill(text)
    lead.get_by_label("What changed").fill(note)
    lead.get_by_label("What changed").press("Enter")
    lead.wait_for_url(lambda url: url.endswith("/guidelines/"))


@pytest.mark.parametrize("screen", SIZES)
def test_a_change_is_read_once_and_stands_on_the_labels_that_follow_it(
    product: Product, sign_in: Callable[..., Page], items: None, screen: str
) -> None:
    lead, page = sign_in("alice", viewport=SIZES[screen]), sign_in("bob", viewport=SIZES[screen])
    page.goto("/projects/desk/label/comparison/")
    page.wait_for_selector("[name=client_uuid]", state="attached")
    before = judge(page)

    publish(lead, f"# House style\n\nBe brief on a {screen}.", f"Brief on a {screen}.")
    assert judge(page) == before  # what is on the page is judged by what they know
    if page.locator("[name=client_uuid]").count():  # and so is what was fetched ahead
        assert judge(page) == before
    expect(page.locator("[data-reading]")).to_be_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.get_by_role("button", name="I have read").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[name=client_uuid]", state="attached")
    assert judge(page) == before + 1
    assert page.evaluate("document.querySelector('#guide .guide-text').textContent").strip().endswith(f"{screen}.")

    page.goto("/projects/desk/guidelines/versions/")
    page.get_by_role("link", name=f"Version {before + 1}").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".changed ins").first).to_be_visible()
    page.goto("/projects/desk/me/")
    expect(page.locator(".figures")).to_contain_text("Labels today")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def sign_in_again(page: Page, name: str) -> None:
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(f"{name}-has-a-secret")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url.endswith("/guidelines/edit/"))


ANOTHER_LEAD = """
from annotation.models import Membership, Project, User
erin = User.objects.create_user("erin", password="erin-has-a-secret")
Membership.objects.create(person=erin, project=Project.objects.get(slug="desk"), role="lead")
"""


def test_a_text_is_offered_only_to_who_wrote_it(product: Product, sign_in: Callable[..., Page]) -> None:
    product.manage("shell", stdin=ANOTHER_LEAD)
    page = sign_in("alice")
    offer, text = page.locator("[data-keep-offer]"), page.get_by_label("Guidelines", exact=True)
    for name, hers in (("alice", "Alice's"), ("erin", "Erin's")):
        page.goto("/projects/desk/guidelines/edit/")
        if name == "erin":
            sign_in_again(page, name)
        expect(offer).to_be_hidden()
        text.fill(hers)
        page.context.clear_cookies(name="sessionid")
    page.goto("/projects/desk/guidelines/edit/")
    sign_in_again(page, "alice")
    expect(offer).to_be_visible()
    page.get_by_role("button", name="Go on with it").click()
    expect(text).to_have_value("Alice's")


def test_a_text_that_was_sent_when_signed_out_is_offered_again(product: Product, sign_in: Callable[..., Page]) -> None:
    lead = sign_in("alice")
    lead.goto("/projects/desk/guidelines/edit/")
    offer = lead.get_by_text("You wrote something here that was not saved.")
    text, save = lead.get_by_label("Guidelines", exact=True), lead.get_by_role("button", name="Save")
    text.fill("# A long evening's work")
    lead.get_by_label("Ask everybody").uncheck()
    lead.context.clear_cookies(name="sessionid")
    save.click()
    lead.locator("[name=password]").wait_for()
    other = sign_in("alice")
    publish(other, "# Somebody else's", "Theirs.")
    sign_in_again(lead, "alice")
    expect(offer).to_be_visible()
    lead.get_by_role("button", name="Go on with it").click()
    expect(text).to_have_value("# A long evening's work")
    expect(text).to_be_focused()
    expect(lead.get_by_label("Ask everybody")).not_to_be_checked()

    save.click()  # it was written before somebody else's
    expect(lead.get_by_text("while this was written")).to_be_visible()
    expect(lead.locator(".changed")).to_contain_text("Somebody else's")
    found = Axe().run(lead)
    assert found.violations_count == 0, found.generate_report()
    lead.goto("/projects/desk/guidelines/")
    lead.goto("/projects/desk/guidelines/edit/")
    lead.get_by_role("button", name="Go on with it").click()
    save.click()
    expect(lead.get_by_role("heading", name="A long evening's work")).to_be_visible()

    lead.goto("/projects/desk/guidelines/edit/")
    expect(text).to_have_value("# A long evening's work")
    expect(offer).to_be_hidden()
    text.fill("Something else")
    lead.get_by_role("link", name="Cancel").click()
    lead.goto("/projects/desk/guidelines/edit/")
    expect(offer).to_be_hidden()
