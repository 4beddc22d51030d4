from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config.backups import BackupError, check, restore


class Command(BaseCommand):
    help = "Fill an empty Touchstone with a backup, and bring an older one up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="the backup")
        parser.add_argument("--check", action="store_true", help="only read it, and see that every file is whole")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["check"]:
                files = check(options["folder"])["files"]
                self.stdout.write(f"{len(files)} files, all whole.")
                return
            restore(folder=options["folder"])
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        call_command("migrate", verbosity=0)
        self.stdout.write("Restored.")
