from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # there may be millions of deliveries, and they are written meanwhile

    dependencies = [
        ("annotation", "0013_accounts"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "failed")), fields=["created_at"], name="delivery_given_up"
            ),
        ),
    ]
