"""Every page of a project with many labels, as a lead opens it.

    .venv/bin/python tests/benchmarks/pages.py [--quick]

A project of 100,000 labelled comparisons, of which every tenth is between the answers of two models; what the queue
keeps of so many labels is kept. Every page that tests/journeys/test_accessibility.py knows by the project alone is
opened three times at the real server. Counted is each page's fastest time: what it takes itself, not its neighbours.
`--quick`: 5,000 labels.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import requests

from tests.benchmarks.exporting import LABELLED, SEED
from tests.benchmarks.product import Product, new_password, running

FULL, QUICK, TIMES = 100_000, 5_000, 3
MODELS = """
from annotation import kept
from annotation.models import Response
from training.models import Generation, ModelVersion, Run, Sample
made = []
for name, stage in (("before", "retired"), ("now", "production")):
    version = ModelVersion.objects.create(
        project=project, name=name, kind="policy", format="full", stage=stage, location=name
    )
    run = Run.objects.create(project=project, method="generate", base=version, status="succeeded")
    made.append(Generation.objects.create(project=project, run=run, model_version=version, seed=17))
answers = Response.objects.filter(prompt__project=project).order_by("prompt_id", "id").values_list("id", flat=True)
Sample.objects.bulk_create(
    Sample(generation=made[number % 2], response_id=pk, index=0)
    for number, pk in enumerate(answers)
    if number // 2 % 10 == 0
)
kept.keep(project)
"""
PAGES = """
import json
from tests.journeys.test_accessibility import PAGES
own = {shown.address for states in PAGES.values() for shown in states if shown.address.startswith("/projects/desk/")}
print(json.dumps(sorted(address for address in own if "{" not in address)))
"""


def signed_in(product: Product, password: str) -> requests.Session:
    session = requests.Session()
    page = f"{product.url}/sign-in/"
    session.get(page, timeout=60)
    form = {"username": "alice", "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
    session.post(page, data=form, headers={"Referer": page}, timeout=60).raise_for_status()
    return session


def measure(product: Product, count: int) -> dict[str, object]:
    password = new_password()
    labelled = LABELLED.replace("COUNT", str(count))
    product.manage("shell", "-c", f"PASSWORD, LABELLED = {password!r}, {labelled!r}\n{SEED}\n{MODELS}")
    session = signed_in(product, password)
    fastest: dict[str, float] = {}
    for address in json.loads(product.manage("shell", stdin=PAGES).splitlines()[-1]):
        for _ in range(TIMES):
            began = time.monotonic()
            answer = session.get(product.url + address, timeout=600)
            took = 1000 * (time.monotonic() - began)
            assert answer.status_code in (200, 422), (address, answer.status_code)  # one asks for nonsense
            fastest[address] = min(took, fastest.get(address, took))
        print(f"{fastest[address]:7.0f} ms {address}", file=sys.stderr, flush=True)
    slowest = sorted(fastest, key=lambda address: -fastest[address])[:5]
    return {
        "pages": len(fastest),
        "p50_ms": round(statistics.median(fastest.values()), 1),
        "p95_ms": round(statistics.quantiles(fastest.values(), n=20)[-1], 1),
        "slowest_ms": {address: round(fastest[address]) for address in slowest},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5,000 labels")
    count = QUICK if parser.parse_args().quick else FULL
    with running("web") as product:
        figures = measure(product, count)
    conditions = {"labels": count, "times": TIMES, "cores": os.cpu_count()}
    print(json.dumps({"benchmark": "pages", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
