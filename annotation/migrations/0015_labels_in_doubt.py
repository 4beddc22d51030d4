import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0014_failed_deliveries"),
    ]

    operations = [
        # allowed: check on annotation_project: nobody has thousands of projects
        migrations.AddField(
            model_name="project",
            name="most_labels_per_item",
            field=models.PositiveSmallIntegerField(
                "Labels per item where in doubt",
                db_default=0,
                default=0,
                help_text="A comparison whose labels are doubted is shown to one person more, up to so many labels: 3 can "
                "settle what two left open. 0 asks nobody beyond the labels wanted.",
                validators=[django.core.validators.MaxValueValidator(50)],
            ),
        ),
    ]
