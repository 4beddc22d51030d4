from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.importing import import_lines
from annotation.models import Project


class Command(BaseCommand):
    help = "Import prompts, demonstrations and comparisons from JSON Lines files; the same line twice adds nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("files", nargs="+", help="JSON Lines files")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        for name in options["files"]:
            try:
                with open(name, "rb") as lines:
                    summary = import_lines(project=project, lines=lines)
            except OSError as error:
                raise CommandError(f"{name}: {error.strerror}") from error
            self.stdout.write(f"{name}: {summary}")
            for number, reason in summary.rejected:
                self.stderr.write(f"{name}:{number}: {reason}")
