"""Waiting for something in a page. Playwright's own `wait_for_function` evaluates text within the page, and our pages'
Content Security Policy refuses that, as it should."""

import time
from typing import Any

from playwright.sync_api import Error, Page


def until(page: Page, expression: str, arg: Any = None, *, seconds: float = 30.0) -> None:
    """Returns as soon as a JavaScript expression, or a function of `arg`, is true in the page."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if page.evaluate(expression, arg):
                return
        except Error as error:
            if "context was destroyed" not in str(error):  # the page is being left for another
                raise
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {expression}")
        page.wait_for_timeout(20)
