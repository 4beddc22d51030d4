"""What a test that commits leaves behind goes, even what is append-only; what `migrate` wrote stays."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django_q.models import Schedule

from annotation import labelling
from annotation.models import Label, User
from tests.annotation.making import a_comparison, first_is_better, lease
from tests.emptying import empty, filled


@pytest.mark.django_db(transaction=True)
def test_rows_of_tests_go_and_what_migrating_wrote_stays(project, bob):
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    written = [model.objects.count() for model in (ContentType, Schedule)]
    assert {Label._meta.db_table, User._meta.db_table} <= set(filled())
    empty()
    assert filled() == []
    assert [model.objects.count() for model in (ContentType, Schedule)] == written
    assert min(written) > 0
