"""The labelling pages by keyboard: nothing waits, nothing is lost, and the last word can be taken back."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from config import postgres
from tests import browser as chromium
from tests.benchmarks.product import Product, running
from tests.pages import until

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1440, "height": 900}
PEOPLE = """
from annotation.models import Membership, Project, User
from annotation.importing import import_lines
import json
project = Project.objects.create(slug="desk", name="Desk", heldout_share=0)
for name, role in (("alice", "lead"), ("bob", "annotator"), ("bea", "annotator")):
    person = User.objects.create_user(name, password=f"{name}-has-a-secret", is_staff=role == "lead")
    Membership.objects.create(person=person, project=project, role=role)
rows = [{"prompt": f"Question {n}?", "responses": [f"Yes, {n}.", f"No, not {n}."]} for n in range(60)]
rows += [{"prompt": f"Draft {n}?", "completion": f"We open at {n}."} for n in range(20)]
import_lines(project=project, lines=map(json.dumps, rows))
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """The pages alone, with items to judge."""
    with running() as made:
        made.manage("shell", "--verbosity=0", stdin=PEOPLE)
        made.start("web")
        made.wait_for_pages()
        yield made


def rows(product: Product, query: str, *values: object) -> list[tuple]:
    with psycopg.connect(postgres.url(product.var / "postgres")) as connection:
        return connection.execute(query, values).fetchall()


def live_labels(product: Product, name: str) -> int:
    query = """select count(*) from annotation_label label join annotation_user person on person.id = label.person_id
        where person.username = %s and label.retracted_at is null
        and not exists (select 1 from annotation_label later where later.supersedes_id = label.id)"""
    return rows(product, query, name)[0][0]


def stored_twice(product: Product) -> list[tuple]:
    return rows(
        product,
        """select item_id, person_id from annotation_label label where retracted_at is null
        and not exists (select 1 from annotation_label later where later.supersedes_id = label.id)
        group by item_id, person_id having count(*) > 1""",
    )


def assignment(page: Page) -> str:
    return page.locator("form[data-item]").get_attribute("data-assignment") or ""


def everything_is_sent(page: Page) -> None:
    until(page, "document.documentElement.dataset.outbox === 'sent'")


def fetched_ahead(page: Page) -> None:
    """Wait until the item after this one is in the page's hands."""
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_next_item_is_on_screen_before_the_server_has_answered(
    product: Product, sign_in: Callable[..., Page], size: dict[str, int]
) -> None:
    page = sign_in("bob", viewport=size)
    before = live_labels(product, "bob")
    page.goto("/projects/desk/label/comparison/")
    fetched_ahead(page)
    pending: list[Route] = []
    page.route("**/submit/", lambda route: pending.append(route), times=1)  # the answer is held back
    first = assignment(page)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("form[data-item]")).not_to_have_attribute("data-assignment", first)
    expect(page.locator("[data-item-title]")).to_be_focused()
    assert live_labels(product, "bob") == before
    until(page, "document.documentElement.dataset.outbox === 'sending'")
    pending[0].continue_()
    everything_is_sent(page)
    assert live_labels(product, "bob") == before + 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def a_minute_passes(page: Page) -> None:
    """For the page, whose clock must be installed: in steps, so that what its timers ask for can fail in between."""
    for _ in range(60):
        page.clock.run_for(1000)


def leases_end(product: Product, name: str) -> None:
    """As if they had run out: what this person holds goes back to the queue."""
    query = """update annotation_assignment a set lease_until = now() - interval '1 second' from annotation_user u
        where u.id = a.person_id and u.username = %s and a.state = 'leased' returning a.id"""
    assert rows(product, query, name)
    product.manage("recover")


def test_a_network_cut_for_a_minute_loses_nothing_and_stores_nothing_twice(
    product: Product, sign_in: Callable[..., Page]
) -> None:
    page = sign_in("bob", viewport=DESKTOP)
    page.clock.install()
    page.goto("/projects/desk/label/comparison/")
    fetched_ahead(page)
    before = live_labels(product, "bob")
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url.rstrip("/").rpartition("/")[2]))
    page.context.set_offline(True)
    cut_at = page.evaluate("performance.now()")
    for _ in range(2):  # the one on the page, and the one that was fetched ahead
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
    kept = page.locator("[data-unsent]")
    expect(kept).to_contain_text("2 labels are kept in this browser")
    a_minute_passes(page)
    for _ in range(60):
        if failed.count("submit") >= 4 and "draft" in failed:
            break
        page.clock.run_for(1000)  # on a busy machine the last to fail is late
    cut_for = page.evaluate("performance.now()") - cut_at
    assert cut_for >= 60_000
    assert 4 <= failed.count("submit") <= 8 + cut_for / 15_000  # ever more rarely
    assert "draft" in failed, "the lease was not renewed"
    expect(kept).to_contain_text("2 labels are kept in this browser")
    assert live_labels(product, "bob") == before

    leases_end(product, "bob")  # and labels are welcome while nobody else has the items
    page.context.set_offline(False)
    everything_is_sent(page)
    expect(kept).to_be_hidden()
    expect(page.locator("form[data-item]")).to_be_visible()
    assert live_labels(product, "bob") == before + 2
    assert not stored_twice(product)

    expect(page.locator("[data-lease-ended]")).to_be_hidden()
    leases_end(product, "bob")
    a_minute_passes(page)
    expect(page.locator("[data-lease-ended]")).to_be_visible()


def test_a_server_killed_in_the_middle_of_a_submit_stores_the_label_once(
    product: Product, sign_in: Callable[..., Page]
) -> None:
    page = sign_in("bob", viewport=DESKTOP)
    page.goto("/projects/desk/label/comparison/")
    fetched_ahead(page)
    before = live_labels(product, "bob")

    def kill_after_storing(route: Route) -> None:
        """The label is stored, but the answer never arrives."""
        route.fetch()
        product.kill("web")
        route.abort()

    page.route("**/submit/", kill_after_storing, times=1)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("[data-unsent]")).to_contain_text("kept in this browser")
    product.start("web")
    product.wait_for_pages()
    everything_is_sent(page)
    assert live_labels(product, "bob") == before + 1
    assert not stored_twice(product)


def test_the_last_label_is_taken_back_by_a_key_and_judged_again(product: Product, sign_in: Callable[..., Page]) -> None:
    page = sign_in("bob", viewport=DESKTOP)
    page.goto("/projects/desk/label/comparison/")
    fetched_ahead(page)
    first = assignment(page)
    before = live_labels(product, "bob")
    for key in ("ArrowLeft", "4", "Enter"):
        page.keyboard.press(key)
    everything_is_sent(page)
    second = assignment(page)
    page.keyboard.press("u")
    expect(page.locator("form[data-item]")).to_have_attribute("data-assignment", first)
    expect(page.locator("[name=choice][value=left]")).to_be_checked()
    expect(page.locator("[name=strength][value='4']")).to_be_checked()
    assert live_labels(product, "bob") == before
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    everything_is_sent(page)
    expect(page.locator("form[data-item]")).to_have_attribute("data-assignment", second)  # it waited meanwhile
    assert live_labels(product, "bob") == before + 1
    ((left_rank,),) = rows(
        product,
        """select rank from annotation_judgement where position = 0 and label_id =
        (select id from annotation_label where assignment_id = %s order by id desc limit 1)""",
        int(first),
    )
    assert left_rank == 2


def test_an_item_that_was_only_looked_at_goes_back_when_its_page_is_left(
    product: Product, sign_in: Callable[..., Page]
) -> None:
    page = sign_in("bea", viewport=DESKTOP)
    page.goto("/projects/desk/label/comparison/")
    fetched_ahead(page)
    held = "select count(*) from annotation_assignment a join annotation_user u on u.id = a.person_id "
    held += "where u.username = 'bea' and state = 'leased'"
    assert rows(product, held) == [(2,)]
    page.goto("/projects/desk/")
    deadline = time.monotonic() + 30
    while rows(product, held) != [(0,)]:  # a farewell has no answer to wait for
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ones_own_keys_work_and_are_shown(product: Product, sign_in: Callable[..., Page]) -> None:
    page = sign_in("bea", viewport=PHONE)
    page.goto("/keys/")
    page.locator("#key-left").focus()
    page.keyboard.press("z")
    page.locator("#key-submit").focus()
    page.keyboard.press("n")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("Your keys were saved.")
    page.set_viewport_size(DESKTOP)
    page.goto("/projects/desk/label/comparison/")
    expect(page.locator("[data-side=left] .answer-choice kbd")).to_have_text("z")
    fetched_ahead(page)
    first = assignment(page)
    page.keyboard.press("z")
    page.keyboard.press("n")
    expect(page.locator("form[data-item]")).not_to_have_attribute("data-assignment", first)
    everything_is_sent(page)
    page.goto("/keys/")
    page.get_by_role("button", name="Set all back to the usual keys").click()
    expect(page.locator("body")).to_contain_text("the usual ones again")


def test_a_browser_killed_while_typing_loses_no_draft(product: Product, browser: Browser, tmp_path: Path) -> None:
    """kill -9 of the whole browser, once the first draft is at the server; another browser shows it."""
    typed = "We open at nine, from Monday to Saturday."

    def open_page(folder: Path) -> Page:
        context = browser.browser_type.launch_persistent_context(
            folder, executable_path=chromium.find(), args=["--no-sandbox"], base_url=product.url
        )
        page = context.new_page()
        page.goto("/sign-in/")
        page.locator("[name=username]").fill("bob")
        page.locator("[name=password]").fill("bob-has-a-secret")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/sign-in/" not in url)
        page.goto("/projects/desk/label/demonstration/")
        return page

    page = open_page(tmp_path / "one")
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    with page.expect_response(re.compile("/draft/$")) as saved:
        page.keyboard.type(typed)
    sent = json.loads(saved.value.request.post_data_json["draft"])["text"]
    if sent != typed:  # the first save fell into the typing: the next one has the rest
        with page.expect_response(re.compile("/draft/$")):
            pass
    held = assignment(page)
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # of others that end meanwhile
            if str(tmp_path / "one") in " ".join(process.cmdline()):
                process.kill()
    page = open_page(tmp_path / "two")
    assert assignment(page) == held
    expect(page.locator("#edit-text")).to_have_value(typed)
    page.context.close()
