"""Keyboard shortcuts of the labelling pages: what they do, which keys they have, and each person's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from annotation.models import User
from annotation.models.items import Kind

BOTH = frozenset(Kind.values)
COMPARISON, DEMONSTRATION = frozenset({str(Kind.COMPARISON)}), frozenset({str(Kind.DEMONSTRATION)})
NAMED = {  # keys that are no character, as browsers call them and as people see them
    "ArrowLeft": "←",
    "ArrowRight": "→",
    "ArrowUp": "↑",
    "ArrowDown": "↓",
    "Enter": "Enter",
    "Backspace": "⌫",
    "Delete": "Del",
    "Home": "Home",
    "End": "End",
    **{f"F{number}": f"F{number}" for number in range(2, 13) if number not in (3, 5, 11, 12)},
}
DIGITS = "0123456789"  # they choose among what is numbered on the page


@dataclass(frozen=True)
class Action:
    """One thing that a key does: on which pages, with which keys unless a person chose another."""

    name: str
    says: str
    keys: tuple[str, ...]
    kinds: frozenset[str] = BOTH


ACTIONS = {
    action.name: action
    for action in (
        Action("left", "The left answer is better; again for a stronger judgement", ("ArrowLeft", "h"), COMPARISON),
        Action("right", "The right answer is better; again for a stronger judgement", ("ArrowRight", "l"), COMPARISON),
        Action("tie", "A tie; in a list, with the answer above", ("ArrowDown", "=", "t"), COMPARISON),
        Action("unacceptable", "Both are unacceptable; in a list, the one you are at", ("x",), COMPARISON),
        Action("left_unacceptable", "The left answer is unacceptable", ("q",), COMPARISON),
        Action("right_unacceptable", "The right answer is unacceptable", ("p",), COMPARISON),
        Action("next_answer", "In a list: the next answer; with Shift, move this one down", ("j",), COMPARISON),
        Action("previous_answer", "In a list: the one before; with Shift, move it up", ("k", "ArrowUp"), COMPARISON),
        Action("stronger", "In a list: how much better the best is than the next", ("b",), COMPARISON),
        Action("differences", "Show or hide in which words two answers differ", ("d",), COMPARISON),
        Action("criteria", "Say in what the better answer is better", ("v",), COMPARISON),
        Action("improve", "Edit the better answer; Esc leaves the text", ("e",), COMPARISON),
        Action("accept", "Accept the answer as it is", ("a",), DEMONSTRATION),
        Action("edit", "Edit the answer; Esc leaves the text", ("e",), DEMONSTRATION),
        Action("reject", "Reject it", ("r",), DEMONSTRATION),
        Action("changes", "Show or hide what you changed", ("d",), DEMONSTRATION),
        Action("mend", "Mend an earlier turn of the assistant; again for the one before", ("t",), DEMONSTRATION),
        Action("warning", "Go to the next warning in the text", ("w",), DEMONSTRATION),
        Action("submit", "Submit and go on; Ctrl Enter while typing", ("Enter",)),
        Action("undo", "Take back your last label and judge it again", ("u",)),
        Action("skip", "Skip, with a reason; Enter confirms, Esc goes back", ("s",)),
        Action("comment", "Leave a comment", ("c",)),
        Action("flag", "Flag the item to the leads; Enter sends, Esc goes back", ("f",)),
        Action("thread", "Read what was said about the item, and answer", ("m",)),
        Action("guidelines", "Guidelines beside the work", ("g",)),
        Action("help", "Show the list of keys", ("?",)),
    )
}


def of_person(person: Any) -> dict[str, tuple[str, ...]]:
    """The keys of each action, by its name; the defaults for somebody who is not signed in."""
    own = getattr(person, "keys", None) or {}
    return {name: (own[name],) if own.get(name) else action.keys for name, action in ACTIONS.items()}


def on_page(person: Any, kind: str) -> dict[str, str]:
    """What each key does on the page for items of this kind: from the key to the action's name.

    A key that somebody chose for one action is taken from the others that have it by default.
    """
    own = getattr(person, "keys", None) or {}
    names = [name for name, action in ACTIONS.items() if kind in action.kinds]
    names.sort(key=lambda name: name in own)
    return {key: name for name in names for key in of_person(person)[name]}


def set_keys(*, person: User, chosen: Mapping[str, str]) -> None:
    """Give actions keys of the person's own; an empty key brings back the default.

    Raises ValidationError for what is no action or no key, and for one key that would do two things on one page.
    """
    own = {**person.keys, **{name: key.lower() if len(key) == 1 else key for name, key in chosen.items()}}
    own = {name: key for name, key in own.items() if key and (name not in ACTIONS or (key,) != ACTIONS[name].keys[:1])}
    problems = []
    for name, key in own.items():
        if name not in ACTIONS:
            problems.append(f"There is no action called {name}.")
        elif key in DIGITS:
            problems.append(f"{key} cannot be changed: digits choose among what is numbered on the page.")
        elif key not in NAMED and not (len(key) == 1 and key.isprintable() and not key.isspace()):
            problems.append(f"{key[:20]} is no key that can be used: choose a character or an arrow.")
    if not problems:
        problems = _clashes(own)
    if problems:
        raise ValidationError(problems)
    person.keys = own
    person.save(update_fields=["keys"])


def _clashes(own: Mapping[str, str]) -> list[str]:
    """A key chosen for two actions of one page, or left to an action as its only key and chosen for another."""
    found = []
    names = list(ACTIONS)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            shared = ACTIONS[one].kinds & ACTIONS[other].kinds
            if shared and (own.get(one) or ACTIONS[one].keys[0]) == (own.get(other) or ACTIONS[other].keys[0]):
                key = own.get(one) or own.get(other) or ""
                found.append(f"{shown(key)} would do two things: {ACTIONS[one].says}; {ACTIONS[other].says}.")
    return found


def shown(key: str) -> str:
    """A key as people see it.

    >>> shown("ArrowLeft"), shown("x")
    ('←', 'x')
    """
    return NAMED.get(key, key)
