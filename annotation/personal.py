"""What is held about a person, in every room: found by walking all tables that point at them.

Nothing has to be listed here when a table is added. What is deleted with a person (CASCADE) is theirs alone, and goes
when they are erased; what protects them (PROTECT) is the record of the work, and stays.
"""

import json
import zipfile
from collections.abc import Iterator
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, Any

from django.contrib.admin.models import LogEntry
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q, QuerySet

from annotation.models import Event, Label, User

# Columns that open a door, wherever they are, and those that would tell which items are asked to test people.
SECRETS = ("key", "token", "secret", "password", "hash", "digest")
HIDDEN = {
    "mfa.Authenticator": {"data"},
    "usersessions.UserSession": {"data"},
    "annotation.AccessKey": {"sha256"},
    "annotation.KeptAnswer": {"body"},  # what the API answered, which may show a new key
    "annotation.Label": {"gold_correct"},
}
RECORDS = {LogEntry}  # deleted with a person, and yet a record of what was done


def relations() -> list[Any]:
    """Each way in which a row belongs to a person: the foreign key's relation."""
    fields = User._meta.get_fields(include_hidden=True)
    return [one for one in fields if one.auto_created and not one.concrete and (one.one_to_many or one.one_to_one)]


def theirs_alone(relation: Any) -> bool:
    """Whether such rows go when the person is erased."""
    return relation.on_delete is models.CASCADE and relation.related_model not in RECORDS


def name_of(relation: Any) -> str:
    return f"{relation.related_model._meta.label}.{relation.field.name}"


def held(person: User) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """By table, every row about a person; memory stays flat. Nothing in it opens a door."""
    yield "account", _rows(User.objects.filter(pk=person.pk))
    for relation in relations():
        rows = relation.related_model._base_manager.filter(**{relation.field.name: person})
        yield name_of(relation), _rows(rows)
    named = Event.objects.filter(Q(data__person=person.username) | Q(data__people__contains=[person.username]))
    yield "annotation.Event.data", _rows(named.exclude(actor=person))


def packed(person: User) -> IO[bytes]:
    """All of it as a ZIP file of JSON Lines, one for each table that has something; it is gone when it is closed."""
    file = TemporaryFile()  # noqa: SIM115  it is sent, and closed after
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in held(person):
            first = next(rows, None)
            if first is None:
                continue
            with archive.open(f"{name}.jsonl", "w") as lines:
                for row in chain([first], rows):
                    lines.write(json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False).encode() + b"\n")
    file.seek(0)
    return file


def _rows(rows: QuerySet[Any]) -> Iterator[dict[str, Any]]:
    rows = rows.order_by("pk")
    if rows.model is not Label:
        for row in rows.values().iterator(chunk_size=500):
            yield _shown(rows.model, row)
        return
    labels = rows.select_related("response").prefetch_related("judgements")
    for label in labels.iterator(chunk_size=500):
        row = {field.attname: getattr(label, field.attname) for field in Label._meta.concrete_fields}
        said = [
            {"answer": one.response_id, "rank": one.rank, "bad": one.unacceptable} for one in label.judgements.all()
        ]
        yield {**_shown(Label, row), "text": label.response.text if label.response else None, "judgements": said}


def _shown(model: Any, row: dict[str, Any]) -> dict[str, Any]:
    hidden = HIDDEN.get(model._meta.label, set())
    return {
        name: value
        for name, value in row.items()
        if name not in hidden and (name == "keys" or not any(secret in name for secret in SECRETS))
    }
