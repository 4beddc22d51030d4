"""Cleaning demonstrations by keyboard: warnings and tokens while one types, flags, an earlier turn mended, a long
answer, a rejection, and an answer from nothing."""

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.benchmarks.product import Beginning, Product, running
from tests.pages import until

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Do you sell tea?"},
    {"role": "assistant", "content": "No idea, [NAME]."},
    {"role": "user", "content": "How much is green tea?"},
]
STORY = "\n\n".join(f"Chapter {number}. " + f"It was year {number}. " * 20 for number in range(30))
ROWS = [
    {"messages": [*TALK, {"role": "assistant", "content": "Four euros."}]},
    {"prompt": "Tell me a story.", "completion": f"```python\nif x: pass\n```\n\n{STORY}"},
    {"prompt": "And bad?", "completion": "Dear [NAME]"},
    {"prompt": "From nothing?"},
]
SEED = """
import json
from annotation.asking import ask
from annotation.importing import import_lines
from annotation.models import Membership, Project, User
rows = json.loads({rows!r})
bob = User.objects.get(username="bob")
for width in (360, 1440):
    project = Project.objects.create(slug=f"desk-{{width}}", name="Desk", heldout_share=0)
    Membership.objects.create(person=bob, project=project)
    import_lines(project=project, lines=map(json.dumps, rows))
    prompt = project.prompts.get(messages__0__content="From nothing?")
    ask(project=project, prompt=prompt, kind="demonstration", responses=[], priority=-1)
import_lines(project=Project.objects.get(slug="desk"), lines=[json.dumps(rows[0])])
"""


def submitted(page: Page, key: str) -> None:
    before = page.locator("[name=client_uuid]").input_value()
    with page.expect_response(lambda answer: answer.url.endswith("/submit/")) as answer:
        page.keyboard.press(key)
    assert answer.value.status in (200, 302)
    until(page, "uuid => document.querySelector('[name=client_uuid]')?.value !== uuid", before)


@pytest.fixture(scope="module")
def product(desk: Beginning) -> Iterator[Product]:
    """The pages alone, with what is to be cleaned, and the model whose tokens are counted."""
    with running(begin=desk) as made:
        made.manage("shell", stdin=SEED.format(rows=json.dumps(ROWS)))
        made.start("web")
        made.wait_for_pages()
        yield made


@pytest.mark.parametrize("width", [360, 1440])
def test_a_demonstration_is_cleaned_by_keyboard(sign_in: Callable[..., Page], width: int) -> None:
    page = sign_in("bob", viewport={"width": width, "height": 800}, reduced_motion="reduce")
    page.goto(f"/projects/desk-{width}/label/demonstration/")
    warnings = page.locator("#warnings .warning")

    # Warnings appear while one types, and lead to their place.
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("Dear [NAME], four euros.")
    expect(warnings).to_have_count(1)
    expect(page.locator("[data-warnings-status]")).to_contain_text("1 warning")
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    selected = "element => element.value.slice(element.selectionStart, element.selectionEnd)"
    assert page.locator("#edit-text").evaluate(selected) == "[NAME]"
    page.keyboard.type("Anna")
    expect(warnings).to_have_count(0)
    expect(page.locator("[data-changes-text] ins").first).to_contain_text("Dear Anna")

    # A flag, by its number.
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(page.locator("[name=flags]:checked")).to_have_count(1)

    # An earlier turn, in its place.
    page.keyboard.press("t")
    expect(page.locator("#turn-2")).to_be_focused()
    expect(page.locator("#warnings-2 .warning")).to_have_count(1)
    page.keyboard.press("Control+a")
    page.keyboard.type("We do.")
    expect(page.locator("#warnings-2 .warning")).to_have_count(0)
    expect(page.locator("[data-turn-changes] ins")).to_contain_text("We do.")
    expect(page.locator("[name=verdict]:checked")).to_have_value("edit")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("Escape")
    submitted(page, "Enter")

    # A long answer is folded, what is folded is not laid out, and its code is coloured.
    fold = page.locator("[data-original-rendered] .fold")
    expect(page.locator("[data-original-rendered] .code-keyword").first).to_have_text("if")
    assert not page.locator("[data-original-rendered] .fold p").last.evaluate("element => element.checkVisibility()")
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-original-rendered] .fold p").last).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#item-title").focus()
    page.keyboard.press("a")
    submitted(page, "Enter")

    # A bad one is rejected; its warning was there before anybody typed.
    expect(warnings).to_have_count(1)
    page.keyboard.press("r")
    submitted(page, "Enter")

    # And where there is no answer yet, one is written.
    expect(page.locator("[data-original]")).to_have_count(0)
    page.keyboard.press("e")
    page.keyboard.type("Written.")
    with page.expect_response(lambda answer: answer.url.endswith("/submit/")):
        page.keyboard.press("Control+Enter")
    expect(page.locator("#edit-text")).to_have_count(0)

    labels = page.evaluate(
        f"fetch('/api/v1/projects/desk-{width}/labels/').then(answer => answer.json()).then(page => page.results)"
    )
    assert [label["verdict"] for label in labels] == ["edit", "reject", "accept", "edit"]
    assert labels[0]["text"] == "Written."
    assert (labels[3]["text"], labels[3]["flags"]) == ("Dear Anna, four euros.", ["incomplete"])


def test_tokens_are_counted_for_the_projects_model(sign_in: Callable[..., Page]) -> None:
    page = sign_in("bob")
    page.goto("/projects/desk/label/demonstration/")
    tokens = page.locator("[data-tokens]")
    expect(tokens).to_contain_text("of 512 tokens")
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("word " * 600)
    expect(tokens).to_contain_text("the model reads 512")
