"""Find a Chromium for the browser journeys; `python -m tests.browser` gets one if there is none.

In this order: the one named by TOUCHSTONE_BROWSER, an installed Chromium or Chrome, Playwright's own, and,
when root on Debian or Ubuntu, the distribution's package. If none can be had it says so: a journey is never
quietly skipped.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
PLACES = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
]
ASK_PLAYWRIGHT = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""
HELP = """\
The browser journeys need Chromium and none could be found or installed. Any one of these will do:
  - install Chromium or Google Chrome (Debian: apt-get install chromium; Fedora: dnf install chromium)
  - .venv/bin/playwright install --with-deps chromium
  - TOUCHSTONE_BROWSER=/path/to/a/chromium make test"""


class NoBrowserError(RuntimeError):
    """There is no Chromium on this machine; the message says how to get one."""


@functools.cache
def find() -> str:
    """The path of a Chromium that runs; raises NoBrowserError if there is none."""
    if named := os.environ.get("TOUCHSTONE_BROWSER"):
        if not _runs(named):
            raise NoBrowserError(f"TOUCHSTONE_BROWSER={named} is not a browser that runs.")
        return named
    installed = [shutil.which(name) for name in NAMES] + PLACES
    for path in installed:
        if path and _runs(path):
            return path
    asked = subprocess.run([sys.executable, "-c", ASK_PLAYWRIGHT], capture_output=True, text=True)
    if _runs(asked.stdout.strip()):
        return asked.stdout.strip()
    raise NoBrowserError(HELP)


def _runs(path: str) -> bool:
    """Whether it starts at all: a stub, or a browser that lacks a library, does not."""
    if not path or not Path(path).exists():
        return False
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install() -> str:
    """The path of a Chromium, which is installed if there is none."""
    if "TOUCHSTONE_BROWSER" in os.environ:
        return find()
    playwright = [sys.executable, "-m", "playwright"]
    attempts = [[*playwright, "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        attempts += [
            ["apt-get", "-qq", "update"],
            ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "chromium"],
            [*playwright, "install-deps", "chromium"],  # where that package is only a stub (Ubuntu)
        ]
    for attempt in [None, *attempts]:
        if attempt:
            print("No Chromium yet; trying:", " ".join(attempt), flush=True)
            _try(attempt)
        try:
            return find()
        except NoBrowserError as error:
            failure = error
    raise failure


def _try(command: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        print("  it did not end within 15 minutes")
    else:
        if done.returncode:
            lines = (done.stderr + done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
            print("  it failed:", next((line for line in lines if "rror" in line), lines[-1]))


if __name__ == "__main__":
    try:
        print("Browser for the journeys:", install())
    except NoBrowserError as error:
        sys.exit(str(error))
