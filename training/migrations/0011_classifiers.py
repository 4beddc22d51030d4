from django.db import migrations, models

KINDS = [("policy", "Policy"), ("reward", "Reward model"), ("classifier", "Classifier")]


class Migration(migrations.Migration):
    dependencies = [("training", "0010_endpoint_cause")]

    # allowed: check on training_modelversion: there are hundreds of versions at most, looked through in milliseconds
    operations = [
        migrations.RemoveConstraint(model_name="modelversion", name="model_kind_known"),
        migrations.AlterField(
            model_name="modelversion", name="kind", field=models.CharField(choices=KINDS, max_length=16)
        ),
        migrations.AddConstraint(
            model_name="modelversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["policy", "reward", "classifier"])), name="model_kind_known"
            ),
        ),
    ]
