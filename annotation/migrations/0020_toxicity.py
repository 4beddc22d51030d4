from django.db import migrations, models

KINDS = {
    "secret": "Key or token",
    "personal": "Personal data",
    "placeholder": "Left from a template",
    "encoding": "Broken letters",
    "boilerplate": "Speaks about itself",
    "refusal": "Refusal",
    "repetition": "Repetition",
    "language": "Another language",
    "length": "Unusual length",
    "duplicate": "Duplicate",
    "near_duplicate": "Near duplicate",
    "overlap": "Also held out",
    "label_error": "Likely label error",
    "toxicity": "Likely toxic",
}
LISTED = ", ".join(f"'{kind}'" for kind in KINDS)
BEFORE = ", ".join(f"'{kind}'" for kind in KINDS if kind != "toxicity")
CHANGE = "ALTER TABLE annotation_finding DROP CONSTRAINT finding_kind_known, ADD CONSTRAINT finding_kind_known"


class Migration(migrations.Migration):
    """Findings may be of one kind more. There may be millions: what is there already is looked through by the next."""

    dependencies = [("annotation", "0019_fewer_indexes_of_answers")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"{CHANGE} CHECK (kind IN ({LISTED})) NOT VALID",
                    f"{CHANGE} CHECK (kind IN ({BEFORE})) NOT VALID",
                ),
            ],
            state_operations=[
                migrations.RemoveConstraint(model_name="finding", name="finding_kind_known"),
                migrations.AlterField(
                    model_name="finding",
                    name="kind",
                    field=models.CharField(choices=list(KINDS.items()), max_length=16),
                ),
                migrations.AddConstraint(
                    model_name="finding",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("kind__in", list(KINDS))), name="finding_kind_known"
                    ),
                ),
            ],
        ),
    ]
