import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from training.runner import REPOSITORY


class Command(BaseCommand):
    help = "Keep models in memory and answer what is asked of them at chat/completions, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--keep", type=int, default=2, metavar="N", help="models that stay in memory (2)")
        parser.add_argument("--at-once", type=int, default=1, metavar="N", help="questions answered at a time (1)")

    def handle(self, *args: Any, **options: Any) -> None:
        command = [sys.executable, "-m", "training.recipes.serve", str(settings.SERVING_SOCKET)]
        command += ["--keep", str(options["keep"]), "--at-once", str(options["at_once"])]
        os.chdir(REPOSITORY)
        # In this process's place: signals reach it, and it needs no Django.
        # In this process's place: signals reach it, and it needs no Django.
        os.execv(sys.executable, command)  # noqa: S606
