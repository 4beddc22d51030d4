"""People at two servers of one database, who use now the one and now the other; for side_by_side.py."""

import json
import random
import re
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from typing import Any

import requests

from tests.benchmarks.product import Product

PATIENCE = 900  # seconds for what is waited for
FINE = (200, 201, 204)
SENT_AGAIN = 5  # times a label is sent that was not acknowledged, as a browser does
SIGN_IN_EVERY = 15  # seconds; the limit is on tries from one address in a minute
KINDS = ("comparison", "demonstration")
LISTS = ("", "prompts/", "labels/", "agreement/", "people/", "models/", "runs/", "snapshots/", "rounds/", "export/")
PAGES = (
    *("", "keys/", "notices/", "access-keys/", "account/", "is-everything-well/", "admin/"),
    *(f"admin/annotation/{table}/" for table in ("project", "user", "prompt", "item", "label", "event")),
    *(f"admin/training/{table}/" for table in ("run", "modelversion", "snapshot")),
    *(f"admin/evaluation/{table}/" for table in ("round", "evaluation")),
    *(f"projects/desk/{page}" for page in ("", "me/", "guidelines/", "people/", "quality/", "quality/people/")),
    *(f"projects/desk/{page}" for page in ("gold/", "flags/", "mine/", "review/", "webhooks/", "history/")),
    *(f"projects/desk/data/{page}" for page in ("", "?text=what", "import/", "clean/", "export/", "changes/")),
    *(f"projects/desk/{page}" for page in ("models/", "rounds/", "runs/", "data/snapshots/")),
)


class Person:
    """With a token for the API, and a session of a browser, each good for both servers."""

    def __init__(self, name: str, password: str) -> None:
        self.name, self.password = name, password
        self.api, self.browser = requests.Session(), requests.Session()
        self.lot = random.Random(name)


class Ground:
    """The servers, which of them people use now, and all that was answered."""

    def __init__(self, servers: dict[str, Product]) -> None:
        self.servers = servers
        self.using: tuple[str, ...] = ("old",)
        self.phase = "old alone"
        self.over = threading.Event()
        self.changed = threading.Condition()
        self.busy: Counter[str] = Counter()
        self.lacking: set[str] = set()  # of the old release
        self.labels: list[str] = []
        self.answered: Counter[str] = Counter()
        self.slowest: dict[str, tuple[float, str]] = defaultdict(lambda: (0.0, ""))  # seconds and what, by phase
        self.refused: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        self.seen: Counter[str] = Counter()

    def ask(
        self,
        person: Person,
        method: str,
        path: str,
        *,
        after: str = "",
        at: str = "",
        fine: tuple[int, ...] = FINE,
        **data: Any,
    ) -> tuple[requests.Response | None, str]:
        """The answer, None if it was none of the fine ones, and which server gave it.

        `at` is the one to ask, `after` the one that was asked before and now is not, as long as there is a choice.
        """
        session = person.api if path.startswith("api/") else person.browser
        with self.changed:
            able = [name for name in self.using if name == at or (not at and name != after)] or list(self.using)
            if _bare(path) in self.lacking:
                able = [name for name in able if name != "old"]
                if not able:
                    return None, "new"
            name, phase = person.lot.choice(able), self.phase
            self.busy[name] += 1
        began, problem, answer = time.perf_counter(), "", None
        try:
            answer = session.request(
                method, f"{self.servers[name].url}/{path}", timeout=120, allow_redirects=False, **data
            )
            gone_to = answer.headers.get("Location", "")
            if answer.status_code not in fine or "sign-in/?next=" in gone_to:  # whoever is sent there said nothing
                said = re.sub(r"(?:<[^>]*>|\s)+", " ", answer.text)[-400:]
                problem = f"{answer.status_code}: {gone_to} {said}"
        except requests.RequestException as error:
            problem = f"no answer: {error}"
        took = time.perf_counter() - began
        with self.changed:
            self.busy[name] -= 1
            self.answered[f"{phase}, {name}"] += 1
            asked = f"{method} {re.sub(r'[0-9]+', 'N', _bare(path))}"
            self.slowest[phase] = max(self.slowest[phase], (round(took, 2), f"{name}: {asked}"))
            if problem:
                what = f"{phase}, {name}: {asked} {problem.partition(':')[0]}"
                self.refused[what] += 1
                self.first.setdefault(what, problem)
            self.changed.notify_all()
        return (None if problem else answer), name

    def use(self, *names: str, phase: str) -> None:
        """From now on these are used; returns when nobody waits for another."""
        with self.changed:
            self.using, self.phase = names, phase
            print(f"{time.strftime('%H:%M:%S')} {phase}, after {len(self.labels)} labels", file=sys.stderr, flush=True)
            self._wait(lambda: not any(self.busy[name] for name in self.servers if name not in names), "it is left")

    def acknowledge(self, label: str) -> None:
        with self.changed:
            self.labels.append(label)
            self.changed.notify_all()

    def more_labels(self, number: int) -> None:
        with self.changed:
            wanted = len(self.labels) + number
            self._wait(lambda: len(self.labels) >= wanted, f"{number} labels more")

    def _wait(self, reached: Any, what: str) -> None:
        if not self.changed.wait_for(reached, PATIENCE):
            states = "\n".join(server.how_all_are() for server in self.servers.values())
            raise TimeoutError(f"not within {PATIENCE} s: {what}\n{self.refused}\n{states}")


def _bare(path: str) -> str:
    return path.partition("?")[0]


def sign_in(ground: Ground, person: Person) -> None:
    """Both ways: at the API, and at the page."""
    who = {"username": person.name, "password": person.password}
    got, _ = ground.ask(person, "POST", "api/v1/token/", json=who)
    if got:
        person.api.headers["Authorization"] = f"Token {got.json()['token']}"
    person.browser.cookies.clear()
    page, at = ground.ask(person, "GET", "sign-in/")
    form = {"login": person.name, **who, "csrfmiddlewaretoken": person.browser.cookies.get("csrftoken", "")}
    if page:
        ground.ask(person, "POST", "sign-in/", after=at, fine=(302,), data=form)


def annotate(ground: Ground, person: Person) -> None:
    while not ground.over.is_set():
        kind = person.lot.choice(KINDS)
        if kind == "demonstration" and person.lot.random() < 0.3:
            label_on_page(ground, person)
            continue
        got, at = ground.ask(person, "POST", "api/v1/projects/desk/next/", json={"kind": kind})
        held = got and got.json()["assignment"]
        if held:
            work_on(ground, person, held, at)
        else:
            ground.over.wait(0.1)


def work_on(ground: Ground, person: Person, held: dict[str, Any], at: str) -> None:
    """What people do with an item; whatever follows is asked of the other server than what was before."""
    mine = f"api/v1/assignments/{held['id']}"
    chance = person.lot.random()
    if chance < 0.08:
        ground.ask(person, "POST", f"{mine}/skip/", after=at, json={"reason": "not mine"})
        ground.seen["skipped"] += 1
        return
    if chance < 0.4:
        at = keep_draft(ground, person, held, at)
    elif chance < 0.5:
        ground.ask(person, "POST", f"{mine}/comments/", after=at, json={"text": "Is this a question?"})
        got, at = ground.ask(person, "GET", f"{mine}/comments/", after=at)
        ground.seen["comments"] += bool(got)
    at = submit(ground, person, held, at)
    if at and person.lot.random() < 0.1:
        got, at = ground.ask(person, "POST", "api/v1/projects/desk/undo/", after=at, json={"kind": held["kind"]})
        if got:
            ground.seen["undone"] += 1
            submit(ground, person, got.json()["assignment"], at)


def keep_draft(ground: Ground, person: Person, held: dict[str, Any], at: str) -> str:
    """Is what was typed on one page there when the other server shows the item?"""
    draft = {"comment": f"half a word {person.lot.random()}"}
    kept, at = ground.ask(person, "POST", f"api/v1/assignments/{held['id']}/draft/", after=at, json={"draft": draft})
    got, at = ground.ask(person, "POST", "api/v1/projects/desk/next/", after=at, json={"kind": held["kind"]})
    if kept and got:
        again = got.json()["assignment"]
        ground.seen["drafts"] += 1
        ground.seen["drafts lost"] += not again or (again["id"], again["draft"]) != (held["id"], draft)
    return at


def submit(ground: Ground, person: Person, held: dict[str, Any], before: str) -> str:
    """Say something until it is acknowledged, sometimes once more; returns where, or nothing."""
    lot, one = person.lot, str(uuid.UUID(int=person.lot.getrandbits(128), version=4))
    said: dict[str, Any] = {"client_uuid": one, "comment": lot.choice(["", "plainly"]), "seconds": 3}
    if held["kind"] == "comparison":
        said |= {"ranks": lot.sample(range(1, len(held["answers"]) + 1), len(held["answers"])), "strength": 1}
    else:
        said |= {"verdict": "accept"} if held["answers"] and lot.random() < 0.5 else {"verdict": "edit", "text": one}
    at = before
    for _ in range(SENT_AGAIN):
        got, at = ground.ask(person, "POST", f"api/v1/assignments/{held['id']}/submit/", after=at, json=said)
        if got:
            ground.acknowledge(one)
            ground.seen["leased at one, said at the other"] += at != before
            if lot.random() < 0.1:
                ground.ask(person, "POST", f"api/v1/assignments/{held['id']}/submit/", after=at, fine=(200,), json=said)
                ground.seen["sent again"] += 1
            return at
    return ""


def label_on_page(ground: Ground, person: Person) -> None:
    """Open a page at one server, get a file that it names there, and send its form to the other."""
    page, at = ground.ask(person, "GET", "projects/desk/label/demonstration/")
    if not page:
        return
    named = re.findall(r'(?:src|href)="/(static/[^"?#]+)"', page.text)
    if named and ground.ask(person, "GET", person.lot.choice(named), at=at)[0]:
        ground.seen["files of pages"] += 1
    form, one = re.search(r'action="/(assignments/\d+/submit/)"', page.text), _value(page.text, "client_uuid")
    if form and 'value="accept"' in page.text:
        filled = {"client_uuid": one, "verdict": "accept", "text": _text(page.text)}
        filled["csrfmiddlewaretoken"] = _value(page.text, "csrfmiddlewaretoken")
        if ground.ask(person, "POST", form[1], after=at, fine=(302,), data=filled)[0]:
            ground.acknowledge(one)
            ground.seen["said on pages"] += 1


def _value(page: str, name: str) -> str:
    found = re.search(rf'name="{name}"\s+value="([^"]*)"', page)
    return found[1] if found else ""


def _text(page: str) -> str:
    found = re.search(r'name="text"[^>]*>\n?([^<]*)</textarea>', page)
    return found[1] if found else ""


def lead(ground: Ground, person: Person) -> None:
    """Bring in more, take out what there is, look at everything; sign in anew now and then."""
    batch, signed_in = 0, time.monotonic()
    while not ground.over.is_set():
        rows = [row(f"{batch}/{number}") for number in range(15)]
        ground.ask(person, "POST", "api/v1/projects/desk/prompts/", **ndjson(rows))
        batch += 1
        ground.ask(person, "GET", f"api/v1/projects/desk/{person.lot.choice(LISTS)}")
        for page in person.lot.sample(PAGES, 3):
            ground.ask(person, "GET", page)
        if time.monotonic() - signed_in > SIGN_IN_EVERY:
            sign_in(ground, person)
            signed_in = time.monotonic()


def row(name: str) -> dict[str, Any]:
    """A row of an import: of three, one is to be written, one to be cleaned, and one has answers to compare."""
    answers = {"responses": [f"yes {name}", f"no {name}"]} if name.endswith(("0", "3", "6", "9")) else {}
    return {"prompt": f"What of parcel {name}?", **(answers or {"completion": f"It is at place {name}."})}


def ndjson(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": "\n".join(map(json.dumps, rows)), "headers": {"Content-Type": "application/x-ndjson"}}
