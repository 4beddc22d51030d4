"""Who may do what, as docs/permissions.md has it."""

from typing import Any

from django.core.management.base import BaseCommand

from config import permissions


class Command(BaseCommand):
    help = "Print the table of who may do what: every page, every endpoint and every button of the admin."

    def handle(self, **options: Any) -> None:
        self.stdout.write(permissions.page(), ending="")
