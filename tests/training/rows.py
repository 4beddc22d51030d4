"""Rows that labels become."""

from typing import Any

from annotation.models import Prompt
from annotation.text import sha256
from tests.annotation.making import a_prompt
from tests.training.making import compares, demonstrates, says
from training import snapshots
from training.snapshots import Rule

TALK = [
    {"role": "user", "content": "Do you sell tea?"},
    {"role": "assistant", "content": "No idea."},
    {"role": "user", "content": "How much?"},
]


def a_talk(project, split="train"):
    """A conversation whose earlier answer wants mending, and a draft of the next one."""
    prompt = Prompt.objects.create(project=project, messages=TALK, sha256=sha256(TALK), split=split)
    return demonstrates(prompt, "Cheap.")


def rows_of(project, kind="preferences", **rule) -> list[dict[str, Any]]:
    return snapshots.collect(project=project, kind=kind, rule=Rule(**rule))


def answers(rows, column="completion") -> list[str]:
    return sorted(row[column][0]["content"] for row in rows)


def votes(project, people, *said, **rule) -> list[dict[str, Any]]:
    """The rows that come of these people judging "A" against "B"."""
    item = compares(a_prompt(project), "A", "B")
    for person, words in zip(people, said, strict=True):
        says(person, item, **words)
    return rows_of(project, **rule)


A_BETTER = {"ranks": (1, 2), "strength": 4}
B_BETTER = {"ranks": (2, 1), "strength": 4}
TIE = {"ranks": (1, 1)}
BOTH_BAD = {"ranks": (1, 1), "unacceptable": (True, True)}
