"""How long pages of Browse take in a project of 1,000,000 prompts with two answers each and 100,000 labels.

    .venv/bin/python tests/benchmarks/browsing.py [--quick]

Rows are written by SQL on a database of its own, their words are filled in by the product's own task, and a fixed list
of pages is then asked of the real server, each several times, by somebody who leads the project: all rows, filters by
themselves and together, searches for rare and common words, deep pages, saved orders, details. Texts are drawn from a
vocabulary with Zipf's frequencies, tags and languages come in stretches as imports do, and the oldest prompts are those
that are labelled. Prints each page's time, slowest last, and then the figures. `--quick`: 20,000 prompts.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psycopg
import requests

from config import postgres
from tests.benchmarks.product import Product, running

PROMPTS, QUICK_PROMPTS = 1_000_000, 20_000
LABELLED = 10  # one prompt in so many, of the oldest
PEOPLE = 20
TIMES = 5
CHUNK = 50_000
MAKE = f"""
from annotation.models import Membership, Project, User
desk = Project.objects.create(slug="desk", name="Desk", labels_per_item=1)
for name, role in (("alice", "lead"), *((f"person-{{n}}", "annotator") for n in range({PEOPLE}))):
    person = User.objects.create_user(name, password="alice-has-a-secret" if name == "alice" else None)
    Membership.objects.create(person=person, project=desk, role=role)
"""
FILL = """
from annotation import searching
while searching.fill(seconds=30):
    pass
from django.db import connection
connection.cursor().execute("VACUUM ANALYZE")
"""
# A word's number is drawn so that word n comes about 1/n as often as word 1; some are in one text of 10,000.
TEXT = """(SELECT string_agg('word' || floor(exp(random() * ln(30000)))::int, ' ') FROM generate_series(1, {n})
    WHERE {seed} IS NOT NULL)"""
ROWS = {
    "prompts": f"""
INSERT INTO annotation_prompt (id, project_id, messages, sha256, split, language, tags, metadata, created_at)
SELECT n, %(project)s, jsonb_build_array(jsonb_build_object('role', 'user', 'content', {TEXT.format(n=25, seed="n")})),
    md5(n::text) || md5('p' || n), CASE WHEN n %% 5 = 0 THEN 'heldout' ELSE 'train' END,
    (ARRAY['en', 'de', 'fr', 'ja'])[1 + (n * 4 / (%(all)s + 1))],
    ARRAY['batch-' || n / 20000, CASE WHEN n %% 3 = 0 THEN 'tea' ELSE 'shop' END]::varchar[]
        || CASE WHEN n %% 1000 = 7 THEN ARRAY['rare'] ELSE '{{}}' END::varchar[],
    jsonb_build_object('source', 'source ' || n %% 50, 'row', n),
    timestamptz '2026-01-01' + n * interval '20 seconds'
FROM generate_series(%(first)s, %(last)s) n""",
    "answers": f"""
INSERT INTO annotation_response (id, prompt_id, text, sha256, origin, created_at)
SELECT 2 * n - side, n, {TEXT.format(n=40, seed="n + side")}, md5(n::text || side) || md5('a' || n || side),
    CASE WHEN n %% 50 = 0 THEN 'model' ELSE 'import' END, timestamptz '2026-01-01' + n * interval '20 seconds'
FROM generate_series(%(first)s, %(last)s) n, generate_series(0, 1) side""",
    "items": """
INSERT INTO annotation_item (id, project_id, prompt_id, kind, purpose, priority, wanted, taken, dropped, selection,
    fingerprint, created_at)
SELECT n, %(project)s, n, CASE WHEN n %% 4 = 0 THEN 'demonstration' ELSE 'comparison' END, 'train', 0, 1,
    (n <= %(labelled)s)::int, false, '{}', md5('i' || n) || md5(n::text), now()
FROM generate_series(%(first)s, %(last)s) n""",
    "shown": """
INSERT INTO annotation_itemresponse (item_id, response_id, "order")
SELECT n, 2 * n - side, side FROM generate_series(%(first)s, %(last)s) n, generate_series(0, 1) side""",
}
SAID = """
INSERT INTO annotation_assignment (id, item_id, person_id, state, review, leased_at, lease_until, ended_at, "order",
    skip_reason, draft)
SELECT n, n, %(person)s + n %% %(people)s, 'submitted', false, now(), now(), now(), ARRAY[2 * n, 2 * n - 1], '', '{}'
FROM generate_series(1, %(labelled)s) n;
INSERT INTO annotation_label (id, project_id, item_id, assignment_id, person_id, client_uuid, verdict, flags, criteria,
    comment, simulated, decision, created_at)
SELECT n, %(project)s, n, n, %(person)s + n %% %(people)s, gen_random_uuid(),
    CASE WHEN n %% 4 = 0 THEN 'reject' ELSE '' END,
    CASE WHEN n %% 20 = 0 THEN '["wrong facts"]' WHEN n %% 500 = 1 THEN '["tone"]' ELSE '[]' END::jsonb, '{}', '',
    false, false, timestamptz '2026-10-01' + n * interval '10 seconds'
FROM generate_series(1, %(labelled)s) n;
INSERT INTO annotation_judgement (label_id, response_id, position, rank, unacceptable)
SELECT n, 2 * n - side, side, 1 + side, false
FROM generate_series(1, %(labelled)s) n, generate_series(0, 1) side WHERE n %% 4 > 0;
INSERT INTO annotation_consensus (item_id, method, outcome, confidence, labels, computed_at)
SELECT n, 'majority', '{}', CASE WHEN n %% 10 = 0 THEN 0.5 ELSE 1 END, ARRAY[n, n], now()
FROM generate_series(1, %(labelled)s) n;
"""
SEQUENCES = ("prompt", "response", "item", "assignment", "label")
# What is asked; `after` is followed so many pages deep.
PAGES: list[tuple[str, int]] = [
    ("", 0),
    ("", 20),
    ("view=answers", 0),
    ("view=answers", 10),
    ("view=labels", 0),
    ("view=labels", 20),
    ("order=oldest", 0),
    ("order=labelled", 3),
    ("order=disputed", 0),
    ("order=disputed", 5),
    ("order=disputed&tag=tea", 0),
    ("view=answers&order=longest", 5),
    ("view=answers&order=shortest&tag=rare", 0),
    ("view=answers&order=longest&language=en", 0),
    ("tag=tea", 0),
    ("tag=tea", 10),
    ("tag=rare", 0),
    ("tag=rare", 3),
    ("tag=batch-3", 0),
    ("tag=none", 0),
    ("language=en", 0),
    ("language=ja", 5),
    ("language=de&tag=tea", 0),
    ("split=heldout", 0),
    ("split=heldout&language=fr&tag=shop", 0),
    ("kind=demonstration", 0),
    ("kind=comparison&tag=rare", 0),
    ("state=waiting", 0),
    ("state=labelled", 0),
    ("state=complete&kind=demonstration", 0),
    ("state=dropped", 0),
    ("state=review", 0),
    ("agreement=low", 0),
    ("agreement=high&tag=tea", 0),
    ("person=person-3", 0),
    ("person=person-3", 5),
    ("person=person-3&flag=wrong+facts", 0),
    ("flag=tone", 0),
    ("origin=model", 0),
    ("view=answers&origin=model", 3),
    ("view=answers&tag=tea", 0),
    ("view=answers&language=en", 0),
    ("view=labels&person=person-7", 0),
    ("view=labels&flag=wrong+facts", 0),
    ("view=labels&tag=tea", 3),
    ("view=labels&kind=demonstration&standing=live", 0),
    ("since=2026-03-01&until=2026-03-02", 0),
    ("until=2026-02-01", 5),
    ("since=2026-02-01&until=2026-05-01&tag=shop", 0),
    ("view=labels&since=2026-10-02&until=2026-10-03", 0),
    ("metadata=source+%3D+source+7", 0),
    ("metadata=row+%3D+4711", 0),
    ("q=word29000", 0),
    ("q=word3000", 0),
    ("q=word3000", 3),
    ("q=word1", 0),
    ("q=word1", 10),
    ("q=word1+word2+word3", 0),
    ("q=word20000*", 0),
    ("q=%22word5+word9%22", 0),
    ("q=word700+-word1", 0),
    ("q=word50&tag=rare", 0),
    ("q=word900&language=de&split=train", 0),
    ("q=nothing", 0),
    ("view=answers&q=word2500", 0),
    ("view=answers&q=word1", 3),
    ("view=labels&q=word150", 0),
    ("like=4711", 0),
    ("view=answers&like=4711", 0),
    ("prompts/17/", 0),
    ("prompts/4711/", 0),
]


def fill(product: Product, prompts: int) -> None:
    """The rows, and the words of them."""
    product.manage("shell", "--verbosity=0", stdin=MAKE)
    with psycopg.connect(
        postgres.url(product.var / "postgres"), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as database:
        project = database.execute("SELECT id FROM annotation_project").fetchone()
        person = database.execute("SELECT min(id) FROM annotation_user WHERE username LIKE 'person-%'").fetchone()
        assert project is not None
        assert person is not None
        values = {"project": project[0], "person": person[0], "people": PEOPLE, "all": prompts}
        values["labelled"] = prompts // LABELLED
        for name, statement in ROWS.items():
            for first in range(1, prompts + 1, CHUNK):
                part = {"first": first, "last": min(first + CHUNK - 1, prompts)}
                database.execute(statement, {**values, **part})
            print(f"{name} are there", flush=True)
        for statement in SAID.split(";\n"):
            if statement.strip():
                database.execute(statement, values)
        for name in SEQUENCES:
            database.execute(f"SELECT setval('annotation_{name}_id_seq', (SELECT max(id) FROM annotation_{name}))")
    started = time.monotonic()
    product.manage("shell", "--verbosity=0", stdin=FILL)
    print(f"words of {3 * prompts:,} texts in {time.monotonic() - started:.0f} s", flush=True)


def signed_in(product: Product) -> requests.Session:
    session = requests.Session()
    session.get(f"{product.url}/sign-in/", timeout=60)
    form = {"username": "alice", "password": "alice-has-a-secret", "csrfmiddlewaretoken": session.cookies["csrftoken"]}
    session.post(f"{product.url}/sign-in/", data=form, timeout=60).raise_for_status()
    return session


def times_of(session: requests.Session, product: Product) -> Iterator[tuple[str, list[float], str]]:
    """What was asked, how long each answer took in ms, and how the page ends if it is not full."""
    here = f"{product.url}/projects/desk/data/"
    for query, deep in PAGES:
        address = here + query if query.endswith("/") else f"{here}?{query}"
        for _ in range(deep):
            page = session.get(address, timeout=60).text
            found = page.partition('rel="next"')[0].rpartition('href="?')[2].partition('"')[0]
            address = f"{here}?{found.replace('&amp;', '&')}"
        seconds = []
        for _ in range(TIMES):
            started = time.perf_counter()
            answer = session.get(address, timeout=60)
            seconds.append(1000 * (time.perf_counter() - started))
            answer.raise_for_status()
        yield f"{query} +{deep}", seconds, "goes on looking" if "Go on looking" in answer.text else ""


def main(prompts: int) -> int:
    with running() as product:
        fill(product, prompts)
        product.start("web")
        product.wait_for_pages()
        session = signed_in(product)
        session.get(f"{product.url}/projects/desk/data/", timeout=60)  # the server has loaded its templates
        found = sorted(times_of(session, product), key=lambda one: statistics.median(one[1]))
    for asked, took, end in found:
        print(f"{statistics.median(took):7.0f} ms  {asked}  {end}")
    everything = sorted(one for _, took, _ in found for one in took)
    figures = {
        "p95_ms_1m": round(everything[int(0.95 * len(everything))], 1),
        "median_ms": round(statistics.median(everything), 1),
        "slowest_ms": round(statistics.median(found[-1][1]), 1),
    }
    conditions: dict[str, object] = {"prompts": prompts, "answers": 2 * prompts, "labels": prompts // LABELLED}
    conditions["pages"] = len(PAGES)
    conditions |= {"times": TIMES, "slowest": found[-1][0], "go_on_looking": sum(bool(end) for _, _, end in found)}
    print(json.dumps({"benchmark": "browsing", "figures": figures, "conditions": conditions}))
    return 0


if __name__ == "__main__":
    sys.exit(main(QUICK_PROMPTS if "--quick" in sys.argv else PROMPTS))
