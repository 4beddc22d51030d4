"""What the page of a comparison shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from annotation.models import Assignment

SIDES = ("Left", "Right")


@dataclass(frozen=True)
class Answer:
    """One of the answers, at its place on this person's page, with what they said of it so far."""

    place: int  # from 0, left first
    name: str
    text: str
    rank: str
    unacceptable: bool


@dataclass(frozen=True)
class Criterion:
    """In what an answer can be better; `value` is the place of the better one, "equal", or empty."""

    name: str
    field: str
    value: str


def page(assignment: Assignment, said: Mapping[str, Any]) -> dict[str, Any]:
    """The answers and criteria for the templates; `said` holds the fields of a form
    that was refused, or of a draft."""
    shown = assignment.shown()
    names = SIDES if len(shown) == 2 else ascii_uppercase
    criteria = [
        Criterion(name, field=f"criterion_{name}", value=str(said.get(f"criterion_{name}", "")))
        for name in assignment.item.project.criteria
    ]
    return {
        "said": said,
        "answers": [
            Answer(
                place,
                names[place],
                response.text,
                rank=str(said.get(f"rank_{place}", "")),
                unacceptable=bool(said.get(f"unacceptable_{place}")),
            )
            for place, response in enumerate(shown)
        ],
        "criteria": criteria,
        "criteria_said": any(criterion.value for criterion in criteria),
    }
