from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import actor_of, explained, settings_of
from annotation.models import Project
from training import preflight, tuning
from training.commands import RunCommand, model_of
from training.methods import METHODS, TrainingSettings
from training.models import Run, Snapshot
from training.models.runs import Spread
from training.runs import Plan

TRAINING = [method for method in METHODS.values() if method.produces]
SHARED = TrainingSettings.model_fields


class Command(RunCommand):
    help = (
        "Queue one training run, outside a round, and print its id. With --wait or --here, the id of the model it made."
    )
    epilogue = "\n\n".join(
        [
            *(f"{method.name}: {method.summary}" for method in TRAINING),
            explained("Settings of every method, for --set", TrainingSettings),
            *(explained(f"Settings of {one.name}", one.settings, without=SHARED) for one in TRAINING),
        ]
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("method", choices=[method.name for method in TRAINING], help="what is trained, see below")
        parser.add_argument("--model", metavar="NAME", help="the model to start from, by name or id; or production")
        parser.add_argument(
            "--snapshot", type=int, metavar="ID", help="the frozen data; without it the labels are frozen now"
        )

        parser.add_argument(
            "--check", action="store_true", help="only tell what the run would be; exit code 1 if it could not work"
        )
        parser.add_argument(
            "--with",
            dest="others",
            type=int,
            action="append",
            default=[],
            metavar="ID",
            help="another snapshot to mix in, as the settings say; as often as you like",
        )
        parser.add_argument(
            "--teacher", metavar="NAME", help="the model to learn from, by name or id; for rlhf, distill"
        )
        parser.add_argument("--limit", type=int, metavar="MINUTES", help="stop an attempt that takes longer")
        parser.add_argument("--after", type=int, nargs="+", default=[], metavar="RUN", help="wait for these runs")
        parser.add_argument("--devices", type=int, default=1, metavar="N", help="how many devices work on it together")
        parser.add_argument("--spread", choices=Spread.values, default=Spread.DDP, help="how it uses several devices")

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        snapshot = None if options["snapshot"] is None else snapshot_of(project, options["snapshot"])
        wanted = {
            "project": project,
            "method": options["method"],
            "base": model_of(project, options["model"]),
            "snapshot": snapshot,
            "teacher": model_of(project, options["teacher"]),
            "others": [snapshot_of(project, pk) for pk in options["others"]],
            "settings": settings_of(options["set"]),
            "plan": self.plan(project, options),
        }
        if options["check"]:
            report = preflight.check(**wanted)
            self.stdout.write("\n".join(preflight.in_words(report)))
            if not report.can_start:
                raise CommandError("This run could not work.")
            return
        run = tuning.tune(**wanted, seed=options["seed"], actor=actor_of(options), wake=not options["here"])
        if run.snapshot is not None:
            self.tell(f"From {run.base}, on {run.snapshot} ({run.snapshot.counts.get('rows', 0)} rows).")
        else:
            taught = f", taught by {run.teacher}" if run.teacher else ""
            self.tell(f"From {run.base}, on {len(run.inputs['prompts'])} prompts{taught}.")
        run = self.see_through(run, options)
        if run.is_open:
            self.stdout.write(str(run.pk))
        else:
            self.tell(f"It made {run.model_version}.")
            self.stdout.write(str(run.model_version.pk))

    def plan(self, project: Project, options: dict[str, Any]) -> Plan:
        after = Run.objects.filter(project=project, pk__in=options["after"])
        if missing := set(options["after"]) - set(after.values_list("pk", flat=True)):
            raise CommandError(f"No such runs in {project}: {', '.join(map(str, sorted(missing)))}.")
        return Plan(options["limit"], tuple(after), options["devices"], options["spread"])


def snapshot_of(project: Project, pk: int) -> Snapshot:
    found = Snapshot.objects.filter(project=project, pk=pk).first()
    if found is None:
        raise CommandError(f"There is no snapshot {pk} in {project}.")
    return found
