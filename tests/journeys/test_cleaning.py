"""A lead walks the desk: a file comes in with duplicates, personal data and leftovers of a template, the checks find
them, and each is mended, excluded, brought back or sent to annotators, all by the real queue, before anything goes out.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.benchmarks.product import Product, running
from tests.pages import until

PEOPLE = """
from annotation.models import Membership, Project, User
project = Project.objects.create(slug="desk", name="Desk", heldout_share=0)
for name, role in (("alice", "lead"), ("bob", "annotator")):
    person = User.objects.create_user(name, password=f"{name}-has-a-secret", is_staff=role == "lead")
    Membership.objects.create(person=person, project=project, role=role)
"""
ROWS = [
    ("Whom do I tell that my parcel is late?", "Write to anna@shop.example, please, and name your order."),
    ("May I return a teapot that I have used?", "Within thirty days: ask ben@shop.example for a label."),
    ("What comes with the letter that you send out?", "Dear [NAME], a voucher comes with it in spring."),
    ("When is the shop open on Saturdays?", "From nine in the morning until noon."),
    ("when is the shop open on saturdays", "Until noon."),
]
LONG = 240_000  # milliseconds: the queue looks once a minute, and a busy machine is slow


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with running() as made:
        made.manage("shell", "--verbosity=0", stdin=PEOPLE)
        made.start("web")
        made.start("queue")
        made.wait_for_pages()
        yield made


def brings_in(page: Page, file: Path) -> None:
    page.goto("/projects/desk/data/import/")
    page.get_by_label("Files").set_input_files(file)
    page.get_by_role("button", name="See what it becomes").click()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Imported")).to_be_visible(timeout=LONG)
    page.get_by_role("link", name="See what is odd").click()


def at_rest(page: Page) -> None:
    """While the checks are at work the page follows them, and loads itself anew at their end, which unticks boxes."""
    expect(page.get_by_role("button", name="Check all of it now")).to_be_visible(timeout=LONG)


def all_of(page: Page, kind: str) -> None:
    """Narrow the open findings to a kind, and tick all of it."""
    page.goto("/projects/desk/data/clean/")
    link = page.get_by_role("navigation", name="What was found").get_by_role("link", name=kind)
    link.click()
    expect(link).to_have_attribute("aria-current", "page")
    at_rest(page)
    page.get_by_label("that fit").check()


def decides(page: Page, button: str, state: str, kind: str, number: int = 1) -> None:
    """Press a button, and see so many findings of a kind in the state that it leads to."""
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.get_by_role("button", name=button).click()
    page.goto(f"/projects/desk/data/clean/?state={state}&kind={kind}")
    expect(page.locator("[data-finding]")).to_have_count(number)
    at_rest(page)


def excludes(page: Page, name: str, kind: str, because: str) -> None:
    all_of(page, name)
    page.get_by_text("Exclude…").click()
    page.get_by_label("Why").fill(because)
    decides(page, "Exclude them", "excluded", kind)
    expect(page.get_by_text(f"cluded: {because}")).to_be_visible()


def submits(page: Page, keys: tuple[str, ...]) -> None:
    """Go on when another item is shown, or none is left."""
    uuid = page.locator("[name=client_uuid]").input_value()
    for key in keys:
        page.keyboard.press(key)
    until(page, "uuid => document.querySelector('[name=client_uuid]')?.value !== uuid", uuid)


def test_a_lead_cleans_what_was_imported(sign_in: Callable[..., Page], tmp_path: Path) -> None:
    alice, bob = sign_in("alice"), sign_in("bob")
    file = tmp_path / "replies.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": asked, "completion": said}) for asked, said in ROWS))
    brings_in(alice, file)
    at_rest(alice)
    alice.get_by_role("button", name="Check all of it now").click()
    expect(alice.get_by_role("link", name="Personal data 2")).to_be_visible(timeout=LONG)
    expect(alice.get_by_role("link", name="Duplicate 1", exact=True)).to_be_visible(timeout=LONG)

    all_of(alice, "Personal data")
    alice.get_by_role("button", name="Mend…").click()
    expect(alice.get_by_role("heading", name="Mend 2 texts?")).to_be_visible()
    expect(alice.locator("del").filter(has_text="ben@shop.example")).to_be_visible()
    decides(alice, "Mend 2 texts", "mended", "personal", 2)

    excludes(alice, "Duplicate", "duplicate", "We have it already.")
    excludes(alice, "Left from a template", "placeholder", "Nobody knows the name.")
    alice.get_by_label("that fits").check()
    decides(alice, "Bring back", "open", "placeholder")
    alice.get_by_label("that fits").check()
    decides(alice, "Send to annotators", "sent", "placeholder")

    bob.goto("/projects/desk/label/demonstration/")
    bob.wait_for_load_state("networkidle")  # the keys listen
    expect(bob.get_by_role("main")).to_contain_text("Dear [NAME]")
    bob.keyboard.press("e")
    bob.locator("[data-edit]").fill("Thank you! A voucher comes with it in spring.")
    submits(bob, ("Control+Enter",))
    for _ in range(3):  # the two that were mended, and the one that was there already
        submits(bob, ("a", "Enter"))
    expect(bob.locator("[name=client_uuid]")).to_have_count(0)
    until(bob, "document.documentElement.dataset.outbox === 'sent'")

    alice.goto("/projects/desk/data/export/")
    alice.locator("[name=shape][value=alpaca]").check()
    alice.get_by_role("button", name="Make the file").click()
    link = alice.get_by_role("link", name="Download")
    expect(link).to_be_visible(timeout=LONG)
    with alice.expect_download() as download:
        link.click()
    lines = download.value.path().read_text().splitlines()
    texts = [json.loads(line)["output"] for line in lines]
    assert sorted(texts) == [
        "From nine in the morning until noon.",
        "Thank you! A voucher comes with it in spring.",
        "Within thirty days: ask (e-mail address removed) for a label.",
        "Write to (e-mail address removed), please, and name your order.",
    ]
