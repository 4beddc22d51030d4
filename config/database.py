"""Where the database is: `DATABASE_URL`, or the embedded server under `var/postgres/`."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from config import postgres


def folder() -> Path:
    """The embedded server's data folder."""
    from config.paths import VAR

    return VAR / "postgres"


def start() -> None:
    """Make sure the embedded server runs for as long as this process does; nothing with `DATABASE_URL`."""
    if not os.environ.get("DATABASE_URL"):
        postgres.start(folder())


def settings(*, pool: bool) -> dict[str, Any]:
    """Django's `DATABASES["default"]`.

    `pool` keeps open connections for a threaded server; processes that fork after start must not have one.
    """
    address = os.environ.get("DATABASE_URL")
    database: dict[str, Any] = parse(address) if address else {**postgres.parameters(folder())}
    options: dict[str, Any] = {"prepare_threshold": 2, **database.pop("OPTIONS", {})}  # of annotation/prepared.py
    if pool:
        options["pool"] = {"min_size": 1, "max_size": 8, "timeout": 30}
    return {
        "ENGINE": "django.db.backends.postgresql",
        **database,
        "OPTIONS": options,
        "CONN_MAX_AGE": 0 if pool else 600,
        "CONN_HEALTH_CHECKS": not pool,
    }


def parse(address: str) -> dict[str, Any]:
    """Split `postgresql://user:password@host:port/name?sslmode=require` into Django's keys.

    Raises ValueError for any other scheme or for an address without a database name.

    >>> parse("postgresql://ann:p%40ss@db:5433/touchstone?sslmode=require")["PASSWORD"]
    'p@ss'
    """
    parts = urlsplit(address)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in {"postgres", "postgresql"} or not name:
        raise ValueError("DATABASE_URL must look like postgresql://user:password@host:5432/name")
    return {
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }
