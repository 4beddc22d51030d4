"""Importing as a lead meets it: a file of somebody else's shape, from the browser to the queue's worker; and a worker
that is killed with `kill -9` in the middle of one.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.benchmarks.product import Client, Product, running
from tests.journeys.desk import PEOPLE

ROWS = 60_000
AGO = """
from datetime import timedelta
from annotation.models import Import
from django.utils import timezone
Import.objects.filter(status="running").update(heartbeat_at=timezone.now() - timedelta(minutes=5))
"""
COUNTED = """
import json
from annotation.models import Item, ItemResponse, Prompt, Response
print(json.dumps([one.objects.count() for one in (Prompt, Response, Item, ItemResponse)]))
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with running() as made:
        made.manage("shell", stdin=PEOPLE)
        made.start("web")
        made.start("queue")
        made.wait_for_pages()
        yield made


def test_an_import_goes_on_after_its_worker_was_killed(product: Product) -> None:
    lead = Client(product, "alice", "alice-has-a-secret")
    before = json.loads(product.manage("shell", stdin=COUNTED).splitlines()[-1])
    lines = (json.dumps({"prompt": f"{n}?", "responses": [f"a{n} " * 20, f"b{n} " * 20]}) for n in range(ROWS))
    sent = lead.session.post(
        f"{lead.base}projects/desk/imports/?name=many.jsonl",
        data="\n".join([*lines, "{"]).encode(),
        headers={"Content-Type": "application/x-ndjson"},
        timeout=60,
    ).json()
    assert sent["status"] == "waiting"

    def now() -> dict[str, Any]:
        return lead.get(f"projects/desk/imports/{sent['id']}/")

    def until(there: Callable[[dict[str, Any]], bool], seconds: float = 120) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not there(found := now()):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)  # the worker shares the cores
        return found

    until(lambda found: found["lines"] > 0)
    product.kill("queue")
    product.kill_orphans()
    stopped = now()
    assert stopped["status"] == "running"
    assert 0 < stopped["counts"]["added"] == stopped["lines"] < ROWS
    product.manage("shell", stdin=AGO)
    assert "imports 1" in product.manage("recover")
    product.start("queue")
    done = until(lambda found: found["status"] == "done")
    assert (done["counts"]["added"], done["counts"]["known"], done["rejected"]) == (ROWS, 0, 1)
    after = json.loads(product.manage("shell", stdin=COUNTED).splitlines()[-1])
    assert [b - a for a, b in zip(before, after, strict=True)] == [ROWS, 2 * ROWS, ROWS, 2 * ROWS]


def test_a_lead_brings_in_preferences_of_another_tool(product: Product, browser: Browser, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Where is parcel {number}?", "chosen": "On its way.", "rejected": "No idea."} for number in range(3)
    ]
    file = tmp_path / "preferences.jsonl"
    file.write_text("\n".join([*map(json.dumps, rows), "{"]))
    page = browser.new_context(base_url=product.url).new_page()
    page.goto("/sign-in/?next=/projects/desk/data/import/")
    page.locator("[name=username]").fill("alice")
    page.locator("[name=password]").fill("alice-has-a-secret")
    page.keyboard.press("Enter")
    page.get_by_label("Files").set_input_files(file)
    page.get_by_role("button", name="See what it becomes").click()
    expect(page.get_by_role("main")).to_contain_text("TRL preference")
    expect(page.get_by_role("main")).to_contain_text("somebody unnamed ranks 1 over 2")
    page.get_by_role("button", name="Count without storing").click()
    expect(page.get_by_role("heading", name="What importing it would do")).to_be_visible()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Imported")).to_be_visible()
    figures = page.locator("dl.figures")
    expect(figures).to_contain_text(re.compile(r"Rows added\s*3.*Labels in the file\s*3", re.S))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download these rows").click()
    assert json.loads(download.value.path().read_text())["rejected"].startswith("line 4: not JSON")
    page.get_by_role("link", name="Who labelled").click()
    expect(page.get_by_role("row", name=re.compile("unnamed.*Imported"))).to_be_visible()
