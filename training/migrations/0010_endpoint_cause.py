from django.db import migrations, models

REASONS = [
    "",
    "out_of_memory",
    "bad_data",
    "missing_base",
    "endpoint",
    "disk_full",
    "timed_out",
    "lost_worker",
    "killed",
    "dependency",
    "cancelled",
    "crashed",
]


class Migration(migrations.Migration):
    dependencies = [("training", "0009_comparisons_asked")]

    # allowed: check on training_run: there are thousands of runs at most, which are looked through in milliseconds
    operations = [
        migrations.RemoveConstraint(model_name="run", name="run_reason_known"),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(condition=models.Q(("reason__in", REASONS)), name="run_reason_known"),
        ),
    ]
