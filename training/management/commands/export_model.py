from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import ProjectCommand
from annotation.models import Project
from training import cards
from training.commands import model_of
from training.models import ModelVersion


class Command(ProjectCommand):
    help = "Write a model into a folder in Hugging Face's layout, with its card as README.md, and print the folder."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("folder", type=Path, help="a folder that is empty or not there yet")
        parser.add_argument("--model", metavar="NAME", help="by name or id; or production")

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        model = model_of(project, options["model"]) or ModelVersion.objects.filter(project=project).production().first()
        if model is None:
            raise CommandError("There is no production model yet: import a base model first.")
        cards.export(model, options["folder"])
        self.stdout.write(str(options["folder"]))
