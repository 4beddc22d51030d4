"""What blind comparisons say of one model against another: of a head to head, or else of all that was compared."""

from dataclasses import dataclass

from annotation.statistics import Interval
from evaluation import head_to_head, winrate
from evaluation.head_to_head import Standing
from evaluation.models import HeadToHead
from training.models import ModelVersion


@dataclass(frozen=True)
class Blind:
    """The share that the new model won, and that at equal length; None where nobody has compared the two. `by_people`:
    not by simulated annotators. `standing`: of the newest head to head that got as far as to ask. `is_partial`: of a
    head to head of which not all is answered, and the rate at equal length has no interval for that."""

    interval: Interval | None = None
    at_equal_length: Interval | None = None
    by_people: bool = False
    standing: Standing | None = None
    is_partial: bool = False

    @property
    def under_way(self) -> str:
        """How far a head to head is that still asks; empty if there is none."""
        if self.standing is None or self.standing.is_over:
            return ""
        return f"people are being asked, {self.standing.judged} of {self.standing.asked} prompts so far"


def of(new: ModelVersion, old: ModelVersion, *, simulated: bool) -> Blind:
    """What people said, or, with `simulated`, simulated annotators where people said nothing.

    Of a head to head if the two have met in one, whose prompts were drawn at random and whose interval holds although
    one stops when it says enough; else of all that was compared.
    """
    met = HeadToHead.objects.filter(challenger=new, champion=old, identical__isnull=False).first()
    standing = head_to_head.standing(met) if met is not None else None
    said = standing
    if met is not None and simulated and said is not None and not said.people:
        said = head_to_head.standing(met, simulated=True)
    if said is not None and (said.people or (said.silent and (said.is_over or said.decided))):
        return Blind(said.interval, said.at_equal_length, said is standing, said, not said.is_answered)
    compared = winrate.between(new, old)
    rate = compared.human or (compared.simulated if simulated else None)
    if rate is None:
        return Blind(standing=standing)
    return Blind(rate.interval, rate.at_equal_length, compared.human is not None, standing)
