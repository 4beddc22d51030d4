"""What management commands share: a project by its slug, who acts, settings by name, refusals as one sentence.

What a command answers goes to standard output, an id last, so that it can be piped; what it tells meanwhile goes to
standard error.
"""

import json
import os
import re
from argparse import ArgumentTypeError
from collections.abc import Iterable
from textwrap import fill
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from pydantic import BaseModel

from annotation.models import Project, User

LONGEST = 118  # characters on a line of help


class Formatter(DjangoHelpFormatter):
    """Our own options first; text of several lines stays in the lines it is written in."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(map(_folded, text.splitlines())) if "\n" in text else super()._fill_text(text, width, indent)


def _folded(line: str) -> str:
    """A line that is too long goes on below its second column."""
    column = re.match(r"\s*(?:\S+\s{2,})?", line)
    return fill(line, LONGEST, subsequent_indent=" " * (column.end() if column else 0)) if line else line


class ProjectCommand(BaseCommand):
    """A command on one project; `perform` does it. A verb's refusal becomes one sentence and exit code 1."""

    epilogue = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=Formatter, epilog=self.epilogue or None, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        try:
            self.perform(project, options)
            self.stdout.flush()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except OSError as error:
            if isinstance(error, BrokenPipeError):  # whoever read our output has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())
                return
            raise CommandError(f"{error.filename or 'The disk'}: {error.strerror}.") from error

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        raise NotImplementedError

    def tell(self, said: str) -> None:
        """For whoever watches, and not for a pipe."""
        self.stderr.write(said, self.style.NOTICE)


def add_actor(parser: CommandParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="the person on record as having asked for it; nobody if left out")


def actor_of(options: dict[str, Any]) -> User | None:
    name = options["by"]
    if not name:
        return None
    person = User.objects.filter(username=name).first()
    if person is None:
        raise CommandError(f"There is no person {name!r}.")
    return person


def add_settings(parser: CommandParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="a setting other than its default, as often as you like; the names are below",
    )


def setting(text: str) -> tuple[str, Any]:
    """
    >>> setting("epochs=2"), setting("schedule=linear"), setting("simulated=true")
    (('epochs', 2), ('schedule', 'linear'), ('simulated', True))
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def settings_of(given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """
    >>> settings_of([("seed", 3), ("dpo.beta", 0.2), ("dpo.epochs", 1)])
    {'seed': 3, 'dpo': {'beta': 0.2, 'epochs': 1}}
    """
    settings: dict[str, Any] = {}
    for name, value in given:
        *parts, last = name.split(".")
        place = settings
        for part in parts:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise CommandError(f"{name}: {part} is a value, and has no parts.")
        place[last] = value
    return settings


def explained(title: str, model: type[BaseModel], *, without: Iterable[str] = ()) -> str:
    """A settings model for the end of a command's help: each name with its default and what it is."""
    rows = [f"{title}:"]
    for name, field in model.model_fields.items():
        if name not in without:
            default = json.dumps(field.get_default(call_default_factory=True))
            rows.append(f"  {name + '=' + default:<38} {field.title or field.description or ''}".rstrip())
    return "\n".join(rows)
