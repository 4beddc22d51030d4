"""Take the README's pictures from a running product: `.venv/bin/python -m tests.screenshots [address [picture …]]`.

Start the product with `make demo` first; the pictures of a round and a run need one to be there (those in
docs/images were taken after `LOOP_VAR=folder make loop` and `TOUCHSTONE_VAR=folder make demo`).
"""

import json
import sys

from playwright.sync_api import Browser, Page, sync_playwright

from config.paths import BASE, VAR
from tests import browser as chromium

SIZE = {"width": 1280, "height": 800}
IMAGES = BASE / "docs" / "images"


def signed_in(browser: Browser, address: str, name: str) -> Page:
    people = {one["name"]: one["password"] for one in json.loads((VAR / "demo.json").read_text())}
    page = browser.new_context(base_url=address, viewport=SIZE, color_scheme="light").new_page()
    page.goto("/sign-in/")
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(people[name])
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/sign-in/" not in url)
    return page


def shoot(page: Page, path: str, name: str, keys: tuple[str, ...] = ()) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")
    for key in keys:
        page.keyboard.press(key)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(IMAGES / f"{name}.png")


def main(address: str, wanted: list[str]) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    desk = "/projects/shop-desk/"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
        lead, annotator = (signed_in(browser, address, name) for name in ("lead", "annotator"))
        rounds, runs = (
            lead.evaluate(f"fetch('/api/v1{desk}{name}/').then(r => r.json())")["results"]
            for name in ("rounds", "runs")
        )
        tuned = [run for run in runs if run["method"] == "dpo"]
        pictures = {
            "comparison": (annotator, f"{desk}label/comparison/", ("ArrowRight", "3")),
            "demonstration": (annotator, f"{desk}label/demonstration/", ()),
            **({"round": (lead, f"{desk}rounds/{rounds[0]['number']}/", ())} if rounds else {}),
            **({"run": (lead, f"{desk}runs/{tuned[0]['id']}/", ())} if tuned else {}),
        }
        for name in wanted or pictures:
            shoot(pictures[name][0], pictures[name][1], name, pictures[name][2])
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000", sys.argv[2:])
