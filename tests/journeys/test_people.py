"""A lead invites by link; a new person comes by it and works on their team's part; by keyboard."""

import csv
import io
import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.benchmarks.product import Product, running
from tests.journeys.conftest import PEOPLE
from tests.pages import until

ROWS = [
    {"prompt": f"{'Wo' if tag == 'de' else 'Where'} is parcel {n}?", "completion": f"Dunno {n}.", "language": tag}
    for n in range(8)
    for tag in ("en", "de")
]


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """The web processes alone, with alice, bob, charlie, and letters in two languages."""
    with running() as made:
        made.manage("shell", stdin=PEOPLE)
        rows = made.var / "rows.jsonl"
        rows.write_text("\n".join(map(json.dumps, ROWS)))
        made.manage("import_data", "desk", str(rows))
        made.start("web")
        made.wait_for_pages()
        yield made


def go_to(page: Page, name: str, role: str = "link") -> None:
    """Tab until the control of this name has the focus."""
    wanted = page.get_by_role(role, name=name).first
    expect(wanted).to_be_visible()
    for _ in range(80):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by Tab")


@pytest.mark.parametrize("width", [360, 1440])
def test_from_the_invitation_to_the_exported_work(
    product: Product, browser: Browser, sign_in: Callable[..., Page], width: int
) -> None:
    size = {"width": width, "height": 800}
    lead = sign_in("alice", viewport=size, permissions=["clipboard-read", "clipboard-write"])
    lead.goto("/projects/desk/people/")
    go_to(lead, "New team")
    lead.keyboard.press("Enter")
    go_to(lead, "Name", "textbox")
    lead.keyboard.type(f"German {width}")
    go_to(lead, "de · 8", "checkbox")
    lead.keyboard.press("Space")
    go_to(lead, "Save", "button")
    lead.keyboard.press("Enter")
    expect(lead.get_by_role("link", name=f"German {width}")).to_be_visible()

    go_to(lead, "Team", "combobox")
    lead.keyboard.type(f"German {width}")
    go_to(lead, "Make a link", "button")
    lead.keyboard.press("Enter")
    expect(lead.get_by_role("status").first).to_contain_text("The link is made")
    go_to(lead, "Copy", "button")
    lead.keyboard.press("Enter")
    expect(lead.get_by_role("button", name="Copied").first).to_be_focused()
    link = lead.evaluate("navigator.clipboard.readText()")
    assert link == lead.locator(".link-line input").first.input_value()

    with browser.new_context(viewport=size) as fresh:
        dora = fresh.new_page()
        dora.goto(link)
        go_to(dora, "User name", "textbox")
        dora.keyboard.type(f"dora{width}")
        for _ in range(2):
            dora.keyboard.press("Tab")
        for _ in range(2):  # the password, and once more
            dora.keyboard.type("a-long-secret-7")
            dora.keyboard.press("Tab")
        go_to(dora, "Create my account and join", "button")
        dora.keyboard.press("Enter")
        dora.wait_for_url("**/projects/desk/")
        expect(dora.get_by_role("status")).to_contain_text("Welcome to Desk")

        dora.goto(f"{product.url}/projects/desk/label/demonstration/")
        for _ in range(2):
            expect(dora.locator("main")).to_contain_text("Wo is parcel")
            before = dora.locator("[name=client_uuid]").input_value()
            dora.keyboard.press("a")
            dora.keyboard.press("Enter")
            until(dora, "uuid => document.querySelector('[name=client_uuid]')?.value !== uuid", before)
        until(dora, "document.documentElement.dataset.outbox === 'sent'")

    lead.goto("/projects/desk/people/")
    row = lead.get_by_role("row").filter(has_text=f"dora{width}")
    expect(row).to_contain_text(f"German {width}")
    expect(row.locator("[data-name='Labels, all']")).to_have_text("2")
    expect(lead.locator("#invitations")).to_contain_text(f"Came by it: dora{width}")
    go_to(lead, f"dora{width}")
    lead.keyboard.press("Enter")
    expect(lead.get_by_role("heading", name=f"dora{width}")).to_be_visible()
    go_to(lead, "CSV", "button")
    with lead.expect_download() as download:
        lead.keyboard.press("Enter")
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    assert [line["language"] for line in table] == ["de", "de"]
    assert f"dora{width}" not in {line["person"] for line in table}
