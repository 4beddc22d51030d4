"""What a rule would come to, before anything is frozen: how many rows, of whom, what is left out and why, and the first
of them."""

from collections import Counter
from dataclasses import dataclass

from annotation.models import Project
from training import made
from training.snapshots import collecting, filters
from training.snapshots.collecting import Row
from training.snapshots.rules import Rule


@dataclass(frozen=True)
class Preview:
    rows: int
    prompts: int
    people: int
    labels: int
    made: int  # rows by models, which are among `rows`
    weight: float | None  # of all rows by people together, if the rule weighs
    left_out: list[tuple[str, int]]  # labels, by the reason
    dropped: list[tuple[str, int]]  # pairs or answers that were judged and make no row, by the reason
    first: list[Row]


def preview(*, project: Project, kind: str, rule: Rule, most: int = 5) -> Preview:
    """Raises ValidationError if the rule names what the project has not."""
    collected = collecting.drafts(project=project, kind=kind, rule=rule)
    drafts = collected.drafts
    by_models = 0
    if collecting.makers(kind, rule):
        there = sum(1 for _ in collecting.made_rows(project, kind, rule))
        there += collecting.reworded(project, collected, rule)
        by_models = min(there, made.most(len(drafts), rule.most_made))
    return Preview(
        rows=len(drafts) + by_models,
        prompts=len({one.prompt for one in drafts}),
        people=len(collected.people()),
        labels=len({label for one in drafts for label in one.labels}),
        made=by_models,
        weight=round(sum(one.more["weight"] for one in drafts), 3) if rule.weights else None,
        left_out=filters.left_out(project, rule),
        dropped=Counter(collected.dropped).most_common(),
        first=collecting.first(collected, most),
    )
