"""Making pieces of work out of prompts and answers."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from annotation.models import Item, ItemResponse, Project, Prompt, Response
from annotation.models.items import Kind, Purpose
from annotation.shapes.rows import MOST_ANSWERS
from annotation.text import as_seen, sha256, sha256_of_json


def fingerprint(kind: str, prompt_sha256: str, responses: Iterable[str]) -> str:
    """Two items with the same fingerprint would ask the same thing. `responses` are hashes of texts."""
    return sha256_of_json([kind, prompt_sha256, sorted(responses)])


@transaction.atomic
def ask(
    *,
    project: Project,
    prompt: Prompt,
    kind: str,
    responses: Sequence[Response],
    purpose: str = Purpose.TRAIN,
    priority: float = 0.0,
    wanted: int | None = None,
    selection: dict[str, Any] | None = None,
) -> tuple[Item, bool]:
    """Queue one item, unless the same thing was asked already: returns it and whether it is new. It is set aside if the
    prompt or an answer is excluded.

    Raises ValueError for a comparison without two to eight answers, for answers that look the same, and for a
    demonstration with more than one.
    """
    texts = {response.sha256 for response in responses}
    if len({as_seen(response.text) for response in responses}) < len(responses):
        raise ValueError("the same answer twice")
    if kind == Kind.COMPARISON and not 2 <= len(responses) <= MOST_ANSWERS:
        raise ValueError("a comparison needs two to eight answers")
    if kind == Kind.DEMONSTRATION and len(responses) > 1:
        raise ValueError("a demonstration has one answer at most")
    aside = prompt.excluded_at is not None or any(one.excluded_at is not None for one in responses)
    item, created = Item.objects.get_or_create(
        project=project,
        fingerprint=fingerprint(kind, prompt.sha256, texts),
        defaults={
            "prompt": prompt,
            "kind": kind,
            "purpose": purpose,
            "priority": priority,
            "wanted": wanted or project.labels_per_item,
            "selection": selection or {},
            "dropped": aside,
            "set_aside": aside,
        },
    )
    if created:
        ItemResponse.objects.bulk_create(
            ItemResponse(item=item, response=response, order=order) for order, response in enumerate(responses)
        )
    return item, created


def add_response(
    *, prompt: Prompt, text: str, origin: str, edited_from: Response | None = None
) -> tuple[Response, bool]:
    """Store an answer to a prompt once: returns the row and whether it is new."""
    return Response.objects.get_or_create(
        prompt=prompt,
        sha256=sha256(text),
        defaults={"text": text, "origin": origin, "edited_from": edited_from},
    )
