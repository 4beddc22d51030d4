from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("training", "0010_endpoint_cause")]

    # allowed: check on training_modelversion: there are thousands at most, which are looked through in milliseconds
    # allowed: rewrite on training_modelversion: a varchar that is widened rewrites nothing
    operations = [
        migrations.RemoveConstraint(model_name="modelversion", name="model_kind_known"),
        migrations.AlterField(
            model_name="modelversion",
            name="kind",
            field=models.CharField(
                choices=[("policy", "Policy"), ("reward", "Reward model"), ("classifier", "Classifier")], max_length=16
            ),
        ),
        migrations.AddConstraint(
            model_name="modelversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["policy", "reward", "classifier"])), name="model_kind_known"
            ),
        ),
    ]
