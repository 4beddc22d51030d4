from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    """Nothing ever filled `Response.embedding`: what a model makes of answers is in evaluation's AnswerFeatures. The code
    forgets the column here; the release before still asks for it, so it is dropped a release later."""

    atomic = False

    dependencies = [
        ("annotation", "0015_labels_in_doubt"),
    ]

    operations = [
        RemoveIndexConcurrently(model_name="response", name="response_embedded"),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name="response", name="embedding")]
        ),
    ]
