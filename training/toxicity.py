"""Reading a project's texts for toxicity, with a classifier that a lead names; what it found are findings like others.

The model needs torch, so it reads as a run on the gpu cluster (training/recipes/toxicity.py), after all other runs.
Every text is read once: `ToxicityScore` keeps how toxic it is, and a threshold only says which of them are findings.
By the clock a run begins once texts are there that were not read, an hour after the one before; one that failed or was
stopped is followed by none until somebody asks. A run holds a device, so it reads so many texts and no more; if some
are left the next follows it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Left
from django.urls import reverse
from django.utils import timezone

from annotation.models import Cleaning, Event, Finding, Project, Prompt, Response, User
from annotation.models.cleaning import Check, Decision
from annotation.models.events import record
from training import runs
from training.methods import TOXICITY
from training.methods.answers import TOXICITY_CHARACTERS
from training.models import ModelVersion, Run, ToxicityPolicy, ToxicityScore
from training.models.registry import ModelKind
from training.models.runs import Status

THRESHOLD, LEAST, MOST = 0.5, 0.01, 0.99
MOST_TEXTS = 20_000  # in one run
MOST_UNREAD = 100_000  # of which it is told how many there are
REST = timedelta(hours=1)  # between two runs by the clock
AFTER_ALL = -10  # priority of its runs
AT_ONCE = 500
LONGEST_LABEL = 64
NAMES = {  # of labels that mean toxic wherever they are used
    *("toxic", "toxicity", "severe_toxic", "severe_toxicity", "obscene", "threat", "insult"),
    *("identity_hate", "identity_attack", "hate", "hateful", "offensive"),
}


@dataclass(frozen=True)
class Standing:
    """How far the reading is. `unread` stops at MOST_UNREAD; `ended` is the last run with this model and labels."""

    policy: ToxicityPolicy | None
    read: int = 0
    found: int = 0
    unread: int = 0
    run: Run | None = None
    ended: Run | None = None

    @property
    def failed(self) -> bool:
        """Whether no run begins by the clock, for the last one did not come to its end."""
        return self.run is None and self.ended is not None and self.ended.status != Status.SUCCEEDED


def proposed(labels: Sequence[str]) -> list[str]:
    """Those that mean toxic by their name.

    >>> proposed(["LABEL_1", "neutral", "Severe Toxic", "identity-hate"])
    ['Severe Toxic', 'identity-hate']
    """
    return [label for label in labels if label.lower().replace(" ", "_").replace("-", "_") in NAMES]


def readers(project: Project) -> QuerySet[ModelVersion]:
    """The models that can read: classifiers of which it is on record what they tell apart."""
    return ModelVersion.objects.filter(project=project, kind=ModelKind.CLASSIFIER, card__has_key="labels")


def policy_of(project: Project) -> ToxicityPolicy | None:
    return ToxicityPolicy.objects.select_related("model_version", "project").filter(project=project).first()


@transaction.atomic
def set_policy(
    *,
    project: Project,
    model: ModelVersion,
    labels: Sequence[str] | None = None,
    threshold: float = THRESHOLD,
    actor: User | None = None,
) -> ToxicityPolicy:
    """Read the project's texts with this classifier; without `labels` those count that mean toxic by their name.

    With another model, or other labels, everything is read anew. Raises ValidationError for a model that is no
    classifier of the project's, for labels that it does not have, for none, and for a threshold out of range.
    """
    if not readers(project).filter(pk=model.pk).exists():
        raise ValidationError(f"{model} is no classifier of this project: import a model that classifies texts.")
    known = model.card["labels"]
    chosen = proposed(known) if labels is None else [label for label in known if label in labels]
    if strange := sorted(set(labels or ()) - set(known)):
        raise ValidationError(f"{model} has no label “{strange[0]}”; it has {', '.join(known[:20])}.")
    if not chosen:
        none = "says toxic by its name" if labels is None else "was chosen"
        raise ValidationError(f"None of its labels ({', '.join(known[:20])}) {none}: choose those that mean toxic.")
    if not LEAST <= threshold <= MOST:
        raise ValidationError(f"The probability is one from {LEAST} to {MOST}.")
    _lock(project)
    policy = policy_of(project)
    if policy is None or (policy.model_version, policy.labels) != (model, chosen):
        _forget(project, actor)
        policy = ToxicityPolicy(project=project, model_version=model, labels=chosen)
    policy.threshold = threshold
    policy.save()
    said = {"model": model.pk, "labels": chosen, "threshold": threshold}
    record("toxicity policy changed", policy, project=project, actor=actor, **said)
    judge(policy)
    return policy


@transaction.atomic
def stop(*, project: Project, actor: User | None = None) -> bool:
    """Read no more for toxicity. Open findings go, what was decided stays; False if nothing was read anyway."""
    _lock(project)
    if not ToxicityPolicy.objects.filter(project=project).exists():
        return False
    _forget(project, actor)
    record("toxicity policy removed", project, project=project, actor=actor)
    return True


def _lock(project: Project) -> None:
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _forget(project: Project, actor: User | None) -> None:
    """The policy, what was read by it and the open findings. Runs before the policy: a run that ends locks them so."""
    for run in _runs(project).open():
        runs.cancel(run=run, actor=actor)
    policies = ToxicityPolicy.objects.filter(project=project)
    policies.select_for_update().first()
    policies.delete()
    Finding.objects.filter(project=project, kind=Check.TOXICITY).open().delete()


# What is to be read


def unread(policy: ToxicityPolicy) -> tuple[QuerySet[Prompt], QuerySet[Response]]:
    """Kept prompts and answers that were not read yet."""
    of_prompt = ToxicityScore.objects.filter(prompt=OuterRef("pk"), response=None)
    of_answer = ToxicityScore.objects.filter(prompt=OuterRef("prompt"), response=OuterRef("pk"))
    prompts = Prompt.objects.kept().filter(~Exists(of_prompt), project=policy.project_id)
    answers = Response.objects.kept().filter(~Exists(of_answer), prompt__project=policy.project_id)
    return prompts, answers


def _is_any_unread(policy: ToxicityPolicy) -> bool:
    return any(rows.exists() for rows in unread(policy))


def standing(project: Project) -> Standing:
    policy = policy_of(project)
    if policy is None:
        return Standing(None)
    mine = _runs_of(policy)
    return Standing(
        policy,
        read=policy.scores.count(),
        found=policy.scores.filter(value__gte=policy.threshold).count(),
        unread=sum(rows[:MOST_UNREAD].count() for rows in unread(policy)),
        run=mine.open().first(),
        ended=mine.exclude(pk__in=mine.open()).first(),
    )


def _runs(project: Project) -> Any:
    return Run.objects.filter(project=project, method=TOXICITY.name)


def _runs_of(policy: ToxicityPolicy) -> Any:
    """Newest first; those of an earlier time, when the same model was named and taken back again, are not its own."""
    named = Event.objects.filter(target=f"{policy._meta.model_name}:{policy.pk}").order_by("pk").values("created_at")
    mine = _runs(policy.project).filter(base=policy.model_version, inputs__labels=policy.labels)
    return mine.filter(created_at__gte=Subquery(named[:1])).select_related("project").order_by("-pk")


@transaction.atomic
def start(*, project: Project, actor: User | None = None, wake: bool = True) -> Run:
    """Queue a run that reads what is unread. Raises ValidationError if no model is named, if a run is on its way, or if
    everything was read."""
    _lock(project)
    policy = policy_of(project)
    if policy is None:
        raise ValidationError("No classifier is named that reads for toxicity: name one first.")
    if _runs(project).open().exists():
        raise ValidationError("A run that reads for toxicity is on its way already.")
    if not _is_any_unread(policy):
        raise ValidationError("Every text was read already.")
    return runs.start(
        project=project,
        method=TOXICITY.name,
        base=policy.model_version,
        inputs={"labels": policy.labels},
        plan=runs.Plan(priority=AFTER_ALL),
        actor=actor,
        wake=wake,
    )


def start_if_due(project: Project) -> bool:
    """By the clock: whether a run was started."""
    policy = policy_of(project)
    if policy is None or _runs(project).open().exists():
        return False
    last = _runs_of(policy).first()
    if last is not None and (last.status != Status.SUCCEEDED or last.finished_at > timezone.now() - REST):
        return False
    return _try_to_start(project)


def start_if_asked(*, project: Project) -> int:
    """With the other checks, when somebody wants everything checked now: how many runs were started."""
    asked = Cleaning.objects.filter(project=project, asked_at__isnull=False).select_related("asked_by").first()
    return int(asked is not None and _try_to_start(project, asked.asked_by))


def go_on(run: Run) -> bool:
    """After a run that read all it may: whether the next one was started for the rest."""
    if run.method != TOXICITY.name or run.status != Status.SUCCEEDED or not run.metrics.get("texts"):
        return False
    policy = policy_of(run.project)
    return policy is not None and _is_of(run, policy) and _try_to_start(run.project)


def _try_to_start(project: Project, actor: User | None = None) -> bool:
    try:
        start(project=project, actor=actor)
    except ValidationError:  # nothing is left to read, or somebody was faster
        return False
    return True


def _is_of(run: Run, policy: ToxicityPolicy) -> bool:
    return (run.base_id, run.inputs.get("labels")) == (policy.model_version_id, policy.labels)


# What a run reads, and what becomes of it


def write_texts(run: Run, path: Path) -> None:
    """What a run is to read, a line for each answer and each turn of a user, at most MOST_TEXTS; none if the policy has
    changed since it was queued."""
    policy = policy_of(run.project)
    with path.open("w", encoding="utf-8") as file:
        for name, text in _texts(policy) if policy is not None and _is_of(run, policy) else ():
            file.write(json.dumps({"id": name, "text": text}) + "\n")


def _texts(policy: ToxicityPolicy) -> Iterator[tuple[str, str]]:
    prompts, answers = unread(policy)
    left, most = MOST_TEXTS, TOXICITY_CHARACTERS + 1  # by the one more the run knows that it was longer
    for pk, messages in prompts.order_by("pk").values_list("pk", "messages")[:left].iterator(AT_ONCE):
        left -= 1
        for turn, message in enumerate(messages):
            if message["role"] == "user":
                yield f"prompt {pk} {turn}", message["content"][:most]
    beginnings = answers.order_by("pk").values_list("pk", "prompt_id", Left("text", most))
    for pk, prompt, text in beginnings[:left].iterator(AT_ONCE):
        yield f"answer {prompt} {pk}", text


def take_in(run: Run, path: Path) -> None:
    """Store what a run has read and the findings that follow from it, unless the policy is another by now. Safe to call
    again."""
    policy = ToxicityPolicy.objects.select_for_update().filter(project=run.project).first()
    if policy is None or not _is_of(run, policy):
        return
    worst: dict[tuple[int, int | None], ToxicityScore] = {}
    with path.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            kind, prompt, number = row["id"].split()
            of_answer = kind == "answer"
            score = ToxicityScore(
                policy=policy,
                prompt_id=int(prompt),
                response_id=int(number) if of_answer else None,
                turn=None if of_answer else int(number),
                value=row["score"],
                label=row["label"][:LONGEST_LABEL],
                start=row["start"],
                end=row["end"],
            )
            text = score.prompt_id, score.response_id
            if text not in worst or score.value > worst[text].value:
                worst[text] = score
    ToxicityScore.objects.bulk_create(worst.values(), batch_size=AT_ONCE, ignore_conflicts=True)
    judge(policy)


FOUND = """
INSERT INTO annotation_finding (project_id, kind, prompt_id, response_id, key, turn, start, "end", sentence, score,
    data, state, decided_at, created_at)
SELECT %(project)s, %(kind)s, score.prompt_id, score.response_id, '', score.turn, score.start, score."end",
    'Reads as “' || score.label || '” to ' || %(model)s || ': ' || floor(100 * score.value) || ' %% sure.',
    round(score.value::numeric, 3), jsonb_build_object('label', score.label, 'model', %(version)s::bigint),
    CASE WHEN gone THEN %(excluded)s ELSE %(open)s END, CASE WHEN gone THEN now() END, now()
FROM training_toxicityscore score
JOIN annotation_prompt prompt ON prompt.id = score.prompt_id
LEFT JOIN annotation_response response ON response.id = score.response_id
CROSS JOIN LATERAL (SELECT prompt.excluded_at IS NOT NULL OR response.excluded_at IS NOT NULL AS gone) texts
WHERE score.policy_id = %(policy)s AND score.value >= %(threshold)s
ORDER BY score.value, score.prompt_id, score.response_id
ON CONFLICT (prompt_id, response_id, kind, key) DO NOTHING
"""
HOLDS_NO_MORE = """
DELETE FROM annotation_finding finding
WHERE project_id = %(project)s AND kind = %(kind)s AND state = %(open)s AND NOT EXISTS (
    SELECT FROM training_toxicityscore score
    WHERE score.prompt_id = finding.prompt_id AND score.response_id IS NOT DISTINCT FROM finding.response_id
      AND score.policy_id = %(policy)s AND score.value >= %(threshold)s)
"""


def judge(policy: ToxicityPolicy) -> None:
    """Bring the findings to what was read and to the threshold: new ones are added, the worst last, so that it comes
    first where the newest do; open ones that hold no more go, and those that were decided stay."""
    values: dict[str, Any] = {
        "project": policy.project_id,
        "policy": policy.pk,
        "threshold": policy.threshold,
        "model": policy.model_version.name,
        "version": policy.model_version_id,
        "kind": Check.TOXICITY.value,
        "open": Decision.OPEN.value,
        "excluded": Decision.EXCLUDED.value,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(HOLDS_NO_MORE, values)
        cursor.execute(FOUND, values)


@dataclass(frozen=True)
class Told:
    """What the page of findings says about it, and where more stands."""

    words: str
    link: str
    address: str


def told(project: Project) -> Told:
    policy = policy_of(project)
    words, link = "Nobody reads for toxicity: that needs a text classifier.", "How to give one"
    if policy is not None:
        last = _runs_of(policy).first()
        words, link = f"“{policy.model_version}” reads for toxicity.", "How far it is, and settings"
        if last is not None and last.is_open:
            words = (
                f"“{policy.model_version}” reads for toxicity{' now' if last.status == Status.RUNNING else ' soon'}."
            )
        elif last is not None and last.status != Status.SUCCEEDED:
            words = f"“{policy.model_version}” has stopped reading for toxicity."
    return Told(words, link, reverse("toxicity", args=[project.slug]))
