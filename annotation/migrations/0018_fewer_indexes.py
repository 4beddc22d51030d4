"""Indexes whose columns another one of the same table begins with: each label wrote six entries into them."""

import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations, models


def without_index(
    model: str, field: str, name: str, reference: models.ForeignKey
) -> migrations.SeparateDatabaseAndState:
    """Django would drop the index of a foreign key under a lock."""
    table, column = f"annotation_{model}", f"{field}_id"
    return migrations.SeparateDatabaseAndState(
        database_operations=[
            migrations.RunSQL(
                f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} ({column})",
            )
        ],
        state_operations=[migrations.AlterField(model_name=model, name=field, field=reference)],
    )


class Migration(migrations.Migration):
    atomic = False  # there may be millions of these rows, and they are written meanwhile

    dependencies = [
        ("annotation", "0017_orders"),
    ]

    operations = [
        without_index(
            "assignment",
            "item",
            "annotation_assignment_item_id_21c60055",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="assignments",
                to="annotation.item",
            ),
        ),
        without_index(
            "label",
            "project",
            "annotation_label_project_id_fdcc59fe",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="labels",
                to="annotation.project",
            ),
        ),
        without_index(
            "label",
            "person",
            "annotation_label_person_id_ac3cc552",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="labels",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        without_index(
            "judgement",
            "label",
            "annotation_judgement_label_id_f72ccd1b",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="judgements",
                to="annotation.label",
            ),
        ),
        RemoveIndexConcurrently(model_name="consensus", name="consensus_confidence"),
    ]
