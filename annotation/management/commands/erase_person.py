from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.erasing import erase
from annotation.models import User


class Command(BaseCommand):
    help = (
        "Erase a person: their account is closed, name, e-mail, sessions and tokens go, and what they said stays under "
        "a pseudonym, which is printed. It cannot be undone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="their user name")
        parser.add_argument("--yes", action="store_true", help="do not ask for the name once more")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(username=options["name"]).first()
        if person is None:
            raise CommandError(f"Nobody is called {options['name']!r}.")
        if not options["yes"] and input("It cannot be undone. The user name, once more: ") != person.username:
            raise CommandError("That was another name: nobody was erased.")
        try:
            erased = erase(person=person, actor=None)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(erased.username)
