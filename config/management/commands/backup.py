from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.backups import BackupError, back_up, remove_old


class Command(BaseCommand):
    help = (
        "Back up the database and the artifacts into a new folder, while everything runs; prints the folder. Then "
        "backups older than TOUCHSTONE_BACKUP_DAYS are removed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("into", type=Path, help="the folder that holds the backups")
        parser.add_argument("--without-artifacts", action="store_true", help="the database alone")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = back_up(into=options["into"], artifacts=not options["without_artifacts"])
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(made))
        if settings.BACKUP_DAYS:
            self._remove_old(options["into"])

    def _remove_old(self, into: Path) -> None:
        """The new backup is there, so that what cannot be removed is a warning and no failure."""
        try:
            for name in remove_old(into=into, days=settings.BACKUP_DAYS):
                self.stderr.write(f"Removed {name}.")
        except OSError as error:
            self.stderr.write(f"An old backup could not be removed: {error}")
