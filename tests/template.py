"""A migrated database that test databases are copied from: migrating takes seconds each time, copying a moment."""

import hashlib
import os
import subprocess
from pathlib import Path

from django.apps import apps
from django.db import connection

from config import postgres

ROOT = Path(__file__).parents[1]
PREFIX = f"touchstone_template_{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"  # each checkout has its own
LOCK = 7_190_230_417  # any number that nobody else locks


def use() -> None:
    """Let Django copy the template for tests; make it first where the migrations are other ones than last time."""
    name = f"{PREFIX}_{_migrations()}"
    lock = connection.copy()
    try:
        with lock.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX])
            known = {row[0] for row in cursor.fetchall()}
            if name not in known:
                for old in known:
                    cursor.execute(f'DROP DATABASE "{old}"')
                _make(f"{PREFIX}_making")
                cursor.execute(f'ALTER DATABASE "{PREFIX}_making" RENAME TO "{name}"')
    finally:
        lock.close()
    connection.settings_dict["TEST"]["TEMPLATE"] = name


def copy_to(address: str) -> None:
    """Bring what is in the template that is in use into an empty database of another server."""
    settings = {**connection.settings_dict, "NAME": connection.settings_dict["TEST"]["TEMPLATE"], "OPTIONS": {}}
    arguments, environment = connection.client.settings_to_cmd_args_env(settings, [])
    programs = postgres.packaged() / "bin"
    command = [programs / "pg_dump", "--no-owner", *arguments[1:]]
    dumped = subprocess.run(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, check=True
    ).stdout
    quietly = ["--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1"]
    subprocess.run([programs / "psql", *quietly, address], input=dumped, check=True)


def _make(name: str) -> None:
    test, own = connection.settings_dict["TEST"], connection.settings_dict["NAME"]
    named, test["NAME"] = test["NAME"], name
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    finally:
        connection.close()
        test["NAME"] = named
        connection.settings_dict["NAME"] = own


def _migrations() -> str:
    """What every app's migrations are, in sixteen digits."""
    found = hashlib.sha256()
    for app in apps.get_app_configs():
        for file in sorted(Path(app.path, "migrations").glob("*.py")):
            found.update(f"{app.label} {file.name}".encode() + file.read_bytes())
    return found.hexdigest()[:16]
