"""The desk of seeded.py, on which every word that a person, a model or a file gave is an attack (tests/attacks.py):
`manage.py shell` calls `make()`.

Whatever text a table has is spoiled, unless it is named below: a field that is added is attacked without being asked.
"""

import csv
import io
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.urls import reverse

from annotation import cleaning, imports, receiving, searching, webhooks
from annotation.asking import ask
from annotation.guidelines import publish
from annotation.models import Membership, Project, Prompt, User
from annotation.text import storable
from tests.annotation.making import a_comparison, a_prompt, an_answer
from tests.attacks import ATTACKS, NAMED, whole
from tests.journeys import seeded
from training.snapshots import Rule, freeze

OURS = {  # words of the code, hashes, secrets and places: no text of theirs
    *("password", "username", "email", "slug", "sha256", "fingerprint", "token", "prefix", "secret", "key", "request"),
    *("location", "folder", "address", "url", "method", "kind", "shape", "stage", "verb", "target", "reason", "hub"),
    *("Score.name", "SearchMark.name", "RejectedRow.reason", "Consensus.method", "Gold.verdicts", "Finding.sentence"),
}
EMPTY_TOO = {"User.first_name", "User.last_name", "Project.licence", "Project.description"}
LEAVES = {  # JSON in which each text may be anything
    *("Event.data", "Delivery.payload", "Prompt.metadata", "Project.criteria", "Project.flags", "Label.flags"),
    *("Project.strength_levels", "Run.environment", "ModelVersion.card", "RoundStep.detail.words"),
}
TAIL = "'\"><img src=x onerror=trap(0)>"  # of everybody's name to sign in with
EVERY = "\n\n".join(storable(whole(number)) for number in ATTACKS)

_turn = itertools.cycle(storable(text) for text in ATTACKS.values())


def make() -> dict[str, Any]:
    """Where things are, as seeded.py tells it, and the pages of the admin."""
    ids = seeded.make()
    with _no_triggers():
        _spoil()
    desk = Project.objects.get(slug="desk")
    alice = User.objects.get(username=f"alice{TAIL}")
    publish(project=desk, text=EVERY, note=an_attack(300), actor=alice, asks_again=False)
    ids |= {"prompt": _to_judge(desk).pk} | _files(desk, alice)
    cleaning.check(project=desk)
    searching.fill()
    rule = Rule(aggregation="all_votes", edits_as_preferences=True)
    ids["snapshot"] = freeze(project=desk, kind="preferences", rule=rule, actor=alice).pk
    hook = webhooks.make(project=desk, actor=alice, url="https://evil.example/'><svg/onload=trap(0)>", groups=["runs"])
    ids["webhook"] = hook.pk
    return {**ids, "admin": _admin(alice)}


def an_attack(limit: int) -> str:
    """The next one that is no longer than this."""
    return next(text for text in _turn if len(text) <= limit)


@contextmanager
def _no_triggers() -> Iterator[None]:
    """Labels and events change for nobody; here they do."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        yield
        cursor.execute("SET session_replication_role = DEFAULT")


def _spoil() -> None:
    for room in ("annotation", "training", "evaluation"):
        for model in apps.get_app_config(room).get_models():
            for row in model._base_manager.all():
                new = {field.name: _attacked(row, field) for field in model._meta.concrete_fields if _is_theirs(field)}
                model._base_manager.filter(pk=row.pk).update(**new)
    for person in User.objects.exclude(username="dora"):  # who signs in by the steps of test_accessibility.py
        User.objects.filter(pk=person.pk).update(username=f"{person.username}{TAIL}")


def _is_theirs(field: Any) -> bool:
    name = f"{field.model.__name__}.{field.name}"
    if field.name in OURS or name in OURS:
        return False
    if isinstance(field, models.JSONField):
        return name in LEAVES or name == "Prompt.messages"
    inner = field.base_field if isinstance(field, ArrayField) else field
    return isinstance(inner, models.CharField | models.TextField) and not inner.choices


def _attacked(row: Any, field: Any) -> Any:
    value = getattr(row, field.attname)
    if isinstance(field, models.JSONField):
        return _leaves(value)
    if isinstance(field, ArrayField):
        return [an_attack(field.base_field.max_length or 64) for _ in value]
    if not value and f"{field.model.__name__}.{field.name}" not in EMPTY_TOO:
        return value
    if field.max_length:
        return an_attack(field.max_length)
    return "\n\n".join(an_attack(1000) for _ in range(3))


def _leaves(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: one if name == "role" else _leaves(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_leaves(one) for one in value]
    return an_attack(200) if isinstance(value, str) else value


def _to_judge(desk: Project) -> Prompt:
    """A list, a pair and a draft before all else, with every attack in each; the prompt of the draft."""
    parts = [[*ATTACKS][start::8] for start in range(8)]
    answers = ["\n\n".join(storable(whole(number)) for number in part) for part in parts]
    a_comparison(desk, answers=answers, priority=2000, wanted=1)
    a_comparison(desk, answers=(EVERY, EVERY + "\n\nAnd more."), priority=1000, wanted=1)
    prompt = a_prompt(desk, EVERY, tags=[an_attack(64) for _ in range(20)], language=an_attack(16))
    prompt.metadata = {an_attack(60): an_attack(200) for _ in range(20)} | {"__proto__": {"ran": "trap(0)"}}
    prompt.messages = [{"role": role, "content": EVERY} for role in ("system", "user", "assistant", "user")]
    prompt.save()
    ask(project=desk, prompt=prompt, kind="demonstration", responses=[an_answer(prompt, EVERY)], priority=2000)
    return prompt


def _files(desk: Project, alice: User) -> dict[str, int]:
    """Each attack as a row of its own of JSON Lines, and as a cell and a column of CSV; files with hostile names."""
    rows = [
        {"prompt": text, "responses": [text, f"{text} too"], "tags": [text[:64]], "metadata": {text[:60]: text}}
        for text in ATTACKS.values()
    ]
    lines = [json.dumps(row).encode() + b"\n" for row in rows] + [b"<script>trap(0)</script>\n"]
    table = io.StringIO()
    cells = csv.writer(table)
    cells.writerow(NAMED[:40])  # the columns' names, which stand in one line
    for start in range(0, len(ATTACKS) - 40, 40):
        cells.writerow(list(ATTACKS.values())[start : start + 40])
    made = {
        "imported": receiving.receive(
            project=desk, name="a\r\nX: <svg onload=trap(0)>.jsonl", chunks=lines, actor=alice
        ),
        "looked_through": receiving.receive(
            project=desk, name="'\"><svg onload=trap(0)>", chunks=lines[-40:], actor=alice
        ),
        "unknown_shape": receiving.receive(
            project=desk, name="../..\\<img src=x onerror=trap(0)>.csv", chunks=[table.getvalue().encode()], actor=alice
        ),
    }
    imports.bring_in(source=made["imported"], shape="touchstone", actor=alice)
    imports.bring_in(source=made["looked_through"], shape="touchstone", dry_run=True, actor=alice)
    return {name: source.pk for name, source in made.items()}


def _admin(alice: User) -> list[str]:
    """Every list of the admin, and the first row of each."""
    boss = User.objects.create_superuser(f"boss{TAIL}", password="boss-has-a-secret")
    Membership.objects.create(person=boss, project=Project.objects.get(slug="desk"), role="lead")
    LogEntry.objects.create(
        user=boss,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(alice.pk),
        object_repr="'\"><img src=x onerror=trap(0)>",
        action_flag=CHANGE,
        change_message=an_attack(100),
    )
    found = [reverse("admin:index")]
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        row = model._base_manager.order_by("-pk").first()
        if row is not None:
            found.append(reverse(f"{name}_change", args=[row.pk]))
    return found
