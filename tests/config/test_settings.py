"""One settings file driven by the environment: what it makes, and what it refuses in production."""

import os
import runpy
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import database, paths, postgres

REPOSITORY = Path(__file__).parents[2]
KEY = "k3y-" * 15
SAFE = {
    "TOUCHSTONE_ENV": "production",
    "TOUCHSTONE_ALLOWED_HOSTS": "desk.example, www.desk.example",
    "TOUCHSTONE_SECRET_KEY": KEY,
}


def without_ours() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TOUCHSTONE_", "DATABASE_", "SENTRY_"))
    }


@pytest.fixture(autouse=True)
def _no_static_files():
    """There are some here."""


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Read the settings as if the process had started with this environment alone."""

    def read(**environment: str) -> SimpleNamespace:
        with monkeypatch.context() as patch:
            for name in os.environ.keys() - without_ours().keys():
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(paths, "VAR", Path(environment.get("TOUCHSTONE_VAR", tmp_path / "var")))
            return SimpleNamespace(**runpy.run_path(str(REPOSITORY / "config" / "settings.py")))

    return read


@pytest.fixture
def start(tmp_path):
    """Start Django in a process of its own; it prints its secret key."""

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from config import settings; print(settings.SECRET_KEY)"],
            cwd=REPOSITORY,
            env=without_ours() | {"TOUCHSTONE_VAR": str(tmp_path / "var")} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


# Production


def test_production_starts_with_safe_settings(load):
    settings = load(**SAFE)
    assert settings.ALLOWED_HOSTS == ["desk.example", "www.desk.example"]
    assert not settings.DEBUG
    assert settings.SESSION_COOKIE_SECURE
    assert settings.CSRF_COOKIE_SECURE
    assert settings.SECURE_SSL_REDIRECT
    assert settings.SECRET_KEY == KEY


@pytest.mark.parametrize(
    ("unsafe", "named"),
    [
        ({"TOUCHSTONE_ALLOWED_HOSTS": ""}, "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_ALLOWED_HOSTS": " , "}, "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_ALLOWED_HOSTS": "*"}, "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_ALLOWED_HOSTS": "desk.example,*"}, "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_SECRET_KEY": "changeme"}, "TOUCHSTONE_SECRET_KEY"),
        ({"TOUCHSTONE_SECRET_KEY": "x" * 49}, "TOUCHSTONE_SECRET_KEY"),
        ({"TOUCHSTONE_DEBUG": "1"}, "TOUCHSTONE_DEBUG"),
        ({"TOUCHSTONE_METRICS_TOKEN": "short"}, "TOUCHSTONE_METRICS_TOKEN"),
        ({"TOUCHSTONE_LOG_FORMAT": "xml"}, "TOUCHSTONE_LOG_FORMAT"),
        ({"SENTRY_DSN": "nowhere"}, "SENTRY_DSN"),
        ({"TOUCHSTONE_ENV": "Production"}, "TOUCHSTONE_ENV"),
        ({"TOUCHSTONE_ENV": "prod"}, "TOUCHSTONE_ENV"),
    ],
)
def test_production_refuses_what_is_unsafe_and_says_which(load, unsafe, named):
    with pytest.raises(ImproperlyConfigured, match=named):
        load(**SAFE | unsafe)


def test_production_refuses_a_short_key_that_somebody_wrote_into_the_file(load, tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "secret_key").write_text("changeme\n")
    with pytest.raises(ImproperlyConfigured, match="secret_key is unsafe"):
        load(**SAFE | {"TOUCHSTONE_SECRET_KEY": ""})


def test_a_process_that_is_refused_does_not_print_its_secrets(start):
    refused = start(**SAFE | {"TOUCHSTONE_SECRET_KEY": "changeme"})
    assert refused.returncode != 0
    assert "TOUCHSTONE_SECRET_KEY is unsafe" in refused.stderr.splitlines()[-1]
    assert "changeme" not in refused.stderr
    refused = start(**SAFE, DATABASE_URL="mysql://ann:hush-hush@db/desk")
    assert refused.returncode != 0
    assert "DATABASE_URL must look like" in refused.stderr.splitlines()[-1]
    assert "hush-hush" not in refused.stderr


# Development


def test_development_needs_nothing_and_answers_only_to_this_machine(load):
    settings = load()
    assert settings.ALLOWED_HOSTS == ["localhost", "127.0.0.1", "[::1]"]
    assert not settings.DEBUG
    assert not hasattr(settings, "SECURE_SSL_REDIRECT")


def test_development_can_show_what_went_wrong(load):
    assert load(TOUCHSTONE_DEBUG="1").DEBUG


def test_development_serves_static_files_as_they_are_and_warns_of_nothing(client, recwarn):
    served = client.get("/static/css/base.css")
    assert b"".join(served.streaming_content)
    assert [str(one.message) for one in recwarn if one.category is UserWarning] == []


def test_production_still_warns_when_nothing_was_collected(load, settings, client):
    settings.STATIC_ROOT = load(**SAFE).STATIC_ROOT
    with pytest.warns(UserWarning, match="No directory at"):
        client.get("/sign-in/")


# The secret key


def test_the_key_is_drawn_once_and_only_its_owner_can_read_it(load, tmp_path):
    first = load().SECRET_KEY
    kept = tmp_path / "var" / "secret_key"
    assert len(first) >= 50
    assert kept.read_text() == first
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert first == load().SECRET_KEY
    assert first == load(**SAFE | {"TOUCHSTONE_SECRET_KEY": ""}).SECRET_KEY
    assert [file.name for file in kept.parent.iterdir()] == ["secret_key"]


def test_two_installations_have_different_keys(load, tmp_path):
    assert (
        load(TOUCHSTONE_VAR=str(tmp_path / "one")).SECRET_KEY != load(TOUCHSTONE_VAR=str(tmp_path / "two")).SECRET_KEY
    )


def test_the_key_of_the_environment_comes_first_and_is_not_kept(load, tmp_path):
    assert load(TOUCHSTONE_SECRET_KEY=KEY).SECRET_KEY == KEY
    assert not (tmp_path / "var" / "secret_key").exists()


def test_processes_that_start_at_once_have_the_same_key(start, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        keys = {process.stdout.strip() for process in pool.map(lambda _: start(), range(4))}
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


def test_the_address_of_the_environment_comes_before_the_embedded_server(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann@db/desk?sslmode=require")
    found = database.settings(pool=False)
    assert (found["NAME"], found["HOST"], found["OPTIONS"]) == (
        "desk",
        "db",
        {"prepare_threshold": 2, "sslmode": "require"},
    )
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


def test_models_answer_at_a_socket_whose_path_is_never_too_long(load, tmp_path):
    short, deep = tmp_path / "var", tmp_path / ("deep/" * 30) / "var"
    for var in (short, deep):
        found = load(TOUCHSTONE_VAR=str(var)).SERVING_SOCKET
        assert len(os.fsencode(found)) <= postgres.SOCKET_PATH_LIMIT
        assert found == load(TOUCHSTONE_VAR=str(var)).SERVING_SOCKET
    assert short / "serving.sock" == load(TOUCHSTONE_VAR=str(short)).SERVING_SOCKET


# Signing in


def test_a_second_factor_is_asked_of_leads_or_all(load):
    assert [load(TOUCHSTONE_SECOND_FACTOR=who).SECOND_FACTOR for who in ("", "leads", "all")] == ["", "leads", "all"]
    with pytest.raises(ImproperlyConfigured, match="TOUCHSTONE_SECOND_FACTOR"):
        load(TOUCHSTONE_SECOND_FACTOR="everybody")


def test_letters_and_the_provider_come_from_the_environment(load):
    settings = load()
    assert (settings.MAIL, settings.OIDC_NAME) == ({}, "")
    assert settings.EMAIL_BACKEND.endswith("dummy.EmailBackend")
    settings = load(TOUCHSTONE_EMAIL_URL="smtp://mail.example", TOUCHSTONE_OIDC="Company|https://id.example|desk|hush")
    assert (settings.EMAIL_HOST, settings.EMAIL_USE_TLS, settings.OIDC_NAME) == ("mail.example", True, "Company")
    assert not settings.OIDC_SIGN_UP
    with pytest.raises(ImproperlyConfigured, match="https://") as refused:
        load(**SAFE, TOUCHSTONE_OIDC="Company|http://id.example|desk|hush")
    assert "hush" not in str(refused.value)


def test_sessions_and_passwords_are_strict(load):
    settings = load(**SAFE)
    assert settings.SESSION_COOKIE_AGE == 7 * 24 * 3600
    assert settings.SESSION_COOKIE_SECURE
    assert settings.CSRF_COOKIE_SECURE
    assert settings.SESSION_COOKIE_HTTPONLY
    assert (
        settings.SESSION_COOKIE_SAMESITE == "Lax"
    )  # not Strict: people come by links in letters, and from the provider
    assert settings.SECURE_SSL_REDIRECT
    assert settings.SECURE_HSTS_SECONDS >= 31_536_000
    assert (settings.SECURE_HSTS_INCLUDE_SUBDOMAINS, settings.SECURE_HSTS_PRELOAD) == (True, True)
    assert (settings.X_FRAME_OPTIONS, settings.SECURE_CONTENT_TYPE_NOSNIFF) == ("DENY", True)
    assert len(settings.AUTH_PASSWORD_VALIDATORS) == 4
    assert settings.PASSWORD_HASHERS[0] == "config.hashing.Argon2"
    assert {"min_length": 12} in [one["OPTIONS"] for one in settings.AUTH_PASSWORD_VALIDATORS]


def test_the_log_is_for_people_or_for_programs(load):
    assert load().LOGGING["handlers"]["console"]["formatter"] == "line"
    assert load(TOUCHSTONE_LOG_FORMAT="json").LOGGING["handlers"]["console"]["formatter"] == "json"


def test_metrics_are_for_nobody_unless_there_is_a_token(load):
    assert load().METRICS_TOKEN == ""
    assert load(TOUCHSTONE_METRICS_TOKEN="t" * 20).METRICS_TOKEN == "t" * 20
