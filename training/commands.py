"""What the commands that start a run share: which model, seed, settings, and whether to wait for the end."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import ProjectCommand, add_actor, add_settings
from annotation.models import Project
from training import watching
from training.models import ModelVersion, Run
from training.models.runs import Status


class RunCommand(ProjectCommand):
    """A command that queues a run and prints its id."""

    with_settings = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        if self.with_settings:
            add_settings(parser)
        parser.add_argument(
            "--seed", type=int, default=17, help="the same data, settings and seed give the same result"
        )
        add_actor(parser)
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--wait", action="store_true", help="follow the run to its end; exit code 1 if it does not succeed"
        )
        how.add_argument("--here", action="store_true", help="run it in this process: no worker is needed")

    def see_through(self, run: Run, options: dict[str, Any]) -> Run:
        """Wait as was asked. Raises CommandError if the run does not succeed."""
        try:
            if options["here"]:
                self.tell(f"Run {run.pk} ({run.method}) begins.")
                run = watching.here(run) or watching.follow(run, self.tell)
            elif options["wait"]:
                run = watching.follow(run, self.tell)
            else:
                self.tell(watching.progress(run))
                return run
        except KeyboardInterrupt:
            said = "A gpu worker takes it over" if options["here"] else "It goes on by itself"
            raise CommandError(f"Nobody watches run {run.pk} any longer. {said}.", returncode=130) from None
        if run.status != Status.SUCCEEDED:
            raise CommandError(watching.outcome(run))
        self.tell(watching.outcome(run))
        return run


def model_of(project: Project, named: str | None) -> ModelVersion | None:
    """The model version of this name, or of this id; None if none was named."""
    if not named:
        return None
    versions = ModelVersion.objects.filter(project=project)
    found = versions.filter(name=named).first()
    if found is None and named.isdecimal():
        found = versions.filter(pk=named).first()
    if found is None:
        raise CommandError(f"There is no model {named!r} in {project}.")
    return found
