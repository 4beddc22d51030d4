"""The migrations that landed before the rules of upgrading did; every later one is held to them."""

from collections.abc import Iterator, Mapping

from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

LANDED = {"annotation": "0013_accounts", "training": "0007_jobs_from_files", "evaluation": "0003_asking"}


def later(loader: MigrationLoader, since: Mapping[str, str] = LANDED) -> Iterator[Migration]:
    """Ours that are newer, in order within each app: their names begin with numbers."""
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if app in LANDED and name > since.get(app, ""):
            yield migration
