"""A project and its named cast: alice leads, bob and bea annotate, charlie is outside."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from config import database


def pytest_configure(config: pytest.Config) -> None:
    database.start()


HERE = Path(__file__).parent
PLACES = {  # tests that start training processes, database servers or browsers, so that the others can be run alone
    HERE / "training" / "recipes": "process",
    HERE / "training" / "test_runner.py": "process",
    HERE / "api" / "test_conformance.py": "process",
    HERE / "config" / "test_postgres.py": "process",
    HERE / "journeys": "journey",
}
# Of each part of `make test`, so that no worker begins one while the other has nothing left to do.
SLOWEST_FIRST = [
    *("config/test_admin.py", "evaluation/test_rounds.py", "training/test_never_trained_on.py", "api/test_doors.py"),
    *("annotation/test_shapes_of_anything.py", "annotation/test_concurrency.py", "evaluation/test_label_errors.py"),
    *("api/test_documentation.py", "api/test_query_counts.py", "api/test_access_keys.py", "annotation/test_raters.py"),
    *("evaluation/test_round_faults.py", "evaluation/test_round_answers.py"),
    *("training/test_preflight.py", "annotation/test_there_and_back.py", "annotation/test_consensus.py"),
    *("training/test_runner.py", "api/test_conformance.py", "training/recipes/test_devices.py"),
    *("training/recipes/test_sft.py", "training/recipes/test_dpo.py", "training/recipes/test_convert.py"),
    *("config/test_upgrading.py", "training/recipes/test_caching.py", "config/test_postgres.py"),
    *("journeys/test_accessibility.py", "journeys/test_recovery.py", "journeys/test_openai_client.py"),
    *("journeys/test_loop.py", "journeys/test_hostile_input.py", "journeys/test_python_client.py"),
    *("journeys/test_runs.py", "journeys/test_bench.py", "journeys/test_importing.py"),
]


def _mark(path: Path) -> str | None:
    return next((mark for place, mark in PLACES.items() if path.is_relative_to(place)), None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files of which no test is asked for are not even read: some import torch, which takes seconds."""
    asked, mark = config.option.markexpr, _mark(collection_path)
    if mark is not None:
        return True if f"not {mark}" in asked or asked in {"process", "journey"} - {mark} else None
    return True if asked == "journey" and collection_path.is_file() else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if (mark := _mark(item.path)) is not None:
            item.add_marker(mark)
    if hasattr(config, "workerinput"):  # of pytest-xdist, which gives out whole files in this order
        sizes = Counter(item.path for item in items)
        slowest = {HERE / name: turn for turn, name in enumerate(SLOWEST_FIRST)}
        items.sort(key=lambda item: (slowest.get(item.path, len(slowest)), -sizes[item.path]))


def pytest_collection_finish() -> None:
    """Hypothesis would mix constants from our modules into its examples: from those that happen to be loaded, which
    hangs on the tests that ran before, and as they are written, which any change anywhere changes."""
    if (providers := sys.modules.get("hypothesis.internal.conjecture.providers")) is not None:
        providers._get_local_constants = lambda: providers._local_constants  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: DjangoDbBlocker
) -> None:
    from tests import template

    with django_db_blocker.unblock():
        template.use()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    from tests import emptying

    with django_db_blocker.unblock():
        emptying.use()


@pytest.fixture(autouse=True)
def _by_itself(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.cache import cache

    from annotation import logcontext
    from config.limits import Everybody, Limit

    settings.ARTIFACTS = tmp_path / "artifacts"
    cache.clear()  # who tried too often to sign in, say
    logcontext.begin()  # what the lines of the log would say of a task
    for name in ("people", "strangers"):  # what other tests asked for does not count
        monkeypatch.setattr(Everybody, name, Limit(getattr(Everybody, name).per_minute))
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _no_static_files(settings: Any) -> None:
    """Requests go past WhiteNoise, which would list every static file anew for each test's client."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith("whitenoise.")]


@pytest.fixture
def project(db: None) -> Any:
    from annotation.models import Guidelines, Project

    made = Project.objects.create(slug="desk", name="Desk", heldout_share=0.2)
    Guidelines.objects.create(project=made, number=1, text="# Be *kind*", asks_again=False)
    return made


@pytest.fixture
def member(project: Any) -> Callable[..., Any]:
    """Make a person with a role in the project: `member("bob")`, `member("alice", "lead")`."""
    from annotation.models import Membership, User

    def make(name: str, role: str = "annotator", **more: Any) -> Any:
        person = User.objects.create_user(name, password=f"{name}-has-a-secret")
        return Membership.objects.create(person=person, project=project, role=role, **more)

    return make


@pytest.fixture
def alice(member: Callable[..., Any]) -> Any:
    return member("alice", "lead")


@pytest.fixture
def bob(member: Callable[..., Any]) -> Any:
    return member("bob")


@pytest.fixture
def bea(member: Callable[..., Any]) -> Any:
    return member("bea")


@pytest.fixture
def rita(member: Callable[..., Any]) -> Any:
    return member("rita", "reviewer")


@pytest.fixture
def ruth(member: Callable[..., Any]) -> Any:
    return member("ruth", "reviewer")


@pytest.fixture
def charlie(db: None) -> Any:
    """Signed in, but in no project."""
    from annotation.models import User

    return User.objects.create_user("charlie", password="charlie-has-a-secret")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of a few layers, built offline, in Hugging Face layout."""
    from tests.tiny_model import build

    folder = tmp_path_factory.mktemp("tiny") / "model"
    build(folder)
    return folder
