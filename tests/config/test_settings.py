"""One settings file driven by the environment: what it makes, and what it refuses in production."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config import database, postgres

REPOSITORY = Path(__file__).parents[2]
KEY = "k3y-" * 15
SAFE = {
    "TOUCHSTONE_ENV": "production",
    "TOUCHSTONE_ALLOWED_HOSTS": "desk.example, www.desk.example",
    "TOUCHSTONE_SECRET_KEY": KEY,
}


@pytest.fixture
def load(tmp_path):
    """Load the settings in a process of their own, and print something of them."""

    def run(show: str = "'loaded'", **environment: str) -> subprocess.CompletedProcess[str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("TOUCHSTONE_", "DATABASE_"))}
        return subprocess.run(
            [sys.executable, "-c", f"from config import settings; print({show})"],
            cwd=REPOSITORY,
            env=ours | {"TOUCHSTONE_VAR": str(tmp_path / "var")} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def shown(process: subprocess.CompletedProcess[str]) -> str:
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def refused(process: subprocess.CompletedProcess[str]) -> str:
    """The last line of the complaint, which is what a person reads first."""
    assert process.returncode != 0, f"it started: {process.stdout}"
    return process.stderr.strip().splitlines()[-1]


# Production


def test_production_starts_with_safe_settings(load):
    show = "settings.DEBUG, settings.ALLOWED_HOSTS, settings.SESSION_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT"
    assert shown(load(show, **SAFE)) == "False ['desk.example', 'www.desk.example'] True True".replace(" ", " ")


def test_production_passes_djangos_own_deployment_check(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOUCHSTONE_")}
    subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=REPOSITORY,
        env=environment | {"TOUCHSTONE_VAR": str(tmp_path), "DATABASE_URL": "postgresql://nobody@nowhere/none"} | SAFE,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("unsafe", "names"),
    [
        ({"TOUCHSTONE_ALLOWED_HOSTS": ""}, "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_ALLOWED_HOSTS": " , "}, "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_ALLOWED_HOSTS": "*"}, "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_ALLOWED_HOSTS": "desk.example,*"}, "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_SECRET_KEY": "changeme"}, "TOUCHSTONE_SECRET_KEY"),
        ({"TOUCHSTONE_SECRET_KEY": "x" * 49}, "TOUCHSTONE_SECRET_KEY"),
        ({"TOUCHSTONE_DEBUG": "1"}, "TOUCHSTONE_DEBUG"),
        ({"TOUCHSTONE_ENV": "Production"}, "TOUCHSTONE_ENV"),
        ({"TOUCHSTONE_ENV": "prod"}, "TOUCHSTONE_ENV"),
        ({"DATABASE_URL": "sqlite:///db.sqlite3"}, "DATABASE_URL"),
    ],
)
def test_production_refuses_what_is_unsafe_and_says_which(load, unsafe, names):
    assert names in refused(load(**SAFE | unsafe))


def test_production_refuses_a_short_key_that_somebody_wrote_into_the_file(load, tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "secret_key").write_text("changeme")
    complaint = refused(load(**SAFE | {"TOUCHSTONE_SECRET_KEY": ""}))
    assert str(tmp_path / "var" / "secret_key") in complaint
    assert "changeme" not in complaint


def test_a_refusal_does_not_print_the_key(load):
    assert "changeme" not in load(**SAFE | {"TOUCHSTONE_SECRET_KEY": "changeme"}).stderr


# Development


def test_development_needs_nothing_and_answers_only_to_this_machine(load):
    show = "settings.DEBUG, settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT if 'SECURE_SSL_REDIRECT' in "
    show += "vars(settings) else None"
    assert shown(load(show)) == "False ['localhost', '127.0.0.1', '[::1]'] None"


def test_development_can_show_what_went_wrong(load):
    assert shown(load("settings.DEBUG", TOUCHSTONE_DEBUG="1")) == "True"


# The secret key


def test_the_key_is_drawn_once_and_only_its_owner_can_read_it(load, tmp_path):
    first = shown(load("settings.SECRET_KEY"))
    kept = tmp_path / "var" / "secret_key"
    assert len(first) >= 50
    assert kept.read_text() == first
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert shown(load("settings.SECRET_KEY")) == first
    assert [file.name for file in kept.parent.iterdir()] == ["secret_key"]


def test_two_checkouts_have_different_keys(load, tmp_path):
    keys = {shown(load("settings.SECRET_KEY", TOUCHSTONE_VAR=str(tmp_path / name))) for name in ("one", "two")}
    assert len(keys) == 2


def test_production_may_use_the_drawn_key(load):
    assert len(shown(load("settings.SECRET_KEY", **SAFE | {"TOUCHSTONE_SECRET_KEY": ""}))) >= 50


def test_the_key_of_the_environment_comes_first_and_is_not_kept(load, tmp_path):
    assert shown(load("settings.SECRET_KEY", TOUCHSTONE_SECRET_KEY=KEY)) == KEY
    assert not (tmp_path / "var" / "secret_key").exists()


def test_processes_that_start_at_once_have_the_same_key(load, tmp_path):
    with ThreadPoolExecutor(6) as pool:
        keys = {shown(process) for process in pool.map(lambda _: load("settings.SECRET_KEY"), range(6))}
    assert keys == {(tmp_path / "var" / "secret_key").read_text()}
    assert [file.name for file in (tmp_path / "var").iterdir()] == ["secret_key"]


# The database's address


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("postgresql://ann:secret@db:5433/desk", ("desk", "ann", "secret", "db", "5433", {})),
        ("postgres://ann@db/desk", ("desk", "ann", "", "db", "", {})),
        ("postgresql:///desk", ("desk", "", "", "", "", {})),
        ("postgresql://a%40n:p%3A%2F%40%25s@db/d%20k", ("d k", "a@n", "p:/@%s", "db", "", {})),
        ("postgresql://ann@[::1]:5432/desk", ("desk", "ann", "", "::1", "5432", {})),
        (
            "postgresql://db/desk?sslmode=verify-full&connect_timeout=3",
            ("desk", "", "", "db", "", {"sslmode": "verify-full", "connect_timeout": "3"}),
        ),
        (
            "postgresql://ann@/desk?host=%2Fvar%2Frun&port=5433",
            ("desk", "ann", "", "", "", {"host": "/var/run", "port": "5433"}),
        ),
    ],
)
def test_an_address_is_taken_apart(address, parts):
    assert tuple(database.parse(address).values()) == parts


@pytest.mark.parametrize(
    "address", ["", "desk", "sqlite:///desk", "mysql://db/desk", "postgresql://db", "postgresql://db/", "postgresql:/"]
)
def test_an_address_that_is_none_of_postgresql_is_refused(address):
    with pytest.raises(ValueError, match="DATABASE_URL must look like postgresql://"):
        database.parse(address)


def test_a_refused_address_does_not_print_its_password(load):
    process = load(DATABASE_URL="mysql://ann:hush-hush@db/desk")
    assert "DATABASE_URL" in refused(process)
    assert "hush-hush" not in process.stderr


def test_the_address_of_the_environment_comes_before_the_embedded_server(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann@db/desk?sslmode=require")
    found = database.settings(pool=False)
    assert (found["NAME"], found["HOST"], found["OPTIONS"]) == ("desk", "db", {"sslmode": "require"})
    monkeypatch.delenv("DATABASE_URL")
    found = database.settings(pool=False)
    assert found["HOST"] == postgres.parameters(database.folder())["HOST"]


def test_a_pool_and_lasting_connections_do_not_go_together():
    with_pool, without = database.settings(pool=True), database.settings(pool=False)
    assert "max_size" in with_pool["OPTIONS"]["pool"]
    assert with_pool["CONN_MAX_AGE"] == 0
    assert "pool" not in without["OPTIONS"]
    assert without["CONN_MAX_AGE"] > 0


def test_the_embedded_servers_own_address_leads_back_to_it(tmp_path):
    parsed = database.parse(postgres.url(tmp_path))
    options = {key.upper(): value for key, value in parsed["OPTIONS"].items()}
    assert {**parsed, **options}.items() >= postgres.parameters(tmp_path).items()
