"""Labels that are likely wrong: a reward signal that has not seen them disagrees, and is sure.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068), for pairs: the signal is fitted to the labels
of four fifths of the prompts and asked about those of the last fifth, in turn, so that no prompt vouches for itself. A
label is a candidate where the signal is as sure of the other answer as it is of nine in ten of the labels that it
agrees with; the worst come first. The two sides of a pair are alike, so one threshold serves both. The paper's
threshold is the average: among few labels of which nearly all are right, it passes over errors that stand out clearly.

The signal is the posterior over features that steers the queue (evaluation/posterior.py): a reward model in
milliseconds. Where it guesses hardly better than a coin it says nothing.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from annotation.models import Finding, Judgement, Label, Project
from annotation.models.cleaning import Check
from annotation.models.items import Kind
from evaluation import features
from evaluation.posterior import fit

FOLDS = 5
FEWEST = 40  # labels
SURE = 0.7  # at least, of the other answer
FAINTEST = 0.1  # share of the labels it agrees with of which it may be less sure
LEAST_RIGHT = 0.6  # share of the labels that the signal must foretell
MOST = 0.1  # share of the labels that can be called wrong
KEY = "label {}"


@dataclass(frozen=True)
class Vote:
    """One pair of one label, of which a person found one better."""

    label: int
    item: int
    prompt: int
    better: int
    worse: int
    weight: float


def find(*, project: Project) -> int:
    """Store likely errors as findings, and take back those nobody decided that are likely no more; returns how many
    there are."""
    suspects = likely(votes(project))
    Finding.objects.bulk_create(
        [
            Finding(
                project=project,
                kind=Check.LABEL_ERROR,
                prompt_id=one.prompt,
                key=KEY.format(one.label),
                sentence=f"People's other labels speak for the other answer: {doubt * 100:.0f} % sure.",
                score=round(doubt, 3),
                data={"label": one.label, "item": one.item, "better": one.better, "worse": one.worse},
            )
            for one, doubt in suspects
        ],
        ignore_conflicts=True,
    )
    keys = [KEY.format(one.label) for one, _ in suspects]
    Finding.objects.filter(project=project, kind=Check.LABEL_ERROR).open().exclude(key__in=keys).delete()
    return len(suspects)


def votes(project: Project) -> list[Vote]:
    """What the trainable labels say of each two answers, ties left out; those of simulated people while there are no
    others."""
    labels = Label.objects.trainable().filter(project=project, item__kind=Kind.COMPARISON)
    if not labels.exists():
        labels = Label.objects.trainable(simulated=True).filter(project=project, item__kind=Kind.COMPARISON)
    rows = Judgement.objects.filter(label__in=labels.order_by(), response__excluded_at__isnull=True)
    judged = defaultdict(list)
    fields = ("label_id", "label__item_id", "label__item__prompt_id", "response_id", "rank")
    for label, item, prompt, response, rank in rows.order_by("label_id", "response_id").values_list(*fields):
        judged[label, item, prompt].append((response, rank))
    found = []
    for (label, item, prompt), said in judged.items():
        for (one, rank), (other, other_rank) in combinations(said, 2):
            if rank != other_rank:
                better, worse = (one, other) if rank < other_rank else (other, one)
                found.append(Vote(label, item, prompt, better, worse, 2 / len(said)))
    return found


def likely(said: list[Vote]) -> list[tuple[Vote, float]]:
    """For each label that is likely wrong the pair that speaks most against it, with how sure; the worst first."""
    if len({one.label for one in said}) < FEWEST:
        return []
    responses = {pk for one in said for pk in (one.better, one.worse)}
    features.look_at(responses)
    answers = features.load(sorted(responses), reader=None)
    assert answers is not None
    values, groups = answers.seen.values, answers.seen.groups
    better, worse = (answers.places(getattr(one, side) for one in said) for side in ("better", "worse"))
    doubt = disagreement(
        values[better] - values[worse],
        np.array([one.prompt for one in said]),
        np.array([one.weight for one in said]),
        groups,
    )
    if doubt is None:
        return []
    agreed = 1 - doubt[doubt < 0.5]
    trusted = max(SURE, float(np.quantile(agreed, FAINTEST)))
    worst: dict[int, tuple[Vote, float]] = {}
    for one, share in zip(said, doubt.tolist(), strict=True):
        if share >= trusted and (one.label not in worst or share > worst[one.label][1]):
            worst[one.label] = (one, share)
    most = int(MOST * len({one.label for one in said}))
    return sorted(worst.values(), key=lambda found: -found[1])[:most]


def disagreement(
    differences: np.ndarray, prompts: np.ndarray, weights: np.ndarray, groups: np.ndarray
) -> np.ndarray | None:
    """How probable it is of each pair (n,) that the other answer is better, by a signal fitted without its prompt; None
    if that foretells too little. `differences` (n, d): features of the better answer less those of the worse."""
    _, number = np.unique(prompts, return_inverse=True)
    fold = np.random.default_rng(len(prompts)).permutation(number.max() + 1)[number] % FOLDS
    doubt = np.full(len(differences), 0.5)
    for one in range(FOLDS):
        left_out = fold == one
        if left_out.all() or not left_out.any():
            continue
        # Each pair both ways round, or every outcome would be the same.
        known = differences[~left_out]
        signal = fit(
            np.concatenate([known, -known]),
            np.concatenate([np.ones(len(known)), np.zeros(len(known))]),
            weights=np.concatenate([weights[~left_out], weights[~left_out]]) / 2,
            groups=groups,
        )
        doubt[left_out] = signal.probability(-differences[left_out])
    return doubt if float((doubt < 0.5).mean()) >= LEAST_RIGHT else None
