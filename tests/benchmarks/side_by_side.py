"""Two releases of the code on one database, as during an upgrade, with people at work in both.

    .venv/bin/python tests/benchmarks/side_by_side.py [--quick] [--old COMMIT]

An earlier commit (that of OLD, or the one named) is taken out into a folder of its own and migrates a fresh database.
Six people label at its web server, over the API and on pages, with drafts, skips, comments, and labels taken back; a
lead brings data in, takes it out and looks at every page. None of them stops for what follows:

old alone    the old web server and queue
migrating    `migrate` and `check` of the code here, while its web server waits beside the old one
migrated     the old web server on the new database
both         each request goes to one of the two web servers by chance, and what follows from it to the other; but the
             files of a page to that of the page, as with a proxy that keeps a person at a server; first the queue and
             gpu of the old release do what both were asked for, then those of the new one
new alone    the old one is gone, and every task on the schedule runs
back         the upgrade is taken back: the old web server again, on what the new one has written

Counted is every answer but those that are expected, with the first of each; the longest that anybody waited; labels
that were acknowledged and are not there, or twice, or beyond what an item wants; drafts that the other server does not
know; and what the queue's workers could not do. Pages that the old release does not have are not asked of it. --quick
trains nothing.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psycopg
import requests

from config import postgres
from tests.benchmarks._people import LISTS, PAGES, PATIENCE, Ground, Person, annotate, lead, ndjson, row, sign_in
from tests.benchmarks.product import REPOSITORY, Product, new_password
from tests.tiny_model import build

OLD = "697e0fb"  # the last commit before that of 2026-11-30 with annotation's migration 0015
ANNOTATORS = 6
LARGE = {"metadata": {"note": "read " * 500}}  # with which a thousand rows are brought in by a worker
PEOPLE = """
from annotation.models import Membership, Project, User
project = Project.objects.create(slug="desk", name="Desk", labels_per_item=2, lease_minutes=60)
for name in {names!r}:
    make = User.objects.create_superuser if name == "alice" else User.objects.create_user
    role = "lead" if name == "alice" else "annotator"
    Membership.objects.create(person=make(name, password={password!r}), project=project, role=role)
"""
COUNT = """
SELECT count(*) FILTER (WHERE labels > wanted), count(*) FILTER (WHERE people < labels),
       count(*) FILTER (WHERE places <> taken)
FROM (SELECT item.wanted, item.taken,
  (SELECT count(*) FROM annotation_label l WHERE l.item_id = item.id AND l.retracted_at IS NULL) AS labels,
  (SELECT count(DISTINCT person_id) FROM annotation_label l
     WHERE l.item_id = item.id AND l.retracted_at IS NULL) AS people,
  (SELECT count(*) FROM annotation_assignment a WHERE a.item_id = item.id AND NOT a.review
     AND a.state IN ('leased', 'submitted')) AS places FROM annotation_item item) counted
"""


class Upgrade:
    """Both releases on the database in `var`, and the people."""

    def __init__(self, var: Path, old: Path, quick: bool) -> None:
        self.var, self.trains = var, not quick
        self.labels, self.prompts = (60, 300) if quick else (200, 5_000)
        self.old, self.new = Product(var, old), Product(var)
        self.ground = Ground({"old": self.old, "new": self.new})
        self.password = new_password()
        self.lead, *self.annotators = (
            Person(name, self.password) for name in ("alice", *(f"annotator-{n}" for n in range(ANNOTATORS)))
        )
        self.found: dict[str, Any] = {}

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(postgres.url(self.var / "postgres"), autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def prepare(self) -> None:
        """The old release with people, data, a model, and what it does not have told apart."""
        self.old.manage("migrate", "--verbosity=0")
        names = [self.lead.name, *(person.name for person in self.annotators)]
        self.old.manage("shell", "--verbosity=0", stdin=PEOPLE.format(names=names, password=self.password))
        if self.trains:
            self.old.manage("import_model", "desk", build(self.var / "tiny"), "--name=tiny")
        for name in ("web", "queue"):
            self.old.start(name)
        self.old.wait_for_pages(PATIENCE)
        for person in (self.lead, *self.annotators):
            sign_in(self.ground, person)
        for start in range(0, self.prompts, 5000):
            rows = [row(str(number)) for number in range(start, min(self.prompts, start + 5000))]
            self.ground.ask(self.lead, "POST", "api/v1/projects/desk/prompts/", **ndjson(rows))
        asked = (*(f"api/v1/projects/desk/{path}" for path in (*LISTS, "imports/")), *PAGES)
        for path in asked:
            session = self.lead.api if path.startswith("api/") else self.lead.browser
            if session.get(f"{self.old.url}/{path}", timeout=PATIENCE).status_code == 404:
                self.ground.lacking.add(path.partition("?")[0])

    def people_at_work(self) -> list[threading.Thread]:
        work = [(lead, self.lead), *((annotate, person) for person in self.annotators)]
        threads = [threading.Thread(target=job, args=(self.ground, person)) for job, person in work]
        for thread in threads:
            thread.start()
        return threads

    def go_through(self) -> None:
        ground = self.ground
        ground.more_labels(self.labels)
        self.new.start("web")
        self.new.wait_for_pages(PATIENCE)
        self.found["ready before"] = self.ready()
        self.migrate()
        self.found["ready after"] = self.ready()
        ground.use("old", phase="migrated")
        ground.more_labels(self.labels)
        self.do_what_is_scheduled("by the old queue")
        ground.use("old", "new", phase="both")
        ground.more_labels(self.labels)
        self.do_what_is_asked(self.old, by_whom="old")
        for name in set(self.old.processes) - {"web"}:
            self.old.kill(name)
        self.found["tasks_the_old_queue_does_not_know"] = self.failed_tasks(self.unknown)
        self.do_what_is_asked(self.new, by_whom="new")
        ground.use("new", phase="new alone")
        self.old.kill("web")
        ground.more_labels(self.labels)
        self.do_what_is_scheduled("by the new queue")
        self.old.start("web")
        self.old.wait_for_pages(PATIENCE)
        ground.use("old", phase="back")
        self.new.kill("web")
        ground.more_labels(self.labels)

    def migrate(self) -> None:
        self.ground.use("old", phase="migrating")
        began = time.monotonic()
        scheduled = "SELECT func FROM django_q_schedule"
        before = self.rows(scheduled)
        self.new.manage("migrate", "--verbosity=0")
        self.unknown = sorted(func for (func,) in set(self.rows(scheduled)) - set(before))
        self.found["migrate_s"] = round(time.monotonic() - began, 1)
        self.new.manage("check")
        self.new.manage("migrate", "--check")
        self.new.manage("makemigrations", "--check", "--dry-run")

    def failed_tasks(self, which: list[str] | None = None) -> dict[str, int]:
        found = self.rows("SELECT func, count(*) FROM django_q_task WHERE NOT success GROUP BY func")
        return {func: number for func, number in found if which is None or func in which}

    def ready(self) -> dict[str, int]:
        return {
            name: requests.get(f"{server.url}/health/ready", timeout=PATIENCE).status_code
            for name, server in self.ground.servers.items()
        }

    def do_what_is_scheduled(self, by_whom: str) -> None:
        """Every task on the schedule comes at once, and is done or given up."""
        ((moment,),) = self.rows("SELECT now()")
        self.rows("UPDATE django_q_schedule SET next_run = now()")
        waiting = "SELECT func FROM django_q_schedule EXCEPT SELECT func FROM django_q_task WHERE started >= %s"
        self.until(lambda: not self.rows(waiting, moment), f"the schedule has run {by_whom}")

    def do_what_is_asked(self, release: Product, *, by_whom: str) -> None:
        """What the other release's web server is asked for, this one's queue and gpu do."""
        desk, lead, ground = "api/v1/projects/desk/", Person(self.lead.name, self.password), self.ground
        sign_in(ground, lead)
        waiting = {}
        if f"{desk}imports/" not in ground.lacking:
            rows = [{**row(f"file {by_whom} {number}"), **LARGE} for number in range(1000)]
            told, _ = ground.ask(lead, "POST", f"{desk}imports/?name=rows.jsonl", after=by_whom, **ndjson(rows))
            waiting["annotation_import"] = told
        ground.ask(lead, "POST", f"{desk}consensus/", after=by_whom, fine=(200, 202))
        if self.trains:
            waiting["training_run"] = self._ask_for_a_run(lead, by_whom)
        for name in ("queue", "gpu") if self.trains else ("queue",):
            if name not in release.processes:
                release.start(name)
        for table, told in waiting.items():
            what = f"{table.partition('_')[2]} asked of the other, done by {by_whom}"
            self.found[what] = self._how_it_ends(table, told.json()["id"], what) if told else "refused"

    def _ask_for_a_run(self, lead: Person, avoid: str) -> requests.Response | None:
        """It freezes the labels itself."""
        desk, ground = "api/v1/projects/desk/", self.ground
        base, _ = ground.ask(lead, "GET", f"{desk}models/", after=avoid)
        if not base:
            return None
        asked = {"method": "sft", "base": base.json()["results"][-1]["id"]}
        asked |= {"settings": {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3}}
        return ground.ask(lead, "POST", f"{desk}runs/", after=avoid, json=asked)[0]

    def _how_it_ends(self, table: str, pk: int, what: str) -> str:
        def status() -> str:
            return str(self.rows(f"SELECT status FROM {table} WHERE id = %s", pk)[0][0])

        self.until(lambda: status() in ("done", "failed", "cancelled", "succeeded"), what)
        return status()

    def until(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > deadline:
                states = f"{self.old.how_all_are()}\n{self.new.how_all_are()}"
                raise TimeoutError(f"not within {PATIENCE} s: {what}\n{states}")
            time.sleep(0.2)

    def figures(self) -> dict[str, int | float]:
        ground = self.ground
        stored = {str(one) for (one,) in self.rows("SELECT client_uuid FROM annotation_label")}
        ((beyond, twice, miscounted),) = self.rows(COUNT)
        failed = Counter(self.failed_tasks())
        failed.subtract(self.found["tasks_the_old_queue_does_not_know"])
        self.found["tasks_failed"] = dict(+failed)
        return {
            "labels_acknowledged": len(ground.labels),
            "labels_lost": len(set(ground.labels) - stored),
            "labels_stored_twice": twice + len(ground.labels) - len(set(ground.labels)),
            "given_beyond_wanted": beyond,
            "places_miscounted": miscounted,
            "drafts_lost": ground.seen.pop("drafts lost", 0),
            "requests_refused": ground.refused.total(),
            "tasks_failed": failed.total(),
            "longest_wait_migrating_s": ground.slowest["migrating"][0],
            "longest_wait_before_s": ground.slowest["old alone"][0],
        }

    def stop(self) -> None:
        self.ground.over.set()
        self.new.stop()
        self.old.stop()


@contextmanager
def release(commit: str) -> Iterator[Path]:
    """The code of a commit in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="release-"))
    try:
        code = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "--extract", "--directory", folder], input=code, check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def commit(name: str) -> str:
    done = subprocess.run(["git", "rev-parse", "--short", name], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--old", default=OLD, metavar="COMMIT")
    options = parser.parse_args()
    failures: list[BaseException] = []
    threading.excepthook = lambda failed: failures.append(failed.exc_value or RuntimeError())
    var = Path(tempfile.mkdtemp(prefix="touchstone-"))
    var.chmod(0o755)  # for root, PostgreSQL runs as a user that must reach its folder
    with release(options.old) as old:
        upgrade = Upgrade(var, old, options.quick)
        ground = upgrade.ground
        try:
            upgrade.prepare()
            people = upgrade.people_at_work()
            try:
                upgrade.go_through()
            finally:
                ground.over.set()
                for one in people:
                    one.join()
            figures = upgrade.figures()
        finally:
            for what, answer in ground.first.items():
                print(f"{what}\n    {answer}", file=sys.stderr)
            upgrade.stop()
            with suppress(OSError):
                shutil.rmtree(var)
    if failures:
        raise failures[0]
    conditions = {
        **{"old": commit(options.old), "new": commit("HEAD"), "prompts": upgrade.prompts, "annotators": ANNOTATORS},
        **{"answered": dict(ground.answered), "refused": dict(ground.refused), "did": dict(ground.seen)},
        **{"longest_wait_s": dict(ground.slowest)},
        **{"old_lacks": sorted(ground.lacking), **upgrade.found},
    }
    print(json.dumps({"benchmark": "side_by_side", "figures": figures, "conditions": conditions}))
    if any(value for name, value in figures.items() if name != "labels_acknowledged" and not name.endswith("_s")):
        sys.exit("something was lost, refused, doubled or not done")


if __name__ == "__main__":
    main()
