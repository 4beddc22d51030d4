"""A reviewer decides blind where two disagree; flags, mentions and notices; revising what one said: by keyboard."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.benchmarks.product import Product, running
from tests.pages import until

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
PEOPLE = """
import json
import re
from annotation.importing import import_lines
from annotation.models import Membership, Project, User
project = Project.objects.create(slug="desk", name="Desk", heldout_share=0, labels_per_item=2)
for name, role in (("alice", "lead"), ("rita", "reviewer"), ("bob", "annotator"), ("bea", "annotator")):
    person = User.objects.create_user(name, password=f"{name}-has-a-secret", is_staff=role == "lead")
    Membership.objects.create(person=person, project=project, role=role)
rows = [{"prompt": f"Question {n}?", "responses": [f"Yes, {n}.", f"No, not {n}."]} for n in range(2)]
rows += [{"prompt": "When do you open?", "completion": "We open at [TIME]."}]
import_lines(project=project, lines=map(json.dumps, rows))
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """The pages alone, with items that two people judge."""
    with running() as made:
        made.manage("shell", "--verbosity=0", stdin=PEOPLE)
        made.start("web")
        made.wait_for_pages()
        yield made


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def ranks_best(page: Page, begins: str) -> None:
    """Choose the answer that begins so, by arrow, and submit."""
    page.goto("/projects/desk/label/comparison/")
    left = page.locator("[data-side=left]").inner_text()
    uuid = page.locator("[name=client_uuid]").input_value()
    press(page, "ArrowLeft" if begins in left else "ArrowRight", "Enter")
    until(page, "uuid => document.querySelector('[name=client_uuid]')?.value !== uuid", uuid)
    until(page, "document.documentElement.dataset.outbox === 'sent'")


def asked(page: Page, path: str, method: str = "GET") -> dict:
    """What the API answers to the person of this page."""
    return json.loads(page.evaluate(f"fetch('/api/v1/{path}', {{method: '{method}'}}).then(r => r.text())"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_disagreement_is_decided_blind_and_the_decision_stands(
    sign_in: Callable[..., Page], product: Product, size: dict[str, int]
) -> None:
    bob, bea, rita, alice = (sign_in(name, viewport=size) for name in ("bob", "bea", "rita", "alice"))
    ranks_best(bob, "Yes")
    ranks_best(bea, "No")

    rita.goto("/projects/desk/")
    rita.get_by_role("link", name=re.compile("Review\\W+1$")).press("Enter")
    expect(rita.locator(".voice")).to_have_count(2)
    rita.wait_for_load_state("load")  # the keys listen by then
    said = rita.locator("main").inner_text()
    assert "Left better" in said
    assert "Right better" in said
    assert not {"bob", "bea"} & set(rita.content().split())
    press(rita, "ArrowLeft" if "Yes" in rita.locator("[data-side=left]").inner_text() else "ArrowRight", "4", "Enter")
    expect(rita.get_by_role("heading", name="No case waits for you")).to_be_visible()

    exported = alice.evaluate("fetch('/api/v1/projects/desk/export/?kind=comparison').then(r => r.text())")
    rows = [row for row in map(json.loads, exported.splitlines()) if len(row["labels"]) == 3]
    votes = [label["votes"] for label in rows[-1]["labels"] if label["decision"]]
    best = next(vote["answer"] for vote in votes[0] if vote["rank"] == 1)
    assert next(answer["text"] for answer in rows[-1]["answers"] if answer["id"] == best).startswith("Yes")


def test_a_flag_a_mention_and_the_answer_find_their_people(sign_in: Callable[..., Page]) -> None:
    bob, alice = sign_in("bob", viewport=PHONE), sign_in("alice", viewport=DESKTOP)
    bob.goto("/projects/desk/label/demonstration/")
    press(bob, "f")
    expect(bob.locator("[name=say]")).to_be_focused()
    bob.keyboard.type("which time is meant, @al")
    expect(bob.get_by_role("combobox")).to_have_attribute("aria-expanded", "true")
    expect(bob.get_by_role("option", selected=True)).to_have_text("alice")
    press(bob, "Escape")
    expect(bob.get_by_role("option")).to_have_count(0)
    bob.keyboard.type("i")
    expect(bob.get_by_role("option")).to_have_text(["alice"])
    press(bob, "ArrowDown", "Enter")
    expect(bob.locator("[name=say]")).to_have_value("which time is meant, @alice ")
    press(bob, "Enter")
    expect(bob.locator(".thread-word .mention")).to_have_text("@alice")
    press(bob, "Escape")
    press(bob, "m")
    expect(bob.locator("[name=flag]")).not_to_be_checked()

    alice.goto("/")
    alice.get_by_role("link", name="Notices: 1 unread").press("Enter")
    alice.get_by_role("link", name="bob mentions you").press("Enter")
    expect(alice.locator(".thread-word--asked")).to_contain_text("which time is meant, @alice")
    alice.goto("/projects/desk/flags/")
    alice.get_by_label("Your answer").press_sequentially("Nine in the morning.")
    press(alice, "Tab", "Enter")
    expect(alice.get_by_role("heading", name="No open flags")).to_be_visible()

    bob.goto("/notices/")
    bob.get_by_role("link", name="alice on your flag: Nine in the morning.").press("Enter")
    expect(bob.locator(".thread-word")).to_have_count(2)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_label_is_found_again_and_revised(sign_in: Callable[..., Page], size: dict[str, int]) -> None:
    name = "bob" if size is DESKTOP else "bea"
    page = sign_in(name, viewport=size)
    page.goto("/projects/desk/label/demonstration/")
    page.locator("[data-item-title]").wait_for()
    if page.locator("[name=client_uuid]").count():
        press(page, "a", "Enter")
        until(page, "!document.querySelector('[name=client_uuid]')")
    page.goto("/projects/desk/mine/")
    page.get_by_label("Words in the prompt").press_sequentially("open")
    press(page, "Enter")
    expect(page.locator(".entry")).to_have_count(1)
    page.get_by_role("link", name="Revise").press("Enter")
    expect(page.locator("[name=verdict][value=accept]")).to_be_checked()
    press(page, "e")
    page.locator("[data-edit]").fill("We open at nine.")
    press(page, "Control+Enter")
    expect(page.locator(".entry").first).to_contain_text("Edited")
    expect(page.locator(".entry").nth(1)).to_contain_text("Revised since")
    labels = asked(page, "projects/desk/labels/?kind=demonstration&live=true")["results"]
    assert [(label["verdict"], label["text"]) for label in labels] == [("edit", "We open at nine.")]
