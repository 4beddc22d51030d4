"""Storing what an import brings: a batch of rows is one transaction and a dozen statements.

New rows go by COPY straight into their tables, with ids drawn ahead; what is there already is looked up before. One
import of a project at a time, so that what one adds the next one knows. People at work do not wait for that: where one
of them stores the same answer at the same moment, the batch is done again, and knows it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import count
from typing import Any

import psycopg
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from annotation import copying, gold, importedlabels
from annotation.importedlabels import Asked
from annotation.models import Item, ItemResponse, Project, Prompt, Response, User
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Origin
from annotation.preparing import Batch, Ready, Rejected

TRIES = 5
PROMPT = ("id", "project_id", "messages", "sha256", "split", "language", "tags", "metadata", "created_at")
RESPONSE = ("id", "prompt_id", "sha256", "text", "origin", "created_at")
ITEM = (
    *("id", "project_id", "prompt_id", "kind", "purpose", "priority", "wanted", "taken", "dropped", "selection"),
    *("fingerprint", "created_at"),
)
ITEM_RESPONSE = ("item_id", "response_id", "order")
TABLES = ("annotation_prompt", "annotation_response", "annotation_item", "annotation_itemresponse")


def tell_planner() -> None:
    """Have PostgreSQL look how large the tables are that an import fills. It would find out within a minute; until then
    it plans as if they were empty, and each connection keeps such plans for what it asks again and again. Not within a
    transaction that has other locks: another import's may wait for them.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(TABLES)}")


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
    labels: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return self.told(len(self.rejected))

    def told(self, rejected: int) -> str:
        labels = f", with {self.labels} labels" if self.labels else ""
        return (
            f"{self.added} added, {self.known} known already, {rejected} rejected: {self.prompts} new "
            f"prompts, {self.demonstrations} demonstrations and {self.comparisons} comparisons to label{labels}"
        )

    def counts(self) -> dict[str, int]:
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "rejected"}

    def add(self, other: "Summary") -> None:
        for name, number in other.counts().items():
            setattr(self, name, getattr(self, name) + number)
        self.rejected += other.rejected


def store(*, project: Project, batch: Batch, actor: User | None = None) -> tuple[Summary, list[Rejected]]:
    """Add what a batch brings that is not there yet; returns what that did, and what it could not do of the rows."""
    for attempt in count(1):
        try:
            with transaction.atomic():
                return _Storing(project, batch.ready, actor).done()
        except DatabaseError as error:
            met = isinstance(error, IntegrityError) or isinstance(error.__cause__, psycopg.errors.DeadlockDetected)
            if not met or attempt == TRIES:
                raise
    raise AssertionError


class _Storing:
    def __init__(self, project: Project, rows: Sequence[Ready], actor: User | None) -> None:
        self.project, self.rows, self.actor = project, rows, actor
        self.summary, self.rejected = Summary(), list[Rejected]()
        self.now = timezone.now().isoformat()
        self.prompts: dict[str, int] = {}  # by hash
        self.new_prompts: set[str] = set()
        self.responses: dict[tuple[int, str], int] = {}  # by prompt and hash
        self.items: dict[str, Asked] = {}  # by fingerprint
        self.new_items: set[str] = set()

    def done(self) -> tuple[Summary, list[Rejected]]:
        Project.objects.select_for_update(no_key=True).get(pk=self.project.pk)
        with connection.cursor() as cursor:  # a table that grows as fast as this one has no statistics to plan by
            cursor.execute("SET LOCAL enable_seqscan = off")
        with copying.references_hold(Prompt, Response, Item, ItemResponse):
            self.add_prompts()
            self.add_responses()
            self.add_items()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = on")
        did_more = self.mark_gold()
        said = [ready for ready in self.rows if ready.row.said]
        if said:
            stored, refused = importedlabels.store(
                project=self.project, rows=said, prompts=self.prompts, responses=self.responses, items=self.items
            )
            self.summary.labels = sum(stored.values())
            self.rejected += refused
            did_more |= set(stored)
        self.count(did_more)
        return self.summary, self.rejected

    def add_prompts(self) -> None:
        first: dict[str, Ready] = {}
        for ready in self.rows:
            first.setdefault(ready.row.sha256, ready)
        self.prompts = dict(
            found(
                "SELECT sha256, id FROM annotation_prompt WHERE project_id = %s AND sha256 = ANY(%s)",
                self.project.pk,
                list(first),
            )
        )
        new = [ready for digest, ready in first.items() if digest not in self.prompts]
        ids = copying.draw_ids(Prompt, len(new))
        pk = self.project.pk
        copying.copy(
            Prompt,
            PROMPT,
            (f"{id_}\t{pk}\t{ready.prompt}\t{self.now}\n" for id_, ready in zip(ids, new, strict=True)),
        )
        self.new_prompts = {ready.row.sha256 for ready in new}
        self.prompts.update((ready.row.sha256, id_) for id_, ready in zip(ids, new, strict=True))
        self.summary.prompts = len(new)

    def add_responses(self) -> None:
        wanted = {
            (self.prompts[ready.row.sha256], digest): text
            for ready in self.rows
            for digest, text in zip(ready.digests, ready.texts, strict=True)
        }
        known = {self.prompts[ready.row.sha256] for ready in self.rows if ready.row.sha256 not in self.new_prompts}
        self.responses = {
            (prompt, digest): id_
            for prompt, digest, id_ in found(
                "SELECT prompt_id, sha256, id FROM annotation_response WHERE prompt_id = ANY(%s)", list(known)
            )
        }
        new = [key for key in wanted if key not in self.responses]
        _hold(Prompt, known.intersection(prompt for prompt, _ in new))
        ids = copying.draw_ids(Response, len(new))
        end = f"{Origin.IMPORT.value}\t{self.now}\n"
        copying.copy(
            Response,
            RESPONSE,
            (f"{id_}\t{key[0]}\t{key[1]}\t{wanted[key]}\t{end}" for id_, key in zip(ids, new, strict=True)),
        )
        self.responses.update(zip(new, ids, strict=True))
        self.summary.responses = len(new)

    def add_items(self) -> None:
        """Make the missing items, in the order of the file."""
        wanted: dict[str, tuple[Ready, Sequence[int]]] = {}
        for ready in self.rows:
            for print_, places in ready.items:
                wanted.setdefault(print_, (ready, places))
        known = [print_ for print_, (ready, _) in wanted.items() if ready.row.sha256 not in self.new_prompts]
        self.items = {
            print_: Asked(id_, kind, purpose)
            for print_, id_, kind, purpose in found(
                "SELECT fingerprint, id, kind, purpose FROM annotation_item WHERE project_id = %s "
                "AND fingerprint = ANY(%s)",
                self.project.pk,
                known,
            )
        }
        new = [print_ for print_ in wanted if print_ not in self.items]
        older = [wanted[print_] for print_ in new if wanted[print_][0].row.sha256 not in self.new_prompts]
        _hold(Prompt, {self.prompts[ready.row.sha256] for ready, _ in older})
        _hold(
            Response,
            {
                self.responses[self.prompts[ready.row.sha256], ready.digests[at]]
                for ready, places in older
                for at in places
            },
        )
        ids = copying.draw_ids(Item, len(new))
        middle = f'{Purpose.TRAIN.value}\t0\t{self.project.labels_per_item}\t0\tf\t{{"selector": "import"}}'
        pk = self.project.pk
        answers = []

        def lines() -> Iterator[str]:
            for id_, print_ in zip(ids, new, strict=True):
                ready, places = wanted[print_]
                prompt, kind = self.prompts[ready.row.sha256], ready.row.kind
                yield f"{id_}\t{pk}\t{prompt}\t{kind}\t{middle}\t{print_}\t{self.now}\n"
                for order, place in enumerate(places):
                    answers.append(f"{id_}\t{self.responses[prompt, ready.digests[place]]}\t{order}\n")
                self.items[print_] = Asked(id_, kind, Purpose.TRAIN.value)

        copying.copy(Item, ITEM, lines())
        copying.copy(ItemResponse, ITEM_RESPONSE, answers)
        self.new_items = set(new)

    def mark_gold(self) -> set[int]:
        """Make the items of rows that say what is right gold, unless they are; returns the lines that did something."""
        turned = set()
        for ready in self.rows:
            known = ready.row.gold
            if known is None:
                continue
            prompt = self.prompts[ready.row.sha256]
            for print_, places in ready.items:
                asked = self.items[print_]
                if asked.purpose == Purpose.GOLD:
                    continue
                ids = {ready.row.answers[at]: self.responses[prompt, ready.digests[at]] for at in places}
                try:
                    gold.mark(
                        item=Item(pk=asked.pk),
                        right=gold.Right(**known.of(ids)),
                        explanation=known.explanation,
                        quiz=known.quiz,
                        actor=self.actor,
                    )
                except ValidationError as error:
                    self.rejected.append(Rejected(ready.row.line, " ".join(error.messages), ready.raw))
                else:
                    asked.purpose = Purpose.GOLD.value
                    self.summary.gold += 1
                    turned.add(ready.row.line)
        return turned

    def count(self, did_more: set[int]) -> None:
        """Which rows brought something; what several of them bring is the first one's."""
        for ready in self.rows:
            fresh = {print_ for print_, _ in ready.items} & self.new_items
            if ready.row.kind == Kind.DEMONSTRATION:
                self.summary.demonstrations += len(fresh)
            else:
                self.summary.comparisons += len(fresh)
            if fresh or ready.row.sha256 in self.new_prompts or ready.row.line in did_more:
                self.summary.added += 1
            else:
                self.summary.known += 1
            self.new_items -= fresh
            self.new_prompts.discard(ready.row.sha256)


def found(query: str, *parameters: Any) -> Iterable[tuple]:
    """The rows of a query by lists; none where one of them is empty."""
    if [] in parameters:
        return []
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def _hold(model: type[Prompt] | type[Response], ids: Collection[int]) -> None:
    """Lock rows that new ones will name, so that they stay; where one has gone meanwhile, the batch is done again."""
    if not ids:
        return
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(model._meta.db_table)
        cursor.execute(f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE", [list(ids)])  # noqa: S608
        if len(cursor.fetchall()) < len(ids):
            raise IntegrityError("A row was deleted meanwhile.")
