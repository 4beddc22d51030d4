"""Whatever people, models and files write on every page of the product: nothing of it runs, leaves or goes elsewhere,
and people can still read it.

First that the trap catches: the same attacks, as they are, in a page that nothing protects.
"""

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from annotation.prose import to_html
from tests.attacks import ATTACKS, NAMED
from tests.benchmarks.product import Product, running
from tests.journeys.hostile import TAIL
from tests.journeys.test_accessibility import ADMIN, PAGES, Shown, press, send_as_it_is

SEED = "import json; from tests.journeys import hostile; print(json.dumps(hostile.make()))"
# In each document, also those within: what an attack calls, and what the page's own policy refuses.
TRAP = """
    window.ran = [];
    window.trap = (number) => { window.ran.push(number); window.caught(`trap(${number}) ran`); };
    document.addEventListener("securitypolicyviolation", (one) =>
      window.caught(`the policy refused ${one.effectiveDirective} ${one.blockedURI} ${one.sample}`));
"""
# What must stand on no page, whether or not something would have stopped it there.
MARKUP = """(theirs) => {
    const found = [];
    const addresses = ["href", "src", "action", "formaction", "xlink:href", "poster", "background", "data", "ping"];
    const never = "base, iframe, frame, object, embed, applet, portal, math, marquee, plaintext, xmp, listing, "
      + "meta[http-equiv], script:not([src]):not([type='application/json'])";
    const hostile = (value) => /trap\\(|evil\\.example/.test(value);
    for (const one of document.querySelectorAll(never))
      if (!theirs || hostile(one.outerHTML)) found.push(one.outerHTML.slice(0, 200));
    for (const one of document.querySelectorAll("*"))
      for (const { name, value } of one.attributes) {
        const runs = /^(on|style$|srcdoc$|srcset$)/i.test(name) || (theirs && /^(x-|@|:)/.test(name));
        if (runs && (hostile(value) || (!theirs && /^on/i.test(name)))) found.push(`${name}=${value}`.slice(0, 200));
        if (addresses.includes(name.toLowerCase()) && URL.canParse(value, document.baseURI)) {
          const to = new URL(value, document.baseURI);
          if (to.origin !== location.origin && hostile(to.href)) found.push(`${name}=${value}`.slice(0, 200));
          if (/^(javascript|vbscript):/.test(to.protocol)) found.push(`${name}=${value}`.slice(0, 200));
        }
      }
    for (const one of document.querySelectorAll("style"))
      if (hostile(one.textContent)) found.push(one.outerHTML.slice(0, 200));
    return found;
}"""
OPEN = "for (const one of document.querySelectorAll('details')) one.open = true"
# Addresses that say something which the page repeats.
REPEATED = "'\"><img src=x onerror=trap(0)></script><script>trap(0)</script>javascript:trap(0)"
REPEATING = """
    /projects/desk/data/?q={} /projects/desk/data/?tag={}&metadata={}&language={}&split={} /projects/desk/data/?view={}
    /projects/desk/data/clean/?kind={}&state={} /projects/desk/mine/?q={} /projects/desk/runs/start/?method={}
    /projects/desk/runs/which-method/?goal={}&subject={}&means={} /projects/desk/models/compare/?first={}&second={}
    /projects/desk/data/snapshots/new/?recipe={} /sign-in/?next={} /account/confirm/?next={} /nowhere/{}/
    /projects/{}/data/ /join/{}/ /projects/desk/label/{}/
"""
FORMS = """
    /access-keys/ /projects/desk/webhooks/ /projects/desk/teams/new/ /projects/desk/data/export/
    /projects/desk/data/snapshots/new/ /projects/desk/runs/start/ /projects/desk/guidelines/edit/ /account/name/
    /projects/desk/gold/add/{plain}/ /comments/{flag}/ /projects/desk/data/import/ /keys/
"""
OF_ONESELF = ("account_", "mfa_", "socialaccount_")  # pages on which nobody else's word stands
KEYS = [
    *(Shown("/projects/desk/label/comparison/", "bob", press(key)) for key in "dm"),
    *(Shown("/projects/desk/label/comparison/", "alice", press(key)) for key in "d"),
    *(Shown("/projects/desk/label/demonstration/", "bob", press(key)) for key in "etm"),
]
# Where all attacks are shown, and must be readable.
READ = """
    /projects/desk/label/comparison/ /projects/desk/label/demonstration/ /projects/desk/guidelines/
    /projects/desk/data/prompts/{prompt}/
"""
FILES = """
    /projects/desk/data/import/{imported}/rejected/ /projects/desk/data/snapshots/{snapshot}/file/
    /projects/desk/data/snapshots/{snapshot}/recipe/ /projects/desk/data/recipes/{recipe}/
    /projects/desk/rounds/{round}/report/file/ /projects/desk/people/{bob}/export/
"""


# For the trap to be tried by: what runs by itself in a page that nothing protects, or asks for something elsewhere.
RUN = [
    number
    for number, text in ATTACKS.items()
    if text.replace(f"trap({number})", "RUN")
    in {
        *("<script>RUN</script>", "<img src=x onerror=RUN>", "<svg onload=RUN>", "<body onload=RUN>"),
        *("<details open ontoggle=RUN>", "<!--><img src=x onerror=RUN>-->", "\ufeff<script>RUN</script>"),
        *("<noscript><p title='</noscript><img src=x onerror=RUN>'>", '<a href="javascript:RUN">click</a>'),
        *("</script><script>RUN</script>", '"><img src=x onerror=RUN>'),
    }
]
LINK = next(number for number in RUN if "href" in ATTACKS[number])
ASK = [
    number
    for number, text in ATTACKS.items()
    if text
    in {
        *("<img src=https://evil.example/seen.gif>", "<style>@import '//evil.example/x.css';</style>"),
        *("<iframe src=//evil.example/frame></iframe>", "<link rel=stylesheet href=//evil.example>"),
        "<meta http-equiv=refresh content='0;url=//evil.example/refreshed'>",
    }
]


@dataclass
class Watch:
    """What was caught in a browser: what ran, asked, was refused, left for elsewhere, or opened."""

    origin: str
    caught: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.expose_binding("caught", lambda source, what: self.caught.append(f"{source['page'].url}: {what}"))
        context.add_init_script(TRAP)
        context.on("request", self.asked)
        context.on("page", self.opened)
        context.route(re.compile(rf"^(?!{re.escape(self.origin)}|data:)"), lambda route: route.abort())

    def numbers(self) -> set[int]:
        """Which attacks ran."""
        return {int(number) for number in re.findall(r"trap\((\d+)\) ran", "\n".join(self.caught))}

    def elsewhere(self) -> set[str]:
        return {url for url in self.left if "evil.example/" in url}

    def asked(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.left.append(request.url)

    def opened(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.failed(f"{page.url}: {error}"))
        page.on("dialog", self.spoken)
        page.on("framenavigated", lambda frame: self.gone(frame.url))

    def failed(self, error: str) -> None:
        """A script of ours that an attack broke; what was still asked for when the page was left is none."""
        if "fetch" not in error:
            self.caught.append(error)

    def spoken(self, dialog: Any) -> None:
        self.caught.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def gone(self, url: str) -> None:
        if not url.startswith((self.origin, "about:")):
            self.left.append(url)


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """The web processes alone, on a database full of attacks."""
    with running() as made:
        said = made.manage("shell", stdin=SEED)
        made.seed = json.loads(said.splitlines()[-1])  # type: ignore[attr-defined]
        made.start("web")
        made.wait_for_pages()
        yield made


@pytest.fixture
def watch(product: Product) -> Watch:
    return Watch(product.url)


@pytest.fixture
def page_of(browser: Browser, product: Product, watch: Watch) -> Iterator[Callable[[str], Page]]:
    """A page of somebody's browser, watched; they sign in by an address that would lead elsewhere."""
    pages: dict[str, Page] = {}

    def opened(name: str) -> Page:
        if name not in pages:
            context = browser.new_context(base_url=product.url, user_agent="<img src=x onerror=trap(0)>")
            watch.over(context)
            page = pages[name] = context.new_page()
            if name:
                page.goto("/sign-in/?next=//evil.example/")
                page.locator("[name=username]").fill(f"{name}{TAIL}")
                page.locator("[name=password]").fill(f"{name}-has-a-secret")
                page.keyboard.press("Enter")
                page.wait_for_url(lambda url: "/sign-in/" not in url)
        return pages[name]

    yield opened
    for page in pages.values():
        page.context.close()


def unprotected(page: Page, body: str) -> None:
    """Open a page of this body, with no policy."""
    page.route("**/unprotected/", lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8"))
    page.goto("/unprotected/")
    page.unroute("**/unprotected/")


def the_trap_catches(browser: Browser, origin: str) -> None:
    """Some attacks as they are, each in a frame of its own: those that run are told, and so is what they ask for."""
    watch = Watch(origin)
    context = browser.new_context(base_url=origin)
    watch.over(context)
    page = context.new_page()
    frames = (f'<iframe srcdoc="{html.escape(ATTACKS[number])}"></iframe>' for number in RUN + ASK)
    unprotected(page, "".join(frames))
    page.frame_locator(f"iframe >> nth={RUN.index(LINK)}").locator("a").click()
    deadline = time.monotonic() + 30
    while not watch.numbers() >= set(RUN) or len(watch.elsewhere()) < len(ASK):
        assert time.monotonic() < deadline, (set(RUN) - watch.numbers(), watch.elsewhere())
        page.wait_for_timeout(20)
    assert all(page.frames[1 + place].evaluate(MARKUP, False) for place in range(len(RUN)))
    context.close()


def rendered_alone(page: Page) -> list[str]:
    """Every attack as Markdown, in a page that has nothing else to protect it: what is wrong with it."""
    unprotected(page, "".join(f"<article>{to_html(text)}</article>" for text in ATTACKS.values()))
    return [f"rendered: {one}" for one in page.evaluate(MARKUP, False)]


def test_nothing_that_anybody_writes_runs(
    browser: Browser, page_of: Callable[[str], Page], watch: Watch, product: Any
) -> None:
    the_trap_catches(browser, product.url)
    wrong = rendered_alone(page_of(""))
    read = {address.format(**product.seed): "" for address in READ.split()}
    for shown, theirs in [*pages(product.seed), *repeating(), *forms(product.seed), *of_the_admin(product.seed)]:
        page = page_of(shown.who)
        answer = page.goto(shown.address)
        shown.then(page)
        page.evaluate(OPEN)
        found = page.evaluate(MARKUP, theirs)
        if answer is None or answer.status >= 500 or "Something broke" in page.title():
            found.append("it is broken")
        if urlsplit(page.url).netloc != urlsplit(product.url).netloc:
            found.append(f"led to {page.url}")
        wrong += [f"{shown.address} as {shown.who or 'nobody'}: {one}" for one in found]
        if shown.address in read:
            read[shown.address] += page.locator("body").inner_text()
    wrong += as_files(page_of, product.seed)
    assert not [*wrong, *watch.caught, *watch.left]
    assert {address: unread(text) for address, text in read.items() if unread(text)} == {}


def pages(seed: dict[str, Any]) -> Iterator[tuple[Shown, bool]]:
    """Every page of ours, and what the keys of the bench open; forms that were sent have a list of their own."""
    for name, shown in [(name, one) for name, states in [*PAGES.items(), ("work", KEYS)] for one in states]:
        nobody_s = shown.address.startswith("/projects/empty/") or name.startswith(OF_ONESELF)
        if not nobody_s and shown.then is not send_as_it_is:
            yield Shown(shown.address.format(**seed), shown.who, shown.then), False


def repeating() -> Iterator[tuple[Shown, bool]]:
    for address in REPEATING.split():
        yield Shown(address.replace("{}", quote(REPEATED, safe=""))), False


def forms(seed: dict[str, Any]) -> Iterator[tuple[Shown, bool]]:
    for address in FORMS.split():
        yield Shown(address.format(**seed), then=send_attacks), False


def of_the_admin(seed: dict[str, Any]) -> Iterator[tuple[Shown, bool]]:
    """Where the theme has scripts and frames of its own: there, nothing but what is an attack is looked for."""
    for address in [*seed["admin"], *(f"/admin/{below}" for below in ADMIN.split())]:
        yield Shown(address.format(**seed), "boss"), True


def send_attacks(page: Page) -> None:
    """Every field of text filled with an attack, and the first form sent, past the checks of the browser."""
    with page.expect_navigation():
        page.evaluate(
            """(texts) => {
              const fields = "main :is(textarea, input:not([type]), [type=text], [type=url], [type=email])";
              document.querySelectorAll(fields).forEach((one, place) => { one.value = texts[place % texts.length]; });
              HTMLFormElement.prototype.submit.call(document.querySelector("main form[method=post]"));
            }""",
            NAMED,
        )


def as_files(page_of: Callable[[str], Page], seed: dict[str, Any]) -> list[str]:
    """Files that are sent keep their name and no header of another's; a page among them is safe by itself."""
    wrong = []
    for address in FILES.split():
        answer = page_of("alice").request.get(address.format(**seed))
        name = answer.headers.get("content-disposition", "")
        if answer.status >= 400 or answer.headers.get("x-content-type-options") != "nosniff" or "x" in answer.headers:
            wrong.append(f"{address}: {answer.status} {answer.headers}")
        if not name.startswith("attachment") or re.search(r"[/\\\\<>]", name):
            wrong.append(f"{address}: {name}")
        if "html" in answer.headers["content-type"]:
            unprotected(page_of(""), answer.text())
            wrong += [f"{address}: {one}" for one in page_of("").evaluate(MARKUP, True)]
    return wrong


def unread(text: str) -> set[str]:
    """The words around the attacks that are not among these."""
    return {f"{word}{number}" for word in ("begin", "end") for number in ATTACKS} - set(
        re.findall(r"(?:begin|end)\d+", text)
    )
