#!/usr/bin/env python3
"""Touchstone's command line: `python manage.py help`."""

import os
import sys

# Commands that never ask the database anything, so that they work where there is none.
WITHOUT_DATABASE = {
    *("help", "--help", "-h", "version", "--version"),
    *("check", "collectstatic", "spectacular", "serve_models"),
}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command not in WITHOUT_DATABASE and "--help" not in sys.argv:
        from config import database

        database.start()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
