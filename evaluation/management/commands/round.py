from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import ProjectCommand, actor_of, add_actor, add_settings, explained, settings_of
from annotation.models import Project
from evaluation import report, rounds, watching
from evaluation.models import Round, RoundStatus
from evaluation.policy import SKIPPABLE, RoundSettings

VERBS = ["start", "show", "advance", "cancel", "retry"]


class Command(ProjectCommand):
    help = (
        "Start a round, look at one, push it on, stop it, or go on with one that stopped. Prints the round's number "
        "last. A round that waits for labels goes on by `advance` with those that are there."
    )
    epilogue = "\n".join(
        [
            explained("Settings of a round, for --set", RoundSettings),
            "  A method's own settings are its parts: sft.epochs=2, dpo.beta=0.2, generate.temperature=1",
            f'  Steps that can be left out: skip=["sft"]; also {", ".join(sorted(SKIPPABLE - {"sft"}))}',
        ]
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("verb", choices=VERBS, help="what to do")
        parser.add_argument("--number", type=int, metavar="N", help="which round; the newest if left out")
        add_settings(parser)
        parser.add_argument(
            "--wait", action="store_true", help="follow the round to its end; exit code 1 if it does not get there"
        )
        add_actor(parser)

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        verb, actor = options["verb"], actor_of(options)
        if options["set"] and verb != "start":
            raise CommandError("Settings are chosen when a round starts.")
        if verb == "start":
            current = rounds.start(project=project, settings=settings_of(options["set"]), actor=actor)
        else:
            current = self._found(project, options["number"])
        before = current.step
        if verb == "advance":
            current = rounds.advance(round_id=current.pk, force=True, actor=actor)
            moved, said = report.of_advance(before, current)
            if not moved:
                raise CommandError(said)
            self.tell(said)
        elif verb == "cancel" and not rounds.cancel(round=current, actor=actor):
            raise CommandError(f"{current} is not under way.")
        elif verb == "retry" and not rounds.retry(round=current, actor=actor):
            raise CommandError("Only a round that failed or was cancelled can be retried.")
        current.refresh_from_db()
        if verb == "show":
            self._show(current)
        if options["wait"]:
            current = self._see_through(current)
        elif verb != "show":
            self.tell(watching.progress(current))
        self.stdout.write(str(current.number))

    def _found(self, project: Project, number: int | None) -> Round:
        rows = Round.objects.filter(project=project)
        found = rows.filter(number=number).first() if number is not None else rows.first()
        if found is None:
            raise CommandError(f"There is no round{f' {number}' if number is not None else ''} in {project}.")
        return found

    def _show(self, current: Round) -> None:
        for step in report.steps_of(current):
            self.stdout.write(f"{step['title']}: {step['status']}")
            for label, value in step["detail"]:
                self.stdout.write(f"  {label}: {value}")
        for sentence in report.sentences(current):
            self.stdout.write(sentence)

    def _see_through(self, current: Round) -> Round:
        try:
            current = watching.follow(current, self.tell)
        except KeyboardInterrupt:
            raise CommandError(f"Nobody watches {current} any longer. It goes on by itself.", returncode=130) from None
        if current.status != RoundStatus.DONE:
            raise CommandError(watching.outcome(current))
        self.tell(watching.outcome(current))
        return current
