"""What Browse shows of each row: fetched for a whole page in a handful of statements."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.utils.module_loading import import_string

from annotation.filters import ANSWERS, LABELS, PROMPTS, Wanted
from annotation.models import Event, Item, Label, Membership, Prompt, Response, SearchText
from annotation.models.events import IN_BULK
from annotation.models.items import Purpose
from annotation.models.people import Role
from annotation.searching import Part, excerpt, pattern, question

WORDS = {"waiting": "Waiting", "complete": "Complete", "dropped": "Dropped", "gold": "Gold"}
MOST_EVENTS = 50


@dataclass
class Row:
    """`row` is a prompt, an answer or a label; `text` is what was found of it, and `also` of an answer to it."""

    row: Any
    prompt: Prompt
    text: list[Part]
    also: list[Part] = field(default_factory=list)
    chips: list[tuple[str, str]] = field(default_factory=list)  # state, words
    answers: int = 0
    labels: int = 0
    models: list[str] = field(default_factory=list)
    order: list[int] = field(default_factory=list)  # of the answers (ids) on the prompt's page
    suggested: list[Any] = field(default_factory=list)  # tags that models suggest and nobody has decided, for leads


def rows(*, wanted: Wanted, found: Collection[int], member: Membership) -> list[Row]:
    """These rows (ids) in this order, as the member may see them: who wrote an answer and what is gold is for leads."""
    lead = member.at_least(Role.LEAD)
    asked = str(wanted.values.get("q", ""))
    looked_for = pattern(asked) if asked else None
    make = {PROMPTS: _prompts, ANSWERS: _answers, LABELS: _labels}[wanted.view]
    by_id = make(list(found), asked, looked_for, lead)
    return [by_id[pk] for pk in found if pk in by_id]


def _prompts(found: list[int], asked: str, looked_for: re.Pattern[str] | None, lead: bool) -> dict[int, Row]:
    prompts = Prompt.objects.in_bulk(found)
    answers = _counts(Response.objects.filter(prompt__in=found), "prompt_id")
    labels = _counts(Label.objects.live().filter(item__prompt__in=found), "item__prompt_id")
    chips: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for item in Item.objects.filter(prompt__in=found).only("prompt", "kind", "purpose", "dropped", "taken", "wanted"):
        chips[item.prompt_id].add(chip(item, lead))
    also = _found_in_answers(found, asked) if asked else {}
    suggested = suggested_tags(found) if lead else {}
    return {
        pk: Row(
            row=prompt,
            prompt=prompt,
            text=_conversation(prompt, looked_for),
            also=excerpt(also[pk], looked_for) if pk in also else [],
            chips=sorted(chips[pk]),
            answers=answers.get(pk, 0),
            labels=labels.get(pk, 0),
            suggested=suggested.get(pk, []),
        )
        for pk, prompt in prompts.items()
    }


def _answers(found: list[int], asked: str, looked_for: re.Pattern[str] | None, lead: bool) -> dict[int, Row]:
    answers = Response.objects.select_related("prompt").in_bulk(found)
    judged = _counts(Label.objects.live().filter(item__answers__response__in=found), "item__answers__response_id")
    models = written_by(found) if lead else {}
    suggested = suggested_tags([answer.prompt_id for answer in answers.values()]) if lead else {}
    return {
        pk: Row(
            row=answer,
            prompt=answer.prompt,
            text=excerpt(answer.text, looked_for, 320),
            chips=[("", answer.get_origin_display())] if lead else [],
            labels=judged.get(pk, 0),
            models=models.get(pk, []),
            suggested=suggested.get(answer.prompt_id, []),
        )
        for pk, answer in answers.items()
    }


def _labels(found: list[int], asked: str, looked_for: re.Pattern[str] | None, lead: bool) -> dict[int, Row]:
    labels = Label.objects.select_related("person", "project", "item__prompt", "superseded_by", "response")
    rows = labels.prefetch_related("judgements", "item__answers").in_bulk(found)
    return {
        pk: Row(
            row=label,
            prompt=label.item.prompt,
            text=_conversation(label.item.prompt, looked_for),
            order=[one.response_id for one in label.item.answers.all()],
        )
        for pk, label in rows.items()
    }


def _counts(rows: Any, path: str) -> dict[int, int]:
    return dict(rows.order_by().values_list(path).annotate(n=Count("pk", distinct=True)))


def _conversation(prompt: Prompt, looked_for: re.Pattern[str] | None) -> list[Part]:
    """Of the turn in which something was found; of the last one otherwise. What many prompts begin with names none."""
    turns = [str(turn.get("content", "")) for turn in prompt.messages if turn.get("role") != "system"]
    hit = next((text for text in reversed(turns) if looked_for and looked_for.search(text)), prompt.last_turn)
    return excerpt(hit, looked_for)


def _found_in_answers(prompts: list[int], asked: str) -> dict[int, str]:
    """For each prompt the first answer in which the words stand."""
    hits = SearchText.objects.filter(prompt__in=prompts, response__isnull=False, words=question(asked))
    pairs = hits.order_by("prompt_id", "response_id").distinct("prompt_id").values_list("prompt_id", "response__text")
    return dict(pairs)


def chip(item: Item, lead: bool) -> tuple[str, str]:
    """What an item is and how far, in two words. Gold looks to reviewers as it looks to whoever judges it."""
    state = "waiting" if item.taken < item.wanted else "complete"
    if item.dropped:
        state = "dropped"
    elif lead and item.purpose == Purpose.GOLD:
        state = "gold"
    look = {"gold": "production", "complete": "done"}.get(state, "")
    return look, f"{item.get_kind_display()}: {WORDS[state].lower()}"


def written_by(responses: Collection[int]) -> dict[int, list[str]]:
    """The models that gave these answers (ids), for leads."""
    found: dict[int, list[str]] = import_string(settings.WRITTEN_BY)(responses)
    return found


def suggested_tags(prompts: Collection[int]) -> dict[int, list[Any]]:
    """The tags that models suggest for these prompts (ids), with how sure they are, for leads."""
    found: dict[int, list[Any]] = import_string(settings.SUGGESTED_TAGS)(prompts)
    return found


def history(prompt: Prompt, items: Sequence[Item], labels: Sequence[Label]) -> list[Event]:
    """What was done to a prompt, its items and its labels, newest first; changes of many rows among them."""
    targets = [f"prompt:{prompt.pk}", *(f"item:{one.pk}" for one in items), *(f"label:{one.pk}" for one in labels)]
    own = Event.objects.filter(target__in=targets, project=prompt.project_id).order_by("-pk")[:MOST_EVENTS]
    bulk = Event.objects.filter(verb__in=IN_BULK, data__contains={"prompts": [prompt.pk]}, project=prompt.project_id)
    together = {event.pk: event for rows in (own, bulk.order_by("-pk")[:MOST_EVENTS]) for event in rows}
    found = Event.objects.filter(pk__in=together).select_related("actor").order_by("-pk")
    return list(found[:MOST_EVENTS])


def of_prompt(prompt: Prompt, member: Membership) -> dict[str, Any]:
    """All there is to say about one prompt."""
    lead = member.at_least(Role.LEAD)
    answers = list(prompt.responses.order_by("pk"))
    items = list(prompt.items.prefetch_related("answers", "comments").order_by("pk"))
    labels = list(
        Label.objects.filter(item__in=items)
        .select_related("person", "project", "item", "superseded_by", "response")
        .prefetch_related("judgements")
        .order_by("-pk")
    )
    models = written_by([one.pk for one in answers]) if lead else {}
    numbered = list(enumerate(answers, start=1))
    numbers = {answer.pk: number for number, answer in numbered}
    by_item: dict[int, list[Label]] = defaultdict(list)
    for label in labels:
        by_item[label.item_id].append(label)
    return {
        "answers": [
            (number, one, models.get(one.pk, [])) for one, number in zip(answers, numbers.values(), strict=True)
        ],
        "items": [
            {
                "item": item,
                "chip": chip(item, lead),
                "order": [one.response_id for one in item.answers.all()],
                "shown": [numbers[one.response_id] for one in item.answers.all() if one.response_id in numbers],
                "labels": by_item[item.pk],
                "comments": list(item.comments.all()),
                "gold": lead and item.purpose == Purpose.GOLD,
            }
            for item in items
        ],
        "history": history(prompt, items, labels),
        "suggested": suggested_tags([prompt.pk]).get(prompt.pk, []) if lead else [],
    }
