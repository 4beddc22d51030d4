"""A passkey, from adding it to signing in with it, in a real browser with an authenticator of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.benchmarks.product import Product, running
from tests.journeys.desk import PEOPLE


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with running() as made:
        made.manage("shell", stdin=PEOPLE)
        made.start("web")
        made.wait_for_pages()
        yield made


@pytest.fixture
def page(browser: Browser, product: Product) -> Iterator[Page]:
    """A browser whose device holds passkeys. They belong to names of hosts, and to no numbers."""
    context = browser.new_context(base_url=product.url.replace("127.0.0.1", "localhost"))
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    device = context.new_cdp_session(opened)
    device.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": {**kind, "automaticPresenceSimulation": True}})
    yield opened
    context.close()
    assert not errors


def with_password(page: Page) -> None:
    page.goto("/sign-in/")
    page.locator("[name=username]").fill("bob")
    page.locator("[name=password]").fill("bob-has-a-secret")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: not url.endswith("/sign-in/"))


def test_a_passkey_opens_the_account_after_the_password_until_it_is_removed(page: Page) -> None:
    with_password(page)
    page.goto("/account/second-factor/passkeys/add/")
    page.get_by_label("Name").fill("My laptop")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto("/account/second-factor/passkeys/add/")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("alert")).to_contain_text("this one is set up already")

    page.context.clear_cookies()
    with_password(page)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.goto("/account/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    with_password(page)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: "sign-in" not in url)

    page.goto("/account/second-factor/")
    page.get_by_role("link", name="Remove the passkey My laptop").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("My laptop")).to_have_count(0)
    page.context.clear_cookies()
    with_password(page)
    page.goto("/account/")
    expect(page.get_by_role("heading", name="Account")).to_be_visible()
