"""Bringing data in: JSON Lines with `messages`, `prompt` + `completion`, `prompt` + `responses`, or `prompt` alone.

A row of an export (`prompt` + `answers`) is asked again; what people said of it does not come along.
The same line twice adds nothing. A bad line is reported with its number and reason and stops nothing.
A line with `gold` says what the right answer is: its items are asked to see how well people judge (annotation/gold.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation import gold
from annotation.asking import fingerprint
from annotation.models import Item, ItemResponse, Project, Prompt, Response, User
from annotation.models.events import record
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Origin, Split
from annotation.shapes import native
from annotation.shapes.records import record_of
from annotation.shapes.rows import BadLine, Row
from annotation.text import is_heldout, sha256

BATCH = 500


@dataclass
class Summary:
    """What an import did. `rejected` lists (line number, reason)."""

    added: int = 0
    known: int = 0
    prompts: int = 0
    responses: int = 0
    demonstrations: int = 0
    comparisons: int = 0
    gold: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.added} added, {self.known} known already, {len(self.rejected)} rejected: {self.prompts} new "
            f"prompts, {self.demonstrations} demonstrations and {self.comparisons} comparisons to label"
        )


def import_lines(*, project: Project, lines: Iterable[str | bytes], actor: User | None = None) -> Summary:
    """Import JSON Lines into a project; each batch of lines is one transaction."""
    summary = Summary()
    rows = _rows(lines, summary)
    while batch := list(islice(rows, BATCH)):
        _store(project, batch, summary, actor)
    record(
        "data imported",
        project,
        project=project,
        actor=actor,
        added=summary.added,
        known=summary.known,
        rejected=len(summary.rejected),
    )
    return summary


def _rows(lines: Iterable[str | bytes], summary: Summary) -> Iterator[Row]:
    for number, raw in enumerate(lines, start=1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8") if isinstance(raw, bytes) else raw
            if not line.strip("\ufeff \t\r\n"):
                continue
            yield parse(line.lstrip("\ufeff"), number)
        except UnicodeDecodeError:
            summary.rejected.append((number, "not UTF-8 text"))
        except BadLine as error:
            summary.rejected.append((number, str(error)))


def parse(line: str, number: int = 1) -> Row:
    """Understand one line; raises BadLine with the reason if it cannot be.

    >>> parse('{"prompt": "Hello?", "completion": "Good day."}').messages
    [{'role': 'user', 'content': 'Hello?'}]
    """
    return native.understand(record_of(line), number)


@transaction.atomic
def _store(project: Project, rows: list[Row], summary: Summary, actor: User | None) -> None:
    """Add what a batch brings that is not there yet, in a handful of statements; one import of a project at a time,
    so that what one adds the next one knows."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    prompts, new_prompts = _add_prompts(project, rows)
    responses, new_responses = _add_responses(rows, prompts)
    new_items = _add_items(project, rows, prompts, responses)
    turned = _mark_gold(project, rows, prompts, responses, summary, actor)
    summary.prompts += len(new_prompts)
    summary.responses += len(new_responses)
    for row in rows:
        prints = (
            {fingerprint(row.kind, row.sha256, map(sha256, group)) for group in row.groups()} if row.kind else set()
        )
        fresh = prints & new_items
        if row.kind == Kind.DEMONSTRATION:
            summary.demonstrations += len(fresh)
        else:
            summary.comparisons += len(fresh)
        added = fresh or row.sha256 in new_prompts or row.line in turned
        new_items -= fresh
        new_prompts.discard(row.sha256)
        if added:
            summary.added += 1
        else:
            summary.known += 1


def _add_prompts(project: Project, rows: list[Row]) -> tuple[dict[str, int], set[str]]:
    wanted = {row.sha256: row for row in reversed(rows)}
    query = Prompt.objects.filter(project=project, sha256__in=wanted)
    before = set(query.values_list("sha256", flat=True))
    Prompt.objects.bulk_create(
        [
            Prompt(
                project=project,
                messages=row.messages,
                sha256=digest,
                split=Split.HELDOUT if is_heldout(digest, project.heldout_share) else Split.TRAIN,
                language=row.language,
                tags=row.tags,
                metadata=row.metadata,
            )
            for digest, row in reversed(wanted.items())
            if digest not in before
        ],
        ignore_conflicts=True,
    )
    return dict(query.values_list("sha256", "pk")), set(wanted) - before


def _add_responses(rows: list[Row], prompts: dict[str, int]) -> tuple[dict[tuple[int, str], int], set[tuple[int, str]]]:
    wanted = {(prompts[row.sha256], sha256(text)): text for row in rows for text in row.answers}
    query = Response.objects.filter(prompt_id__in=prompts.values(), sha256__in={digest for _, digest in wanted})
    before = set(query.values_list("prompt_id", "sha256"))
    Response.objects.bulk_create(
        [
            Response(prompt_id=prompt, sha256=digest, text=text, origin=Origin.IMPORT)
            for (prompt, digest), text in wanted.items()
            if (prompt, digest) not in before
        ],
        ignore_conflicts=True,
    )
    ids = {(prompt, digest): pk for prompt, digest, pk in query.values_list("prompt_id", "sha256", "pk")}
    return ids, set(wanted) - before


def _add_items(
    project: Project, rows: list[Row], prompts: dict[str, int], responses: dict[tuple[int, str], int]
) -> set[str]:
    """Create the missing items; returns the fingerprints of the new ones."""
    wanted: dict[str, tuple[Row, list[str]]] = {}
    for row in rows:
        for group in row.groups() if row.kind else []:
            digests = [sha256(text) for text in group]
            wanted.setdefault(fingerprint(row.kind, row.sha256, digests), (row, digests))
    query = Item.objects.filter(project=project, fingerprint__in=wanted)
    before = set(query.values_list("fingerprint", flat=True))
    missing = {print_: found for print_, found in wanted.items() if print_ not in before}
    Item.objects.bulk_create(
        [
            Item(
                project=project,
                prompt_id=prompts[row.sha256],
                kind=row.kind,
                wanted=project.labels_per_item,
                selection={"selector": "import"},
                fingerprint=print_,
            )
            for print_, (row, _) in missing.items()
        ],
        ignore_conflicts=True,
    )
    ids = dict(query.filter(fingerprint__in=missing).values_list("fingerprint", "pk"))
    ItemResponse.objects.bulk_create(
        [
            ItemResponse(item_id=ids[print_], response_id=responses[prompts[row.sha256], digest], order=order)
            for print_, (row, digests) in missing.items()
            for order, digest in enumerate(digests)
        ],
        ignore_conflicts=True,
    )
    return set(missing)


def _mark_gold(
    project: Project,
    rows: list[Row],
    prompts: dict[str, int],
    responses: dict[tuple[int, str], int],
    summary: Summary,
    actor: User | None,
) -> set[int]:
    """Make the items of lines that say what is right gold, unless they are; returns the lines that did something."""
    turned = set()
    for row in rows:
        if row.gold is None:
            continue
        for group in row.groups():
            ids = {text: responses[prompts[row.sha256], sha256(text)] for text in group}
            item = Item.objects.get(project=project, fingerprint=fingerprint(row.kind, row.sha256, map(sha256, group)))
            if item.purpose == Purpose.GOLD:
                continue
            try:
                gold.mark(
                    item=item,
                    right=gold.Right(**row.gold.of(ids)),
                    explanation=row.gold.explanation,
                    quiz=row.gold.quiz,
                    actor=actor,
                )
            except ValidationError as error:
                summary.rejected.append((row.line, " ".join(error.messages)))
            else:
                summary.gold += 1
                turned.add(row.line)
    return turned
