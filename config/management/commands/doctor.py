from typing import Any

from django.core.management.base import BaseCommand

from config import checkup


class Command(BaseCommand):
    help = "Say whether everything is well and, where it is not, what to do; exit code 1 if something is wrong."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        findings = checkup.look()
        for one in findings:
            self.stdout.write(f"{one.state:<5}  {one.title}: {one.found}")
            if one.todo:
                self.stdout.write(f"{'':7}{one.todo}")
        if checkup.worst(findings) == checkup.WRONG:
            raise SystemExit(1)
