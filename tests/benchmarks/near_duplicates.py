"""How long does it take to find what is there twice, or nearly, among 100,000 answers?

    .venv/bin/python tests/benchmarks/near_duplicates.py [--quick]

`seconds_100k`: all prompts and answers of a project read from the database, laid side by side, and what was found
stored, as the queue does it (annotation/wholechecks.py). Of the answers, which have 40 to 160 words, one in ten is
another one with three words changed, one in twenty another one as it is, and one in fifty the same apology.
`found_near` is the share of those changed that are found, of 80 words or more; `found_wrongly` counts answers that
nobody copied. `texts_per_s` is how fast texts are checked by themselves, on one core; `memory_mb` what the process had
taken at most.
"""

import json
import sys
from pathlib import Path

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.product import running

SCRIPT = """
import json, random, resource, time
from annotation import cleaning, wholechecks
from annotation.models import Finding, Project, Prompt, Response
from annotation.text import sha256

answers = {answers}
draw = random.Random(1)
words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 10))) for _ in range(20_000)]
weights = [1 / (place + 3) for place in range(len(words))]
apology = " ".join(draw.choices(words, weights, k=60))
texts, copied, changed = [], set(), set()
for number in range(answers):
    lot = draw.random()
    if number and lot < 0.1:
        new = draw.choice(texts).split(" ")
        for place in draw.sample(range(len(new)), 3):
            new[place] = draw.choice(words)
        texts.append(" ".join(new))
        if len(new) >= 80:  # three words are in nine runs of three: of fewer words too much is changed
            changed.add(number)
        copied.add(number)
    elif number and lot < 0.17:
        texts.append(draw.choice(texts) if lot < 0.15 else apology)
        copied.add(number)
    else:
        texts.append(" ".join(draw.choices(words, weights, k=draw.randint(40, 160))))
project = Project.objects.create(slug="bench", name="Bench")
for start in range(0, answers, 5_000):
    part = range(start, min(start + 5_000, answers))
    messages = [[{{"role": "user", "content": " ".join(draw.choices(words, weights, k=12))}}] for _ in part]
    prompts = Prompt.objects.bulk_create(
        Prompt(project=project, messages=one, sha256=sha256([number, one]), split="train")
        for number, one in zip(part, messages, strict=True)
    )
    Response.objects.bulk_create(
        Response(prompt=prompt, text=texts[number], sha256=sha256(texts[number]), origin="import")
        for number, prompt in zip(part, prompts, strict=True)
    )
numbers = dict(zip(Response.objects.order_by("pk").values_list("pk", flat=True), range(answers), strict=True))
began = time.perf_counter()
found = wholechecks.compare(project=project)
seconds = time.perf_counter() - began
kinds = ["duplicate", "near_duplicate"]
told = set(Finding.objects.filter(response__isnull=False, kind__in=kinds).values_list("response_id", flat=True))
told = {{numbers[pk] for pk in told}}
sample = texts[:400]
cleaning.textchecks.of_answer(sample[0], language="en")
began = time.process_time()
for text in sample:
    cleaning.textchecks.of_answer(text, language="en")
each = (time.process_time() - began) / len(sample)
print(json.dumps({{
    "seconds": seconds,
    "findings": found,
    "found_near": round(len(changed & told) / max(1, len(changed)), 4),
    "found_wrongly": len(told - copied),
    "texts_per_s": round(1 / each),
    "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}}))
"""


def main(quick: bool) -> None:
    answers = 5_000 if quick else 100_000
    with running() as product:
        said = product.manage("shell", stdin=SCRIPT.format(answers=answers))
    measured = json.loads(said.strip().splitlines()[-1])
    seconds = measured.pop("seconds")
    found = {"seconds_100k" if not quick else "seconds_5k": round(seconds, 1), **measured}
    conditions = {"answers": answers, "prompts": answers, "words": "40 to 160"}
    print(json.dumps({"benchmark": "near_duplicates", "figures": found, "conditions": conditions}))


if __name__ == "__main__":
    main("--quick" in sys.argv)
