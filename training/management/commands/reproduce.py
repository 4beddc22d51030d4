from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import actor_of, add_actor
from annotation.models import Project
from training import reproducing, watching
from training.commands import RunCommand
from training.models import Run
from training.models.runs import Status


class Command(RunCommand):
    help = (
        "Do a run again, with the same data, model, settings and seed, and compare the losses step by step. Prints "
        "what was found and the new run's id; exit code 1 if a loss differs by more than 0.0001, or a step is missing. "
        "Without --here a gpu worker does it, and the command waits."
    )
    with_settings = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("run", type=int, help="the run's id")
        parser.add_argument("--here", action="store_true", help="run it in this process: no worker is needed")
        add_actor(parser)

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        before = Run.objects.filter(project=project, pk=options["run"]).first()
        if before is None:
            raise CommandError(f"There is no run {options['run']} in {project}.")
        if before.status != Status.SUCCEEDED:
            raise CommandError(f"Run {before.pk} has not succeeded: there is nothing to compare with.")
        again = reproducing.repeat(run=before, actor=actor_of(options), wake=not options["here"])
        again = self.see_through(again, {**options, "wait": True})
        found = reproducing.compare(before, again)
        self.stdout.write("\n".join(reproducing.in_words(found)))
        self.stdout.write(str(again.pk))
        if not found.is_same:
            raise CommandError(f"{watching.outcome(again)} It is not the same as run {before.pk}.")
