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
from annotation.preparing import Batch, Rejected

TRIES = 5
EMPTY = "{}"  # an array
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
                return _Storing(project, batch, actor).done()
        except DatabaseError as error:
            met = isinstance(error, IntegrityError) or isinstance(error.__cause__, psycopg.errors.DeadlockDetected)
            if not met or attempt == TRIES:
                raise
    raise AssertionError


class _Storing:
    def __init__(self, project: Project, batch: Batch, actor: User | None) -> None:
        self.project, self.batch, self.actor = project, batch, actor
        self.summary, self.rejected = Summary(), list[Rejected]()
        self.now = timezone.now().isoformat()
        self.prompts: dict[str, int] = {}  # by hash
        self.responses: dict[tuple[str, str], int] = {}  # by the prompt's hash and their own
        self.items: dict[str, Asked] = {}  # by fingerprint
        self.brought: set[int] = set()  # lines that did something; what several of them bring is the first one's

    def done(self) -> tuple[Summary, list[Rejected]]:
        Project.objects.select_for_update(no_key=True).get(pk=self.project.pk)
        with connection.cursor() as cursor:  # a table that grows as fast as this one has no statistics to plan by
            cursor.execute("SET LOCAL enable_seqscan = off")
        with copying.references_hold(Prompt, Response, Item, ItemResponse):
            self.look_up()
            self.add()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = on")
        self.mark_gold()
        said = [ready for ready in self.batch.ready if ready.row.said]
        if said:
            stored, refused = importedlabels.store(
                project=self.project, rows=said, prompts=self.prompts, responses=self.responses, items=self.items
            )
            self.summary.labels = sum(stored.values())
            self.rejected += refused
            self.brought |= set(stored)
        self.summary.added = len(self.brought)
        self.summary.known = len(self.batch.ready) - len(self.brought)
        return self.summary, self.rejected

    def look_up(self) -> None:
        """Find out what of the batch is there already. What a new prompt brings is new."""
        pk = self.project.pk
        self.prompts = dict(
            found(
                "SELECT sha256, id FROM annotation_prompt WHERE project_id = %s AND sha256 = ANY(%s)",
                *(pk, hashes(self.batch.prompts)),
            )
        )
        known = {id_: digest for digest, id_ in self.prompts.items()}
        self.responses = {
            (known[prompt], digest): id_
            for prompt, digest, id_ in found(
                "SELECT prompt_id, sha256, id FROM annotation_response WHERE prompt_id = ANY(%s)", list(known)
            )
        }
        self.items = {
            print_: Asked(id_, kind, purpose)
            for print_, id_, kind, purpose in found(
                "SELECT fingerprint, id, kind, purpose FROM annotation_item WHERE project_id = %s "
                "AND fingerprint = ANY(%s)",
                *(pk, hashes(self.of_known(self.batch.items))),
            )
        }

    def of_known(self, fingerprints: Iterable[str]) -> list[str]:
        """Those of the items that ask something of prompts which are there already."""
        if not self.prompts:
            return []
        return [print_ for print_ in fingerprints if self.batch.items[print_][0].row.sha256 in self.prompts]

    def add(self) -> None:
        """Store what is missing, in the order of the file. Each line is put together, and what it brings is noted down,
        while PostgreSQL stores those before it: between the four COPYs it would wait for that."""
        prompts = [digest for digest in self.batch.prompts if digest not in self.prompts]
        responses = [key for key in self.batch.answers if key not in self.responses]
        items = [print_ for print_ in self.batch.items if print_ not in self.items]
        self.hold(responses, self.of_known(items))
        answers: list[str] = []
        copying.copy(Prompt, PROMPT, self.prompt_lines(prompts))
        copying.copy(Response, RESPONSE, self.response_lines(responses))
        copying.copy(Item, ITEM, self.item_lines(items, answers))
        copying.copy(ItemResponse, ITEM_RESPONSE, answers)
        self.summary.prompts, self.summary.responses = len(prompts), len(responses)

    def hold(self, responses: Iterable[tuple[str, str]], items: Iterable[str]) -> None:
        """Lock what is there already and will be named by these new answers and new items of known prompts."""
        older = [self.batch.items[print_] for print_ in items]
        named = {ready.row.sha256 for ready, _ in older}
        if self.prompts:
            named.update(prompt for prompt, _ in responses if prompt in self.prompts)
        _hold(Prompt, {self.prompts[prompt] for prompt in named})
        keys = {(ready.row.sha256, ready.digests[place]) for ready, places in older for place in places}
        _hold(Response, {self.responses[key] for key in keys if key in self.responses})

    def prompt_lines(self, new: Sequence[str]) -> Iterator[str]:
        pk, end = self.project.pk, f"{self.now}\n"
        for digest, id_ in zip(new, copying.draw_ids(Prompt, len(new)), strict=True):
            ready = self.batch.prompts[digest]
            self.prompts[digest] = id_
            self.brought.add(ready.row.line)
            yield f"{id_}\t{pk}\t{ready.prompt}\t{end}"

    def response_lines(self, new: Sequence[tuple[str, str]]) -> Iterator[str]:
        end = f"{Origin.IMPORT.value}\t{self.now}\n"
        for key, id_ in zip(new, copying.draw_ids(Response, len(new)), strict=True):
            prompt, digest = key
            self.responses[key] = id_
            yield f"{id_}\t{self.prompts[prompt]}\t{digest}\t{self.batch.answers[key]}\t{end}"

    def item_lines(self, new: Sequence[str], answers: list[str]) -> Iterator[str]:
        """The items, and into `answers` the lines that say what each asks about."""
        pk = self.project.pk
        middle = f'{Purpose.TRAIN.value}\t0\t{self.project.labels_per_item}\t0\tf\t{{"selector": "import"}}'
        for print_, id_ in zip(new, copying.draw_ids(Item, len(new)), strict=True):
            ready, places = self.batch.items[print_]
            prompt, kind = ready.row.sha256, ready.row.kind
            for order, place in enumerate(places):
                answers.append(f"{id_}\t{self.responses[prompt, ready.digests[place]]}\t{order}\n")
            self.items[print_] = Asked(id_, kind, Purpose.TRAIN.value)
            self.brought.add(ready.row.line)
            if kind == Kind.DEMONSTRATION:
                self.summary.demonstrations += 1
            else:
                self.summary.comparisons += 1
            yield f"{id_}\t{pk}\t{self.prompts[prompt]}\t{kind}\t{middle}\t{print_}\t{self.now}\n"

    def mark_gold(self) -> None:
        """Make the items of rows that say what is right gold, unless they are."""
        for ready in self.batch.ready:
            known = ready.row.gold
            if known is None:
                continue
            for print_, places in ready.items:
                asked = self.items[print_]
                if asked.purpose == Purpose.GOLD:
                    continue
                ids = {ready.row.answers[at]: self.responses[ready.row.sha256, ready.digests[at]] for at in places}
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
                    self.brought.add(ready.row.line)


def found(query: str, *parameters: Any) -> Iterable[tuple]:
    """The rows of a query by lists; none where one of them is empty."""
    if [] in parameters or EMPTY in parameters:
        return []
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def hashes(values: Collection[str]) -> str:
    """Hashes as an array for a query, in a tenth of the time that a list of them takes.

    >>> hashes(["0a", "1b"])
    '{0a,1b}'
    """
    return "{" + ",".join(values) + "}"


def _hold(model: type[Prompt] | type[Response], ids: Collection[int]) -> None:
    """Lock rows that new ones will name, so that they stay; where one has gone meanwhile, the batch is done again."""
    if not ids:
        return
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(model._meta.db_table)
        cursor.execute(f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE", [list(ids)])  # noqa: S608
        if len(cursor.fetchall()) < len(ids):
            raise IntegrityError("A row was deleted meanwhile.")
