from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from annotation.commands import ProjectCommand, actor_of, add_actor, add_settings, explained, settings_of
from annotation.models import Project
from training import snapshots
from training.models import RecipeVersion
from training.models.snapshots import SnapshotKind
from training.snapshots import recipes, saving
from training.snapshots.recipes import Recipe


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
            nargs="?",
            choices=SnapshotKind.values,
            help="good answers to learn from, pairs of which people prefer one, or good and bad answers singly; "
            "a recipe says it itself",
        )
        given = parser.add_mutually_exclusive_group()
        given.add_argument("--recipe", metavar="FILE", type=Path, help="a recipe in YAML or JSON; --set changes it")
        given.add_argument("--saved", metavar="NAME", help="the newest version of the recipe saved under this name")
        add_settings(parser)
        parser.add_argument("--save", metavar="NAME", help="save the recipe under this name, too")
        parser.add_argument("--print", action="store_true", help="write the recipe as a file, and freeze nothing")
        add_actor(parser)

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        recipe, saved = self.asked(project, options)
        if options["print"]:
            self.stdout.write(recipes.written(recipe), ending="")
            return
        actor = actor_of(options)
        if name := options["save"]:
            saved = saving.save(project=project, name=name, kind=recipe.kind, rule=recipe.rule, actor=actor)
            self.tell(f"The recipe is {saved}.")
        try:
            made = snapshots.freeze(project=project, kind=recipe.kind, rule=recipe.rule, recipe=saved, actor=actor)
        except snapshots.NoRows as error:
            raise CommandError(str(error)) from error
        self.tell(f"{made}: {snapshots.in_words(made, recipe.rule)} {made.path}")
        self.stdout.write(str(made.pk))

    def asked(self, project: Project, options: dict[str, Any]) -> tuple[Recipe, RecipeVersion | None]:
        """The recipe: a file's, a saved one, or that of the kind, with what is set beside it; and the saved version it
        is, if it is one unchanged."""
        saved = None
        if options["recipe"]:
            given = recipes.read(options["recipe"].read_bytes())
        elif options["saved"]:
            saved = RecipeVersion.objects.filter(project=project, name=options["saved"]).first()
            if saved is None:
                raise ValidationError(f"There is no recipe {options['saved']!r} in this project.")
            given = Recipe(saved.kind, snapshots.Rule.model_validate(saved.rule))
        elif options["kind"]:
            given = Recipe(options["kind"], snapshots.Rule())
        else:
            raise ValidationError(f"Say the kind, {', '.join(SnapshotKind.values)}, or name a recipe.")
        if options["kind"] not in (None, given.kind):
            raise ValidationError(f"That recipe is of {given.kind}.")
        recipe = Recipe(given.kind, recipes.checked({**given.rule.told(), **settings_of(options["set"])}))
        return recipe, saved if recipe == given else None
