"""The guidelines of each project become their first version; nobody who has labelled is asked to read it again."""

from typing import Any

from django.db import migrations


def keep(apps: Any, schema_editor: Any) -> None:
    versions = apps.get_model("annotation", "Guidelines")
    for project in apps.get_model("annotation", "Project").objects.exclude(guidelines=""):
        versions.objects.create(project=project, number=1, text=project.guidelines, asks_again=False)


def give_back(apps: Any, schema_editor: Any) -> None:
    projects = apps.get_model("annotation", "Project")
    for version in apps.get_model("annotation", "Guidelines").objects.order_by("number"):
        projects.objects.filter(pk=version.project_id).update(guidelines=version.text)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0003_bench")]
    operations = [
        migrations.RunPython(keep, give_back),
        migrations.RemoveField(model_name="project", name="guidelines"),
    ]
