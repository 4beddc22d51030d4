"""Figures in people's words."""

from django import template

from annotation import statistics
from annotation.statistics import Interval
from evaluation import report, second_opinion
from evaluation.models import Evaluation, Score

register = template.Library()

MEANINGS = {
    "reward accuracy": "how often it prefers the answer that people preferred; 50 % is tossing a coin",
    "longer answer wins": "what one would get by always taking the longer answer",
    "agreement of people": "how often two people agree: hardly more can be expected",
    "brier score": "0 is perfect foresight, 0.25 is tossing a coin",
    "calibration error": "by how much it is surer than it is right, on average",
    "preference accuracy": "whether its answers moved towards what people preferred; 50 % is not at all",
    "perplexity of good answers": "how surprised it is by what people wrote or approved; lower is better",
    "perplexity of good answers, base": "the same of the model it came from",
    "forgetting": "how much more surprised than the base model it is by general questions and plain text",
    "distance from base": "nats for each token of its answers; 0 is the base model itself",
    "words per answer": "to held-out prompts",
    "length growth over base": "its answers against the base model's to the same prompts",
    "empty answers": "without a word; against an answer with words they have lost",
    "repetitive answers": "that say the same thing again and again",
    "refusals": "that decline to answer",
    "answers cut off": "that did not end by themselves",
    "wins by cross-fitted reward": "against the model before, by a reward model that has learned from other prompts",
    "wins by cross-fitted reward at equal length": "the same once length is taken out",
    "accuracy of cross-fitted reward": "how often that reward model is right on pairs it has not seen",
}


@register.filter
def figure(score: Score) -> str:
    return report.figure(score)


@register.filter
def meaning(score: Score) -> str:
    return MEANINGS.get(score.name, "")


@register.filter
def sentences(opinion: Evaluation) -> list[str]:
    return second_opinion.sentences(opinion)


@register.filter
def percent(part: float | None) -> str:
    """A share without an interval: 71 %.

    >>> percent(0.706), percent(None)
    ('71 %', '–')
    """
    return "–" if part is None else statistics.percent(part)


@register.filter
def share(found: Interval | None) -> str:
    """An interval of a share: 71 % (60 to 80 %)."""
    return found.words() if found is not None else ""


@register.filter
def change(found: Interval | None) -> str:
    """An interval of a growth: +2.0 % (-1.0 to +5.0 %)."""
    return found.words("+.1f") if found is not None else ""


@register.filter
def worth(score: Score | None) -> str:
    """What a question was worth on average: 0.31 (0.28 to 0.34)."""
    return _with_ends(score, "{:.2f}")


@register.filter
def signed_worth(score: Score | None) -> str:
    """The same of a difference: +0.02 (-0.01 to +0.05)."""
    return _with_ends(score, "{:+.2f}")


def _with_ends(score: Score | None, form: str) -> str:
    if score is None:
        return ""
    value, lower, upper = (None if one is None else form.format(one) for one in (score.value, score.lower, score.upper))
    return f"{value} ({lower} to {upper})" if lower else str(value)
