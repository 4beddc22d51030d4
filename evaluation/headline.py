"""What came of a round, in one sentence. Its words claim no more than the intervals behind them."""

from annotation.statistics import Interval, percent
from evaluation import blind, lengths, scoring
from evaluation.models import Round


def of(current: Round) -> str:
    """Does the new model win, is it longer, did it forget?"""
    if current.challenger is None or current.champion is None:
        return "This round made no new model."
    said = blind.of(current.challenger, current.champion, simulated=True)
    parts = []
    if said.interval is not None:
        by = "" if said.by_people else ", judged by simulated annotators"
        parts.append(f"wins {said.interval.words()} of blind comparisons with the one before{by}")
    elif said.under_way:
        parts.append(f"is being compared with the one before ({said.under_way})")
    else:
        parts.append("has not been compared with the one before yet")
    length = lengths.growth(current.challenger, current.champion)
    if length is not None:
        parts.append(_length_words(length))
    lost = scoring.score_of(current.challenger, "forgetting")
    if lost is not None and lost.lower is not None and lost.upper is not None:
        parts.append(_forgetting_words(Interval(lost.value, lost.lower, lost.upper, lost.n)))
    words = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"The new model {words}."


def _length_words(found: Interval) -> str:
    """
    >>> _length_words(Interval(0.21, 0.12, 0.3, 40)), _length_words(Interval(-0.1, -0.15, -0.05, 40))
    ('gives 21 % longer answers', 'gives 10 % shorter answers')
    >>> _length_words(Interval(0.02, -0.04, 0.08, 90)), _length_words(Interval(0.07, -0.1, 0.27, 2))
    ('gives answers as long as before', 'gives answers as long as before, for all one can tell (-10 to +27 %)')
    """
    if abs(found.value) < 0.05 and max(-found.lower, found.upper) < 0.1:
        return "gives answers as long as before"
    if found.lower <= 0 <= found.upper:
        return f"gives answers as long as before, for all one can tell ({_span(found)})"
    return f"gives {percent(abs(found.value))} {'longer' if found.value > 0 else 'shorter'} answers"


def _forgetting_words(found: Interval) -> str:
    """
    >>> _forgetting_words(Interval(0.08, 0.03, 0.13, 60)), _forgetting_words(Interval(0.5, 0.3, 0.7, 60))
    ('has forgotten a little (+3 to +13 %)', 'has forgotten (+30 to +70 %)')
    >>> _forgetting_words(Interval(0.01, -0.01, 0.03, 60)), _forgetting_words(Interval(0.05, -0.1, 0.2, 4))
    ('forgets nothing', 'forgets nothing, for all one can tell (-10 to +20 %)')
    """
    if found.lower > 0:
        return f"has forgotten {'a little ' if found.upper < 0.15 else ''}({_span(found)})"
    return "forgets nothing" if found.upper < 0.1 else f"forgets nothing, for all one can tell ({_span(found)})"


def _span(found: Interval) -> str:
    return f"{100 * found.lower:+.0f} to {percent(found.upper, '+.0f')}"
