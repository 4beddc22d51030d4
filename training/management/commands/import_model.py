from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotation.models import Project
from training import registry, runner, runs


class Command(BaseCommand):
    help = (
        "Import a base model: a folder, a GGUF file, or a name on the hub. A project's first model is promoted. A text "
        "classifier (--kind classifier) is for checks of the data, such as of toxicity."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("source", help="folder, .gguf file, or hub name such as HuggingFaceTB/SmolLM2-135M")
        parser.add_argument("--name", required=True, help="what the project calls it")
        parser.add_argument("--kind", choices=registry.IMPORTED, default="policy", help="what it is (default: policy)")
        parser.add_argument("--licence", default="", help="of the model, such as apache-2.0, for the cards")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        try:
            run = registry.import_model(
                project=project,
                name=options["name"],
                source=options["source"],
                licence=options["licence"],
                kind=options["kind"],
                wake=False,
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        claimed = runs.claim(worker=runner.worker_name(), run_id=run.pk)
        if claimed is None:
            raise CommandError(f"Another worker took the import (run {run.pk}); watch it on its page.")
        run = runner.execute(claimed)
        if run.error:
            raise CommandError(run.error)
        self.stdout.write(f"{options['name']} is version {run.model_version.pk} of {project}.")
