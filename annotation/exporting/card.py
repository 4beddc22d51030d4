"""A data set's card, made from what is on record: how much, by how many, how far they agree, under which licence."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from annotation import kept
from annotation.agreement import Agreement
from annotation.exporting.wanted import Wanted
from annotation.models import Label, Project
from annotation.statistics import percent

NOT_STATED = "not stated"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
PARTS = {
    "items": "Each labelled item with its answers and every vote",
    "demonstrations": "Prompts and good answers",
    "preferences": "Chosen and rejected answers, with how much better (margin, 0 to 1) and the share of the votes",
    "unpaired": "Answers that were found good (true) or bad by themselves",
}
AGGREGATED = """- `demonstrations`: every answer that somebody accepted, edited or wrote, edits of a best answer too.
- `preferences`: each two answers by majority of those who judged them. Ties, pairs with as many votes either way, and
  votes that call both unacceptable are left out; an edited answer counts as preferred to its original.
- `unpaired`: each answer by majority; good if accepted, written or ranked best above another, bad if rejected or marked
  unacceptable.

These three leave out labels of people who were excluded, and where a reviewer has decided an item, the decision counts
alone. No table has labels that were withdrawn or replaced, or items whose right answer was known beforehand (gold)."""


@dataclass
class Part:
    """One of the data set's tables."""

    name: str
    split: str
    rows: int = 0
    languages: dict[str, int] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return f"{self.name}/{self.split}.parquet"

    def count(self, rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        for row in rows:
            self.rows += 1
            self.languages[row["language"]] = self.languages.get(row["language"], 0) + 1
            yield row


def card(project: Project, wanted: Wanted, parts: list[Part]) -> str:
    """Markdown in the hub's form. The same data gives the same card."""
    lines = [*head(project, parts), *table(_facts(project, wanted)), *tables(parts)]
    if not parts:
        lines += ["", "Nothing that was asked for has been labelled yet."]
    lines += ["", "## How votes became rows", "", AGGREGATED, "", "## How far people agree", ""]
    lines += _agreement(project, simulated=wanted.simulated is True)
    lines += ["", "## People", "", _people(wanted), *guidelines(project)]
    return "\n".join([*lines, ""])


def head(project: Project, parts: list[Part]) -> list[str]:
    """What the hub reads, then the title and the project's description."""
    languages = sorted({name for part in parts for name in part.languages})
    front = [
        f"pretty_name: {json.dumps(project.name)}",
        *([f"license: {json.dumps(project.licence)}"] if project.licence else []),
        *_listed("language", [name for name in languages if re.fullmatch("[a-z]{2,3}", name)]),
        *_listed("size_categories", [_size(max((part.rows for part in parts), default=0))]),
        *(["configs:"] if parts else []),
    ]
    for part in parts:
        front += [f"- config_name: {part.name}", "  data_files:", f"  - split: {part.split}", f"    path: {part.file}"]
    return ["---", *front, "---", "", f"# {_plain(project.name)}", "", *_said(project.description)]


def table(facts: Iterable[tuple[str, str]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {_plain(value)} |" for name, value in facts)]


def tables(parts: list[Part]) -> list[str]:
    """What the data set holds."""
    return [
        *("", "## Tables", "", "| Table | Split | Rows | Languages | What it holds |", "|---|---|---|---|---|"),
        *(
            f"| `{part.name}` | {part.split} | {part.rows} | {_counted(part.languages)} | {PARTS[part.name]} |"
            for part in parts
        ),
    ]


def guidelines(project: Project) -> list[str]:
    """What annotators are asked to do, if it was written down."""
    if not (guide := project.guidelines):
        return []
    said = "What annotators were asked to do, in the newest version:"
    return ["", "## Guidelines", "", said, "", *_quoted(guide)]


def _facts(project: Project, wanted: Wanted) -> Iterable[tuple[str, str]]:
    labels = wanted.said(Label.objects.live().filter(item__in=wanted.items(project)))
    current = project.current_guidelines
    yield "Licence", project.licence or NOT_STATED
    yield "Split", "prompts to train on" if wanted.split != "heldout" else "prompts held out for evaluation"
    yield "Labelled items", str(wanted.items(project).count())
    yield "Labels", str(labels.count())
    yield "People", str(labels.values("person").distinct().count())
    yield "Labels of simulated annotators", str(labels.filter(simulated=True).count())
    yield "Guidelines", f"version {current.number}" if current else NOT_STATED
    if wanted.tags:
        yield "Tags", ", ".join(wanted.tags)
    if wanted.minimum_agreement > 0.5:
        yield "Smallest share of votes", percent(wanted.minimum_agreement)


def _agreement(project: Project, *, simulated: bool) -> list[str]:
    reports, _ = kept.reports(project, simulated=simulated)
    found = [_in_words(kind, report.overall) for kind, report in sorted(reports.items()) if report.overall.comparisons]
    return found or ["No item was judged by two people, so nothing is known of it."]


def _in_words(kind: str, one: Agreement) -> str:
    share, alpha = one.interval, one.alpha
    assert share is not None
    words = f"- {kind.capitalize()}s: two people said the same in {percent(share.value, '.1f')} "
    words += f"of {one.comparisons} cases on {one.items} items"
    words += f" (95 % interval {100 * share.lower:.1f} to {percent(share.upper, '.1f')})"
    if alpha is None:
        return f"{words}."
    return f"{words}; Krippendorff's alpha {alpha.value:.2f} ({alpha.lower:.2f} to {alpha.upper:.2f})."


def _people(wanted: Wanted) -> str:
    if wanted.names:
        return "People appear under their user names."
    return (
        "People appear under pseudonyms, the same throughout the project. They are made with a secret of the server "
        "that is not in this data set. Texts are as people and models wrote them, and may name somebody."
    )


def _listed(name: str, values: list[str]) -> list[str]:
    return [f"{name}:", *(f"- {json.dumps(value)}" for value in values)] if values else []


def _size(rows: int) -> str:
    return next((name for limit, name in SIZES if rows < limit), "1M<n<10M" if rows < 10_000_000 else "n>10M")


def _counted(languages: dict[str, int]) -> str:
    return ", ".join(f"{_plain(name) or 'not said'} {count}" for name, count in sorted(languages.items()))


def _said(text: str) -> list[str]:
    return [_plain(text), ""] if text else []


def _quoted(text: str) -> list[str]:
    return [f"> {line}".rstrip() for line in text.splitlines()]


def _plain(value: Any) -> str:
    """In a table's cell, on one line."""
    return " ".join(str(value).split()).replace("|", "\\|")
