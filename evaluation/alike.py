"""Answers that the project's model reads alike, for Browse (settings.ALIKE): nearest by its hidden states.

Rounds have answers read (evaluation/features.py). States of another model are never compared with these. All of a
project's are looked at, which is exact and costs PostgreSQL 44 ms for a hundred thousand; beyond that, words decide.
"""

from pgvector.django import L2Distance

from annotation.models import Response
from evaluation import features
from evaluation.models import AnswerFeatures

MOST_READ = 100_000


def nearest(response: Response, most: int) -> list[int] | None:
    """Ids of the answers whose states are nearest to this one's; None where the model in use has not read it, or too
    many others.

    By Euclidean distance: states of all answers share a large part, which makes every angle small.
    """
    reader = features.reader_of(response.prompt.project)
    own = AnswerFeatures.objects.filter(response=response, model_version=reader, states__isnull=False).first()
    if own is None:
        return None
    others = AnswerFeatures.objects.filter(model_version=reader).exclude(pk=own.pk)
    if others[:MOST_READ].count() == MOST_READ:
        return None
    found = others.alias(distance=L2Distance("states", own.states)).order_by("distance", "pk")
    return list(found.values_list("pk", flat=True)[:most])
