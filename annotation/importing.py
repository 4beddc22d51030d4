"""Bringing data in: JSON Lines with `messages`, `prompt` + `completion`, `prompt` + `responses`, or `prompt` alone.

A row of an export (`prompt` + `answers`) is asked again, and what people said of it comes along (importedlabels.py).
The same line twice adds nothing. A bad line is reported with its number and reason and stops nothing.
A line with `gold` says what the right answer is: its items are asked to see how well people judge (annotation/gold.py).
Other shapes of data, and whole files, are an import of their own (annotation/imports.py), which ends in the same verb.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing

from annotation import storing
from annotation.models import Project, User
from annotation.models.events import record
from annotation.preparing import ahead, batches
from annotation.shapes import native
from annotation.shapes.records import Found, record_of
from annotation.shapes.rows import BadLine, Row
from annotation.shapes.texts import BLANK, MARK
from annotation.storing import Summary
from annotation.uninterrupted import uninterrupted

__all__ = ["Summary", "import_lines", "parse", "put_on_record"]

BATCH = 5000  # rows in a transaction


def import_lines(*, project: Project, lines: Iterable[str | bytes], actor: User | None = None) -> Summary:
    """Import JSON Lines into a project; each batch of lines is one transaction."""
    summary = Summary()
    rows = batches(_found(lines), native.understand, heldout_share=project.heldout_share, rows=BATCH)
    with uninterrupted(), closing(ahead(rows)) as parts:
        for batch in parts:
            done, refused = storing.store(project=project, batch=batch, actor=actor)
            summary.add(done)
            summary.rejected += sorted((one.line, one.reason) for one in [*batch.rejected, *refused])
    put_on_record(project=project, actor=actor, counts=summary.counts(), rejected=len(summary.rejected))
    return summary


def put_on_record(*, project: Project, actor: User | None, counts: dict[str, int], rejected: int) -> None:
    labels = {"labels": counts["labels"]} if counts["labels"] else {}
    record(
        "data imported",
        project,
        project=project,
        actor=actor,
        added=counts["added"],
        known=counts["known"],
        rejected=rejected,
        **labels,
    )


def _found(lines: Iterable[str | bytes]) -> Iterator[Found]:
    for number, raw in enumerate(lines, start=1):
        line = raw.encode(errors="backslashreplace") if isinstance(raw, str) else raw
        if number == 1:
            line = line.removeprefix(MARK)
        if not line.strip(BLANK):
            continue
        try:
            yield Found(number, record_of(line), 0, line)
        except BadLine as error:
            yield Found(number, error, 0, line)


def parse(line: str, number: int = 1) -> Row:
    """Understand one line; raises BadLine with the reason if it cannot be.

    >>> parse('{"prompt": "Hello?", "completion": "Good day."}').messages
    [{'role': 'user', 'content': 'Hello?'}]
    """
    return native.understand(record_of(line), number)
