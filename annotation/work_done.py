"""What one person has done: which of their labels, and these as rows to take out, in a stream."""

import csv
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from django.db.models import Prefetch, QuerySet

from annotation.exporting import pseudonym
from annotation.models import Judgement, Label, Project, User
from annotation.models.events import record
from annotation.models.items import Kind
from annotation.models.labels import LabelQuerySet
from annotation.shapes.sheet import FORMULA, SPACES

BATCH = 500  # labels in memory at once
COLUMNS = (
    *("label", "person", "created_at", "kind", "live", "seconds", "verdict", "text", "ranks", "unacceptable"),
    *("strength", "criteria", "flags", "comment", "item", "language", "tags", "prompt", "answers", "simulated"),
)


def chosen(
    labels: QuerySet[Label],
    *,
    kind: str = "",
    live: bool | None = None,
    since: date | None = None,
    until: date | None = None,
) -> QuerySet[Label]:
    """Those of a kind, live or not, given from one day to another, both included."""
    if kind:
        labels = labels.filter(item__kind=kind)
    if live is not None:
        standing = Label.objects.live().values("pk")
        labels = labels.filter(pk__in=standing) if live else labels.exclude(pk__in=standing)
    if since:
        labels = labels.filter(created_at__date__gte=since)
    if until:
        labels = labels.filter(created_at__date__lte=until)
    return labels


def by(person: User, project: Project) -> LabelQuerySet:
    return Label.objects.filter(person=person, project=project)


def take_out(
    *, labels: QuerySet[Label], project: Project, person: User, actor: User, names: bool
) -> Iterator[dict[str, Any]]:
    """One row for each label, oldest first, under a pseudonym unless names are wanted; put on record."""
    record("work exported", person, project=project, actor=actor, person=person.username, names=names)
    return _rows(labels, project, person.username if names else "")


def _rows(labels: QuerySet[Label], project: Project, name: str) -> Iterator[dict[str, Any]]:
    related = labels.select_related("item__prompt", "response__prompt", "superseded_by").order_by("id")
    judged = Judgement.objects.select_related("response").order_by("position")
    for label in related.prefetch_related(Prefetch("judgements", judged)).iterator(chunk_size=BATCH):
        item = label.item
        said = _said(label, item.kind, project)
        yield {
            "label": said.pop("id"),
            **said,
            "person": name or said["person"],
            "live": label.retracted_at is None and not hasattr(label, "superseded_by"),
            "item": item.pk,
            "kind": item.kind,
            "language": item.prompt.language,
            "tags": item.prompt.tags,
            "prompt": item.prompt.messages,
            "answers": [{"id": one.response_id, "text": one.response.text} for one in label.judgements.all()],
        }


def _said(label: Label, kind: str, project: Project) -> dict[str, Any]:
    """One label as the export of a whole project has it, withdrawn and replaced ones too."""
    row: dict[str, Any] = {
        "id": label.pk,
        "person": pseudonym(project=project, person_id=label.person_id),
        "simulated": label.simulated,
        "decision": label.decision,
        "comment": label.comment,
        "criteria": label.criteria,
        "flags": label.flags,
        "seconds": label.seconds,
        "created_at": label.created_at.isoformat(),
        "text": label.response.text if label.response else None,
    }
    if kind == Kind.DEMONSTRATION:
        row["verdict"] = label.verdict
        if label.response and label.response.prompt_id != label.item.prompt_id:  # earlier turns were mended
            row["prompt"] = label.response.prompt.messages
        return row
    votes = [
        {"answer": one.response_id, "position": one.position, "rank": one.rank, "unacceptable": one.unacceptable}
        for one in label.judgements.all()
    ]
    return {**row, "strength": label.strength, "votes": votes}


def csv_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The same rows for a spreadsheet: one line each, lists in one cell, and nothing that it would run."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(COLUMNS)
    for row in rows:
        yield writer.writerow([cell(value) for value in _flat(row).values()])


def cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front, which it does not show.

    >>> cell('=HYPERLINK("http://example.com")')
    '\\'=HYPERLINK("http://example.com")'
    >>> cell("Thank you"), cell(4.5), cell(None)
    ('Thank you', 4.5, '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.lstrip(SPACES).startswith(FORMULA):
        return f"'{value}"
    return value


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    votes = row.get("votes", [])
    flat = {
        **row,
        "live": "yes" if row["live"] else "no",
        "simulated": "yes" if row["simulated"] else "no",
        "ranks": " ".join(str(vote["rank"]) for vote in votes),
        "unacceptable": " ".join(str(number) for number, vote in enumerate(votes, 1) if vote["unacceptable"]),
        "criteria": "; ".join(f"{name}: {value}" for name, value in row["criteria"].items()),
        "flags": "; ".join(row["flags"]),
        "tags": "; ".join(row["tags"]),
        "prompt": "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in row["prompt"]),
        "answers": "\n\n".join(f"{number}: {one['text']}" for number, one in enumerate(row["answers"], 1)),
    }
    return {name: flat.get(name) for name in COLUMNS}


class _Echo:
    """What csv writes to, so that `writerow` returns the line."""

    def write(self, line: str) -> str:
        return line
