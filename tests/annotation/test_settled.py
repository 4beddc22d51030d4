"""A row that is still being written is not passed over, and transactions that write elsewhere keep nobody waiting."""

import threading
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from annotation import cleaning, copying, settled
from annotation.models import Finding, Project, Prompt
from tests.annotation.making import a_demonstration, a_prompt, all_at_once

pytestmark = pytest.mark.django_db(transaction=True)
PROMPTS = Prompt._meta.db_table
PATIENCE = 30  # seconds until a test that should end by itself is called stuck


@contextmanager
def _under_way(write):
    """What `write` does is not committed before the end, by a connection of its own."""
    written, over = threading.Event(), threading.Event()

    def work():
        try:
            with transaction.atomic():
                write()
                written.set()
                assert over.wait(PATIENCE)
        finally:
            written.set()
            connection.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        assert written.wait(PATIENCE)
        yield over
    finally:
        over.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_what_somebody_is_writing_is_waited_for(project):
    with _under_way(lambda: a_prompt(project, "Earlier, but seen later")) as over:
        later = a_prompt(project, "Later, and seen at once")
        _, found = all_at_once(over.set, lambda: settled.newest(PROMPTS))
    assert found == [later.pk]
    assert Prompt.objects.filter(pk__lte=found[0]).count() == 2


def test_ids_that_were_drawn_are_waited_for_before_anything_is_written(project):
    """As an import draws them, while it puts its rows together."""
    with _under_way(lambda: copying.draw_ids(Prompt, 3)):
        a_prompt(project, "Later, and seen at once")
        assert settled.newest(PROMPTS, patience=0) is None


def test_while_much_is_brought_in_nothing_is_called_checked(project):
    cleaning.ask(project=project, wake=False)
    with _under_way(lambda: a_demonstration(project, "Dear [NAME], thank you.")):
        assert cleaning.check(project=project, seconds=0)
        assert cleaning.progress(project).busy
        assert cleaning.progress(project).checked_at is None
    assert cleaning.check(project=project)
    assert not cleaning.progress(project).busy
    assert Finding.objects.get().kind == "placeholder"


def test_who_writes_elsewhere_is_not_waited_for(project):
    with _under_way(lambda: Project.objects.create(slug="other", name="Other")):
        assert settled.newest(PROMPTS, patience=0) == [0]


def test_a_vacuum_that_waits_for_a_table_is_not_waited_for(project):
    """As it does when it would give a table's empty end back while somebody reads it: with a lock that has an id."""

    def lock_as_vacuum_does():
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {PROMPTS} IN SHARE UPDATE EXCLUSIVE MODE; SELECT pg_current_xact_id()")

    with _under_way(lock_as_vacuum_does):
        assert settled.newest(PROMPTS, patience=0) == [0]
