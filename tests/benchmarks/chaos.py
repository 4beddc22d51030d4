"""Annotators, imports and training runs at work while everything below them is killed with -9.

    .venv/bin/python tests/benchmarks/chaos.py [--quick | --short]

For ten minutes (--quick: 40 s) eight annotators rank answers over HTTP, a lead imports prompts, freezes snapshots and
starts runs on a tiny model, and everybody asks again when an answer does not come: a label with the UUID it had, an
import with the same rows. All of them speak through a proxy. Meanwhile, at moments and in an order drawn by a seed, one
of these is hit:

web worker  one of gunicorn's processes, which its master replaces       web       the master and all, started again
queue       the default cluster, started again                           gpu       the gpu cluster, started again
trainer     the process that trains                                      database  every process of PostgreSQL
connections all that go through the proxy, in the middle of whatever they carry

Then nothing is killed any more, what was begun is brought to its end, and the database is asked what became of it:
every label that was acknowledged is there once, no item has more labels than it wants or counts places that nobody
holds, no lease that ended is held, no run waits for ever, and every snapshot has the bytes of its hash.

--short, for the tests, has no clock: nothing is trained, and each of the other five is hit once, after some more
labels were acknowledged.
"""

import asyncio
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil
import requests

from tests.benchmarks.killing import end, kill_database
from tests.benchmarks.product import running
from tests.benchmarks.watched import Watched
from tests.tiny_model import build

SHORT = "--short" in sys.argv
SECONDS = 600 if "--quick" not in sys.argv else 40
EVERY = 4.0  # seconds between two hits, on the mean
PATIENCE = 240  # seconds to bring everything to its end
ANNOTATORS = 8 if not SHORT else 4
SEED = 11
KINDS = ("web worker", "web", "queue", "database", "connections")
TRAINING = ("gpu", "trainer")
LABELS = 5  # between two hits, at the least, where there is no clock
PEOPLE = """
import json
from annotation import accesskeys
from annotation.models import Membership, Project, User
rules = {"labels_per_item": 2, "lease_minutes": 1}
project, _ = Project.objects.update_or_create(slug="desk", defaults=rules, create_defaults={"name": "Desk", **rules})
names = ["alice", *(f"annotator-{n}" for n in range(%d))]
people = [User.objects.create_user(name) for name in names]
for person in people:
    role = "lead" if person.username == "alice" else "annotator"
    Membership.objects.create(person=person, project=project, role=role)
scopes = ["read", "label", "data", "train"]
print(json.dumps([accesskeys.make(owner=one, name="chaos", scopes=scopes, days=1)[1] for one in people]))
"""
CHECK = """
import json
from django.db import connection
from django.utils import timezone
from annotation.models import Assignment, Item, Label, Prompt
from training import snapshots
from training.models import Run, Snapshot

asked = json.load(open({path!r}))
stored = set(map(str, Label.objects.values_list("client_uuid", flat=True)))
with connection.cursor() as cursor:
    cursor.execute('''SELECT count(*) FROM (SELECT item_id, person_id FROM annotation_label
        WHERE retracted_at IS NULL GROUP BY 1, 2 HAVING count(*) > 1) twice''')
    twice = cursor.fetchone()[0]
    cursor.execute('''SELECT count(*) FILTER (WHERE labels > wanted), count(*) FILTER (WHERE places <> taken) FROM (
        SELECT item.wanted, item.taken,
          (SELECT count(*) FROM annotation_label l WHERE l.item_id = item.id AND l.retracted_at IS NULL) AS labels,
          (SELECT count(*) FROM annotation_assignment a WHERE a.item_id = item.id AND NOT a.review
             AND a.state IN ('leased', 'submitted')) AS places FROM annotation_item item) counted''')
    beyond, miscounted = cursor.fetchone()
overdue = Assignment.objects.overdue(timezone.now()).count()
print(json.dumps({{
    "labels_lost": len(set(asked["labels"]) - stored),
    "labels_stored_twice": twice,
    "given_beyond_wanted": beyond,
    "stuck_leases": overdue + miscounted,
    "prompts_lost": len(set(asked["prompts"])) - Prompt.objects.filter(metadata__batch__in=asked["prompts"])
        .values("metadata__batch").distinct().count(),
    "wrong_hashes": sum(not snapshots.is_intact(one) for one in Snapshot.objects.all()),
    "stuck_runs": Run.objects.exclude(status__in=["succeeded", "failed", "cancelled"]).count(),
    "going_on": list(Run.objects.values_list("status", "attempt", "heartbeat_at").order_by("id")[:100]),
    "runs": dict(__import__("collections").Counter(Run.objects.values_list("status", flat=True))),
    "reasons": sorted(set(filter(None, Run.objects.values_list("reason", flat=True)))),
    "snapshots": Snapshot.objects.count(),
}}, default=str))
"""


class Proxy(threading.Thread):
    """Passes connections on to the web server, and cuts them all when told to."""

    def __init__(self, to: int) -> None:
        super().__init__(daemon=True)
        self.to, self.open = to, set[asyncio.StreamWriter]()
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.start()
        self.ready.wait()

    def run(self) -> None:
        async def listen() -> None:
            server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await server.serve_forever()

        self.loop.run_until_complete(listen())

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.close()
            return
        self.open |= {writer, far_writer}

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        self.open -= {writer, far_writer}

    def cut(self) -> bool:
        cut = list(self.open)
        for writer in cut:
            self.loop.call_soon_threadsafe(writer.transport.abort)
        return bool(cut)


class Ground:
    """What everybody shares: the product, its proxy, whether to go on, and what was acknowledged."""

    def __init__(self, product: Watched, proxy: Proxy) -> None:
        self.product, self.proxy = product, proxy
        self.over = threading.Event()
        self.labelled = threading.Condition()
        self.labels: list[str] = []
        self.prompts: list[int] = []
        self.asked_again = 0

    def ask(self, session: requests.Session, method: str, path: str, **data: Any) -> requests.Response:
        """Ask until an answer comes that is no failure of the server's."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(requests.RequestException):
                address = f"http://127.0.0.1:{self.proxy.port}/api/v1/{path}"
                answer = session.request(method, address, timeout=20, **data)
                if answer.status_code < 500:
                    return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} never answered")
            self.asked_again += 1
            time.sleep(0.1)

    def acknowledge(self, label: str) -> None:
        with self.labelled:
            self.labels.append(label)
            self.labelled.notify_all()

    def more_labels(self, number: int) -> None:
        """Wait until that many more are acknowledged."""
        with self.labelled:
            wanted = len(self.labels) + number
            if not self.labelled.wait_for(lambda: len(self.labels) >= wanted, PATIENCE):
                raise TimeoutError(f"{wanted - len(self.labels)} labels did not come.\n{self.product.how_all_are()}")


def annotate(ground: Ground, session: requests.Session, lot: random.Random) -> None:
    while not ground.over.is_set():
        held = ground.ask(session, "POST", "projects/desk/next/", json={"kind": "comparison"}).json()["assignment"]
        if held is None:
            ground.over.wait(0.2)
            continue
        one = str(uuid.UUID(int=lot.getrandbits(128), version=4))
        said = {"client_uuid": one, "ranks": lot.choice([[1, 2], [2, 1]]), "strength": 1}
        if ground.ask(session, "POST", f"assignments/{held['id']}/submit/", json=said).status_code in (200, 201):
            ground.acknowledge(one)


def bring_in(ground: Ground, session: requests.Session) -> None:
    batch = 0
    while not ground.over.is_set():
        rows = [
            {"prompt": f"{batch}: what of {n}?", "responses": [f"yes {n}", f"no {n}"], "metadata": {"batch": batch}}
            for n in range(40)
        ]
        lines = "\n".join(map(json.dumps, rows))
        kind = {"Content-Type": "application/x-ndjson"}
        answer = ground.ask(session, "POST", "projects/desk/prompts/", data=lines, headers=kind)
        if answer.status_code == 200:
            ground.prompts.append(batch)
        batch += 1
        ground.over.wait(1)


def freeze(ground: Ground, session: requests.Session) -> None:
    while not ground.over.is_set():
        ground.ask(session, "POST", "projects/desk/snapshots/", json={"kind": "preferences"})
        ground.over.wait(1)


def train(ground: Ground, session: requests.Session) -> None:
    """Freeze what there is and train on it; the next run begins when none is left."""
    base = ground.ask(session, "GET", "projects/desk/models/").json()["results"][0]["id"]
    while not ground.over.is_set():
        found = ground.ask(session, "GET", "projects/desk/runs/").json()["results"]
        if all(run["status"] in ("succeeded", "failed", "cancelled") for run in found[:5]):
            ground.ask(session, "POST", "projects/desk/snapshots/", json={"kind": "preferences"})
            snapshot = ground.ask(session, "POST", "projects/desk/snapshots/", json={"kind": "demonstrations"}).json()
            settings = {"batch_size": 1, "epochs": 4, "learning_rate": 1e-3, "checkpoint_seconds": 0.5}
            asked = {"method": "sft", "base": base, "snapshot": snapshot.get("id"), "settings": settings}
            ground.ask(session, "POST", "projects/desk/runs/", json=asked)
        ground.over.wait(2)


def hit(ground: Ground, kind: str) -> bool:
    """Kill one thing; False if it was not there at this moment."""
    product = ground.product
    if kind == "connections":
        return ground.proxy.cut()
    if kind == "database":
        return kill_database(product)
    if kind in ("web", "queue", "gpu"):
        product.kill(kind)
        product.start(kind)
        return True
    if kind == "web worker":
        workers = psutil.Process(product.processes["web"].pid).children()
        return bool(workers) and end(workers[0].pid)
    trainers = product.recipes("sft")
    return bool(trainers) and end(trainers[0].pid)


def main() -> None:
    lot = random.Random(SEED)
    kills: Counter[str] = Counter()
    failures: list[BaseException] = []
    threading.excepthook = lambda failed: failures.append(failed.exc_value or RuntimeError())
    with running() as product:
        product.__class__ = Watched
        assert isinstance(product, Watched)
        if not SHORT:
            product.prepare(Path(build(product.var / "tiny")), {})
        tokens = json.loads(product.manage("shell", "--no-imports", "-c", PEOPLE % ANNOTATORS).splitlines()[-1])
        for name in ("web", "queue") if SHORT else ("web", "queue", "gpu"):
            product.start(name)
        product.wait_for_pages()
        ground = Ground(product, Proxy(product.port))
        work: list[tuple[Any, ...]] = [(bring_in,), (freeze if SHORT else train,)]
        work += [(annotate, random.Random(f"{SEED} {n}")) for n in range(ANNOTATORS)]
        people = []
        for token, (job, *more) in zip([tokens[0], *tokens], work, strict=True):
            session = requests.Session()
            session.headers["Authorization"] = f"Token {token}"
            people.append(threading.Thread(target=job, args=(ground, session, *more)))
            people[-1].start()
        try:
            for kind in moments_by_labels(ground, lot) if SHORT else moments_by_clock(lot):
                if failures:
                    break
                kills[kind] += hit(ground, kind)
        finally:
            ground.over.set()
        for one in people:
            one.join()
        figures, conditions = settle(product, ground)
        if failures:
            raise failures[0]
    figures = {"labels_acknowledged": len(ground.labels), **figures, "kills": kills.total()}
    conditions |= {"seconds": None if SHORT else SECONDS, "seed": SEED}
    conditions |= {"kills": dict(kills), "asked_again": ground.asked_again}
    print(json.dumps({"benchmark": "chaos", "figures": figures, "conditions": conditions}))
    if any(value for name, value in figures.items() if name not in ("labels_acknowledged", "kills")):
        sys.exit("something was lost, doubled or stuck")


def moments_by_clock(lot: random.Random) -> Iterator[str]:
    """What is hit now, until the time is over."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(lot.expovariate(1 / EVERY))
        yield lot.choice(KINDS + TRAINING)


def moments_by_labels(ground: Ground, lot: random.Random) -> Iterator[str]:
    """What is hit now: each thing once, when people have labelled since the last, so that it is there again."""
    for kind in lot.sample(KINDS, len(KINDS)):
        ground.more_labels(LABELS)
        yield kind
    ground.more_labels(LABELS)


def settle(product: Watched, ground: Ground) -> tuple[dict[str, int], dict[str, Any]]:
    """Bring what was begun to its end, as the schedule does, and count what became of it."""
    asked = product.var / "asked.json"
    asked.write_text(json.dumps({"labels": ground.labels, "prompts": ground.prompts}))
    deadline, before = time.monotonic() + PATIENCE, None
    while True:
        found = {}
        with suppress(Exception):  # the database may just be coming up
            product.manage("recover")
            checked = product.manage("shell", "--no-imports", "-c", CHECK.format(path=str(asked)))
            found = json.loads(checked.splitlines()[-1])
        if found and not found["stuck_runs"] and not found["stuck_leases"]:
            break
        if found and (going_on := found["going_on"]) != before:  # however slow the machine is
            deadline, before = time.monotonic() + PATIENCE, going_on
        if time.monotonic() > deadline:
            print(product.how_all_are(), file=sys.stderr)
            break
        time.sleep(2)
    if not found:
        raise RuntimeError("The database never answered again.")
    del found["going_on"]
    counted = {name: found[name] for name in found if isinstance(found[name], int) and name != "snapshots"}
    others = {name: found[name] for name in found if name not in counted}
    return counted, {**others, "imports": len(ground.prompts)}


if __name__ == "__main__":
    main()
