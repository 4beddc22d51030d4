"""Connecting a provider of sign-ins, and coming by it, in a real browser: our policy lets the way through."""

from playwright.sync_api import Browser, expect

from tests.benchmarks.product import running
from tests.config import provider as small
from tests.journeys.desk import PEOPLE


def test_a_person_connects_their_account_and_comes_without_a_password(browser: Browser) -> None:
    with small.running() as provider, running() as product:
        provider.person = {"sub": "17", "email": "bob@example.com", "preferred_username": "bob"}
        product.environment["TOUCHSTONE_OIDC"] = f"Company|{provider.url}|{small.CLIENT}|{small.SECRET}"
        product.manage("shell", stdin=PEOPLE)
        product.start("web")
        product.wait_for_pages()
        page = browser.new_context(base_url=product.url).new_page()
        refused: list[str] = []
        page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)

        page.goto("/sign-in/")
        page.get_by_role("button", name="Sign in with Company").click()
        expect(page.get_by_role("heading", name="You have no account here")).to_be_visible()

        page.goto("/sign-in/")
        page.locator("[name=username]").fill("bob")
        page.locator("[name=password]").fill("bob-has-a-secret")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/sign-in/" not in url)
        page.goto("/account/")
        page.get_by_role("button", name="Connect Company").click()
        expect(page.get_by_text("Connected: you can sign in with it from now on.")).to_be_visible()

        page.context.clear_cookies()
        page.goto("/account/sessions/")
        page.get_by_role("button", name="Sign in with Company").click()
        expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
        assert not refused
        page.context.close()
