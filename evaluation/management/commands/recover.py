from typing import Any

from django.core.management.base import BaseCommand

from evaluation import tasks


class Command(BaseCommand):
    help = "Return overdue leases, take back runs whose worker was lost, move rounds on. Safe at any time."

    def handle(self, *args: Any, **options: Any) -> None:
        counts = tasks.recover()
        self.stdout.write(", ".join(f"{name} {number}" for name, number in counts.items()))
