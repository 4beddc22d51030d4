"""Plans that PostgreSQL keeps for a connection outlive neither the connection nor the tables they were made for."""

import pytest
from django.db import connection, transaction

from annotation import at_hand, labelling, leasing
from annotation.gold import Right, mark
from annotation.models import Label
from annotation.prepared import ask
from tests.annotation.making import a_comparison, a_demonstration, all_at_once, first_is_better, lease

pytestmark = pytest.mark.django_db(transaction=True)

OFTEN = 4  # times after which a statement is prepared


def elsewhere(sql, *values):
    """Execute this by another connection."""

    def job():
        with connection.cursor() as cursor:
            cursor.execute(sql, values)

    all_at_once(job)


@pytest.fixture
def migrate():
    """Change a column's type while we run, as a migration does; it is set right afterwards."""
    alter = "ALTER TABLE annotation_prompt ALTER COLUMN language TYPE varchar({})"
    yield lambda: elsewhere(alter.format(32))
    elsewhere(alter.format(16))


def test_people_label_on_while_a_migration_changes_a_column(project, bob, migrate):
    for _ in range(OFTEN + 4):
        a_comparison(project)
    for _ in range(OFTEN):
        labelling.submit(assignment=lease(bob), said=first_is_better())

    migrate()

    assignment = leasing.next_assignment(membership=bob, kind="comparison")  # planned in a transaction
    assert assignment is not None
    labelling.submit(assignment=assignment, said=first_is_better())
    assert Label.objects.count() == OFTEN + 1
    assert leasing.next_assignment(membership=bob, kind="comparison").item != assignment.item


def test_a_statement_outside_of_a_transaction_is_asked_again_after_a_migration(project, bob, migrate):
    a_comparison(project)
    leased = lease(bob)
    for _ in range(OFTEN):
        at_hand.read(leased.pk)

    migrate()

    assert at_hand.read(leased.pk)[0] == leased
    with transaction.atomic():
        assert at_hand.read(leased.pk, lock=True)[0] == leased


def test_a_connection_that_the_server_has_ended_is_noticed_before_the_first_statement(db):
    assert ask("SELECT 1 AS one", {}) == [(1,)]
    gone = connection.connection.info.backend_pid
    connection.close_if_unusable_or_obsolete()  # a request begins
    elsewhere("SELECT pg_terminate_backend(%s, 10000)", gone)

    assert ask("SELECT 1 AS one", {}) == [(1,)]
    assert connection.connection.info.backend_pid != gone


def test_the_way_to_gold_is_planned_for_its_project(project, bob):
    """A plan for the average of many small projects would read every open item of a large one."""
    a_demonstration(project)
    mark(item=a_demonstration(project), right=Right(verdicts=["accept"]))
    for share in (0.0, 1.0):
        project.gold_share = share
        project.save()
        bob.refresh_from_db()
        for _ in range(OFTEN):
            leased = lease(bob, "demonstration")
            assert (leased.item.purpose == "gold") == bool(share)
            leasing.release(assignment=leased)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT statement LIKE '%NOT gold.quiz%' FROM pg_prepared_statements WHERE statement LIKE '%candidate%'"
        )
        assert cursor.fetchall() == [(False,)]
