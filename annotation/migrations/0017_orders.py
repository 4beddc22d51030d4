import django.db.models.functions.text
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # there may be millions of these rows, and they are written meanwhile

    dependencies = [
        ("annotation", "0016_no_embedding"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="consensus",
            index=models.Index(fields=["confidence", "id"], name="consensus_disputed"),
        ),
        AddIndexConcurrently(
            model_name="response",
            index=models.Index(django.db.models.functions.text.Length("text"), "id", name="response_length"),
        ),
        AddIndexConcurrently(
            model_name="prompt",
            index=models.Index(fields=["project", "language", "created_at", "id"], name="prompt_language_newest"),
        ),
        RemoveIndexConcurrently(model_name="prompt", name="prompt_language"),  # the new one begins with it
    ]
