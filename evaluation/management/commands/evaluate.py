from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import actor_of
from annotation.models import Project
from evaluation import gate, scoring, winrate
from evaluation.report import figure
from training.commands import RunCommand, model_of
from training.models import ModelVersion, Run
from training.models.registry import ModelKind


class Command(RunCommand):
    help = (
        "Measure a model on held-out data, by a run; prints the run's id, or with --wait or --here the figures, "
        "whether it passes the gate, and last the evaluation's id. A reward model: how often it agrees with people. A "
        "policy: what it learned and what it forgot, and how it answers. With --against: how often people blindly "
        "preferred a policy's answers to another's, from the labels that are there."
    )
    with_settings = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--model", metavar="NAME", help="name or id of the model, or the newest reward model")
        parser.add_argument(
            "--against", metavar="NAME", help="only compare a policy with this one, by people's blind choices"
        )
        parser.add_argument("--simulated", action="store_true", help="measure with simulated annotators' pairs too")

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        model = model_of(project, options["model"])
        model = model or ModelVersion.objects.filter(project=project, kind=ModelKind.REWARD).first()
        if model is None:
            raise CommandError("There is no reward model yet: train one, or name a policy with --model.")
        if options["against"]:
            if model.kind != ModelKind.POLICY:
                raise CommandError(f"{model} is a {model.get_kind_display().lower()}: --against is for policies.")
            self._win_rate(model, model_of(project, options["against"]))
            return
        run = scoring.measure(
            project=project,
            model=model,
            simulated=options["simulated"],
            seed=options["seed"],
            actor=actor_of(options),
            wake=not options["here"],
        )
        self.tell(f"{model} is measured: {_how_much(run)}.")
        run = self.see_through(run, options)
        if run.is_open:
            self.stdout.write(str(run.pk))
            return
        evaluation = scoring.conclude(run)
        for score in evaluation.scores.filter(group="").order_by("id"):
            self.stdout.write(f"{score.name}: {figure(score)}")
        if model.kind == ModelKind.POLICY:
            self.stdout.write(gate.verdict(model).words)
        self.stdout.write(str(evaluation.pk))

    def _win_rate(self, model: ModelVersion, other: ModelVersion | None) -> None:
        if other is None or other.kind != ModelKind.POLICY or other == model:
            raise CommandError(f"{model} cannot be compared with {other}.")
        compared = winrate.between(model, other)
        found = {"people": compared.human, "simulated annotators": compared.simulated}
        if not any(found.values()):
            raise CommandError(f"Nobody has compared answers of {model} and {other} yet.")
        for who, rate in found.items():
            if rate is not None:
                votes = f"{rate.wins} votes for it, {rate.losses} against, {rate.ties} ties"
                self.stdout.write(f"preferred to {other} by {who}: {rate.interval}; {votes}")


def _how_much(run: Run) -> str:
    if run.method == "score":
        return f"{len(run.inputs['answers']) // 2} held-out pairs"
    return f"{len(run.inputs['texts'])} texts to read, {len(run.inputs.get('prompts', []))} prompts to answer"
