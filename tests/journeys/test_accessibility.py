"""axe-core finds nothing on any page of the product, in both colour schemes, on a phone and on a desk.

Each page is looked at 360 and at 1440 px wide, and must not scroll sideways. A page that is added needs one line in
PAGES; an address that is no page is named in NO_PAGES, with what it is instead (tests/config/test_addresses.py asks).
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from axe_playwright_python.sync_playwright import Axe
from django.template.loader import render_to_string
from playwright.sync_api import Browser, Page

from tests.benchmarks.product import Product, running
from tests.pages import until

SEED = "import json; from tests.journeys import seeded; print(json.dumps(seeded.make()))"
AXE = Axe().axe_script
PHONE, DESK = {"width": 360, "height": 780}, {"width": 1440, "height": 900}
# WCAG 2.2 AA and axe's own best practices. What hangs on the colour scheme is asked again in the other one.
ALL_RULES: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
ALL_RULES["rules"] = {"target-size": {"enabled": True}}  # new in WCAG 2.2, and left out unless asked for
COLOURS: dict[str, Any] = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
RULES: dict[Any, dict[str, Any]] = {"light": ALL_RULES, "dark": COLOURS}
# What the page's policy refuses, and whether one of its scripts asks how wide the window is.
WATCH = """
    window.refused = [];
    document.addEventListener("securitypolicyviolation", (one) =>
      window.refused.push(`${one.effectiveDirective} ${one.blockedURI} ${one.sourceFile}:${one.lineNumber}`));
    const { matchMedia } = window;
    window.matchMedia = (query) => {
      window.asksForWidth ||= query.includes("width");
      return matchMedia.call(window, query);
    };
"""
DRAWN = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"


@dataclass(frozen=True)
class Shown:
    """A page as somebody meets it: its address (what stands in braces is the seed's), who looks, and what they do."""

    address: str
    who: str = "alice"
    then: Callable[[Page], Any] = lambda page: None


def send_as_it_is(page: Page) -> None:
    """The form without a word in it, past the checks of the browser: the page comes back with what is wrong."""
    with page.expect_navigation():
        page.evaluate("document.querySelector('main form[method=post], #label-form').submit()")


def make_a_key(page: Page) -> None:
    page.locator("main [name=name]").fill("Nightly export")
    with page.expect_navigation():
        page.get_by_role("button", name="Make the key").click()


def press(key: str) -> Callable[[Page], None]:
    return lambda page: page.keyboard.press(key)


def open_all(page: Page) -> None:
    page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")


def sign_in_as_dora(page: Page) -> None:
    """Dora has a second factor, so that she stands before it."""
    page.locator("[name=username]").fill("dora")
    page.locator("[name=password]").fill("dora-has-a-secret")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in/second-factor/")


def turn_the_second_factor_on(page: Page) -> None:
    secret = page.locator(".second-factor code").inner_text()
    counter = next(totp.yield_hotp_counters_from_time())
    page.locator("[name=code]").fill(totp.format_hotp_value(totp.hotp_value(secret, counter)))
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/second-factor/codes/")


def send_a_wrong_address(page: Page) -> None:
    page.locator("[name=email]").fill("nowhere")
    send_as_it_is(page)


# By the name of its URL, the states of each page.
PAGES: dict[str, list[Shown]] = {
    "login": [Shown("/sign-in/", ""), Shown("/sign-in/?next=/projects/desk/", "", send_as_it_is)],
    "account_reset_password": [Shown("/sign-in/forgotten/", "")],
    "account_reset_password_done": [Shown("/sign-in/forgotten/sent/", "")],
    "account_reset_password_from_key": [Shown("/sign-in/forgotten/1-nothing/", "")],
    "account_reset_password_from_key_done": [Shown("/sign-in/forgotten/changed/", "")],
    "account_inactive": [Shown("/sign-in/closed/", "")],
    "mfa_authenticate": [Shown("/sign-in/", "", sign_in_as_dora)],
    "socialaccount_login_cancelled": [Shown("/sign-in/with/cancelled/", "")],
    "socialaccount_login_error": [Shown("/sign-in/with/failed/", "")],
    "account": [Shown("/account/"), Shown("/account/", "charlie")],
    "account_name": [Shown("/account/name/"), Shown("/account/name/", "alice", send_a_wrong_address)],
    "account_change_password": [Shown("/account/password/"), Shown("/account/password/", "alice", send_as_it_is)],
    "account_reauthenticate": [Shown("/account/confirm/"), Shown("/account/confirm/", "alice", send_as_it_is)],
    "sign_in_anew": [Shown("/account/confirm/anew/")],
    "mfa_index": [Shown("/account/second-factor/")],
    "mfa_activate_totp": [
        Shown("/account/second-factor/app/", "bea"),
        Shown("/account/second-factor/app/", "bea", send_as_it_is),
    ],
    "mfa_view_recovery_codes": [Shown("/account/second-factor/codes/", "charlie")],
    "mfa_generate_recovery_codes": [Shown("/account/second-factor/codes/new/", "charlie")],
    "mfa_reauthenticate": [Shown("/account/confirm/code/", "charlie")],
    "mfa_deactivate_totp": [  # set up, looked at, and removed
        Shown("/account/second-factor/app/", "ben", turn_the_second_factor_on),
        Shown("/account/second-factor/app/remove/", "ben"),
        Shown("/account/second-factor/app/remove/", "ben", send_as_it_is),
    ],
    "mfa_add_webauthn": [Shown("/account/second-factor/passkeys/add/", "bea")],
    "mfa_reauthenticate_webauthn": [Shown("/account/confirm/passkey/", "bea")],
    "socialaccount_connections": [Shown("/account/connected/")],
    "sessions": [Shown("/account/sessions/")],
    "everything_is_well": [Shown("/is-everything-well/")],
    "projects": [Shown("/"), Shown("/", "charlie")],
    "project": [Shown("/projects/desk/"), Shown("/projects/desk/", "bob"), Shown("/projects/empty/")],
    "guidelines": [Shown("/projects/desk/guidelines/", "bob"), Shown("/projects/empty/guidelines/")],
    "guidelines_versions": [Shown("/projects/reading/guidelines/versions/", "bob")],
    "guidelines_version": [Shown("/projects/reading/guidelines/2/", "bob")],
    "edit_guidelines": [Shown("/projects/desk/guidelines/edit/")],
    "my_work": [Shown("/projects/desk/me/", "bob"), Shown("/projects/empty/me/", "bob")],
    "cleaning": [Shown("/projects/desk/data/clean/?state="), Shown("/projects/empty/data/clean/")],
    "toxicity": [Shown("/projects/desk/data/clean/toxicity/"), Shown("/projects/empty/data/clean/toxicity/")],
    "gold": [Shown("/projects/desk/gold/", "alice", open_all), Shown("/projects/empty/gold/")],
    "gold_candidates": [Shown("/projects/desk/gold/add/"), Shown("/projects/empty/gold/add/")],
    "make_gold": [
        Shown("/projects/desk/gold/add/{plain}/"),
        Shown("/projects/desk/gold/add/{plain}/", "alice", send_as_it_is),
    ],
    "gold_item": [Shown("/projects/desk/gold/{gold}/")],
    "gold_answer": [Shown("/labels/{gold_answer}/gold/", "bob")],
    "keys": [Shown("/keys/", "bob")],
    "import": [
        Shown("/projects/desk/data/import/"),
        Shown("/projects/empty/data/import/"),
        Shown("/projects/desk/data/import/", "alice", send_as_it_is),
    ],
    "import_file": [
        Shown("/projects/desk/data/import/{upload}/", "alice", open_all),
        Shown("/projects/desk/data/import/{looked_through}/", "alice", open_all),
        Shown("/projects/desk/data/import/{unknown_shape}/"),
        Shown("/projects/desk/data/import/{imported}/"),
        Shown("/projects/desk/data/import/{importing}/"),
        Shown("/projects/desk/data/import/{failed_import}/"),
    ],
    "browse": [
        Shown("/projects/desk/data/", "alice", open_all),
        Shown("/projects/desk/data/?view=answers&q=parcel", "rita"),
        Shown("/projects/desk/data/?view=labels", "alice"),
        Shown("/projects/desk/data/?tag=parcels"),
        Shown("/projects/desk/data/?split=nonsense&metadata=nonsense"),
        Shown("/projects/empty/data/"),
    ],
    "browse_prompt": [
        Shown("/projects/desk/data/prompts/{prompt}/", "alice", open_all),
        Shown("/projects/desk/data/prompts/{prompt}/", "rita"),
    ],
    "bulk_changes": [Shown("/projects/desk/data/changes/"), Shown("/projects/empty/data/changes/")],
    "export_page": [
        Shown("/projects/desk/data/export/", "alice", open_all),
        Shown("/projects/desk/data/export/", "alice", send_as_it_is),
        Shown("/projects/empty/data/export/"),
    ],
    "access_keys": [
        Shown("/access-keys/", "alice", open_all),
        Shown("/access-keys/", "alice", send_as_it_is),
        Shown("/access-keys/", "charlie"),
        Shown("/access-keys/", "bob", make_a_key),
    ],
    "webhooks": [
        Shown("/projects/desk/webhooks/"),
        Shown("/projects/desk/webhooks/", "alice", send_as_it_is),
        Shown("/projects/empty/webhooks/"),
    ],
    "webhook": [Shown("/projects/desk/webhooks/{webhook}/", "alice", open_all)],
    "people": [Shown("/projects/desk/people/", "alice", open_all), Shown("/projects/empty/people/")],
    "person": [Shown("/projects/desk/people/{bob}/", "alice", open_all)],
    "new_team": [Shown("/projects/desk/teams/new/"), Shown("/projects/empty/teams/new/", "alice", send_as_it_is)],
    "team": [Shown("/projects/desk/teams/{team}/", "alice", open_all)],
    "join": [
        Shown("/join/{token}/", ""),
        Shown("/join/{token}/", "", send_as_it_is),
        Shown("/join/{token}/", "charlie"),
        Shown("/join/{token}/", "bob"),
        Shown("/join/{closed}/", ""),
    ],
    "quality": [Shown("/projects/desk/quality/", "rita", open_all), Shown("/projects/empty/quality/")],
    "raters": [Shown("/projects/desk/quality/people/", "alice", open_all), Shown("/projects/empty/quality/people/")],
    "work": [
        Shown("/projects/desk/label/demonstration/", "bob"),
        Shown("/projects/desk/label/demonstration/", "bob", press("?")),
        Shown("/projects/desk/label/demonstration/", "bob", send_as_it_is),
        Shown("/projects/desk/label/comparison/", "bob"),
        Shown("/projects/desk/label/comparison/", "bob", send_as_it_is),
        Shown("/projects/empty/label/comparison/", "bob"),
        Shown("/projects/reading/label/comparison/", "bob"),
        Shown("/projects/desk/label/comparison/", "ben"),
    ],
    "my_labels": [Shown("/projects/desk/mine/", "bob", open_all), Shown("/projects/desk/mine/?q=nothing")],
    "revise": [Shown("/labels/{own_label}/revise/", "bob"), Shown("/labels/{own_label}/revise/", "bob", send_as_it_is)],
    "review": [
        Shown("/projects/desk/review/", "rita"),
        Shown("/projects/desk/review/", "rita", press("f")),
        Shown("/projects/desk/review/", "rita", send_as_it_is),
        Shown("/projects/empty/review/"),
    ],
    "thread": [Shown("/assignments/{assignment}/thread/", "bob", send_as_it_is)],
    "comment": [Shown("/comments/{flag}/"), Shown("/comments/{flag}/", "bob")],
    "flags": [Shown("/projects/desk/flags/"), Shown("/projects/empty/flags/")],
    "notices": [Shown("/notices/"), Shown("/notices/", "charlie")],
    "rounds": [Shown("/projects/desk/rounds/"), Shown("/projects/empty/rounds/")],
    "round": [Shown("/projects/desk/rounds/{round}/")],
    "runs": [Shown("/projects/desk/runs/"), Shown("/projects/empty/runs/")],
    "start_run": [
        Shown("/projects/desk/runs/start/", "alice", open_all),
        Shown("/projects/desk/runs/start/", "alice", send_as_it_is),
        Shown("/projects/empty/runs/start/?method=dpo"),
    ],
    "start_paraphrasing": [
        Shown("/projects/desk/runs/paraphrase/", "alice", open_all),
        Shown("/projects/empty/runs/paraphrase/", "alice", send_as_it_is),
    ],
    "paraphrases": [
        Shown("/projects/desk/runs/{wordings}/paraphrases/"),
        Shown("/projects/desk/runs/{run}/paraphrases/"),
    ],
    "snapshots": [Shown("/projects/desk/data/snapshots/", "alice", open_all), Shown("/projects/empty/data/snapshots/")],
    "new_snapshot": [
        Shown("/projects/desk/data/snapshots/new/", "alice", open_all),
        Shown("/projects/desk/data/snapshots/new/?recipe={recipe}"),
        Shown("/projects/empty/data/snapshots/new/", "alice", send_as_it_is),
    ],
    "freezing": [Shown("/projects/desk/data/snapshots/asked/{freezing}/")],
    "snapshot": [Shown("/projects/desk/data/snapshots/{snapshot}/", "alice", open_all)],
    "snapshot_row": [Shown("/projects/desk/data/snapshots/{snapshot}/rows/0/")],
    "compare_snapshots": [
        Shown("/projects/desk/data/snapshots/{snapshot}/compare/"),
        Shown("/projects/desk/data/snapshots/{snapshot}/compare/?with={earlier_snapshot}"),
    ],
    "which_method": [
        Shown("/projects/desk/runs/which-method/"),
        Shown("/projects/desk/runs/which-method/?goal=preference&subject=known&means=one"),
        Shown("/projects/empty/runs/which-method/?goal=manner&subject=new&means=processor"),
    ],
    "run": [Shown("/projects/desk/runs/{run}/"), Shown("/projects/desk/runs/{failed_run}/")],
    "round_report": [Shown("/projects/desk/rounds/{round}/report/")],
    "history": [Shown("/projects/desk/history/"), Shown("/projects/empty/history/")],
    "compare_models": [
        Shown("/projects/desk/models/compare/?first={base}&second={model}"),
        Shown("/projects/empty/models/compare/"),
    ],
    "gate_policy": [Shown("/projects/desk/gate/")],
    "models": [Shown("/projects/desk/models/"), Shown("/projects/empty/models/")],
    "model": [Shown("/projects/desk/models/{model}/", "alice", open_all), Shown("/projects/desk/models/{base}/")],
}
NO_PAGES = {
    **dict.fromkeys(
        (
            "decide_findings",
            "check_data",
            "submit",
            "skip",
            "undo",
            "pause",
            "unpause",
            "read_guidelines",
            "remove_person",
            "revoke_invitation",
            "delete_team",
            "cancel_import",
            "retry_import",
            "delete_export",
        ),
        "forms go there",
    ),
    **dict.fromkeys(("logout", "rate_person", "recompute"), "the same"),
    **dict.fromkeys(("end_session", "end_sessions", "personal_data", "openid_connect_login"), "the same"),
    **dict.fromkeys(("account_login", "account_logout"), "what django-allauth calls login and logout"),
    "account_set_password": "the page of account_change_password for whoever has none",
    "openid_connect_callback": "the provider sends back there",
    "socialaccount_signup": "leads to the sign-in",
    "mfa_download_recovery_codes": "a file",
    "mfa_list_webauthn": "leads to mfa_index",
    "mfa_remove_webauthn": "a question like that of mfa_deactivate_totp, asked in test_second_factor.py",
    **dict.fromkeys(("decide", "pass_on", "withdraw", "settle", "read_notices"), "the same"),
    **dict.fromkeys(("save_view", "change_view", "undo_change", "decide_tags", "suggest_tags"), "the same"),
    "bulk_change": "a form goes there, and asks once more whether one is sure",
    "notice": "leads on to the page that it is about",
    **dict.fromkeys(("promote", "advance_round", "cancel_round", "retry_round", "cancel_run", "retry_run"), "the same"),
    **dict.fromkeys(("continue_run", "move_run", "delete_model", "merge_model", "decide_paraphrase"), "the same"),
    **dict.fromkeys(("measure_model", "start_head_to_head", "stop_head_to_head", "roll_back"), "the same"),
    **dict.fromkeys(("ask_second_opinion", "ask_suites"), "the same"),
    **dict.fromkeys(("round_policy", "set_aim"), "a form goes there"),
    **dict.fromkeys(("revoke_access_key", "ping_webhook", "renew_webhook_secret"), "the same"),
    **dict.fromkeys(("delete_webhook", "send_again"), "the same"),
    **dict.fromkeys(("draft", "ahead", "release", "check"), "scripts send there"),
    "check_snapshot": "a form goes there",
    "read_for_toxicity": "the same",
    **dict.fromkeys(
        (
            *("cleaning_progress", "export_work", "run_metrics", "round_state", "report_file", "schema"),
            *("export_model", "model_card", "import_state", "import_rejected", "export_state", "export_file"),
            *("preview_snapshot", "snapshot_recipe", "snapshot_file", "recipe_file"),
        ),
        "files and parts of pages",
    ),
    "api_docs": "Swagger's page, as it comes in its package",
}
ADMIN = """
    . annotation/project/add/ annotation/user/ annotation/label/ annotation/label/{label}/change/ evaluation/round/add/
"""
# What the admin's theme (django-unfold) brings along and we cannot mend: its frame, and the buttons of its lists.
OF_THE_THEME = {"empty-table-header", "landmark-one-main", "landmark-unique", "region", "target-size"}


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """The web processes alone, on a database that is filled directly."""
    with running() as made:
        said = made.manage("shell", stdin=SEED)
        made.seed = json.loads(said.splitlines()[-1])  # type: ignore[attr-defined]
        made.start("web")
        made.wait_for_pages()
        yield made


@pytest.fixture(scope="module")
def open_page(browser: Browser, product: Product) -> Iterator[Callable[[str], Page]]:
    """A page of somebody's browser, which stays open and signed in for the whole module."""
    pages: dict[str, Page] = {}

    def page_of(name: str) -> Page:
        if name not in pages:
            context = browser.new_context(base_url=product.url, viewport=DESK, reduced_motion="reduce")
            for script in (WATCH, AXE):
                context.add_init_script(script)
            page = pages[name] = context.new_page()
            if name:
                page.goto("/sign-in/")
                page.locator("[name=username]").fill(name)
                page.locator("[name=password]").fill(f"{name}-has-a-secret")
                page.keyboard.press("Enter")
                page.wait_for_url(lambda url: "/sign-in/" not in url)
        return pages[name]

    yield page_of
    for page in pages.values():
        page.context.close()


def wrong(page: Page, schemes: Sequence[Any] = ("dark", "light"), theme: Collection[str] = ()) -> list[str]:
    """What axe finds in these colour schemes, in words, and what the page's own policy refused."""
    found = [f"refused by the policy: {one}" for one in page.evaluate("window.refused")]
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for one in page.evaluate("rules => axe.run(document, rules).then(found => found.violations)", RULES[scheme]):
            if one["id"] not in theme:
                places = "; ".join(re.sub(r"\s+", " ", node["html"])[:160] for node in one["nodes"][:4])
                found.append(f"{scheme}: {one['id']}: {one['help']}: {places}")
    return found


def widest(page: Page) -> list[str]:
    """What makes the page scroll sideways, if it does."""
    return page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] :
        [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1)
          .slice(0, 5).map(one => `scrolls sideways: ${one.outerHTML.slice(0, 120)}`)"""
    )


def wrong_at_any_width(page: Page, come: Callable[[], Any]) -> list[str]:
    """What is wrong with a page that one comes to on a phone, and when its window grows to that of a desk. Style sheets
    follow the window by themselves; where a script has asked how wide it is, one comes to the page anew."""
    found = []
    for size, schemes in ((PHONE, ("light", "dark")), (DESK, ("dark", "light"))):
        anew = size is PHONE or page.evaluate("window.asksForWidth")
        page.set_viewport_size(size)
        come() if anew else page.evaluate(DRAWN)
        found += [f"{size['width']} px: {one}" for one in [*wrong(page, schemes), *widest(page)]]
    return found


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_open_to_everybody(open_page: Callable[[str], Page], product: Any, name: str) -> None:
    found = []
    for shown in PAGES[name]:
        page = open_page(shown.who)

        def come(page: Page = page, shown: Shown = shown) -> None:
            page.goto(shown.address.format(**product.seed))
            shown.then(page)

        found += [f"{shown.address} as {shown.who or 'nobody'}, {one}" for one in wrong_at_any_width(page, come)]
    assert not found, "\n".join(found)


def test_the_pages_of_errors_are_too(open_page: Callable[[str], Page], product: Any) -> None:
    page = open_page("bob")

    def refused(address: str, status: int) -> None:
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == status

    def without_a_token() -> None:
        page.goto("/projects/desk/")
        page.evaluate("document.cookie = 'csrftoken=; max-age=0; path=/'")
        with page.expect_navigation():
            page.evaluate("document.querySelector('.account form').submit()")

    page.route("**/broken/", lambda route: route.fulfill(body=render_to_string("500.html"), content_type="text/html"))
    ways: dict[str, Callable[[], Any]] = {
        "404": lambda: refused("/nowhere/", 404),
        "403": lambda: refused("/projects/desk/data/import/", 403),
        "csrf": without_a_token,
        "500": lambda: page.goto("/broken/"),
    }
    found = [f"{way}, {one}" for way, come in ways.items() for one in wrong_at_any_width(page, come)]
    page.unroute("**/broken/")
    assert not found, "\n".join(found)


def test_a_script_that_came_through_would_not_run(open_page: Callable[[str], Page], product: Any) -> None:
    """Markup as if nothing had cleaned it, in a real page: the policy is what stops it."""
    page = open_page("alice")
    page.set_viewport_size(DESK)
    attack = """<script>window.ran = 1</script><img src="x" onerror="window.ran = 2"><p style="color: red">red</p>
        <base href="https://evil.example/"><a id="link" href="javascript:window.ran = 3">go</a>"""

    def with_attack(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("</main>", f"{attack}</main>"))

    page.route("**/projects/desk/guidelines/", with_attack)
    page.goto("/projects/desk/guidelines/")
    page.locator("#link").click()
    until(page, "window.refused.length >= 5")
    assert page.evaluate("window.ran") is None
    assert "evil.example" not in page.evaluate("document.baseURI")
    page.unroute("**/projects/desk/guidelines/")


def test_the_admin_has_no_fault_but_those_of_its_theme(open_page: Callable[[str], Page], product: Any) -> None:
    """Reported apart: the rules that the theme breaks are named above, and left out."""
    page = open_page("alice")
    page.set_viewport_size(DESK)
    found = []
    for below in ADMIN.split():
        page.goto(f"/admin/{below.format(**product.seed)}")
        found += [f"/admin/{below}: {one}" for one in wrong(page, theme=OF_THE_THEME)]
    assert not found, "\n".join(found)
