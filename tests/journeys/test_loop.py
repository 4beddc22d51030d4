"""The whole loop by hand: import, clean, rank, tune, and rank the tuned model's own answers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.benchmarks.product import Product
from tests.pages import until

COMPARISONS = 16
DEMONSTRATIONS = 4


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Comparisons, demonstrations, and one line that is no JSON."""
    rows: list[dict[str, object]] = [
        {"prompt": f"Do you sell tea number {n}?", "responses": [f"Yes, tea {n} is here. Thank you!", f"No {n}."]}
        for n in range(COMPARISONS)
    ]
    rows += [{"prompt": f"When do you open, {n}?", "completion": f"At {n} [TIME]"} for n in range(DEMONSTRATIONS)]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join([*map(json.dumps, rows), "this is no JSON", ""]))
    return path


def submitted(page: Page, keys: list[str]) -> None:
    """Press keys, of which the last submits, and wait until the server has answered with the next item."""
    before = page.locator("[name=client_uuid]").input_value()
    with page.expect_response(lambda answer: answer.url.endswith("/submit/")) as answer:
        for key in keys:
            page.keyboard.press(key)
    assert answer.value.status in (200, 302)  # 302 if the keys were quicker than htmx: then it is an ordinary form
    until(page, "uuid => document.querySelector('[name=client_uuid]')?.value !== uuid", before)


def test_from_import_to_the_tuned_models_answers_in_the_queue(
    product: Product, sign_in: Callable[..., Page], data: Path
) -> None:
    lead = sign_in("alice", reduced_motion="reduce")  # what pulses while it runs would take part of a core
    lead.goto("/projects/desk/data/import/")
    lead.get_by_label("Files", exact=True).set_input_files(data)
    lead.get_by_role("button", name="See what it becomes").click()
    lead.get_by_role("button", name="Import", exact=True).click()
    expect(lead.locator("main")).to_contain_text("not JSON")
    expect(lead.locator("main")).to_contain_text(str(COMPARISONS + DEMONSTRATIONS))

    annotator = sign_in("bob")
    annotator.goto("/projects/desk/label/demonstration/")
    for number in range(DEMONSTRATIONS):
        annotator.wait_for_selector("#edit-text")
        if number == 0:
            submitted(annotator, ["a", "Enter"])
        else:
            annotator.keyboard.press("e")
            annotator.keyboard.press("Control+a")
            annotator.keyboard.type(f"Thank you for asking. We open at {number + 8}.")
            submitted(annotator, ["Control+Enter"])
    expect(annotator.locator("#edit-text")).to_have_count(0)

    annotator.goto("/projects/desk/label/comparison/")
    for _ in range(COMPARISONS):
        kind_left = "Thank you" in annotator.locator("[data-side=left]").inner_text()
        submitted(annotator, ["ArrowLeft" if kind_left else "ArrowRight", "4", "Enter"])
    expect(annotator.locator("[data-side=left]")).to_have_count(0)

    lead.goto("/admin/evaluation/round/add/")
    lead.locator("[name=minimum_comparisons]").fill("4")
    lead.locator("[name=fresh_prompts]").fill("6")
    lead.locator("[name=samples_per_prompt]").fill("2")
    lead.wait_for_load_state("networkidle")  # the admin's scripts fold and unfold
    lead.get_by_text("More choices").click()
    lead.locator("[name=max_new_tokens]").fill("16")
    lead.locator("[name=project]").select_option(label="Desk")
    with lead.expect_navigation():
        lead.get_by_role("button", name="Start the round").click()
    lead.goto("/projects/desk/rounds/1/")
    expect(lead.locator("main")).to_contain_text("Choosing what to ask", timeout=30_000)
    expect(lead.locator("main")).to_contain_text("Rank the new answers", timeout=420_000)  # the page follows by itself
    state = lead.evaluate("fetch('/api/v1/projects/desk/rounds/1/').then(r => r.json())")
    assert state["status"] == "done", state["error"]
    expect(lead.locator("main")).to_contain_text(state["challenger"]["name"])

    annotator.goto("/projects/desk/label/comparison/")
    expect(annotator.locator("[data-side=left]")).to_be_visible()
    page = annotator.content()
    assert state["challenger"]["name"] not in page
    submitted(annotator, ["ArrowRight", "Enter"])
    seen = lead.evaluate(
        f"fetch('/api/v1/projects/desk/models/{state['challenger']['id']}/answers/?judged=true').then(r => r.json())"
    )
    assert len(seen["results"]) >= 1
    walked = lead.evaluate(
        f"fetch('/api/v1/projects/desk/responses/{seen['results'][0]['id']}/lineage/').then(r => r.json())"
    )
    models = [generation["model"] for generation in walked["generations"]]
    assert any("bob" in [one["person"] for one in model["people"]] for model in models)
