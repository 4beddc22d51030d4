import django.db.models.deletion
from django.db import migrations, models

TABLE = "annotation_itemresponse"
UNIQUE = "response_asked_once_per_item"
SUPERFLUOUS = "annotation_itemresponse_response_id_feee6d5e"  # as 0001 named it


class Migration(migrations.Migration):
    """An item's answers are found by their places, the items of an answer by what says that each asks about it once:
    one index in place of two. The constraint takes over an index that is made while people work."""

    atomic = False  # there may be millions of these rows, and they are written meanwhile

    dependencies = [
        ("annotation", "0018_fewer_indexes"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    [
                        f"DROP INDEX CONCURRENTLY IF EXISTS {UNIQUE}",  # of a migration that was stopped
                        f"CREATE UNIQUE INDEX CONCURRENTLY {UNIQUE} ON {TABLE} (response_id, item_id)",
                        f"ALTER TABLE {TABLE} ADD CONSTRAINT {UNIQUE} UNIQUE USING INDEX {UNIQUE}",
                    ],
                    f"ALTER TABLE {TABLE} DROP CONSTRAINT {UNIQUE}",
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="itemresponse",
                    constraint=models.UniqueConstraint(fields=("response", "item"), name=UNIQUE),
                ),
            ],
        ),
        migrations.RemoveConstraint(model_name="itemresponse", name="response_once_per_item"),
        migrations.SeparateDatabaseAndState(
            database_operations=[  # as AlterField it would have the foreign key looked through again
                migrations.RunSQL(
                    f"DROP INDEX CONCURRENTLY IF EXISTS {SUPERFLUOUS}",
                    f"CREATE INDEX CONCURRENTLY {SUPERFLUOUS} ON {TABLE} (response_id)",
                ),
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="itemresponse",
                    name="response",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="item_answers",
                        to="annotation.response",
                    ),
                ),
            ],
        ),
    ]
