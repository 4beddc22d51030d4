"""Model versions by how often people preferred their answers to those of other versions."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, product

from annotation.models import Label, Project
from annotation.models.items import Kind, Purpose
from evaluation.statistics import Interval, wilson
from training.models import ModelVersion, Sample


@dataclass
class Standing:
    """A version's record in judged pairs against other versions."""

    version: ModelVersion
    wins: int = 0
    losses: int = 0
    ties: int = 0

    @property
    def rate(self) -> Interval:
        """Share of pairs won, a tie counting half, with its 95 % interval."""
        return wilson(self.wins + self.ties / 2, self.wins + self.losses + self.ties)


def standings(project: Project, *, simulated: bool = False) -> list[Standing]:
    """Every version that met another in a judged pair, best first.

    A pair counts once for each live label. It is left out when one version gave both answers. Pairs were chosen
    to be asked, not drawn at random, so the rates describe these pairs and not the models in general.
    """
    authors: defaultdict[int, set[int]] = defaultdict(set)
    samples = Sample.objects.filter(generation__project=project, response__judgements__isnull=False).distinct()
    for response, version in samples.values_list("response_id", "generation__model_version_id"):
        authors[response].add(version)
    labels = Label.objects.live().filter(project=project, item__kind=Kind.COMPARISON).order_by("id")
    labels = labels.exclude(item__purpose=Purpose.GOLD)
    if not simulated:
        labels = labels.filter(simulated=False)
    versions = ModelVersion.objects.filter(project=project).in_bulk()
    found = {pk: Standing(version) for pk, version in versions.items()}
    for label in labels.prefetch_related("judgements").iterator(chunk_size=500):
        for one, other in combinations(label.judgements.all(), 2):
            first, second = authors[one.response_id], authors[other.response_id]
            if first & second:
                continue
            for a, b in product(first, second):
                if one.rank == other.rank:
                    found[a].ties += 1
                    found[b].ties += 1
                else:
                    won, lost = (a, b) if one.rank < other.rank else (b, a)
                    found[won].wins += 1
                    found[lost].losses += 1
    met = [standing for standing in found.values() if standing.wins + standing.losses + standing.ties]
    return sorted(met, key=lambda standing: (-standing.rate.value, standing.version.pk))
