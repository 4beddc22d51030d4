"""Taking out 100,000 labelled comparisons over the API: seconds to the last byte, and what it costs in memory.

The product runs as it does for users, with gunicorn and PostgreSQL on one machine. `--quick` takes 5,000 and scales up.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import threading
import time
from pathlib import Path

import psutil

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.product import Client, Product, new_password, running

FULL, QUICK = 100_000, 5_000
TIMES = 3
SHAPES = ("touchstone", "csv", "trl-preference", "openai-preference", "trl-unpaired")

# Two answers of about 300 letters to each prompt, judged by one of twenty people.
LABELLED = """
INSERT INTO annotation_prompt (project_id, messages, sha256, split, language, tags, metadata, created_at)
SELECT PROJECT,
    jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'Question ' || g || repeat(' and more', 10))),
    lpad(to_hex(g), 64, '0'), CASE mod(g, 5) WHEN 0 THEN 'heldout' ELSE 'train' END, 'en',
    ARRAY['tag-' || mod(g, 7)], '{}', now()
FROM generate_series(1, COUNT) g;
INSERT INTO annotation_response (prompt_id, text, sha256, origin, created_at)
SELECT p.id, 'Answer ' || side || ' to ' || p.id || repeat(' with "some" more of it;', 12), lpad(side::text, 64, '0'),
    'import', now()
FROM annotation_prompt p, generate_series(1, 2) side ORDER BY p.id, side;
INSERT INTO annotation_item (project_id, prompt_id, kind, purpose, priority, wanted, taken, dropped, selection,
    fingerprint, created_at)
SELECT PROJECT, id, 'comparison', 'train', 0, 1, 1, false, '{}', sha256, now() FROM annotation_prompt ORDER BY id;
INSERT INTO annotation_itemresponse (item_id, response_id, "order")
SELECT i.id, r.id, r.sha256::int - 1 FROM annotation_item i JOIN annotation_response r ON r.prompt_id = i.prompt_id
ORDER BY i.id, r.id;
INSERT INTO annotation_assignment (item_id, person_id, state, review, leased_at, lease_until, "order", skip_reason,
    draft)
SELECT id, PERSON + mod(id, 20), 'submitted', false, now(), now(), '{}', '', '{}' FROM annotation_item ORDER BY id;
INSERT INTO annotation_label (project_id, item_id, assignment_id, person_id, client_uuid, verdict, flags, strength,
    criteria, comment, seconds, simulated, decision, created_at)
SELECT PROJECT, item_id, id, person_id, gen_random_uuid(), '', '[]', 1 + mod(id, 4), '{"helpful": 0}', 'A reason.',
    12.5, false, false, now()
FROM annotation_assignment ORDER BY id;
INSERT INTO annotation_judgement (label_id, response_id, position, rank, unacceptable)
SELECT l.id, a.response_id, a.order, 1 + mod(a.order + l.id, 2), false
FROM annotation_label l JOIN annotation_itemresponse a ON a.item_id = l.item_id ORDER BY l.id, a.order;
ANALYZE
"""
SEED = """
from django.db import connection
from annotation.models import Membership, Project, User
lead = User.objects.create_user("alice", password=PASSWORD)
project = Project.objects.create(slug="desk", name="Desk")
Membership.objects.create(person=lead, project=project, role="lead")
people = [User.objects.create_user(f"person-{number}") for number in range(20)]
with connection.cursor() as cursor:
    cursor.execute(LABELLED.replace("PROJECT", str(project.pk)).replace("PERSON", str(people[0].pk)))
"""


class Watch:
    """The most memory that the web server's processes hold together while it is watched."""

    def __init__(self, pid: int) -> None:
        self.process, self.before, self.peak, self.over = psutil.Process(pid), 0, 0, threading.Event()

    def __enter__(self) -> "Watch":
        self.before = self.peak = self._now()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()

    @property
    def growth_mb(self) -> float:
        return (self.peak - self.before) / 2**20

    def _look(self) -> None:
        while not self.over.wait(0.05):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        family = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_full_info().uss for one in family)


def download(client: Client, shape: str) -> tuple[float, int, str]:
    """Seconds to the last byte, lines, and the hash of it all."""
    digest, lines, began = hashlib.sha256(), 0, time.monotonic()
    where = f"{client.base}projects/desk/export/"
    with client.session.get(where, params={"shape": shape}, stream=True, timeout=600) as answer:
        answer.raise_for_status()
        for block in answer.iter_content(1 << 20):
            digest.update(block)
            lines += block.count(b"\n")
    return time.monotonic() - began, lines, digest.hexdigest()


def measure(product: Product, count: int, times: int) -> dict[str, float]:
    password = new_password()
    labelled = LABELLED.replace("COUNT", str(count))
    product.manage("shell", "-c", f"PASSWORD, LABELLED = {password!r}, {labelled!r}\n{SEED}")
    client = Client(product, "alice", password)
    client.get("projects/desk/")  # every worker has imported what it needs
    figures: dict[str, float] = {}
    growth = []
    for shape in SHAPES:
        seconds, hashes = [], set()
        for _ in range(times):
            with Watch(product.processes["web"].pid) as watch:
                took, lines, digest = download(client, shape)
            seconds.append(took)
            hashes.add(digest)
            growth.append(watch.growth_mb)
            print(f"{shape}: {took:.2f} s, {lines} lines, {watch.growth_mb:.0f} MB", flush=True)
        assert len(hashes) == 1, "the same data gave other bytes"
        assert lines >= count * 0.7, lines
        name = "export_s_100k" if shape == "touchstone" else f"{shape.replace('-', '_')}_s_100k"
        figures[name] = round(statistics.median(seconds) * FULL / count, 3)
    return {**figures, "memory_growth_mb": round(max(growth), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5,000 comparisons, once")
    asked = parser.parse_args()
    count, times = (QUICK, 1) if asked.quick else (FULL, TIMES)
    with running("web") as product:
        figures = measure(product, count, times)
    conditions = {"comparisons": count, "times": times, "cores": os.cpu_count()}
    print(json.dumps({"benchmark": "exporting", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
