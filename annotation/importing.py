"""Bringing data in: JSON Lines with `messages`, `prompt` + `completion`, `prompt` + `responses`, or `prompt` alone.

A row of an export (`prompt` + `answers`) is asked again; what people said of it does not come along.
The same line twice adds nothing. A bad line is reported with its number and reason and stops nothing.
A line with `gold` says what the right answer is: its items are asked to see how well people judge (annotation/gold.py).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from math import ceil
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation import gold, goldlines
from annotation.asking import MOST_ANSWERS, fingerprint
from annotation.models import Item, ItemResponse, Project, Prompt, Response, User
from annotation.models.events import record
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Origin, Split
from annotation.text import as_seen, is_heldout, sha256, why_unstorable

BATCH = 500
LONGEST_LINE = 2_000_000  # characters
ROLES = ("system", "user", "assistant")


class BadLine(ValueError):
    """A line that cannot be imported; the message says why."""


@dataclass
class Row:
    """One line, understood: a prompt, and the answers that came with it."""

    line: int
    messages: list[dict[str, str]]
    kind: str = ""  # of the items to make; empty for a prompt alone
    answers: list[str] = field(default_factory=list)
    language: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    gold: goldlines.Known | None = None

    def __post_init__(self) -> None:
        self.sha256 = sha256(self.messages)

    def groups(self) -> list[list[str]]:
        """The answers of each item to make: one item for all of them, unless they are more than can be ranked at once.
        Then groups of neighbours, as few and as equal as can be, each of which begins with the last answer of the one
        before, so that what is said of one group can be laid beside what is said of the next."""
        steps = len(self.answers) - 1
        if steps < MOST_ANSWERS:
            return [self.answers]
        number = ceil(steps / (MOST_ANSWERS - 1))
        return [self.answers[a : b + 1] for a, b in pairwise(steps * part // number for part in range(number + 1))]


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
    if len(line) > LONGEST_LINE:
        raise BadLine(f"longer than {LONGEST_LINE:,} characters")
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadLine("not a JSON object")
    messages = data.get("messages")
    answers: list[str] = []
    kind = ""
    if messages is not None:
        messages = _messages(messages, "messages")
        if messages[-1]["role"] == "assistant":
            kind, answers, messages = Kind.DEMONSTRATION, [_answer(messages[-1]["content"], "messages")], messages[:-1]
    elif "prompt" in data:
        prompt = data["prompt"]
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": prompt}]
        messages = _messages(prompt, "prompt")
        if data.get("completion") is not None:
            kind, answers = Kind.DEMONSTRATION, [_answer(data["completion"], "completion")]
        elif data.get("responses") is not None:
            kind, answers = Kind.COMPARISON, _different(_answers(data["responses"], "responses"))
        elif data.get("answers"):  # a row of an export
            answers = _answers(data["answers"], "answers")
            kind = Kind.DEMONSTRATION if len(answers) == 1 else Kind.COMPARISON
            answers = _different(answers) if kind == Kind.COMPARISON else answers
    else:
        raise BadLine('needs "messages" or "prompt"')
    if not messages or messages[-1]["role"] != "user" or not messages[-1]["content"].strip():
        raise BadLine("the conversation before the answer must end with what the user says")
    row = Row(
        line=number,
        messages=messages,
        kind=kind,
        answers=answers,
        language=_text(data.get("language") or "", "language")[:16],
        tags=_tags(data.get("tags")),
        metadata=_metadata(data.get("metadata")),
    )
    if data.get("gold") is not None:
        try:
            row.gold = goldlines.understand(data["gold"], row.kind, row.answers, row.groups(), data.get("responses"))
        except ValueError as error:
            raise BadLine(f'"gold" {error}') from None
    return row


def _messages(value: Any, name: str) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise BadLine(f'"{name}" must be a list of messages, or a text')
    messages = []
    for place, message in enumerate(value):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise BadLine(f'message {place + 1}: "role" must be system, user or assistant')
        if message["role"] == "system" and place:
            raise BadLine(f"message {place + 1}: a system message may only come first")
        content = _text(message.get("content"), f"message {place + 1}")
        messages.append({"role": message["role"], "content": content})
    return messages


def _answers(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        raise BadLine(f'"{name}" must be a list')
    return [_answer(one.get("text") if isinstance(one, dict) else one, name) for one in value]


def _different(texts: list[str]) -> list[str]:
    different: dict[str, str] = {}  # by what is seen of them: of answers that look the same the first is kept
    for text in texts:
        different.setdefault(as_seen(text), text)
    if len(different) < 2:
        raise BadLine("a comparison needs at least two different responses")
    return list(different.values())


def _answer(value: Any, name: str) -> str:
    """An answer: a text, or a list with one assistant message."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0].get("content")
    text = _text(value, name).strip()
    if not text:
        raise BadLine(f'"{name}": an answer is empty')
    return text


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise BadLine(f'"{name}" must be a text')
    if reason := why_unstorable(value):
        raise BadLine(f'"{name}" {reason}')
    return value


def _tags(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadLine('"tags" must be a list of texts')
    return [_text(tag, "tags")[:64] for tag in value]


def _metadata(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadLine('"metadata" must be an object')
    if reason := why_unstorable(value):
        raise BadLine(f'"metadata" {reason}')
    return value


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
                    right=row.gold.right(ids),
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
