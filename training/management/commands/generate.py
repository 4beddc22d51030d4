from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import actor_of, explained, settings_of
from annotation.models import Project
from annotation.models.prompts import Split
from training import sampling
from training.commands import RunCommand, model_of
from training.methods import GenerateSettings
from training.models import ModelVersion


class Command(RunCommand):
    help = "Have a model answer a project's prompts. Prints the run's id; with --wait or --here, the generation's."
    epilogue = explained("Settings, for --set", GenerateSettings)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--model", metavar="NAME", help="the model that answers, by name or id; or production")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--split", choices=Split.values, default="train", help="all prompts of this split (train)")
        which.add_argument("--prompts", type=int, nargs="+", metavar="ID", help="only these prompts")
        parser.add_argument("--limit", type=int, metavar="N", help="the first N of the split")
        parser.add_argument(
            "--pairs", type=int, default=0, metavar="N", help="queue N pairs of each prompt's answers to be ranked"
        )

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        model = model_of(project, options["model"]) or ModelVersion.objects.filter(project=project).production().first()
        if model is None:
            raise CommandError("There is no production model yet: import a base model first.")
        prompts = project.prompts.order_by("id")
        if options["prompts"]:
            prompts = prompts.filter(pk__in=options["prompts"])
            if missing := set(options["prompts"]) - set(prompts.values_list("pk", flat=True)):
                raise CommandError(f"No such prompts in {project}: {', '.join(map(str, sorted(missing)))}.")
        else:
            prompts = prompts.filter(split=options["split"])
            if options["limit"] is not None:
                prompts = project.prompts.filter(pk__in=list(prompts.values_list("pk", flat=True)[: options["limit"]]))
        run = sampling.sample(
            project=project,
            model=model,
            prompts=prompts,
            settings=settings_of(options["set"]),
            seed=options["seed"],
            pairs_per_prompt=options["pairs"],
            actor=actor_of(options),
            wake=not options["here"],
        )
        self.tell(f"{model} answers {len(run.inputs['prompts'])} prompts.")
        run = self.see_through(run, options)
        if run.is_open:
            self.stdout.write(str(run.pk))
        else:
            self.tell(f"It gave {run.generation.responses.distinct().count()} different answers.")
            self.stdout.write(str(run.generation.pk))
