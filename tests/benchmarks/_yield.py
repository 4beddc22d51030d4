"""One project of `loop_yield`, from its first prompts to the figures of its last round, in the product's environment.

    python -m tests.benchmarks._yield '{"selector": "default", "work": FOLDER, "model": FOLDER, "seed": 1, …}'

Whatever was done before with the same database is taken up, so that it can be started again after it was stopped.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import django

django.setup()  # before the models below

import numpy as np  # noqa: E402
from django.db.models import QuerySet  # noqa: E402

from annotation import importing, labelling, leasing  # noqa: E402
from annotation.labelling import Said  # noqa: E402
from annotation.models import Assignment, Item, ItemResponse, Label, Membership, Project, Prompt, Response  # noqa: E402
from annotation.models.items import Kind, Purpose  # noqa: E402
from annotation.statistics import Interval, wilson  # noqa: E402
from evaluation import features, figures, gate, rounds, scoring, simulating, steering, tasks  # noqa: E402
from evaluation.models import Aim, Round, RoundStatus  # noqa: E402
from evaluation.surface import reading_seconds  # noqa: E402
from tests.benchmarks._gold import Gold  # noqa: E402
from training import registry, runner, runs, sampling  # noqa: E402
from training.models import ModelVersion, Run  # noqa: E402
from training.models.runs import Status  # noqa: E402

NOISE, SLIPS = 0.5, 0.03  # of differences in the gold reward; of all labels
BATCH = 10  # labels between two orders of the queue
EACH = 4  # answers of a model to a prompt
PAIRS = 3  # of these, among the base model's first answers


@dataclass
class Arm:
    """A project that is asked by one selector."""

    plan: dict[str, Any]
    project: Project
    gold: Gold
    annotator: Membership
    base: ModelVersion
    unit: float = 1.0  # the standard deviation of the reward among the base model's answers to a prompt

    @property
    def at_random(self) -> bool:
        return bool(self.plan["selector"] == "random")

    def worth(self, responses: Iterable[int]) -> dict[int, float]:
        """The gold reward of answers (ids), in its units; a model reads those that it has not read yet."""
        asked = sorted(set(responses))
        features.look_at(asked)
        if self.plan["read"] and (unread := features.unread(asked, reader=self.base)):
            run = runs.start(
                project=self.project, method="features", base=self.base, inputs={"answers": unread}, wake=False
            )
            ended(run)
        found = features.stored(asked, reader=self.base)
        assert found is not None
        values = self.gold(found.surface, found.states if self.plan["read"] else None) / self.unit
        return dict(zip(found.ids.tolist(), values.tolist(), strict=True))


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def work() -> None:
    """Do every run that waits, as a worker does, and what the queue does when one has ended."""
    while (run := runs.claim(worker=runner.worker_name())) is not None:
        began = time.monotonic()
        run = runner.execute(run)
        if run.status != Status.SUCCEEDED:
            raise RuntimeError(f"run {run.pk} ({run.method}): {run.status} {run.error}")
        tasks.run_finished(run.pk)
        say(f"  {run.method}: {time.monotonic() - began:.0f} s")


def ended(run: Run) -> Run:
    work()
    run.refresh_from_db()
    return run


def set_up(plan: dict[str, Any]) -> Arm:
    folder, slug = Path(plan["work"]), f"yield-{plan['selector']}"
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        project = Project.objects.create(slug=slug, name=slug, heldout_share=0.2)
        steering.set_aim(project=project, aim=Aim.TUNING if plan["selector"] == "tuning" else Aim.KNOWING)
        prompts = json.loads((folder / "prompts.json").read_text())
        importing.import_lines(project=project, lines=(json.dumps({"prompt": one}) for one in prompts))
    if not ModelVersion.objects.filter(project=project, name="base").exists():
        registry.import_model(project=project, name="base", source=plan["model"], licence="", wake=False)
        work()
    base = ModelVersion.objects.get(project=project, name="base")
    return Arm(plan, project, Gold.load(folder / "gold.npz"), simulating.annotator(project), base)


def answers(
    arm: Arm, model: ModelVersion, prompts: list[int], *, each: int, pairs: int, seed: int
) -> "QuerySet[Response]":
    """What a model says to these prompts, sampled once."""
    done = Run.objects.filter(project=arm.project, method="generate", base=model, seed=seed)
    run = done.order_by("pk").first()  # a round's have the seed, too, and come later
    if run is None:
        run = sampling.sample(
            project=arm.project,
            model=model,
            prompts=Prompt.objects.filter(pk__in=prompts),
            settings={"samples_per_prompt": each, "max_new_tokens": arm.plan["longest"]},
            seed=seed,
            pairs_per_prompt=pairs,
            wake=False,
        )
    return ended(run).generation.responses.distinct().order_by("pk")


def begin(arm: Arm) -> None:
    """The first comparisons, of the base model's own answers; and the reward's unit."""
    train = Prompt.objects.filter(project=arm.project, split="train").order_by("sha256")
    first = list(train.values_list("pk", flat=True)[: arm.plan["first_prompts"]])
    given = answers(arm, arm.base, first, each=EACH, pairs=PAIRS, seed=arm.plan["seed"])
    worth = arm.worth(given.values_list("pk", flat=True))
    by_prompt: dict[int, list[float]] = defaultdict(list)
    for pk, prompt in given.values_list("pk", "prompt_id"):
        by_prompt[prompt].append(worth[pk])
    spread = [value - mean(values) for values in by_prompt.values() for value in values]
    arm.unit = float(np.std(spread)) or 1.0


def label(arm: Arm, target: int) -> None:
    """Comparisons are judged until there are so many labels."""
    mine = Label.objects.live().filter(project=arm.project, person=arm.annotator.person)
    waiting = Item.objects.open().filter(project=arm.project, kind=Kind.COMPARISON, purpose=Purpose.TRAIN)
    shown = ItemResponse.objects.filter(item__in=waiting).values_list("response_id", flat=True)
    worth = arm.worth(shown)
    random = np.random.default_rng([arm.plan["seed"], target])
    if arm.at_random:
        items = list(waiting.order_by("pk"))
        for item, place in zip(items, random.random(len(items)).tolist(), strict=True):
            item.priority = place
        Item.objects.bulk_update(items, ["priority"], batch_size=500)
    done = mine.count()
    while done < target:
        if not arm.at_random and done % BATCH == 0:
            steering.refresh(arm.project)
        assignment = leasing.next_assignment(membership=arm.annotator, kind=Kind.COMPARISON)
        if assignment is None:
            say(f"  the queue is empty at {done} labels")
            return
        labelling.submit(assignment=assignment, said=judged(assignment, worth, random))
        done += 1
    say(f"  {done} labels")


def judged(assignment: Assignment, worth: dict[int, float], random: np.random.Generator) -> Said:
    first, second = assignment.shown()
    difference = worth[first.pk] - worth[second.pk]
    prefers_first = random.random() < 1 / (1 + np.exp(-difference / NOISE))
    if random.random() < SLIPS:
        prefers_first = random.random() < 0.5
    seconds = round(reading_seconds(first.text, second.text), 1)
    return Said(ranks=[1, 2] if prefers_first else [2, 1], strength=1, seconds=seconds)


def turn(arm: Arm, number: int) -> Round:
    """A round from the labels there are to the next questions."""
    current = Round.objects.filter(project=arm.project, number=number).first()
    if current is None:
        settings = {
            "simulated": True,
            "minimum_comparisons": 1,
            "fresh_prompts": arm.plan["prompts"],
            "heldout_prompts": 0,
            "measured_prompts": arm.plan["measured"],
            "new_items": arm.plan["labels"],
            "random_share": 1.0 if arm.at_random else steering.RANDOM_SHARE,
            "reward": arm.plan["reward"],
            "dpo": arm.plan["dpo"],
            "generate": {"samples_per_prompt": EACH, "max_new_tokens": arm.plan["longest"]},
            "seed": arm.plan["seed"],
        }
        current = rounds.start(project=arm.project, settings=settings)
    while current.status == RoundStatus.ACTIVE:
        current = rounds.advance(round_id=current.pk)
        work()
        current.refresh_from_db()
    if current.status != RoundStatus.DONE:
        raise RuntimeError(f"{current} {current.status}: {current.error}")
    assert current.challenger is not None
    gate.promote(version=current.challenger, reason="The next round asks about what it says.")
    return current


def measured(arm: Arm, current: Round) -> dict[str, Any]:
    """The round's model against the base on held-out prompts, by the gold reward without noise."""
    challenger = current.challenger
    assert challenger is not None
    held_out = Prompt.objects.filter(project=arm.project, split="heldout").order_by("sha256")
    prompts = list(held_out.values_list("pk", flat=True)[: arm.plan["heldout"]])
    by_model: list[dict[int, list[tuple[float, int]]]] = []
    for model in (arm.base, challenger):
        given = list(answers(arm, model, prompts, each=2, pairs=0, seed=arm.plan["seed"] + 1000))
        worth = arm.worth([one.pk for one in given])
        said: dict[int, list[tuple[float, int]]] = defaultdict(list)
        for one in given:
            said[one.prompt_id].append((worth[one.pk], figures.words_in(one.text)))
        by_model.append(said)
    old, new = by_model
    both = sorted(old.keys() & new.keys())
    wins = [mean((a > b) + 0.5 * (a == b) for a, _ in new[prompt] for b, _ in old[prompt]) for prompt in both]
    gains = np.array([mean(a for a, _ in new[one]) - mean(b for b, _ in old[one]) for one in both])
    half = 1.96 * float(gains.std(ddof=1)) / len(gains) ** 0.5
    longer = figures.growth(*({str(p): mean(n for _, n in side[p]) for p in both} for side in (new, old)))
    lost = scoring.score_of(challenger, "forgetting")
    gained = float(gains.mean())
    found = {
        "win_rate": rounded(wilson(sum(wins), len(wins))),
        "gold": rounded(Interval(gained, gained - half, gained + half, len(gains))),
        "length_growth": round(longer.value, 4) if longer else None,
        "probe_perplexity_growth": round(lost.value, 4) if lost else None,
        "gate": gate.verdict(challenger, champion=current.champion).words,
        "heldout": len(both),
    }
    say(f"{arm.project.slug}, {current}: {found}")
    return found


def rounded(found: Interval) -> list[float]:
    return [round(one, 4) for one in (found.value, found.lower, found.upper)]


def main(plan: dict[str, Any]) -> None:
    while runs.recover() and Run.objects.filter(status=Status.RUNNING).exists():
        time.sleep(5)  # a run of an earlier start, until it is known that nobody is at it
    arm = set_up(plan)
    begin(arm)
    found = []
    for number in range(1, plan["rounds"] + 1):
        label(arm, number * plan["labels"])
        found.append(measured(arm, turn(arm, number)))
    print(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
