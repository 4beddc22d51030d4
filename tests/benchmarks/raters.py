"""Does the bias watch name the bad raters, and nobody else?

    .venv/bin/python tests/benchmarks/raters.py [--quick]

Thirty simulated raters of known quality judge 100 pairs each, three to a pair, in a project of the product on a
database of its own; the product's own code then says whom it would name to a lead. Each seed makes other raters, pairs
and votes.

    9 careful       pick the better answer of a pair nine times in ten
    9 noisy         honest, but only right three times in four: they are not bad
    3 lazy          answer without looking: left, right or tie by lot, as slowly as everybody else
    3 left-clickers take the left answer nine times in ten, and otherwise judge as careful people do
    3 length-lovers take the longer answer nine times in ten
    3 adversaries   say the opposite of what a careful person would say

The better answer is the longer one in 62 % of the pairs (what "the longest wins" gets right of people's preferences:
AlpacaEval), pairs differ in how clear they are, and people call a tie where they are close. Precision is the share of
bad raters among those named, recall the share of the bad ones that were named, both over all seeds.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path.pop(0)  # this folder, whose `queue` is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.product import running

SEEDS, QUICK_SEEDS = range(1, 21), range(1, 6)
KINDS = {"careful": 9, "noisy": 9, "lazy": 3, "left-clicker": 3, "length-lover": 3, "adversary": 3}
GOOD = {"careful", "noisy"}
LABELS, OVERLAP = 100, 3
LONGER_IS_BETTER = 0.62
EYE = {"careful": 6.0, "noisy": 1.55}  # how much a difference counts: right in about 90 and 75 % of pairs
TIE_WITHIN = 0.08
HABIT = 0.9  # of clickers and lovers of length
WORDS = [
    "the",
    "parcel",
    "left",
    "our",
    "shop",
    "on",
    "monday",
    "and",
    "should",
    "reach",
    "you",
    "by",
    "friday",
    "please",
]


def raters(random: np.random.Generator) -> list[str]:
    """The kind of each rater."""
    kinds = [kind for kind, n in KINDS.items() for _ in range(n)]
    random.shuffle(kinds)
    return kinds


def dealt(people: int, random: np.random.Generator) -> list[list[int]]:
    """Which pairs each person judges: `LABELS` different ones, each pair judged by `OVERLAP` people."""
    hands: list[list[int]] = [[] for _ in range(people)]
    for pair in range(people * LABELS // OVERLAP):
        emptiest = sorted(range(people), key=lambda person: (len(hands[person]), random.random()))
        for person in emptiest[:OVERLAP]:
            hands[person].append(pair)
    return [list(random.permutation(hand)) for hand in hands]


def vote(kind: str, gap: float, longer: int, left: int, random: np.random.Generator) -> int:
    """1 if the first answer is preferred, -1 the second, 0 a tie. `gap` is by how much the first is better, `longer`
    and `left` which answer (1 or -1) that is."""
    if kind == "lazy":
        return int(random.choice([1, -1, 0], p=[0.45, 0.45, 0.1]))
    if kind == "left-clicker" and random.random() < HABIT:
        return left
    if kind == "length-lover" and random.random() < HABIT:
        return longer
    if abs(gap) < TIE_WITHIN:
        return 0
    eye = EYE.get(kind, EYE["careful"])
    honest = 1 if random.random() < 1 / (1 + np.exp(-eye * gap)) else -1
    return -honest if kind == "adversary" else honest


def fill(project: Any, kinds: Sequence[str], random: np.random.Generator, prefix: str = "rater") -> dict[str, str]:
    """Make the people, the pairs and their labels in this project, as the verbs would leave them; who is what."""
    from django.utils import timezone

    from annotation import models
    from annotation.asking import fingerprint
    from annotation.text import sha256

    people = models.User.objects.bulk_create(
        models.User(username=f"{prefix}-{number:02}") for number in range(1, len(kinds) + 1)
    )
    models.Membership.objects.bulk_create(
        models.Membership(person=one, project=project, simulated=True) for one in people
    )
    hands = dealt(len(people), random)
    pairs = len(people) * LABELS // OVERLAP
    gaps = random.normal(0, 1, pairs)
    longer = np.where(random.random(pairs) < LONGER_IS_BETTER, np.sign(gaps), -np.sign(gaps)).astype(int)
    said = [[{"role": "user", "content": f"Where is my parcel, number {n}?"}] for n in range(pairs)]
    prompts = models.Prompt.objects.bulk_create(
        models.Prompt(project=project, messages=one, sha256=sha256(one), split="train", tags=[f"tag {n % 3}"])
        for n, one in enumerate(said)
    )
    texts = []
    for number in range(pairs):
        short, long = random.integers(20, 60), random.integers(70, 160)
        sizes = (long, short) if longer[number] == 1 else (short, long)
        texts += [f"Answer {place} of {number}: {' '.join(random.choice(WORDS, n))}." for place, n in enumerate(sizes)]
    responses = models.Response.objects.bulk_create(
        models.Response(prompt=prompts[place // 2], text=text, sha256=sha256(text), origin="import")
        for place, text in enumerate(texts)
    )
    items = models.Item.objects.bulk_create(
        models.Item(
            project=project,
            prompt=prompt,
            kind="comparison",
            wanted=OVERLAP,
            taken=OVERLAP,
            fingerprint=fingerprint("comparison", prompt.sha256, [one.sha256 for one in responses[2 * n : 2 * n + 2]]),
        )
        for n, prompt in enumerate(prompts)
    )
    models.ItemResponse.objects.bulk_create(
        models.ItemResponse(item=items[place // 2], response=response, order=place % 2)
        for place, response in enumerate(responses)
    )
    now = timezone.now()
    assignments, votes = [], []
    for turn in range(LABELS):  # people work side by side
        for person, kind, hand in zip(people, kinds, hands, strict=True):
            number = hand[turn]
            left = int(random.choice([1, -1]))
            votes.append((number, left, vote(kind, gaps[number], longer[number], left, random)))
            shown = responses[2 * number : 2 * number + 2][::left]
            assignments.append(
                models.Assignment(
                    item=items[number],
                    person=person,
                    state="submitted",
                    leased_at=now,
                    lease_until=now + timedelta(minutes=20),
                    ended_at=now,
                    order=[response.pk for response in shown],
                )
            )
    models.Assignment.objects.bulk_create(assignments)
    labels = models.Label.objects.bulk_create(
        models.Label(
            project=project,
            item=assignment.item,
            assignment=assignment,
            person=assignment.person,
            strength=int(random.integers(1, 5)) if choice else None,
            seconds=float(np.clip(random.lognormal(3.4, 0.4), 15, 120)),  # about half a minute, whoever it is
            simulated=True,
        )
        for assignment, (_, _, choice) in zip(assignments, votes, strict=True)
    )
    judgements = []
    for label, (_, left, choice) in zip(labels, votes, strict=True):
        best = choice * left  # 1 if what stood left is preferred
        ranks = {1: (1, 2), -1: (2, 1), 0: (1, 1)}[best]
        judgements += [
            models.Judgement(label=label, response_id=pk, position=position, rank=ranks[position])
            for position, pk in enumerate(label.assignment.order)
        ]
    models.Judgement.objects.bulk_create(judgements)
    return {person.username: kind for person, kind in zip(people, kinds, strict=True)}


def one_seed(seed: int) -> dict[str, Any]:
    """In a process of the product: make a project, ask the bias watch, compare."""
    from annotation import raters as watch
    from annotation.models import Project

    random = np.random.default_rng(seed)
    project = Project.objects.create(slug=f"desk-{seed}", name="Desk")
    truth = fill(project, raters(random), random, prefix=f"rater-{seed}")
    named = {one.person: one.findings for one in watch.of_project(project, simulated=True) if one.findings}
    return {
        "truth": truth,
        "named": {person: [finding.name for finding in findings] for person, findings in named.items()},
    }


def main(seeds: Sequence[int]) -> int:
    named_bad = named = bad = 0
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with running() as product:
        for seed in seeds:
            code = f"import json; from tests.benchmarks.raters import one_seed; print(json.dumps(one_seed({seed})))"
            result = json.loads(product.manage("shell", "--no-imports", stdin=code).splitlines()[-1])
            for person, kind in result["truth"].items():
                found[kind]["all"] += 1
                found[kind]["named"] += person in result["named"]
            bad_ones = {person for person, kind in result["truth"].items() if kind not in GOOD}
            named_bad += len(bad_ones & result["named"].keys())
            named += len(result["named"])
            bad += len(bad_ones)
            print(f"seed {seed}: named {len(result['named'])}, of {len(bad_ones)} bad", flush=True)
    for kind, counts in found.items():
        print(f"{kind:13} {counts['named']:4} of {counts['all']} named")
    figures = {
        "bad_rater_precision": round(named_bad / named, 4) if named else 0.0,
        "bad_rater_recall": round(named_bad / bad, 4),
    }
    conditions = {"seeds": len(seeds), "raters": sum(KINDS.values()), "bad": bad, "labels": LABELS, "overlap": OVERLAP}
    print(json.dumps({"benchmark": "raters", "figures": figures, "conditions": conditions}))
    return 0


if __name__ == "__main__":
    sys.exit(main(QUICK_SEEDS if "--quick" in sys.argv else SEEDS))
