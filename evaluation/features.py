"""Answers in numbers, as they are stored: what is seen of them at once, and what the project's model makes of them.

States are read by runs of the `features` recipe, always from the full weights under the production model, so that those
of one round can be laid beside those of another. An answer that has none yet is known by its surface alone.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from annotation.models import Project, Response
from evaluation.models import AnswerFeatures
from evaluation.represent import Represented, represent
from evaluation.surface import NAMES, surface
from training.methods.answers import FEATURES_WIDTH
from training.models import ModelVersion, Run
from training.models.runs import Status

AT_ONCE = 1_000


@dataclass(frozen=True)
class Answers:
    """Answers that are known: `ids`, `prompts` and `characters` (n,), `read` (n,) whether a model has read them, and
    what they look like to a posterior."""

    ids: np.ndarray
    prompts: np.ndarray
    characters: np.ndarray
    read: np.ndarray
    seen: Represented

    def places(self, ids: Iterable[int]) -> np.ndarray:
        """Where these answers stand; -1 for those that are not known."""
        wanted = np.fromiter(ids, dtype=np.int64)
        found = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[found] == wanted, found, -1)


def reader_of(project: Project) -> ModelVersion | None:
    """The model whose states are used: the full weights under the one in production."""
    production = ModelVersion.objects.filter(project=project).production().first()
    return production.full_weights() if production else None


def look_at(responses: Collection[int], *, most: int | None = None) -> int:
    """Store what is seen of these answers (ids), `most` at a time; returns how many were new. Safe to call again."""
    unseen = Response.objects.filter(pk__in=responses, features=None).select_related("prompt").order_by("pk")
    rows = [
        AnswerFeatures(response=response, surface=surface(response.prompt.last_turn, response.text))
        for response in unseen[:most].iterator(AT_ONCE)
    ]
    AnswerFeatures.objects.bulk_create(rows, batch_size=AT_ONCE, ignore_conflicts=True)
    return len(rows)


def unread(responses: Collection[int], *, reader: ModelVersion) -> list[dict[str, Any]]:
    """Those of these answers (ids) that this model has not read, as the recipe wants them."""
    missing = Response.objects.filter(pk__in=responses).exclude(features__model_version=reader)
    return [
        {"id": response.pk, "messages": response.prompt.messages, "text": response.text}
        for response in missing.select_related("prompt").order_by("pk")
    ]


def take_in_if_read(run: Run) -> int:
    """Store what a run has read; returns how many answers: none if it read none, or did not succeed. Safe to call
    again."""
    if run.method != "features" or run.status != Status.SUCCEEDED:
        return 0
    vectors = {name: vector for name, vector in vectors_of(run).items() if isinstance(name, int)}
    look_at(list(vectors))
    rows = [
        AnswerFeatures(response_id=pk, states=vector, model_version=run.base, surface=[0.0] * len(NAMES))
        for pk, vector in vectors.items()
    ]
    AnswerFeatures.objects.bulk_update(rows, ["states", "model_version"], batch_size=AT_ONCE)
    return len(rows)


def vectors_of(run: Run) -> dict[Any, list[float]]:
    """What a run has read, by the id it was sent with: that of an answer, or a name where it is no row."""
    with (run.folder / "features.jsonl").open() as lines:
        return {row["id"]: row["vector"] for row in map(json.loads, lines)}


KNOWN = """
SELECT features.response_id, response.prompt_id, length(response.text), vector_send(features.surface),
       CASE WHEN features.model_version_id = %(reader)s THEN vector_send(features.states) END
FROM evaluation_answerfeatures features JOIN annotation_response response ON response.id = features.response_id
WHERE features.response_id = ANY(%(responses)s) ORDER BY features.response_id
"""


@dataclass(frozen=True)
class Stored:
    """What is stored of answers: `ids`, `prompts` and `characters` (n,), `surface` (n, s), and `states` (n, m), rows of
    NaN for those that the reader has not read."""

    ids: np.ndarray
    prompts: np.ndarray
    characters: np.ndarray
    surface: np.ndarray
    states: np.ndarray


def load(responses: Sequence[int], *, reader: ModelVersion | None) -> Answers | None:
    """Those of these answers (ids) of which something is stored; None if there are none."""
    found = stored(responses, reader=reader)
    if found is None:
        return None
    read = ~np.isnan(found.states).any(axis=1)
    seen = represent(found.surface, found.states if read.any() else None, found.prompts)
    return Answers(found.ids, found.prompts, found.characters, read, seen)


def stored(responses: Sequence[int], *, reader: ModelVersion | None) -> Stored | None:
    """The same as it is stored, by id.

    Vectors come as pgvector sends them: two 16-bit numbers, the width and nothing, then 32-bit floats, all big-endian.
    """
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, {"responses": list(responses), "reader": reader.pk if reader else None})
        rows = cursor.fetchall()
    if not rows:
        return None
    ids, prompts, characters, surfaces, states = zip(*rows, strict=True)
    return Stored(
        np.array(ids, np.int64),
        np.array(prompts, np.int64),
        np.array(characters, float),
        _floats(surfaces, len(NAMES)),
        _floats(states, FEATURES_WIDTH),
    )


def _floats(sent: Sequence[bytes | None], width: int) -> np.ndarray:
    """(n, width); rows of NaN where nothing was sent."""
    found = np.full((len(sent), width), np.nan)
    for row, vector in enumerate(sent):
        if vector is not None:
            found[row] = np.frombuffer(vector, ">f4", offset=4)
    return found
