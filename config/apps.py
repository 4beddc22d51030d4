"""Wiring that belongs to no room: what runs by the clock."""

from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate

EVERY = {  # task, and minutes between two times
    "recover": ("evaluation.tasks.recover", 1),
    "consensus": ("annotation.tasks.refresh_consensus", 1),
    "search": ("annotation.tasks.fill_search", 1),
    "bulk changes": ("annotation.tasks.go_on_with_changes", 1),
    "cleaning": ("annotation.tasks.clean_projects", 1),
    "exports": ("annotation.tasks.tend_exports", 5),
    "toxicity": ("training.tasks.read_for_toxicity", 10),
    "drift": ("evaluation.tasks.watch_drift", 24 * 60),
    "steering": ("evaluation.tasks.steer", 1),
    "matches": ("evaluation.tasks.settle_matches", 1),
    "rounds": ("evaluation.tasks.start_rounds", 1),
    "webhooks": ("annotation.tasks.deliver", 1),
    "forget": ("annotation.tasks.forget", 60),
}


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Touchstone"

    def ready(self) -> None:
        from django_q.signals import pre_enqueue, pre_execute

        from config import logs

        pre_enqueue.connect(logs.enqueued)
        pre_execute.connect(logs.begun)
        post_migrate.connect(_schedule, sender=apps.get_app_config("django_q"))  # an app without models sends none


def _schedule(**kwargs: Any) -> None:
    """Keep the schedules in the database as they are here."""
    from django_q.models import Schedule

    for name, (task, minutes) in EVERY.items():
        how = {"func": task, "schedule_type": Schedule.MINUTES, "minutes": minutes, "cluster": "default"}
        Schedule.objects.update_or_create(name=name, defaults=how)
