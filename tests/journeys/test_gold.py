"""A new annotator's quiz, word of gold while they work, a pause, and a lead who lets them go on; by keyboard."""

import json
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.benchmarks.product import Product
from tests.journeys.desk import pages_alone
from tests.pages import until

SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 360, "height": 740}}
WORK = "/projects/desk/label/comparison/"
GOOD, BAD = "Thank you for asking: we open at nine.", "Dunno."
PREPARE = """
from annotation.importing import import_lines
from annotation.models import Membership, Project, User
Project.objects.filter(slug="desk").update(
    gold_share=0.5, gold_feedback=True, gold_threshold=0.9, gold_minimum=1, quiz_length=2, quiz_threshold=1
)
project = Project.objects.get(slug="desk")
for name in ("desktop", "phone"):
    person = User.objects.create_user(name, password=f"{name}-has-a-secret")
    Membership.objects.create(person=person, project=project)
print(import_lines(project=project, lines=ROWS))
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with pages_alone() as made:
        yield made


@pytest.fixture(scope="module")
def items(product: Product) -> None:
    """Questions of the quiz, gold for the work, and plain items; where something is known, the kind answer is right."""
    known = {"ranks": [1, 2], "explanation": "Be *kind*."}
    rows = [
        *[{"prompt": f"Quiz {n}?", "responses": [GOOD, BAD], "gold": {**known, "quiz": True}} for n in range(4)],
        *[{"prompt": f"Gold {n}?", "responses": [GOOD, BAD], "gold": known} for n in range(6)],
        *[{"prompt": f"Plain {n}?", "responses": [GOOD, BAD]} for n in range(80)],
    ]
    product.manage("shell", stdin=PREPARE.replace("ROWS", repr([json.dumps(row) for row in rows])))


def judge(page: Page, *, well: bool = True) -> None:
    """Prefer the kind answer, or the other, and wait until the server has it."""
    good_left = GOOD in page.locator("[data-side=left], .answer").first.inner_text()
    page.keyboard.press("ArrowLeft" if good_left == well else "ArrowRight")
    with page.expect_response(lambda answer: answer.url.endswith("/submit/")) as answer:
        page.keyboard.press("Enter")
    assert answer.value.status == 200
    until(page, "document.documentElement.dataset.outbox === 'sent'")


def assert_accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("screen", SIZES)
def test_quiz_work_word_of_gold_pause_and_going_on(
    product: Product, sign_in: Callable[..., Page], items: None, screen: str
) -> None:
    page = sign_in(screen, viewport=SIZES[screen])
    page.goto(WORK)
    progress = page.locator(".item-progress")
    expect(progress).to_contain_text("question 1 of 2")
    assert_accessible(page)
    judge(page)
    expect(progress).to_contain_text("question 2 of 2")
    judge(page)
    expect(page.locator("[data-feedback]")).to_contain_text("As expected.")
    expect(progress).not_to_contain_text("question")

    for _ in range(60):  # until the lot falls on gold; half of the items are
        page.wait_for_selector("[name=client_uuid]", state="attached")
        judge(page, well=False)
        if page.locator("[data-feedback]", has_text="Not what we expected.").count():
            break
    word = page.locator("[data-feedback]")
    expect(word).to_contain_text("Not what we expected.")
    expect(word.locator("em")).to_have_text("kind")
    assert_accessible(page)
    word.get_by_role("button", name="Close").focus()
    page.keyboard.press("Enter")
    expect(word).to_have_count(0)

    if page.locator("[name=client_uuid]").count():  # the item that was fetched ahead is still theirs to judge
        judge(page)
    expect(page.get_by_role("heading", name="Time for a word with your lead")).to_be_visible()
    expect(page.locator("#work")).to_contain_text("Ask alice")
    assert_accessible(page)

    lead = sign_in("alice", viewport=SIZES[screen])
    lead.goto("/projects/desk/gold/")
    paused = lead.locator("#paused li", has_text=screen)
    expect(paused).to_contain_text("answers to items whose right answer is known were as expected")
    assert_accessible(lead)
    paused.get_by_role("button").first.focus()
    lead.keyboard.press("Enter")
    expect(lead.locator("#paused li", has_text=screen)).to_have_count(0)

    page.goto(WORK)
    expect(page.locator("[name=client_uuid]")).to_have_count(1)


def test_a_lead_makes_an_item_gold_and_retires_it(product: Product, sign_in: Callable[..., Page], items: None) -> None:
    lead = sign_in("alice")
    lead.goto("/projects/desk/gold/")
    lead.get_by_role("link", name="Add gold").focus()
    lead.keyboard.press("Enter")
    lead.get_by_label("Words in the prompt").fill("Plain 79")
    lead.keyboard.press("Enter")
    with lead.expect_navigation():
        lead.get_by_role("link", name="Plain 79?").press("Enter")
    assert_accessible(lead)
    for answer, rank in ((GOOD, "1"), (BAD, "2")):
        lead.locator("fieldset", has_text=answer).get_by_label("Rank").select_option(rank)
    lead.get_by_label("Explanation").fill("Kind beats curt.")
    lead.get_by_role("button", name="Make it gold").focus()
    lead.keyboard.press("Enter")
    row = lead.locator("tr", has_text="Plain 79?")
    expect(row).to_contain_text("Work")
    row.get_by_role("link").focus()
    lead.keyboard.press("Enter")
    lead.get_by_role("button", name="Retire it").focus()
    lead.keyboard.press("Enter")
    expect(lead.locator("tr", has_text="Plain 79?")).to_contain_text("Retired")
