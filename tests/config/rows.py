"""Rows for every table of a moment in the history of the migrations, made from the models of that moment.

Defaults, choices and null do for most fields; what a check constraint asks besides is in MEANT.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django.apps.registry import Apps
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from pgvector.django import VectorField

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MEANT: dict[str, dict[str, Callable[[int], Any]]] = {  # table → attribute → what row number n has
    "annotation_guidelines": {"number": lambda number: number + 1},  # 0004 makes the first
    "annotation_project": {"guidelines": lambda number: f"guidelines of project {number}"},
    "annotation_label": {"verdict": lambda number: "reject"},
    "annotation_accesskey": {"scopes": lambda number: ["read"]},
    "evaluation_headtohead": {
        "champion_id": lambda number: 1,
        "challenger_id": lambda number: 2,
        "ended_at": lambda number: WHEN,
    },
    "annotation_webhook": {"groups": lambda number: ["runs"]},
    # Each migration adds a row, and more of them than these allow will come.
    "annotation_itemresponse": {"order": lambda number: number % 8},
    "annotation_judgement": {"rank": lambda number: 1 + number % 8},
}
VALUES: list[tuple[type[models.Field], Callable[[int], Any]]] = [
    (models.BooleanField, lambda number: False),
    (models.DateTimeField, lambda number: WHEN),
    (models.DateField, lambda number: date(2026, 1, 2)),
    (models.FloatField, lambda number: 0.5),
    (models.IntegerField, lambda number: number),
    (models.JSONField, lambda number: {}),
    (models.GenericIPAddressField, lambda number: "192.0.2.1"),
    (models.UUIDField, lambda number: UUID(int=number)),
    (models.BinaryField, lambda number: b"bytes"),
    (ArrayField, lambda number: []),
    (SearchVectorField, lambda number: f"word{number}"),
]


def tables(apps: Apps) -> list[type[models.Model]]:
    """The models that have a table, each after those that its foreign keys need."""
    left = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True) if _has_table(model)}
    ordered: list[type[models.Model]] = []
    while left:
        ready = [model for model in left.values() if not _needed(model) & (left.keys() - {model._meta.db_table})]
        assert ready, f"tables that need each other: {sorted(left)}"
        ordered.extend(left.pop(model._meta.db_table) for model in ready)
    return ordered


def fill(these: Iterable[type[models.Model]], *, more: int = 1) -> None:
    """So many more rows in each of the tables."""
    for model in these:
        for _ in range(more):
            try:
                model._base_manager.create(**dict(_values(model, model._base_manager.count() + 1)))
            except Exception as error:
                raise AssertionError(f"no row for {model._meta.db_table}: {error}; see MEANT") from error


def _has_table(model: type[models.Model]) -> bool:
    return model._meta.managed and not model._meta.proxy


def _needed(model: type[models.Model]) -> set[str]:
    fields = model._meta.local_concrete_fields
    return {field.related_model._meta.db_table for field in fields if field.is_relation and not field.null}


def _values(model: type[models.Model], number: int) -> Iterator[tuple[str, Any]]:
    meant = MEANT.get(model._meta.db_table, {})
    for field in model._meta.local_concrete_fields:
        if field.attname in meant:
            yield field.attname, meant[field.attname](number)
        elif field.is_relation and not field.null:
            keys = field.related_model._base_manager.order_by("pk").values_list("pk", flat=True)
            yield field.attname, keys[(number - 1) % len(keys)]
        elif not (isinstance(field, models.AutoField) or field.null or field.has_default() or field.has_db_default()):
            yield field.attname, _value(field, number)


def _value(field: models.Field, number: int) -> Any:
    if field.blank and field.empty_strings_allowed:
        return ""
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, VectorField):
        return [0.5] * (field.dimensions or 2)
    for kind, make in VALUES:
        if isinstance(field, kind):
            return make(number)
    return f"{field.name}{number}"[: field.max_length]
