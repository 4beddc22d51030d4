"""What people said of held-out prompts, aggregated as preferences are: for evaluation only, and never frozen."""

from dataclasses import dataclass

from annotation import aggregating
from annotation.aggregating import Judged, Pairs, Terms, Votes
from annotation.models import Label, Project, Prompt
from annotation.models.items import Kind
from annotation.text import canonical
from training.snapshots.collecting import Row, answer, prompt_columns


@dataclass(frozen=True)
class JudgedPair:
    """What people said about one pair of answers to a held-out prompt."""

    prompt: Prompt
    texts: dict[int, str]
    votes: Votes

    def row(self, minimum_agreement: float) -> Row | None:
        """The preference row of the majority, or None if there is no majority."""
        outcomes = aggregating.of_pair(self.votes, Terms(minimum_agreement=minimum_agreement))
        if isinstance(outcomes, str):
            return None
        (found,) = outcomes
        return {
            **prompt_columns(self.prompt),
            "chosen": answer(self.texts[found.winner]),
            "rejected": answer(self.texts[self.votes.other(found.winner)]),
            "margin": found.margin,
            "agreement": found.agreement,
            "labels": found.labels,
        }


def heldout_pairs(*, project: Project, simulated: bool = False) -> list[Row]:
    """The preferences of the majority on held-out prompts."""
    rows = [pair.row(Terms().minimum_agreement) for pair in heldout_votes(project=project, simulated=simulated)]
    return sorted((row for row in rows if row is not None), key=canonical)


def heldout_votes(*, project: Project, simulated: bool = False) -> list[JudgedPair]:
    """What people said about each pair of answers to a held-out prompt."""
    labels = (
        Label.objects.counted()
        .decisive()
        .kept()
        .filter(project=project, item__kind=Kind.COMPARISON, item__prompt__split="heldout")
        .select_related("item__prompt")
        .prefetch_related("judgements__response")
        .order_by("id")
    )
    if not simulated:
        labels = labels.filter(simulated=False)
    levels = max(1, len(project.strength_levels))
    pairs: Pairs = {}
    prompts: dict[int, Prompt] = {}
    texts: dict[int, str] = {}
    for label in labels:
        judged = [one for one in label.judgements.all() if one.response.excluded_at is None]
        prompts[label.item.prompt_id] = label.item.prompt
        texts |= {one.response_id: one.response.text for one in judged}
        ranking = [Judged(one.response_id, one.rank, one.unacceptable) for one in judged]
        strength = aggregating.share_of(label.strength, levels)
        aggregating.count(pairs, label.item.prompt_id, label.pk, ranking, strength)
    return [JudgedPair(prompts[one.prompt], texts, one) for one in pairs.values()]
