"""How quickly are prompts brought in, and how much memory does that take?

    .venv/bin/python tests/benchmarks/importing.py [--quick]

A file of JSON Lines with a million prompts, two answers each, is imported as a job into an empty project of the
product on a database of its own: read, understood, hashed, and stored as prompts, answers and items to rank. The rate
is by the import's own clock, from its first row to its last; memory is the most that the process holds above what it
held when it began. `rows_per_s_again` is the same file a second time, which adds nothing.
"""

import json
import random
import sys
import threading
from pathlib import Path
from typing import Any

import psutil

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.product import Product, running

ROWS, QUICK_ROWS = 1_000_000, 20_000
WORDS = [
    *("the", "parcel", "left", "our", "shop", "on", "monday", "and", "should", "reach", "you", "by", "friday"),
    *("please", "tell", "us", "if", "it", "has", "not", "come"),
]
DESK = "from annotation.models import Project; Project.objects.create(slug='desk', name='Desk')"
# Runs in a process of its own, whose memory is the import's alone.
IMPORT = """
import json, os, sys
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
from annotation import imports, receiving
from annotation.models import Project
from tests.benchmarks.importing import Watched
file = sys.argv[1]
with open(file, "rb") as lines:
    source = receiving.receive(project=Project.objects.get(), name=file, chunks=iter(lambda: lines.read(1 << 20), b""))
imports.start(source=source, shape=source.shape, wake=False)
with Watched() as watched:
    while source.status in ("uploaded", "waiting"):
        imports.work(source.pk)
        source.refresh_from_db()
said = {"counts": source.counts, "seconds": source.seconds, "mb": watched.growth_mb}
print(json.dumps(said))
"""


class Watched:
    """The most memory this process holds above what it held at first, looked at ten times a second."""

    def __enter__(self) -> "Watched":
        self.process, self.over = psutil.Process(), threading.Event()
        self.first = self.most = self.process.memory_info().rss
        self.watcher = threading.Thread(target=self._look, daemon=True)
        self.watcher.start()
        return self

    def _look(self) -> None:
        while not self.over.wait(0.1):
            self.most = max(self.most, self.process.memory_info().rss)

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.watcher.join()

    @property
    def growth_mb(self) -> float:
        return (self.most - self.first) / 1e6


def write(path: Path, rows: int) -> None:
    """Prompts of about 130 characters, answers of about 190."""
    draw = random.Random(17)
    with path.open("w") as file:
        for number in range(rows):
            prompt = f"Question {number}: {' '.join(draw.choices(WORDS, k=25))}?"
            answers = [f"{' '.join(draw.choices(WORDS, k=38))}, {letter}{number}." for letter in "ab"]
            file.write(json.dumps({"prompt": prompt, "responses": answers, "language": "en"}) + "\n")


def imported(product: Product, path: Path) -> dict[str, Any]:
    said = product.python("-c", IMPORT, str(path))
    return json.loads(said.strip().rpartition("\n")[2])


def main(rows: int) -> None:
    with running() as product:
        path = product.var / "rows.jsonl"
        write(path, rows)
        product.manage("shell", "-v", "0", "-c", DESK)
        first, again = imported(product, path), imported(product, path)
        megabytes = path.stat().st_size / 1e6
    if first["counts"]["added"] != rows or again["counts"]["known"] != rows:
        raise RuntimeError(f"Not every row was imported: {first}, {again}")
    figures = {
        "rows_per_s": round(rows / first["seconds"]),
        "rows_per_s_again": round(rows / again["seconds"]),
        "memory_growth_mb": round(max(first["mb"], again["mb"]), 1),
    }
    conditions = {"rows": rows, "answers_per_row": 2, "file_mb": round(megabytes), "cores": psutil.cpu_count()}
    print(json.dumps({"benchmark": "importing", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main(QUICK_ROWS if "--quick" in sys.argv else ROWS)
