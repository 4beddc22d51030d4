"""docs/commands.md knows every command and every option, and each command explains itself."""

from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

PAGE = (Path(__file__).parents[1] / "docs" / "commands.md").read_text()
ROOMS = {app.name for app in apps.get_app_configs() if (Path(__file__).parents[1] / app.name).is_dir()}
OURS = {name: app for name, app in get_commands().items() if app in ROOMS}


def options(command: BaseCommand) -> set[str]:
    return {option for action in command.create_parser("", "")._actions for option in action.option_strings}


def djangos(name: str) -> set[str]:
    """Options that Django explains: those of every command, and of its own where ours is a kind of it."""
    kinds = [
        kind for kind in type(load_command_class(OURS[name], name)).__mro__ if kind.__module__.startswith("django.")
    ]
    return options(kinds[0]() if kinds[0].__module__.endswith(f".{name}") else BaseCommand())


def paragraph(name: str) -> str:
    """What the page says of a command, and of the options that several share."""
    own = next((part for part in PAGE.split("\n\n") if part.startswith(f"**`{name}")), "")
    return own + PAGE.partition("## Waiting")[2]


def test_the_commands_of_the_design_are_there():
    assert set(OURS) >= {
        *("demo", "import_data", "export_data", "import_model", "snapshot"),
        *("train", "generate", "evaluate", "round", "recover"),
    }


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_page_names_the_command_and_its_options(name):
    assert f"**`{name}" in PAGE
    parser = load_command_class(OURS[name], name).create_parser("manage.py", name)
    for action in parser._actions:
        for option in action.option_strings:
            if option not in djangos(name) and option.startswith("--"):
                assert f"`{option}`" in paragraph(name) or f"`{option} " in paragraph(name), option


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_command_explains_itself(name):
    command = load_command_class(OURS[name], name)
    parser = command.create_parser("manage.py", name)
    assert command.help.endswith(".")
    for action in parser._actions:
        assert action.help, action.dest
    assert max(map(len, parser.format_help().splitlines())) <= 120
