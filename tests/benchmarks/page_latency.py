"""From the key that submits a label to the next item on screen: real Chromium, the demo's texts, one annotator.

    .venv/bin/python tests/benchmarks/page_latency.py [--quick]

The product runs on a database of its own with the demonstration's prompts, each with two drafts to compare. The
annotator signs in and judges 200 pairs (30 with --quick) by keyboard: an arrow, sometimes a digit for the strength,
Enter; before each, 300 ms to read. Server, database and browser share the machine.

What is measured, in the page itself: from the time stamp of Enter's keydown until the frame after the one that drew
the next item (two animation frames after it came into the document, so up to a frame too much and never too little).
Besides, `within_one_frame` is the share of labels whose next item was in the first frame drawn after the key.

Every label acknowledged must be stored exactly once in the end, or the benchmark fails.
"""

import json
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests import browser as chromium
from tests.benchmarks.product import Client, Product, running
from tests.pages import until

LABELS = 30 if "--quick" in sys.argv else 200
READING = 300  # milliseconds
SEED = 1
CONTENT = Path(__file__).resolve().parents[2] / "annotation" / "demo"
SIZE: ViewportSize = {"width": 1440, "height": 900}
PROJECT = "projects/shop-desk/"

# `frames` counts the frames drawn since the key: a task posted from an animation frame runs after it was drawn.
MEASURE = """
(() => {
  const seen = (window.latency = []);
  const uuid = () => document.querySelector("#work [name=client_uuid]")?.value;
  let waiting = null;
  const drawn = new MessageChannel();
  drawn.port1.onmessage = () => {
    if (!waiting || waiting.arrived) return;
    waiting.frames += 1;
    requestAnimationFrame(() => drawn.port2.postMessage(0));
  };
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || waiting || !uuid()) return;
    waiting = { at: event.timeStamp, uuid: uuid(), frames: 0, arrived: false };
    requestAnimationFrame(() => drawn.port2.postMessage(0));
  }, true);
  const look = () => {
    if (!waiting || waiting.arrived || !uuid() || uuid() === waiting.uuid) return;
    waiting.arrived = true;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      seen.push({ uuid: waiting.uuid, ms: performance.now() - waiting.at, frames: waiting.frames });
      waiting = null;
    }));
  };
  new MutationObserver(look).observe(document, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["value"],
  });
})();
"""


def lines() -> str:
    """Each prompt of the demonstration with two of its drafts: real lengths, languages and layouts."""
    drafts, prompts = (
        [json.loads(row) for row in (CONTENT / name).open()] for name in ("drafts.jsonl", "prompts.jsonl")
    )
    for row in drafts:
        if "messages" in row:
            row["prompt"], row["completion"] = row["messages"][:-1], row["messages"][-1]["content"]
    texts = sorted({draft["completion"] for draft in drafts})
    draw = Random(SEED)
    rows = [{"prompt": row["prompt"], "responses": draw.sample(texts, 2)} for row in (*drafts, *prompts)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def signed_in(page: Page, product: Product, person: dict[str, str]) -> None:
    page.goto(f"{product.url}/sign-in/")
    page.locator("[name=username]").fill(person["name"])
    page.locator("[name=password]").fill(person["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/sign-in/" not in url)


def judge(page: Page, draw: Random, number: int) -> None:
    """Read, choose, submit, and wait until the next item has been seen."""
    page.wait_for_timeout(READING)
    page.keyboard.press(draw.choice(["ArrowLeft", "ArrowRight"]))
    if draw.random() < 0.4:
        page.keyboard.press(draw.choice("1234"))
    page.keyboard.press("Enter")
    until(page, "number => window.latency.length >= number", number)


def stored(person: Client, wanted: set[str], seconds: float = 30) -> list[str]:
    """The UUIDs of the labels on the server, as soon as all those wanted are there."""
    deadline = time.monotonic() + seconds
    while True:
        found = [label["client_uuid"] for label in person.pages(f"{PROJECT}labels/")]
        if wanted <= set(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def percentile(values: list[float], share: float) -> float:
    """By nearest rank: the smallest value that this share of all does not exceed."""
    return sorted(values)[max(0, -(-len(values) * round(share * 100) // 100) - 1)]


def main() -> None:
    with running() as product:
        product.manage("demo", "--only-set-up", "--without-model")
        pairs = product.var / "pairs.jsonl"
        pairs.write_text(lines())
        product.manage("import_data", "shop-desk", str(pairs))
        for name in ("web", "queue"):
            product.start(name)
        product.wait_for_pages()
        people = json.loads((product.var / "demo.json").read_text())
        annotator = next(one for one in people if one["name"] == "annotator")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
            page = browser.new_context(viewport=SIZE).new_page()
            page.add_init_script(MEASURE)
            signed_in(page, product, annotator)
            page.goto(f"{product.url}/{PROJECT}label/comparison/")
            page.wait_for_load_state("networkidle")
            page.locator("#work [name=client_uuid]").wait_for(state="attached")
            draw = Random(SEED)
            for number in range(1, LABELS + 1):
                judge(page, draw, number)
            seen: list[dict[str, Any]] = page.evaluate("window.latency")
            version = browser.version
            browser.close()
        wanted = {one["uuid"] for one in seen}
        found = stored(Client(product, annotator["name"], annotator["password"]), wanted)
        if sorted(found) != sorted(wanted) or len(wanted) != LABELS:
            sys.exit(f"{LABELS} labels were given as {len(wanted)}, and {len(found)} are stored.")
    milliseconds = [one["ms"] for one in seen]
    figures = {
        "key_to_paint_p50_ms": round(percentile(milliseconds, 0.5), 1),
        "key_to_paint_p95_ms": round(percentile(milliseconds, 0.95), 1),
        "within_one_frame": round(sum(one["frames"] == 0 for one in seen) / LABELS, 3),
        "labels": LABELS,
    }
    conditions = {
        **{"chromium": version, "reading_ms": READING, "seed": SEED},
        **{"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
    }
    print(json.dumps({"benchmark": "page_latency", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
