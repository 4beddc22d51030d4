"""Model versions by how often people preferred their answers to those of other versions."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import permutations

from annotation.models import Label, Project
from annotation.models.items import Kind, Purpose
from evaluation import winrate
from evaluation.winrate import Verdict, WinRate
from training.models import ModelVersion, Sample


@dataclass(frozen=True)
class Standing:
    """A version's record against all other versions it met; counted as a win rate between two is."""

    version: ModelVersion
    record: WinRate


def standings(project: Project, *, simulated: bool = False) -> list[Standing]:
    """Every version that met another in a judged item, best first.

    Items count, as in `winrate`: the votes on one are averaged first. An answer that both versions gave speaks for
    neither. Items were chosen to be asked, not drawn at random, so the rates describe these items and not the
    models in general.
    """
    authors: defaultdict[int, set[int]] = defaultdict(set)
    samples = Sample.objects.filter(generation__project=project, response__judgements__isnull=False).distinct()
    for response, version in samples.values_list("response_id", "generation__model_version_id"):
        authors[response].add(version)
    labels = Label.objects.counted().decisive().filter(project=project, item__kind=Kind.COMPARISON).order_by("id")
    labels = labels.exclude(item__purpose=Purpose.GOLD)
    if not simulated:
        labels = labels.filter(simulated=False)
    said: defaultdict[int, list[Verdict]] = defaultdict(list)
    for label in labels.prefetch_related("judgements").iterator(chunk_size=500):
        gave: defaultdict[int, set[int]] = defaultdict(set)  # by version, of the answers judged here
        for one in label.judgements.all():
            for version in authors[one.response_id]:
                gave[version].add(one.response_id)
        for version, other in permutations(gave, 2):
            verdict = winrate.verdict_of(label, gave[version] - gave[other], gave[other] - gave[version])
            if verdict is not None:
                said[version].append(verdict)
    versions = ModelVersion.objects.in_bulk(said)
    records = ((version, winrate.rate(verdicts)) for version, verdicts in said.items())
    found = [Standing(versions[version], record) for version, record in records if record is not None]
    return sorted(found, key=lambda standing: (-standing.record.interval.value, standing.version.pk))
