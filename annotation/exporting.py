"""Taking labelled data out: one row for each item with a live label, gold left out, read in a stream."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.utils.crypto import salted_hmac

from annotation.models import Item, ItemResponse, Judgement, Label, Project
from annotation.models.items import Kind

BATCH = 200  # items in memory at once


def labelled_rows(*, project: Project, kind: str = "") -> Iterator[dict[str, Any]]:
    """The project's labelled items with their answers and every vote, oldest first.

    People appear under pseudonyms. Memory stays flat, however many rows there are.
    """
    judgements = Prefetch("judgements", Judgement.objects.order_by("position"))
    labels = Label.objects.live().select_related("response__prompt").prefetch_related(judgements).order_by("id")
    items: QuerySet[Item] = (
        Item.objects.work()
        .filter(Exists(Label.objects.live().filter(item=OuterRef("pk"))), project=project)
        .select_related("prompt")
        .prefetch_related(
            Prefetch("answers", ItemResponse.objects.select_related("response").order_by("order")),
            Prefetch("labels", labels, to_attr="live_labels"),
        )
        .order_by("id")
    )
    if kind:
        items = items.of_kind(kind)  # type: ignore[attr-defined]
    for item in items.iterator(chunk_size=BATCH):
        yield _row(item, project)


def pseudonym(*, project: Project, person_id: int) -> str:
    """The same for a person throughout a project, and of no use outside this server."""
    return salted_hmac("touchstone.export", f"{project.pk}:{person_id}", algorithm="sha256").hexdigest()[:12]


def _row(item: Item, project: Project) -> dict[str, Any]:
    prompt = item.prompt
    return {
        "item": item.pk,
        "kind": item.kind,
        "purpose": item.purpose,
        "split": prompt.split,
        "language": prompt.language,
        "tags": prompt.tags,
        "excluded": prompt.excluded_because,
        "prompt": prompt.messages,
        "answers": [
            {
                "id": one.response_id,
                "text": one.response.text,
                "origin": one.response.origin,
                "excluded": one.response.excluded_because,
            }
            for one in item.answers.all()
        ],
        "labels": [said(label, item.kind, project) for label in item.live_labels],  # type: ignore[attr-defined]
    }


def said(label: Label, kind: str, project: Project) -> dict[str, Any]:
    """What one person said of one item."""
    row: dict[str, Any] = {
        "id": label.pk,
        "person": pseudonym(project=project, person_id=label.person_id),
        "simulated": label.simulated,
        "decision": label.decision,
        "comment": label.comment,
        "criteria": label.criteria,
        "flags": label.flags,
        "seconds": label.seconds,
        "created_at": label.created_at.isoformat(),
        "text": label.response.text if label.response else None,
    }
    if kind == Kind.DEMONSTRATION:
        row["verdict"] = label.verdict
        if label.response and label.response.prompt_id != label.item.prompt_id:  # earlier turns were mended
            row["prompt"] = label.response.prompt.messages
        return row
    votes = [
        {"answer": one.response_id, "position": one.position, "rank": one.rank, "unacceptable": one.unacceptable}
        for one in label.judgements.all()
    ]
    return {**row, "strength": label.strength, "votes": votes}
