"""What the rows of a project can be narrowed by. Adding a filter is one entry of `FILTERS` with a label and choices (or
with a field of the same name in `browseforms.BrowseForm`), and a field in the API's `BrowseFilterSerializer`.

A filter is about rows of one level: a prompt, an item, an answer or a label. Conditions of one level hold of one and
the same row: "labelled by bob" and "flagged as off topic" ask for a label of bob's with that flag. How levels hang
together is said in `Wanted.rows`. `rare` finds the filter's rows by an index, perhaps some more besides;
annotation/browsing.py looks there first, and checks what it finds. A filter without one is only checked.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils.module_loading import import_string

from annotation.models import (
    Comment,
    Consensus,
    Gold,
    Item,
    Label,
    Project,
    Prompt,
    Response,
    Review,
    SearchText,
)
from annotation.models.items import Purpose
from annotation.models.prompts import Origin
from annotation.searching import question

PROMPT, ITEM, ANSWER, LABEL = "prompt", "item", "answer", "label"  # levels
PROMPTS, ANSWERS, LABELS = "prompts", "answers", "labels"  # what a page shows rows of
VIEWS = {PROMPTS: "Prompts", ANSWERS: "Answers", LABELS: "Labels"}
OWN = {PROMPTS: PROMPT, ANSWERS: ANSWER, LABELS: LABEL}
MODELS: dict[str, Any] = {PROMPT: Prompt, ITEM: Item, ANSWER: Response, LABEL: Label}

STATES = {
    "waiting": "Waiting for labels",
    "labelled": "Labelled by somebody",
    "complete": "All labels there",
    "review": "With the reviewers",
    "flagged": "Flagged to the leads",
    "dropped": "Dropped",
    "unasked": "Nothing asked yet",
}
LEADS_STATES = {"gold": "Gold"}  # reviewers label too, and must not learn what is gold
STANDINGS = {
    "live": "That count",
    "past": "That were revised or withdrawn",
    "revised": "That were revised since",
    "withdrawn": "That were withdrawn",
    "decision": "That decide a case",
}
AGREEMENTS = {"low": "Below 60 %", "middle": "60 to 80 %", "high": "80 % and more"}
CONFIDENCE = {"low": (0.0, 0.6), "middle": (0.6, 0.8), "high": (0.8, 1.1)}


@dataclass(frozen=True)
class Rare:
    """Rows found by an index: each has under `key` the id of a row of this level."""

    rows: QuerySet[Any]
    level: str
    key: str = "pk"


@dataclass(frozen=True)
class Filter:
    """`level` and `condition` are given the kind of rows on the page too: words are looked for elsewhere in each."""

    name: str
    level: Callable[[str, Any], str]
    condition: Callable[[str, Any], Q]
    rare: Callable[[Project, str, Any], Rare | None] = lambda project, view, value: None
    leads: bool = False  # for leads alone: it tells who wrote an answer, or what is gold
    label: str = ""  # with `choices` (value, words) the form has a field for it by itself
    choices: Callable[[Project], list[tuple[str, str]]] | None = None


def _always(level: str) -> Callable[[str, Any], str]:
    return lambda view, value: level


def _words_level(view: str, value: str) -> str:
    return ANSWER if view == ANSWERS else PROMPT


def _words(view: str, value: str) -> Q:
    texts = SearchText.objects.filter(words=question(value))
    own = texts.filter(response=OuterRef("pk")) if view == ANSWERS else texts.filter(prompt=OuterRef("pk"))
    return Q(Exists(own))


def _rare_words(project: Project, view: str, value: str) -> Rare:
    texts = SearchText.objects.filter(project=project, words=question(value))
    if view == ANSWERS:
        return Rare(texts.filter(response__isnull=False), ANSWER, "response_id")
    return Rare(texts, PROMPT, "prompt_id")


def fact(value: str) -> tuple[str, str]:
    """What "key = value" asks for.

    >>> fact("source = help desk")
    ('source', 'help desk')
    """
    key, _, said = value.partition("=")
    return key.strip(), said.strip()


def _metadata(view: str, value: str) -> Q:
    key, said = fact(value)
    return Q(pk__in=SearchText.objects.filter(response=None, facts__contains=[f"{key}={said}"]).values("prompt"))


def _rare_metadata(project: Project, view: str, value: str) -> Rare:
    key, said = fact(value)
    texts = SearchText.objects.filter(project=project, response=None, facts__contains=[f"{key}={said}"])
    return Rare(texts, PROMPT, "prompt_id")


def _live(**more: Any) -> QuerySet[Label]:
    return Label.objects.live().filter(**more)


STATE: dict[str, Q] = {
    "waiting": Q(dropped=False, taken__lt=F("wanted")),
    "labelled": Q(Exists(_live(item=OuterRef("pk")))),
    "complete": Q(dropped=False, taken__gte=F("wanted")),
    "review": Q(Exists(Review.objects.open().filter(item=OuterRef("pk")))),
    "flagged": Q(Exists(Comment.objects.open_flags().filter(item=OuterRef("pk")))),
    "dropped": Q(dropped=True),
    "gold": Q(purpose=Purpose.GOLD),
}


def _state(view: str, value: str) -> Q:
    return ~Q(Exists(Item.objects.filter(prompt=OuterRef("pk")))) if value == "unasked" else STATE[value]


def _rare_state(project: Project, view: str, value: str) -> Rare | None:
    if value == "waiting":
        return Rare(Item.objects.open().filter(project=project), ITEM)
    if value in ("labelled", "complete"):  # what is complete has labels
        return Rare(Label.objects.filter(project=project), ITEM, "item_id")
    if value == "review":
        return Rare(Review.objects.open().filter(item__project=project), ITEM, "item_id")
    if value == "flagged":
        return Rare(Comment.objects.open_flags().filter(item__project=project), ITEM, "item_id")
    if value == "dropped":
        return Rare(Item.objects.filter(project=project, dropped=True), ITEM)
    return Rare(Gold.objects.filter(item__project=project), ITEM, "item_id") if value == "gold" else None


def _agreement(view: str, value: str) -> Q:
    lower, upper = CONFIDENCE[value]
    return Q(consensus__confidence__gte=lower, consensus__confidence__lt=upper, consensus__labels__len__gte=2)


def _rare_agreement(project: Project, view: str, value: str) -> Rare:
    lower, upper = CONFIDENCE[value]
    rows = Consensus.objects.filter(confidence__gte=lower, confidence__lt=upper, item__project=project)
    return Rare(rows, ITEM, "item_id")


STANDING = {
    "live": Q(retracted_at=None, superseded_by=None),
    "past": Q(retracted_at__isnull=False) | Q(superseded_by__isnull=False),
    "revised": Q(superseded_by__isnull=False),
    "withdrawn": Q(retracted_at__isnull=False),
    "decision": Q(decision=True),
}


def _date(lookup: str) -> Callable[[str, datetime], Q]:
    return lambda view, value: Q(**{f"created_at__{lookup}": value})


def _rare_date(lookup: str) -> Callable[[Project, str, datetime], Rare | None]:
    def rare(project: Project, view: str, value: datetime) -> Rare | None:
        if view == ANSWERS:
            return None
        return Rare(MODELS[OWN[view]].objects.filter(project=project, **{f"created_at__{lookup}": value}), OWN[view])

    return rare


FILTERS = [
    Filter("q", _words_level, _words, _rare_words),
    Filter("kind", _always(ITEM), lambda view, value: Q(kind=value),
           lambda project, view, value: Rare(Item.objects.filter(project=project, kind=value), ITEM)),
    Filter("state", lambda view, value: PROMPT if value == "unasked" else ITEM, _state, _rare_state),
    Filter("agreement", _always(ITEM), _agreement, _rare_agreement),
    Filter("tag", _always(PROMPT), lambda view, value: Q(tags__contains=[value]),
           lambda project, view, value: Rare(Prompt.objects.filter(project=project, tags__contains=[value]), PROMPT)),
    Filter("language", _always(PROMPT), lambda view, value: Q(language=value),
           lambda project, view, value: Rare(Prompt.objects.filter(project=project, language=value), PROMPT)),
    Filter("split", _always(PROMPT), lambda view, value: Q(split=value)),
    Filter("metadata", _always(PROMPT), _metadata, _rare_metadata),
    Filter("person", _always(LABEL), lambda view, value: Q(person__username=value),
           lambda project, view, value: Rare(Label.objects.filter(project=project, person__username=value), LABEL)),
    Filter("flag", _always(LABEL), lambda view, value: Q(flags__contains=[value]) & ~Q(flags=[]),
           lambda project, view, value: Rare(
               Label.objects.filter(project=project, flags__contains=[value]).exclude(flags=[]), LABEL)),
    Filter("standing", _always(LABEL), lambda view, value: STANDING[value]),
    Filter("origin", _always(ANSWER), lambda view, value: Q(origin=value),
           lambda project, view, value: None if value == Origin.IMPORT else Rare(
               Response.objects.exclude(origin=Origin.IMPORT).filter(origin=value, prompt__project=project), ANSWER),
           leads=True),
    Filter("since", lambda view, value: OWN[view], _date("gte"), _rare_date("gte")),
    Filter("until", lambda view, value: OWN[view], _date("lt"), _rare_date("lt")),
]  # fmt: skip


def every() -> list[Filter]:
    """Those of this room, and of rooms above it, which know what this one must not (settings.MORE_FILTERS)."""
    return [*FILTERS, *(import_string(path) for path in settings.MORE_FILTERS)]


def names(*, lead: bool) -> set[str]:
    return {one.name for one in every() if lead or not one.leads}


@dataclass(frozen=True)
class Wanted:
    """What is asked of a project: which rows, narrowed by what, by filter's name."""

    project: Project
    view: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def given(self) -> Iterator[tuple[Filter, Any]]:
        for one in every():
            value = self.values.get(one.name)
            if value not in (None, ""):
                yield one, value

    def has(self, level: str) -> bool:
        return any(one.level(self.view, value) == level for one, value in self.given())

    def conditions(self, level: str) -> Q | None:
        """All that must hold of one row of this level; None if nothing is asked of it."""
        found: Q | None = None
        for one, value in self.given():
            if one.level(self.view, value) == level:
                condition = one.condition(self.view, value)
                found = condition if found is None else found & condition
        if found is not None and level == LABEL and self.view != LABELS and "standing" not in self.values:
            found &= STANDING["live"]
        return found

    def rares(self) -> list[Rare]:
        found = (one.rare(self.project, self.view, value) for one, value in self.given())
        return [one for one in found if one is not None]

    def rows(self) -> QuerySet[Any]:
        """The rows that fit, in no order."""
        return {PROMPTS: self._prompts, ANSWERS: self._answers, LABELS: self._labels}[self.view]()

    def _prompts(self) -> QuerySet[Prompt]:
        rows: QuerySet[Prompt] = Prompt.objects.filter(self.conditions(PROMPT) or Q(), project=self.project)
        rows = self._by_labels_or_items(rows, "item__prompt", "prompt")
        if (answer := self.conditions(ANSWER)) is not None:
            rows = rows.filter(Exists(Response.objects.filter(answer, prompt=OuterRef("pk"))))
        return rows

    def _answers(self) -> QuerySet[Response]:
        prompts = Prompt.objects.filter(self.conditions(PROMPT) or Q(), project=self.project)
        rows = Response.objects.filter(self.conditions(ANSWER) or Q())
        rows = rows.filter(Exists(prompts.filter(pk=OuterRef("prompt_id"))))
        return self._by_labels_or_items(rows, "item__answers__response", "answers__response")

    def _labels(self) -> QuerySet[Label]:
        rows = Label.objects.filter(self.conditions(LABEL) or Q(), project=self.project)
        if (item := self.conditions(ITEM)) is not None:
            rows = rows.filter(Exists(Item.objects.filter(item, pk=OuterRef("item_id"))))
        if (prompt := self.conditions(PROMPT)) is not None:
            rows = rows.filter(Exists(Prompt.objects.filter(prompt, items=OuterRef("item_id"))))
        if (answer := self.conditions(ANSWER)) is not None:
            rows = rows.filter(Exists(Response.objects.filter(answer, item_answers__item=OuterRef("item_id"))))
        return rows

    def labels(self) -> QuerySet[Label]:
        """The labels by which a row fits, without those on other rows."""
        rows = Label.objects.filter(self.conditions(LABEL) or STANDING["live"], project=self.project)
        if (item := self.conditions(ITEM)) is not None:
            rows = rows.filter(Exists(Item.objects.filter(item, pk=OuterRef("item_id"))))
        return rows

    def _by_labels_or_items(self, rows: QuerySet[Any], from_label: str, from_item: str) -> QuerySet[Any]:
        if self.conditions(LABEL) is not None:
            return rows.filter(Exists(self.labels().filter(**{from_label: OuterRef("pk")})))
        if (item := self.conditions(ITEM)) is not None:
            return rows.filter(Exists(Item.objects.filter(item, **{from_item: OuterRef("pk")})))
        return rows
