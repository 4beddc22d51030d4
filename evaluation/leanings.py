"""Whether a model's wins may owe something to what is not its answers' worth: the side they stood on, their length."""

from collections import defaultdict
from dataclasses import dataclass

from annotation.models import Judgement, Label
from annotation.models.items import Kind, Purpose
from annotation.statistics import Interval, wilson
from training.models import ModelVersion, Sample

MARGIN = 0.1  # beyond one half before it is called unusual, as in the watch over people


@dataclass(frozen=True)
class Leaning:
    """A share of a model's wins over other models' answers; `words` say if it is unusual."""

    name: str
    share: Interval
    words: str = ""


def of_model(version: ModelVersion) -> list[Leaning]:
    """Of the pairs that an answer of this version won against one it did not give: how often it stood left (the sides
    are drawn by lot), and how often it was the longer one. Items count, as in win rates."""
    mine = set(Sample.objects.filter(generation__model_version=version).values_list("response_id", flat=True))
    judged = Judgement.objects.filter(response__in=mine).values("label")
    labels = Label.objects.counted().decisive().filter(pk__in=judged, item__kind=Kind.COMPARISON)
    labels = labels.exclude(item__purpose=Purpose.GOLD).prefetch_related("judgements__response")
    left: dict[int, list[float]] = defaultdict(list)
    longer: dict[int, list[float]] = defaultdict(list)
    for label in labels:
        rows = list(label.judgements.all())
        for one in rows:
            for other in rows:
                if one.response_id in mine and other.response_id not in mine and one.rank < other.rank:
                    left[label.item_id].append(float(one.position < other.position))
                    sizes = len(one.response.text), len(other.response.text)
                    if sizes[0] != sizes[1]:
                        longer[label.item_id].append(float(sizes[0] > sizes[1]))
    found = []
    for name, groups, words in (
        ("Its winning answers stood left", left, "People may be clicking the left one: look at the bias watch."),
        (
            "Its winning answers were the longer ones",
            longer,
            "It may win by length: see the rate at equal length.",
        ),
    ):
        if groups:
            share = wilson(sum(sum(one) / len(one) for one in groups.values()), len(groups))
            found.append(Leaning(name, share, words if share.lower > 0.5 + MARGIN else ""))
    return found
