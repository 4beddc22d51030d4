"""Simulated annotators on a project: to plan with, and to try the loop with before people come.

Their taste is what people's labels taught so far. For a plan each simulation draws another taste from what is known, so
that the interval holds our doubt about it.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError

from annotation import labelling, leasing
from annotation.labelling import Said
from annotation.models import Item, ItemResponse, Label, Membership, Project, Response, User
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Split
from evaluation import features, steering
from evaluation.annotators import Manner
from evaluation.planning import Labelled, Plan, learning_curve, plan
from evaluation.posterior import Array, prior
from evaluation.selectors import DEFAULT
from evaluation.surface import LOOKING, READ_PER_SECOND, reading_seconds

FEWEST_PROMPTS = 20
MOST_PAIRS = 20_000
REST_AFTER = 100  # labels, after which nobody is tired any more
NOBODYS = "simulated-annotator"


def how_many(
    *,
    project: Project,
    level: float,
    budget: int = 1000,
    simulations: int = 20,
    manner: Manner | None = None,
    seed: int = 17,
    say: Callable[[str], object] = lambda line: None,
) -> dict[str, Plan]:
    """Labels until `level` of unseen pairs are predicted right, asked by the default selector and at random.

    Pairs are those of the project's training comparisons, asked or not. Raises ValidationError if there are too few.
    """
    pairs = _pairs(project)
    answers = sorted({pk for pair in pairs for pk in pair})
    features.look_at(answers)
    known = steering.know(project, also=answers)
    loaded = known.answers if known else features.load(answers, reader=features.reader_of(project))
    if loaded is None or len(np.unique(loaded.prompts[loaded.places(answers)])) < FEWEST_PROMPTS:
        raise ValidationError(f"A plan needs comparisons of {FEWEST_PROMPTS} prompts or more: import some, or sample.")
    first, second = (loaded.places(pair[side] for pair in pairs) for side in (0, 1))
    posterior = known.posterior if known else prior(loaded.seen.groups)
    differences = loaded.seen.values[first] - loaded.seen.values[second]
    lengths = np.stack([loaded.characters[first], loaded.characters[second]], axis=1)
    costs = LOOKING + lengths.sum(axis=1) / READ_PER_SECOND
    root = np.linalg.cholesky(posterior.covariance)
    curves: dict[str, list[list[float]]] = {"random": [], DEFAULT: []}
    for number in range(simulations):
        random = np.random.default_rng([seed, number])
        taste = posterior.mean + root @ random.standard_normal(len(root))
        values = np.stack([loaded.seen.values[first] @ taste, loaded.seen.values[second] @ taste], axis=1)
        said = _say_all(values, lengths, manner or Manner(), random)
        truth = 0.5 + 0.5 * np.sign(values[:, 0] - values[:, 1])
        pool = Labelled(differences, said, truth, loaded.prompts[first], costs, loaded.seen.groups)
        for selector, found in curves.items():
            found.append(learning_curve(pool, selector=selector, total=budget, seed=seed + number))
        say(f"Simulation {number + 1} of {simulations}.")
    return {selector: plan(found, level) for selector, found in curves.items()}


def _say_all(values: Array, lengths: Array, manner: Manner, random: np.random.Generator) -> Array:
    """Of each pair, in an order and on sides drawn by lot: 1 where the first answer is preferred, a half for a tie.
    `values` and `lengths` (n, 2)."""
    said = np.empty(len(values))
    for done, place in enumerate(random.permutation(len(values))):
        sides = random.permutation(2)
        ranks = manner.ranks(values[place, sides], lengths[place, sides], done=done % REST_AFTER, random=random)
        first, second = (ranks[int(side)] for side in np.argsort(sides))
        said[place] = 0.5 if first == second else float(first < second)
    return said


def _pairs(project: Project) -> list[tuple[int, int]]:
    items = Item.objects.filter(
        project=project, kind=Kind.COMPARISON, purpose=Purpose.TRAIN, prompt__split=Split.TRAIN
    ).order_by("-pk")[:MOST_PAIRS]
    shown: dict[int, list[int]] = {pk: [] for pk in items.values_list("pk", flat=True)}
    for item, response in ItemResponse.objects.filter(item__in=list(shown)).values_list("item_id", "response_id"):
        shown[item].append(response)
    return [pair for responses in shown.values() for pair in combinations(sorted(responses), 2)]


def annotator(project: Project, name: str = NOBODYS) -> Membership:
    """The project's simulated annotator of this name, who can never sign in. Raises ValidationError if it is a
    person's name."""
    person, _ = User.objects.get_or_create(username=name, defaults={"password": make_password(None)})
    if person.has_usable_password():
        raise ValidationError(f"{name} is a person: choose another name for a simulated annotator.")
    member, _ = Membership.objects.get_or_create(project=project, person=person, defaults={"simulated": True})
    if not member.simulated:
        raise ValidationError(f"{name} is a person here: choose another name for a simulated annotator.")
    return member


def label(
    *, project: Project, labels: int, name: str = NOBODYS, manner: Manner | None = None, seed: int = 17
) -> list[Label]:
    """Let a simulated annotator give labels on comparisons, as a person would, with the taste that people's labels
    taught, or, while they taught too little, for what is longer. Fewer come back if the queue ends.

    Raises ValidationError if the name is a person's.
    """
    member = annotator(project, name)
    manner = manner or Manner()
    random = np.random.default_rng(seed)
    waiting = Item.objects.open().filter(project=project, kind=Kind.COMPARISON)
    answers = set(ItemResponse.objects.filter(item__in=waiting).values_list("response_id", flat=True))
    features.look_at(answers)
    known = steering.know(project, also=sorted(answers))
    given: list[Label] = []
    while len(given) < labels:
        assignment = leasing.next_assignment(membership=member, kind=Kind.COMPARISON)
        if assignment is None:
            break
        shown = assignment.shown()
        lengths = [len(answer.text) for answer in shown]
        values = _values(known, shown)
        ranks = manner.ranks(values, lengths, done=len(given) % REST_AFTER, random=random)
        strength = None if ranks.count(1) > 1 else 1
        said = Said(ranks=ranks, strength=strength, seconds=round(reading_seconds(*(one.text for one in shown)), 1))
        given.append(labelling.submit(assignment=assignment, said=said))
    return given


def _values(known: steering.Knowledge | None, shown: list[Response]) -> list[float]:
    """What the answers are worth to the taste; where people taught none of these, the logarithm of their length."""
    if known is not None:
        places = known.answers.places(answer.pk for answer in shown)
        if (places >= 0).all():
            return (known.answers.seen.values[places] @ known.posterior.mean).tolist()
    return [float(np.log1p(len(answer.text))) for answer in shown]
