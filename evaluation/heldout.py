"""What models are measured with: held-out pairs, examples and prompts, and a fixed probe of general knowledge."""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from annotation.models import Label, Project, Prompt
from annotation.text import canonical, sha256
from training import snapshots
from training.snapshots import JudgedPair, Rule

# At most so many of each are read: enough for an interval of a few points, in minutes and not hours.
MOST_PAIRS, MOST_EXAMPLES = 500, 200


@dataclass(frozen=True)
class About:
    """What a held-out text belongs to, so that figures can be told apart. `grade` is how much better the answer was
    called, in the project's words; `longer` whether the preferred answer is the longer one (0.5: alike)."""

    prompt: int
    language: str
    tags: list[str]
    grade: str = ""
    longer: float = 0.5


@dataclass(frozen=True)
class Heldout:
    """A text to measure, or two, with what it belongs to."""

    messages: list[dict[str, str]]
    texts: dict[str, str]
    about: About


def pairs(*, project: Project, simulated: bool = False, most: int = MOST_PAIRS) -> list[Heldout]:
    """The judged held-out pairs, as `snapshots.heldout_pairs` has them; of very many the same ones each time."""
    levels = project.strength_levels
    found = []
    for votes in snapshots.heldout_votes(project=project, simulated=simulated):
        row = votes.row(Rule().minimum_agreement)
        if row is not None:
            found.append((row, _pair(votes, row, levels)))
    found.sort(key=lambda one: canonical(one[0]))
    return [one for _, one in _some(found, most, lambda one: one[0]["prompt_sha256"])]


def _pair(votes: JudgedPair, row: dict[str, Any], levels: list[str]) -> Heldout:
    chosen, rejected = row["chosen"][0]["content"], row["rejected"][0]["content"]
    grade = levels[max(1, round(row["margin"] * len(levels))) - 1] if levels else ""
    longer = 0.5 if len(chosen) == len(rejected) else float(len(chosen) > len(rejected))
    about = About(votes.prompt.pk, votes.prompt.language, list(votes.prompt.tags), grade, longer)
    return Heldout(row["prompt"], {"chosen": chosen, "rejected": rejected}, about)


def examples(*, project: Project, simulated: bool = False, most: int = MOST_EXAMPLES) -> list[Heldout]:
    """Answers to held-out prompts that people wrote or approved."""
    labels = Label.objects.counted().decisive().kept().filter(project=project, response__prompt__split="heldout")
    if not simulated:
        labels = labels.filter(simulated=False)
    responses = {label.response for label in labels.select_related("response__prompt")}
    found = sorted((one for one in responses if one is not None), key=lambda one: one.pk)
    return [
        Heldout(
            _plain(response.prompt),
            {"example": response.text},
            About(response.prompt_id, response.prompt.language, list(response.prompt.tags)),
        )
        for response in _some(found, most, lambda one: one.prompt.sha256)
    ]


def prompts(*, project: Project, number: int) -> list[Prompt]:
    """Held-out prompts to answer: the same ones for every model, as long as no others are imported."""
    rows = Prompt.objects.heldout().kept().originals().filter(project=project)
    order = sorted(rows.values_list("sha256", "pk"), key=lambda row: sha256(f"measure {row[0]}"))
    chosen = [pk for _, pk in order[:number]]
    found = Prompt.objects.in_bulk(chosen)
    return [found[pk] for pk in chosen]


@cache
def probe() -> list[dict[str, str]]:
    """General questions with their answers, and paragraphs of plain text, written for this product (probe.jsonl). They
    never change: what a model thinks of them is compared over the years."""
    lines = Path(__file__).with_name("probe.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def texts_of(
    *, project: Project, simulated: bool, with_probe: bool = True
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """All texts for a `measure` run, and what each belongs to. Their ids say what they are: `pair 3 chosen`,
    `example 5`, `probe 12`."""
    texts, about = [], {}
    for kind, rows in (
        ("pair", pairs(project=project, simulated=simulated)),
        ("example", examples(project=project, simulated=simulated)),
    ):
        about[kind] = [asdict(row.about) for row in rows]
        texts += [
            {"id": f"{kind} {number}{f' {side}' if kind == 'pair' else ''}", "messages": row.messages, "text": text}
            for number, row in enumerate(rows)
            for side, text in row.texts.items()
        ]
    for number, row in enumerate(probe() if with_probe else []):
        question = row["kind"] == "question"
        messages = [{"role": "user", "content": row["question"]}] if question else []
        texts.append({"id": f"probe {number}", "messages": messages, "text": row["answer" if question else "text"]})
    return texts, about


def _plain(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": message["role"], "content": message["content"]} for message in prompt.messages]


def _some(rows: list[Any], most: int, key: Any) -> list[Any]:
    """All, or the same ones out of very many each time, in the order they came."""
    if len(rows) <= most:
        return rows
    kept = set(sorted(range(len(rows)), key=lambda place: (sha256(f"measure {key(rows[place])}"), place))[:most])
    return [row for place, row in enumerate(rows) if place in kept]
