import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation import cleaning, tidying
from annotation.commands import ProjectCommand, actor_of, add_actor
from annotation.models import Finding, Project
from annotation.models.cleaning import Check, Decision


class Command(ProjectCommand):
    help = (
        "Check all that is new in a project and tell what was found, by kind. With --verb decide about open findings: "
        "accept, mend, exclude (--because), send (to annotators) or bring_back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--verb", choices=list(tidying.VERBS), help="what to do with the findings")
        kinds = ", ".join(Check.values)
        parser.add_argument(
            "--kind", choices=Check.values, metavar="KIND", default="", help=f"only findings of this kind: {kinds}"
        )
        parser.add_argument("--because", default="", metavar="WHY", help="why they are excluded")
        add_actor(parser)

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        actor = actor_of(options)
        if options["verb"] == "exclude" and not options["because"].strip():
            raise CommandError("Say why they are excluded: --because WHY.")
        if cleaning.progress(project).at_work:
            raise CommandError("The queue is checking this project at this moment: try again when it has ended.")
        cleaning.ask(project=project, actor=actor, wake=False)
        while not cleaning.check(project=project, seconds=cleaning.SLICE, largest=True) or self._waits(project):
            now = cleaning.progress(project)
            self.tell(f"{now.stage}: {now.done} of {now.total}" if now.stage else "Waiting for who brings rows in.")
        if options["verb"]:
            self._decide(project, options, actor)
        for kind, states in sorted(cleaning.counts(project).items()):
            if not options["kind"] or kind == options["kind"]:
                told = ", ".join(
                    f"{number} {Decision(state).label.lower()}" for state, number in sorted(states.items())
                )
                self.stdout.write(f"{Check(kind).label}: {told}")

    def _waits(self, project: Project) -> bool:
        """Whether what was asked for is still to be done, by this process or another."""
        if waits := cleaning.progress(project).busy:
            time.sleep(1)
        return waits

    def _decide(self, project: Project, options: dict[str, Any], actor: Any) -> None:
        verb = options["verb"]
        rows = Finding.objects.filter(project=project)
        rows = rows.exclude(state=Decision.OPEN) if verb == "bring_back" else rows.open()
        more = {"because": options["because"]} if verb == "exclude" else {}
        done = passed_over = 0
        last = None
        while True:  # a thousand at a time; those that are passed over stay as they are and are not asked again
            part = tidying.matching(rows, kind=options["kind"])
            part = part if last is None else part.filter(pk__lt=last)
            ids = list(part.order_by("-pk").values_list("pk", flat=True)[: tidying.MOST])
            if not ids:
                break
            last = ids[-1]
            outcome = tidying.VERBS[verb](
                project=project, findings=Finding.objects.filter(pk__in=ids), actor=actor, **more
            )
            done, passed_over = done + outcome.done, passed_over + outcome.passed_over
        self.tell(f"{done} decided, {passed_over} passed over.")
