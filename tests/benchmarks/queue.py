"""How many labels a second the queue hands out and takes in, and whether it ever gives one item too often.

    .venv/bin/python tests/benchmarks/queue.py [--quick]

gunicorn as the Procfile starts it, on PostgreSQL, over real HTTP; annotators, server and database share the machine.
A cycle is one request: a label goes in, and the person's next item comes back. Projects of 10,000, 100,000 and
1,000,000 open comparisons wait to be judged, by one person each or by three; the first 32 annotators have 10,000
labels of their own behind them in every project. They work in a closed loop (no time to read), or think for a second.

`limit_ratio` is held against a view of the same server that only inserts a row (_limit.py), in turn with the queue.
`slowdown_1m` is the time of a cycle at 1,000,000 items by that at 10,000, also in turn, 32 people each. In the end no
item may have more labels than it wants, nobody two on one item, and every label that was acknowledged must be there
exactly once; else the benchmark fails.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import requests

from tests.benchmarks.product import REPOSITORY, Product, running

QUICK = "--quick" in sys.argv
SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000} if not QUICK else {"10k": 2_000, "100k": 8_000, "1m": 20_000}
HISTORY = 10_000 if not QUICK else 200  # labels of each of the first PEOPLE
PEOPLE, MOST = 32, 128
SECONDS = 7 if not QUICK else 3  # short enough for the smallest size to last
TURNS = 3 if not QUICK else 1

MAKE = """
import json
from django.db import connection
from annotation import accesskeys
from annotation.models import Membership, Project, User

SIZES, HISTORY, PEOPLE, MOST = json.loads({plan!r})
people = User.objects.bulk_create(User(username=f"annotator-{{n:03}}", password="!") for n in range(MOST))
keys = [accesskeys.make(owner=person, name="load", scopes=["read", "label"], days=1)[1] for person in people]
with connection.cursor() as cursor:
    for slug, (items, wanted) in SIZES.items():
        project = Project.objects.create(slug=slug, name=slug, labels_per_item=wanted)
        Membership.objects.bulk_create(Membership(person=person, project=project) for person in people)
        for start in range(0, items, 100_000):
            cursor.execute(OPEN, {{"project": project.pk, "from": start, "to": min(start + 100_000, items) - 1,
                                  "wanted": wanted, "taken": 0, "word": "open"}})
        cursor.execute(OPEN, {{"project": project.pk, "from": 0, "to": HISTORY - 1, "wanted": PEOPLE,
                              "taken": PEOPLE, "word": "done"}})
        cursor.execute(DONE, {{"project": project.pk, "people": [person.pk for person in people[:PEOPLE]]}})
    cursor.execute("VACUUM ANALYZE")
print(json.dumps(keys))
"""
OPEN = """
WITH numbers AS (
  SELECT n, format('%%s question %%s: where is parcel %%s, and when does it reach me?', %(word)s, n, n * 7) AS text
  FROM generate_series(%(from)s, %(to)s) n
), prompts AS (
  INSERT INTO annotation_prompt (project_id, messages, sha256, split, language, tags, metadata, created_at)
  SELECT %(project)s, jsonb_build_array(jsonb_build_object('role', 'user', 'content', text)),
    encode(sha256(text::bytea), 'hex'), 'train', 'en', '{}', '{}', now() FROM numbers RETURNING id
), answers AS (
  INSERT INTO annotation_response (prompt_id, text, sha256, origin, created_at)
  SELECT id, format('Answer %%s to %%s. ', k, id) || repeat('It left us on Monday and is there by Friday. ', 4 * k),
    encode(sha256((id || ' ' || k)::bytea), 'hex'), 'import', now() FROM prompts, generate_series(1, 2) k
  RETURNING id, prompt_id
), items AS (
  INSERT INTO annotation_item (project_id, prompt_id, kind, purpose, priority, wanted, taken, dropped, selection,
    fingerprint, created_at)
  SELECT %(project)s, id, 'comparison', 'train', 0, %(wanted)s, %(taken)s, false, '{}',
    encode(sha256(id::text::bytea), 'hex'), now() FROM prompts RETURNING id, prompt_id
)
INSERT INTO annotation_itemresponse (item_id, response_id, "order")
SELECT items.id, answers.id, row_number() OVER (PARTITION BY items.id ORDER BY answers.id) - 1
FROM items JOIN answers USING (prompt_id)
"""
DONE = """
WITH claims AS (
  INSERT INTO annotation_assignment (item_id, person_id, state, review, leased_at, lease_until, ended_at, "order",
    skip_reason, draft)
  SELECT item.id, person, 'submitted', false, now(), now(), now(),
    (SELECT array_agg(response_id ORDER BY "order") FROM annotation_itemresponse WHERE item_id = item.id), '', '{}'
  FROM annotation_item item, unnest(%(people)s::bigint[]) person
  WHERE item.project_id = %(project)s AND item.taken = item.wanted
  RETURNING id, item_id, person_id, "order"
), labels AS (
  INSERT INTO annotation_label (project_id, item_id, assignment_id, person_id, client_uuid, verdict, flags, strength,
    criteria, comment, seconds, simulated, decision, created_at)
  SELECT %(project)s, item_id, id, person_id, gen_random_uuid(), '', '[]', 2, '{}', '', 9, false, false, now()
  FROM claims RETURNING id, assignment_id
)
INSERT INTO annotation_judgement (label_id, response_id, position, rank, unacceptable)
SELECT labels.id, claims."order"[place], place - 1, place, false
FROM labels JOIN claims ON claims.id = labels.assignment_id, generate_series(1, 2) place
"""
CHECK = """
import json, sys
from django.db import connection
from annotation.models import Label
with connection.cursor() as cursor:
    cursor.execute('''SELECT count(*) FROM (SELECT item.id FROM annotation_item item
        JOIN annotation_label label ON label.item_id = item.id WHERE label.retracted_at IS NULL
        GROUP BY item.id HAVING count(*) > item.wanted OR count(DISTINCT label.person_id) < count(*)) too_often''')
    beyond = cursor.fetchone()[0]
acknowledged = json.load(open({path!r}))
stored = Label.objects.filter(client_uuid__in=acknowledged).count()
print(json.dumps([beyond, len(acknowledged) - stored]))
"""

acknowledged: list[str] = []


class Ground:
    """The running product, its annotators' tokens, and the port of the bare view, which is a process of the product."""

    def __init__(self, product: Product, tokens: list[str], limit_port: int) -> None:
        self.product, self.tokens, self.limit_port = product, tokens, limit_port
        self.seed = 0

    def work(self, project: str, people: int, *, think: float = 0, insert: bool = False) -> dict[str, Any]:
        """Let that many annotators work for a while: cycles a second, and the 95th percentile of one, in ms."""
        self.seed += 1
        plan = {
            "port": self.limit_port if insert else self.product.port,
            "project": project,
            "seconds": SECONDS,
            "think": think,
            "insert": insert,
            "tokens": self.tokens[:people],
            "seed": self.seed,
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks._crowd"],
            cwd=REPOSITORY,
            input=json.dumps(plan),
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"Annotators gave up: {plan | {'tokens': people}}\n{self.product.how_all_are()}")
        found = json.loads(done.stdout)
        acknowledged.extend(found["labels"])
        if found["refused"] or len(found["cycles"]) < 20:
            raise RuntimeError(f"{found['refused']} requests were refused, {len(found['cycles'])} cycles done: {plan}")
        cycles = found["cycles"]
        return {
            "cycles_per_s": round(len(cycles) / found["took"], 1),
            "p50_ms": round(median(cycles), 1),
            "p95_ms": round(quantiles(cycles, n=20)[-1], 1),
        }


def bare_view(product: Product) -> int:
    """Start the view of _limit.py on a server like the product's; returns its port.

    It is given a socket that listens already. A port beside the product's may be the near end of somebody's connection,
    even of one that ended a minute ago, and gunicorn would give up while we make rows.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        port = int(listening.getsockname()[1])
        product.serve("limit", "tests.benchmarks._limit", f"fd://{listening.fileno()}", pass_fds=[listening.fileno()])
    requests.get(f"http://127.0.0.1:{port}/insert/", timeout=120)
    return port


def middle(found: list[dict[str, Any]], figure: str) -> float:
    return float(median(one[figure] for one in found))


def main() -> None:
    sizes = {f"alone-{name}": (items, 1) for name, items in SIZES.items()}
    sizes["thrice-100k"] = (SIZES["100k"], 3)
    plan = json.dumps([sizes, HISTORY, PEOPLE, MOST])
    with running("web") as product:
        limit_port = bare_view(product)
        script = f"OPEN = {OPEN!r}\nDONE = {DONE!r}\n" + MAKE.format(plan=plan)
        tokens = json.loads(product.manage("shell", "--no-imports", "-c", script).strip().rpartition("\n")[2])
        ground = Ground(product, tokens, limit_port)
        ground.work("alone-100k", 8)  # warm
        ground.work("", 8, insert=True)
        by_size: dict[str, list[dict[str, Any]]] = {name: [] for name in SIZES}
        limit = []
        for _ in range(TURNS):
            for name in SIZES:
                by_size[name].append(ground.work(f"alone-{name}", PEOPLE))
            limit.append(ground.work("", PEOPLE, insert=True))
        grid = {f"alone-100k, {people}": ground.work("alone-100k", people) for people in (1, 8, MOST)}
        grid |= {f"thrice-100k, {people}": ground.work("thrice-100k", people) for people in (8, PEOPLE, MOST)}
        thinking = ground.work("alone-100k", 50, think=1)
        kept = product.var / "acknowledged.json"
        kept.write_text(json.dumps(acknowledged))
        script = CHECK.format(path=str(kept))
        beyond, lost = json.loads(product.manage("shell", "--no-imports", "-c", script).strip().rpartition("\n")[2])
    figures = {
        "cycles_per_s_32": middle(by_size["100k"], "cycles_per_s"),
        "p95_ms_32": middle(by_size["100k"], "p95_ms"),
        "p95_ms_think_50": thinking["p95_ms"],
        "slowdown_1m": round(middle(by_size["10k"], "cycles_per_s") / middle(by_size["1m"], "cycles_per_s"), 3),
        "limit_ratio": round(middle(by_size["100k"], "cycles_per_s") / middle(limit, "cycles_per_s"), 3),
        "given_beyond_wanted": beyond,
    }
    conditions = {
        "labels": len(acknowledged),
        "labels_lost": lost,
        "sizes": SIZES,
        "own_labels": HISTORY,
        "seconds": SECONDS,
        "turns": TURNS,
        "cycles_per_s_by_size": {name: middle(found, "cycles_per_s") for name, found in by_size.items()},
        "inserts_per_s": middle(limit, "cycles_per_s"),
        "others": grid,
        "thinking": thinking,
    }
    print(json.dumps({"benchmark": "queue", "figures": figures, "conditions": conditions}))
    if beyond or lost:
        sys.exit("labels were lost, or items given too often")


if __name__ == "__main__":
    main()
