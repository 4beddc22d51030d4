"""Simulated annotators on a project: to plan with, and to try the loop with before people come.

Their taste is what people's labels taught so far. For a plan each simulation draws another taste from what is known, so
that the interval holds our doubt about it.
"""

import math
from collections.abc import Callable, Sequence
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
MOST_ITEMS = 20_000
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

    Asked are the project's training comparisons, of two answers or more, judged or not. Raises ValidationError if
    there are too few.
    """
    items = _items(project)
    answers = sorted({pk for item in items for pk in item})
    features.look_at(answers)
    known = steering.know(project, also=answers)
    loaded = known.answers if known else features.load(answers, reader=features.reader_of(project))
    if loaded is None or len(np.unique(loaded.prompts[loaded.places(answers)])) < FEWEST_PROMPTS:
        raise ValidationError(f"A plan needs comparisons of {FEWEST_PROMPTS} prompts or more: import some, or sample.")
    shown = [loaded.places(item) for item in items]
    pairs = np.concatenate([list(combinations(item, 2)) for item in shown])
    of_item = np.repeat(np.arange(len(shown)), [math.comb(len(item), 2) for item in shown])
    first, second = pairs.T
    posterior = known.posterior if known else prior(loaded.seen.groups)
    differences = loaded.seen.values[first] - loaded.seen.values[second]
    costs = np.array([LOOKING + loaded.characters[item].sum() / READ_PER_SECOND for item in shown])[of_item]
    root = np.linalg.cholesky(posterior.covariance)
    curves: dict[str, list[list[float]]] = {"random": [], DEFAULT: []}
    for number in range(simulations):
        random = np.random.default_rng([seed, number])
        taste = posterior.mean + root @ random.standard_normal(len(root))
        values = loaded.seen.values @ taste
        lists = [(values[item], loaded.characters[item]) for item in shown]
        said = _say_all(lists, manner or Manner(), random, ties=project.ties_allowed)
        truth = 0.5 + 0.5 * np.sign(values[first] - values[second])
        pool = Labelled(differences, said, truth, loaded.prompts[first], costs, loaded.seen.groups, of_item, pairs)
        for selector, found in curves.items():
            found.append(learning_curve(pool, selector=selector, total=budget, seed=seed + number))
        say(f"Simulation {number + 1} of {simulations}.")
    return {selector: plan(found, level) for selector, found in curves.items()}


def _say_all(lists: Sequence[tuple[Array, Array]], manner: Manner, random: np.random.Generator, *, ties: bool) -> Array:
    """Of each item, in an order and with its answers in places drawn by lot, every pair one after the other: 1 where
    the first answer is preferred, a half for a tie. `lists`: the items' values (k,) and lengths (k,)."""
    said: list[list[float]] = [[] for _ in lists]
    for done, number in enumerate(random.permutation(len(lists))):
        values, lengths = lists[number]
        order = random.permutation(len(values))
        shown = manner.ranking(values[order], lengths[order], done=done % REST_AFTER, random=random, ties=ties)
        ranks = np.array(shown.ranks)[np.argsort(order)]
        said[number] = [0.5 + 0.5 * float(np.sign(worse - better)) for better, worse in combinations(ranks, 2)]
    return np.concatenate(said)


def _items(project: Project) -> list[list[int]]:
    """The answers (ids) of each training comparison."""
    items = Item.objects.filter(
        project=project, kind=Kind.COMPARISON, purpose=Purpose.TRAIN, prompt__split=Split.TRAIN
    ).order_by("-pk")[:MOST_ITEMS]
    shown: dict[int, list[int]] = {pk: [] for pk in items.values_list("pk", flat=True)}
    for item, response in ItemResponse.objects.filter(item__in=list(shown)).values_list("item_id", "response_id"):
        shown[item].append(response)
    return [sorted(responses) for responses in shown.values() if len(responses) > 1]


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
    """Let a simulated annotator rank comparisons of two to eight answers, as a person would, with the taste that
    people's labels taught, or, while they taught too little, for what is longer. Fewer come back if the queue ends.

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
        ranks, strength = manner.ranking(
            values,
            lengths,
            done=len(given) % REST_AFTER,
            random=random,
            ties=project.ties_allowed,
            levels=len(project.strength_levels),
        )
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
