"""doccano's JSONL export of sequence to sequence: a text, and what people wrote to it. Imports no Django."""

from typing import Any

from annotation.shapes.columns import Columns
from annotation.shapes.making import COMMON, demonstration, name_of, user, written
from annotation.shapes.reading import text_of
from annotation.shapes.rows import BadLine, Row, Said

NAMES = {
    **COMMON,
    "text": ("text", "data"),
    "label": ("label", "labels"),
    "rater": ("username", "user", "annotator"),
    "comments": ("Comments", "comments"),
}


def fits(record: dict[str, Any]) -> bool:
    label = record.get("label", record.get("labels"))
    return (
        isinstance(record.get("text", record.get("data")), str)
        and isinstance(label, list)
        and all(isinstance(one, str) for one in label)
    )


def read(columns: Columns, number: int) -> Row:
    """Each label is an answer that somebody wrote; where nobody is named, the second by another than the first."""
    labels = columns["label"]
    labels = [labels] if isinstance(labels, str) else labels or []
    if not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
        raise BadLine("only texts that people wrote can be kept, not classes, spans or relations")
    comments = columns["comments"]
    comment = "\n".join(one for one in comments if isinstance(one, str)) if isinstance(comments, list) else ""
    rater = name_of(columns["rater"])
    said = [
        Said(
            rater=rater if place == 1 else f"{rater} no. {place}".strip(),
            comment=text_of(comment, "comments"),
            **written(text_of(label, "label"), None),
        )
        for place, label in enumerate(labels, start=1)
    ]
    return demonstration(columns, number, user(columns["text"], "text"), None, said)
