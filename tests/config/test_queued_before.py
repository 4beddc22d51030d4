"""What the release before has put into the queue, this one can do: tasks keep their names and arguments."""

import inspect
from importlib import import_module

import pytest
from django.utils.module_loading import import_string

from config.apps import EVERY
from tests.config.landed import TASKS


@pytest.mark.parametrize("name", TASKS)
def test_a_task_that_has_landed_takes_the_messages_it_took(name):
    task = inspect.signature(import_string(name))
    for arguments in range(TASKS[name][0], TASKS[name][1] + 1):
        task.bind(*range(arguments))


def test_every_task_is_listed_with_the_messages_it_takes():
    """One that is gone from the code stays listed, and so stays in the code, for as long as messages may come."""
    found = {}
    for room in ("annotation", "training", "evaluation"):
        module = import_module(f"{room}.tasks")
        for name, task in inspect.getmembers(module, inspect.isfunction):
            if task.__module__ == module.__name__ and not name.startswith("_"):
                takes = inspect.signature(task).parameters.values()
                needed = sum(one.default is one.empty for one in takes)
                found[f"{room}.tasks.{name}"] = (needed, len(takes))
    assert found == TASKS
    assert {task for task, _ in EVERY.values()} <= found.keys()
