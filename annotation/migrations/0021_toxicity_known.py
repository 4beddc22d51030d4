from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("annotation", "0020_toxicity")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE annotation_finding VALIDATE CONSTRAINT finding_kind_known", migrations.RunSQL.noop
        ),
    ]
