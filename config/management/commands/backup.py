from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.backups import BackupError, back_up


class Command(BaseCommand):
    help = "Back up the database and the artifacts into a new folder, while everything runs; prints the folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("into", type=Path, help="the folder that holds the backups")
        parser.add_argument("--without-artifacts", action="store_true", help="the database alone")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = back_up(into=options["into"], artifacts=not options["without_artifacts"])
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(made))
