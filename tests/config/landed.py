"""What has landed, and what an upgrade must live with.

LANDED are the migrations from before the rules of upgrading; every later one is held to them. TASKS are the queue's,
with the fewest and the most arguments of their messages: what the release before has sent is delivered to this one.
"""

from collections.abc import Iterator, Mapping

from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

LANDED = {"annotation": "0013_accounts", "training": "0007_jobs_from_files", "evaluation": "0003_asking"}

TASKS = {
    "annotation.tasks.bring_in": (1, 1),
    "annotation.tasks.change": (1, 1),
    "annotation.tasks.clean": (1, 1),
    "annotation.tasks.clean_projects": (0, 0),
    "annotation.tasks.consensus": (1, 3),
    "annotation.tasks.deliver": (0, 0),
    "annotation.tasks.fill_search": (0, 0),
    "annotation.tasks.forget": (0, 0),
    "annotation.tasks.go_on_with_changes": (0, 0),
    "annotation.tasks.make_export": (1, 1),
    "annotation.tasks.refresh_consensus": (0, 0),
    "annotation.tasks.tend_exports": (0, 0),
    "evaluation.tasks.advance_round": (1, 1),
    "evaluation.tasks.recover": (0, 0),
    "evaluation.tasks.run_finished": (1, 1),
    "evaluation.tasks.settle_matches": (0, 0),
    "evaluation.tasks.start_rounds": (0, 0),
    "evaluation.tasks.steer": (0, 0),
    "evaluation.tasks.watch_drift": (0, 0),
    "training.tasks.compare_snapshots": (1, 1),
    "training.tasks.freeze": (1, 1),
    "training.tasks.prepare_job": (1, 1),
    "training.tasks.read_for_toxicity": (0, 0),
    "training.tasks.work": (0, 0),
}


def later(loader: MigrationLoader, since: Mapping[str, str] = LANDED) -> Iterator[Migration]:
    """Ours that are newer, in order within each app: their names begin with numbers."""
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if app in LANDED and name > since.get(app, ""):
            yield migration
