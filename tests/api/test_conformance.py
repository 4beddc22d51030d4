"""Requests that nobody thought of, made from the OpenAPI document: none breaks the server, and every answer is as the
document says. A lead of a project that has been once round the loop sends them."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

EXAMPLES = 6  # of each operation: as many sound requests, and as many that are wrong somewhere
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture
def numbered_anew(db: None) -> None:
    """Ids that hang on no test before this one, and that no example comes upon by itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT format('ALTER SEQUENCE %I RESTART WITH 7000001', sequencename) FROM pg_sequences")
        cursor.execute(";".join(row[0] for row in cursor.fetchall()))


@pytest.fixture
def lead(api: Any, alice: Any) -> dict[str, str]:
    return {"Authorization": api(alice)._credentials["HTTP_AUTHORIZATION"]}


@pytest.fixture
def document(lead: dict[str, str]) -> Iterator[Any]:
    """Of the live application, which leaves the test's connection to the database open, as Django's own client does."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/schema/?format=json", WSGIHandler(), headers=lead)
    for signal in ends:
        signal.connect(close_old_connections)


@pytest.mark.process
def test_every_answer_is_as_the_document_says(
    numbered_anew: None, document: Any, lead: dict[str, str], world: Any
) -> None:
    wrong = []
    asked = 0
    for one in document.get_all_operations():
        operation = one.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                _try(operation, mode, lead, world)
            except Unsatisfiable:  # nothing about it can be wrong
                continue
            except (Exception, FailureGroup) as error:  # told of all of them, not of the first alone
                wrong.append(f"{operation.label} ({mode}): {_in_words(error)}")
            asked += 1
    assert asked > 150
    assert not wrong, "\n\n".join(wrong)


def _try(operation: Any, mode: GenerationMode, lead: dict[str, str], world: Any) -> None:
    numbers = iter(range(10_000))

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def send(case: Any) -> None:
        known = {name: value for name, value in world.ids.items() if name in case.path_parameters}
        if next(numbers) % 3:  # mostly of rows that there are
            case.path_parameters.update(known)
        with transaction.atomic():
            answer = case.call(headers=lead)
            transaction.set_rollback(True)  # each finds the world as it was
        case.validate_response(answer, checks=CHECKS, headers=lead)

    send()


def _in_words(error: BaseException) -> str:
    failures = error.exceptions if isinstance(error, FailureGroup) else [error]
    return "\n".join(f"{type(one).__name__}: {str(one)[:1500]}" for one in failures)
