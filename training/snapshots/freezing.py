"""Freezing labels into data sets that never change."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from annotation.models import Project, User
from annotation.models.events import record
from annotation.text import canonical
from training import artifacts
from training.models import RecipeVersion, Snapshot, SnapshotLabel
from training.models.snapshots import SnapshotKind
from training.snapshots import collecting, files
from training.snapshots.collecting import Progress, Row
from training.snapshots.recipes import Recipe
from training.snapshots.rules import Rule

BATCH = 5000
NOTHING = {
    SnapshotKind.DEMONSTRATIONS: "No accepted or edited demonstration on a training prompt yet.",
    SnapshotKind.PREFERENCES: "No comparison on a training prompt has a preferred answer yet.",
    SnapshotKind.UNPAIRED: "No answer to a training prompt was found good or bad yet.",
}
TOO_STRICT = "No label fits this recipe: loosen its filters, or ask for less agreement or fewer votes."


class NoRows(Exception):
    """The rule leaves nothing to train on; the message says what is missing."""


def freeze(
    *,
    project: Project,
    kind: str,
    rule: Rule | None = None,
    recipe: RecipeVersion | None = None,
    actor: User | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Freeze the project's labels; the same rows are the snapshot that is there already.

    That one keeps the rule that made it, and another rule which gave the same rows is put on record beside it.
    Should its file have been damaged, it is written again. `recipe` is the saved one that the rule was taken from.
    Raises NoRows when no label fits the rule, ValidationError if it names what the project has not.
    """
    rule = rule or Rule()
    rows = collecting.stream(project=project, kind=kind, rule=rule, progress=progress)
    made_by = {"rule": rule.stored()}
    found, before = _keep(project, kind, rows, made_by, recipe=recipe, actor=actor)
    if found is None:
        raise NoRows(nothing(Recipe(kind, rule)))
    if before:
        _put_beside(found, rule, actor)
    return found


def of_rows(
    *, project: Project, kind: str, rows: list[Row], source: dict[str, Any], actor: User | None = None
) -> Snapshot:
    """Freeze rows that came in a file, with no label behind them; the same rows are the snapshot that is there already.

    `source` says for ever which file that was. There must be a row; held-out prompts are for the caller to leave out.
    """
    rows = sorted(({**row, "labels": []} for row in rows), key=lambda row: (row["prompt_sha256"], canonical(row)))
    found, _ = _keep(project, kind, rows, {"source": source}, actor=actor)
    assert found is not None
    return found


def _keep(
    project: Project,
    kind: str,
    rows: Iterable[Row],
    made_by: dict[str, Any],
    *,
    recipe: RecipeVersion | None = None,
    actor: User | None = None,
) -> tuple[Snapshot | None, bool]:
    """The snapshot of these rows, None if there are none; and whether it was there before."""
    with files.half(Path(settings.ARTIFACTS) / project.slug / "snapshots") as half:
        written = files.write(half, rows)
        if not written.rows:
            return None, False
        known = Snapshot.objects.filter(project=project, kind=kind, sha256=written.sha256)
        before = known.first()
        damaged = before is not None and not files.is_intact(before)
        with transaction.atomic():
            Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # two at once would write one folder
            found = known.first()
            if found is not None:
                if damaged:
                    of_old = {"source": found.source} if found.source else {"rule": found.rule}
                    files.put(half, found.path, written, {"kind": kind, **of_old})
                    artifacts.keep(found.folder)
                return found, True
            folder = f"{project.slug}/snapshots/{kind}-{written.sha256[:16]}"
            files.put(half, Path(settings.ARTIFACTS) / folder, written, {"kind": kind, **made_by})
            artifacts.keep(folder)
            snapshot = Snapshot.objects.create(
                project=project,
                kind=kind,
                rule=made_by.get("rule", {}),
                recipe=recipe,
                source=made_by.get("source", {}),
                sha256=written.sha256,
                folder=folder,
                counts=written.counts(),
                created_by=actor,
            )
            labels = sorted(written.labels)
            for start in range(0, len(labels), BATCH):
                some = labels[start : start + BATCH]
                SnapshotLabel.objects.bulk_create(SnapshotLabel(snapshot=snapshot, label_id=pk) for pk in some)
            told = {"sha256": written.sha256, "rows": written.rows, **snapshot.source}
            record("snapshot frozen", snapshot, project=project, actor=actor, **told)
            return snapshot, False


def nothing(recipe: Recipe) -> str:
    """What is missing where a recipe has no rows."""
    return TOO_STRICT if recipe.rule.narrows else NOTHING[SnapshotKind(recipe.kind)]


def _put_beside(found: Snapshot, rule: Rule, actor: User | None) -> None:
    if rule in [Rule.model_validate(one) for one in (found.rule, *found.other_rules)]:
        return
    found.other_rules.append(rule.stored())
    found.save(update_fields=["other_rules"])
    record("snapshot found by another rule", found, project=found.project, actor=actor, rule=rule.stored())


def in_words(snapshot: Snapshot, rule: Rule | None = None) -> str:
    """What freezing by this rule came to."""
    rows = f"{snapshot.counts['rows']} rows"
    if (rule or Rule()) == Rule.model_validate(snapshot.rule):
        return f"{rows}."
    return f"{rows}: the very rows that another rule gave before, so its snapshot serves. Both rules are on record."
