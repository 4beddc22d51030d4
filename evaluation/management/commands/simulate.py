import math
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import ProjectCommand
from annotation.models import Project
from annotation.statistics import percent
from evaluation import simulating
from evaluation.annotators import Manner
from evaluation.planning import Plan
from evaluation.selectors import DEFAULT


class Command(ProjectCommand):
    help = (
        "Plan with simulated annotators, whose taste is what people's labels taught so far: how many labels until the "
        "preferred answer can be told in a share of unseen pairs? Nothing is stored; the number is printed last. With "
        "--labels a simulated annotator labels comparisons in the queue instead, marked as simulated for ever; then "
        "the number of labels given is printed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--until", type=float, default=0.75, metavar="SHARE", help="of unseen pairs told; 0.75")
        parser.add_argument("--budget", type=int, default=1000, help="labels at most in each simulation; 1000")
        parser.add_argument("--simulations", type=int, default=20, metavar="N", help="how many; 20")
        parser.add_argument("--labels", type=int, metavar="N", help="give so many labels, instead of planning")
        parser.add_argument(
            "--name", default=simulating.NOBODYS, help=f"of the annotator who gives them; {simulating.NOBODYS}"
        )
        parser.add_argument("--seed", type=int, default=17, help="the same seed simulates the same; 17")
        parser.add_argument("--clarity", type=float, default=1.0, help="how clearly answers seem apart; 1")
        parser.add_argument("--slips", type=float, default=0.03, help="share of labels that fall any way; 0.03")
        parser.add_argument("--left", type=float, default=0.0, help="liking for the left answer, in log-odds; 0")
        parser.add_argument("--longer", type=float, default=0.0, help="liking for the longer answer, in log-odds; 0")
        parser.add_argument("--fatigue", type=float, default=0.0, help="share of clarity lost in 100 labels; 0")

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        for name in ("until", "slips", "fatigue"):
            if not 0 <= options[name] <= 1:
                raise CommandError(f"--{name} is a share, from 0 to 1.")
        for name in ("budget", "simulations"):
            if options[name] < 1:
                raise CommandError(f"--{name} is 1 or more.")
        manner = Manner(
            clarity=options["clarity"],
            slips=options["slips"],
            to_the_left=options["left"],
            to_the_longer=options["longer"],
            fatigue=options["fatigue"],
        )
        if options["labels"] is not None:
            given = simulating.label(
                project=project, labels=options["labels"], name=options["name"], manner=manner, seed=options["seed"]
            )
            if len(given) < options["labels"]:
                self.tell("There is nothing more for it to label.")
            self.stdout.write(str(len(given)))
            return
        found = simulating.how_many(
            project=project,
            level=options["until"],
            budget=options["budget"],
            simulations=options["simulations"],
            manner=manner,
            seed=options["seed"],
            say=self.tell,
        )
        for name, how in ((DEFAULT, "As the queue is ordered"), ("random", "At random")):
            plan = found[name]
            self.stdout.write(
                f"{how}: {self._words(plan, options)} for {percent(options['until'])} of unseen pairs; "
                f"{percent(plan.best, '.1f')} with {options['budget']}."
            )
        median = found[DEFAULT].median
        self.stdout.write(str(round(median)) if math.isfinite(median) else f"more than {options['budget']}")

    @staticmethod
    def _words(plan: Plan, options: dict[str, Any]) -> str:
        lower, median, upper = (
            f"{number:.0f}" if math.isfinite(number) else f"more than {options['budget']}"
            for number in (plan.lower, plan.median, plan.upper)
        )
        return f"{median} labels ({lower} to {upper})"
