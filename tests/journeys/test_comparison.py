"""Ranking by keyboard, on a desktop and on a phone: what was clicked is what the export says, sides undone."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.benchmarks.product import Product
from tests.journeys.desk import pages_alone
from tests.pages import until

SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 360, "height": 740}}
QUESTION = "When do you open?"
PAIR = ["We open at **nine** on weekdays, see you soon.", "We open at **ten** on weekdays, see you then."]
FOUR = ["At nine.", "Nine, I think?", "Go away.", "We open at nine; please come by."]
IMPORT = """
import json, sys
from annotation.importing import import_lines
from annotation.models import Membership, Project, User
project = Project.objects.get(slug="desk")
project.labels_per_item = 2
project.save()
bea = User.objects.create_user("bea", password="bea-has-a-secret")
Membership.objects.create(person=bea, project=project)
print(import_lines(project=project, lines=json.loads('ROWS')))
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with pages_alone() as made:
        yield made


@pytest.fixture(scope="module")
def items(product: Product) -> None:
    """A pair and then a list of four; each is judged once on either screen."""
    rows = [json.dumps({"prompt": QUESTION, "responses": texts}) for texts in (PAIR, FOUR)]
    product.manage("shell", stdin=IMPORT.replace("ROWS", json.dumps(rows).replace("\\", "\\\\")))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def submit(page: Page, *keys: str) -> None:
    """Press keys of which the last submits; afterwards the next item is there, and the server has the label."""
    before = page.locator("[name=client_uuid]").input_value()
    press(page, *keys)
    until(page, "uuid => document.querySelector('[name=client_uuid]')?.value !== uuid", before)
    until(page, "document.documentElement.dataset.outbox === 'sent'")


def texts(page: Page) -> list[str]:
    """The answers' sources, as they stand."""
    return [area.input_value() for area in page.locator("[data-answer-source]").all()]


def exported(lead: Page, answers: list[str]) -> dict[str, Any]:
    """What the export says of the item with these answers, by their texts; of the newest label."""
    body = lead.evaluate("fetch('/api/v1/projects/desk/export/?kind=comparison').then(r => r.text())")
    rows = [json.loads(line) for line in body.splitlines()]
    (row,) = [row for row in rows if sorted(one["text"] for one in row["answers"]) == sorted(answers)]
    text_of = {one["id"]: one["text"] for one in row["answers"]}
    said = row["labels"][-1]
    return {
        "shown": [text_of[vote["answer"]] for vote in sorted(said["votes"], key=lambda vote: vote["position"])],
        "ranks": {text_of[vote["answer"]]: vote["rank"] for vote in said["votes"]},
        "unacceptable": {text_of[vote["answer"]] for vote in said["votes"] if vote["unacceptable"]},
        "criteria": {name: text_of.get(pk) for name, pk in said["criteria"].items()},
        "strength": said["strength"],
        "text": said["text"],
    }


def accessible(page: Page) -> None:
    """axe-core finds nothing to complain about."""
    found = Axe().run(page)
    assert not found.violations_count, found.generate_report()


def marked(answer: Locator) -> list[str]:
    return answer.locator("mark").all_inner_texts()


@pytest.mark.parametrize(("size", "person"), [("desktop", "bob"), ("phone", "bea")])
def test_what_was_said_is_what_the_export_says(
    product: Product, items: None, sign_in: Callable[..., Page], size: str, person: str
) -> None:
    lead = sign_in("alice")
    page = sign_in(person, viewport=SIZES[size])
    page.goto("/projects/desk/label/comparison/")
    if size == "phone":
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size]["width"]
    press(page, "?")
    expect(page.get_by_text("The left answer is better; again")).to_be_in_viewport()
    press(page, "Escape")

    # Two answers: the differences, one of them unacceptable, criteria, and an edit of the better one.
    shown = texts(page)
    nine = shown.index(PAIR[0])
    side = ["left", "right"][nine]
    press(page, "d")
    words = [["**nine**", "soon."], ["**ten**", "then."]]
    for place, own in ((0, words[nine]), (1, words[1 - nine])):
        assert marked(page.locator(f"[data-answer='{place}']")) == own
    page.reload()
    assert marked(page.locator("[data-answer='0']")), "this browser remembers it"
    press(page, "d")
    expect(page.locator("mark")).to_have_count(0)
    press(page, f"Arrow{side.capitalize()}", ["p", "q"][nine])  # and the other one will not do
    press(page, ["q", "p"][nine])
    expect(page.locator("[data-side=left] [data-unacceptable]")).to_be_checked()
    press(page, ["q", "p"][nine], "2", "v", ["ArrowLeft", "ArrowRight"][nine], "ArrowDown", "=", "Escape", "e")
    expect(page.locator("#improve-text")).to_have_value(PAIR[0])
    press(page, "Control+End")
    page.keyboard.type(" Bring cake.")
    expect(page.locator("[data-improve-changes] ins")).to_contain_text("Bring cake.")
    accessible(page)
    submit(page, "Control+Enter")
    assert exported(lead, PAIR) == {
        "shown": shown,
        "ranks": {PAIR[0]: 1, PAIR[1]: 2},
        "unacceptable": {PAIR[1]},
        "criteria": {"helpful": PAIR[0], "honest": None},
        "strength": 2,
        "text": f"{PAIR[0]} Bring cake.",
    }

    # Four answers: nothing is sent before each has a rank, and an unacceptable one may not stand above another.
    shown = texts(page)
    wanted = {FOUR[3]: 1, FOUR[0]: 2, FOUR[1]: 2, FOUR[2]: 4}
    press(page, "Shift", "Enter")  # Enter alone, so soon, would belong to the item before
    expect(page.locator("[data-hint]")).to_contain_text("Rank every answer first")
    press(page, *(str(wanted[text]) for text in shown))
    expect(page.locator("[data-board-count]")).to_be_empty()
    assert page.locator("[data-tier] [data-chip-letter]").all_inner_texts() == [
        "ABCD"[shown.index(text)] for text in sorted(shown, key=lambda text: (wanted[text], shown.index(text)))
    ]
    best = page.locator("[data-rank]").nth(shown.index(FOUR[3])).locator("xpath=ancestor::article")
    worst = page.locator("[data-rank]").nth(shown.index(FOUR[2])).locator("xpath=ancestor::article")
    best.focus()
    press(page, "x", "Enter")
    expect(page.locator("[data-hint]")).to_contain_text("is marked unacceptable and stands above")
    press(page, "x")
    worst.focus()
    press(page, "x", "Shift+ArrowUp", "Shift+ArrowDown", "b", "b")  # up and down again; two levels on from "better"
    assert page.locator("[data-ranking-said]").inner_text().startswith("Order: ")
    accessible(page)
    submit(page, "Enter")
    said = exported(lead, FOUR)
    assert said["shown"] == shown
    assert said["ranks"] == {**wanted, FOUR[2]: 3}, "moving counts the ranks through"
    assert (said["unacceptable"], said["strength"], said["text"]) == ({FOUR[2]}, 1, None)


def test_long_answers_scroll_together_and_the_board_is_worked_by_pointer_and_by_buttons(
    product: Product, items: None, sign_in: Callable[..., Page]
) -> None:
    product.manage("shell", stdin=MORE)
    page = sign_in("bob", viewport=SIZES["desktop"], has_touch=True)
    page.goto("/projects/desk/label/comparison/")
    boxes = page.locator("[data-long] [data-answer-text]")
    boxes.nth(0).evaluate("box => { box.scrollTop = box.scrollHeight; }")
    until(
        page,
        "box => box.scrollTop > 0 && box.scrollTop + box.clientHeight >= box.scrollHeight - 1",
        arg=boxes.nth(1).element_handle(),
    )
    submit(page, "ArrowLeft", "Enter")

    # What is ranked so far comes back with the page.
    page.set_viewport_size(SIZES["phone"])
    with page.expect_response("**/draft/"):
        press(page, "3", "2")
    page.reload()
    expect(page.locator("[data-board-count]")).to_have_text("2 of 3")
    assert [select.input_value() for select in page.locator("[data-rank]").all()] == ["3", "2", ""]
    for select in page.locator("[data-rank]").all():
        select.select_option("")
    board = page.locator("[data-board]")
    for letter in "CAB":
        board.get_by_role("button", name=f"Rank {letter} next").click()

    def order() -> list[list[str]]:
        return [tier.locator("[data-chip-letter]").all_inner_texts() for tier in page.locator("[data-tier]").all()]

    assert order() == [["C"], ["A"], ["B"]]
    board.get_by_role("button", name="Move B up").click()
    assert order() == [["C"], ["B"], ["A"]]

    def way(letter: str, onto: str, part: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """From the letter of one answer to a part of the height of another's row."""
        board.scroll_into_view_if_needed()
        grip = board.get_by_role("button", name=f"Answer {letter}").locator("[data-chip-letter]").bounding_box()
        tier = page.locator("[data-tier]", has=page.get_by_role("button", name=f"Answer {onto}")).bounding_box()
        assert grip is not None
        assert tier is not None
        return (grip["x"] + 8, grip["y"] + 8), (tier["x"] + 60, tier["y"] + tier["height"] * part)

    start, end = way("A", "C", 0.1)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=6)
    page.mouse.up()
    assert order() == [["A"], ["C"], ["B"]]

    start, end = way("B", "A", 0.5)
    finger = page.context.new_cdp_session(page)
    for kind, (x, y) in (
        ("touchStart", start),
        ("touchMove", ((start[0] + end[0]) / 2, start[1] - 20)),
        ("touchMove", end),
    ):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(page, "document.querySelectorAll('[data-tier]').length === 2")
    assert order() == [["A", "B"], ["C"]]
    assert [select.input_value() for select in page.locator("[data-rank]").all()] == ["1", "1", "2"]


MORE = """
import json
from annotation.importing import import_lines
from annotation.models import Item, Project
before = Item.objects.latest("id").pk
import_lines(
    project=Project.objects.get(slug="desk"),
    lines=[
        json.dumps({"prompt": "Tell me a long story.", "responses": ["Once. " * 2000, "Upon a time. " * 1800]}),
        json.dumps({"prompt": "And on Sunday?", "responses": ["No.", "Never on Sunday.", "Only in May."]}),
    ],
)
Item.objects.filter(pk__gt=before).update(priority=1)  # before what the other journey judges
"""
