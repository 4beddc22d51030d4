import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0019_fewer_indexes_of_answers"),
        ("training", "0012_tag_suggestions"),
    ]

    operations = [
        migrations.CreateModel(
            name="ToxicityPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="toxicity_policy",
                        to="annotation.project",
                    ),
                ),
                (
                    "model_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="toxicity_policies",
                        to="training.modelversion",
                    ),
                ),
                ("labels", models.JSONField(help_text="Those of the model's labels that mean toxic.")),
                (
                    "threshold",
                    models.FloatField(
                        default=0.5,
                        help_text="A text is found that is toxic with this probability or a higher one.",
                        validators=[
                            django.core.validators.MinValueValidator(0.01),
                            django.core.validators.MaxValueValidator(0.99),
                        ],
                    ),
                ),
            ],
            options={"verbose_name": "reading for toxicity", "verbose_name_plural": "readings for toxicity"},
        ),
        migrations.CreateModel(
            name="ToxicityScore",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "policy",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scores",
                        to="training.toxicitypolicy",
                    ),
                ),
                (
                    "prompt",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="annotation.prompt",
                    ),
                ),
                (
                    "response",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="annotation.response",
                    ),
                ),
                ("value", models.FloatField()),
                ("label", models.CharField(max_length=64)),
                ("turn", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("start", models.PositiveIntegerField(blank=True, null=True)),
                ("end", models.PositiveIntegerField(blank=True, null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["policy", "value"], name="toxicity_worst")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("prompt", "response"), name="toxicity_once_per_text", nulls_distinct=False
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("value__gte", 0), ("value__lte", 1)), name="toxicity_is_a_probability"
                    ),
                ],
            },
        ),
    ]
