"""Saying something about the next item, and being refused."""

import pytest
from django.core.exceptions import ValidationError

from annotation import labelling
from annotation.models import Judgement, Label, Response
from tests.annotation.making import lease


def submit(member, said, kind="comparison"):
    return labelling.submit(assignment=lease(member, kind), said=said)


def refusal(verb, **arguments):
    """What a verb says when it refuses; nothing was stored."""
    before = (Label.objects.count(), Judgement.objects.count(), Response.objects.count())
    with pytest.raises(ValidationError) as refused:
        verb(**arguments)
    assert (Label.objects.count(), Judgement.objects.count(), Response.objects.count()) == before
    return " ".join(refused.value.messages)
