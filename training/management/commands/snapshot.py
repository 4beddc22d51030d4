from typing import Any

from django.core.management.base import CommandError, CommandParser
from pydantic import ValidationError as SettingsError

from annotation.commands import ProjectCommand, actor_of, add_actor, add_settings, explained, settings_of
from annotation.models import Project
from training import snapshots
from training.models.snapshots import SnapshotKind


class Command(ProjectCommand):
    help = (
        "Freeze a project's labels into a data set that never changes, and print its id. Gold items, held-out prompts "
        "and withdrawn labels stay out. The same rows are the same snapshot."
    )
    epilogue = explained("The rule, for --set", snapshots.Rule)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "kind",
            choices=SnapshotKind.values,
            help="good answers to learn from, pairs of which people prefer one, or good and bad answers singly",
        )
        add_settings(parser)
        add_actor(parser)

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        try:
            rule = snapshots.Rule.model_validate(settings_of(options["set"]))
        except SettingsError as error:
            raise CommandError(" ".join(f"{e['loc'][0]}: {e['msg']}." for e in error.errors())) from None
        try:
            made = snapshots.freeze(project=project, kind=options["kind"], rule=rule, actor=actor_of(options))
        except snapshots.NoRows as error:
            raise CommandError(str(error)) from error
        self.tell(f"{made}: {snapshots.in_words(made, rule)} {made.path}")
        self.stdout.write(str(made.pk))
