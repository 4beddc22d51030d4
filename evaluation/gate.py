"""The gate: may a new model become the production model? One table with what was found, what is asked, and why.

Nothing is decided in secret: a round writes the table down, a lead sees the same table as it is now, and whoever
promotes past it gives a reason that stays on record.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.models import Event, Project, User
from annotation.models.events import record
from annotation.statistics import Interval, percent
from evaluation import blind, evidence, head_to_head, lengths, scoring
from evaluation.evidence import FAILED, PASSED, UNDECIDED, Finding
from evaluation.models import GatePolicy, Round, Score
from training import registry
from training.models import ModelVersion
from training.models.registry import ModelKind, Stage

LIMITS = ("min_accuracy", "min_win_rate", "max_forgetting", "max_length_growth", "max_distance", "blind_prompts")
WON, WON_EVEN = "Blind comparisons won", "Blind comparisons won at equal length"
PAIRS, COMPARISONS = "judged held-out pairs", "blind comparisons"


@dataclass(frozen=True)
class Row:
    """One thing that is asked. Undecided is what cannot be told yet: nothing is there, or too little (evidence.py)."""

    name: str
    value: str
    goal: str
    outcome: str
    why: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome == PASSED

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True)
class Verdict:
    rows: list[Row]

    @property
    def outcome(self) -> str:
        """Failed if anything failed, undecided if anything is or nothing is asked, else passed."""
        found = {row.outcome for row in self.rows}
        return FAILED if FAILED in found else UNDECIDED if UNDECIDED in found or not found else PASSED

    @property
    def words(self) -> str:
        failed = [row.name for row in self.rows if row.outcome == FAILED]
        waits = [row.name for row in self.rows if row.outcome == UNDECIDED]
        if failed:
            return f"It does not pass: {_list(failed)}."
        if waits:
            return f"It cannot be told yet: {_list(waits)}."
        return "It passes." if self.rows else "Nothing is asked of it."


def policy_of(project: Project) -> GatePolicy:
    """The project's policy, or the one that holds until a lead sets another."""
    return GatePolicy.objects.filter(project=project).first() or GatePolicy(project=project)


@transaction.atomic
def set_policy(*, project: Project, actor: User | None = None, **limits: float | None) -> GatePolicy:
    """Change what is asked; an empty limit asks nothing. Raises ValidationError for one out of range."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    policy = policy_of(project)
    before = {name: getattr(policy, name) for name in LIMITS}
    for name, value in limits.items():
        setattr(policy, name, value)
    policy.full_clean(validate_unique=False)
    policy.save()
    after = {name: getattr(policy, name) for name in LIMITS}
    if after != before:
        record("gate changed", project, project=project, actor=actor, before=before, after=after)
    return policy


def verdict(version: ModelVersion, *, champion: ModelVersion | None = None) -> Verdict:
    """What speaks for a model version and what against it, as things are now. The champion is the present production
    model unless another one is named."""
    policy = policy_of(version.project)
    champion = champion or ModelVersion.objects.filter(project=version.project_id).production().first()
    rows: list[Row] = []
    if policy.min_accuracy is not None:
        rows += _accuracies(version, policy.min_accuracy)
    if champion is not None and champion != version:
        if policy.min_win_rate is not None:
            rows += _wins(version, champion, policy.min_win_rate)
        if policy.max_length_growth is not None:
            rows.append(_length(version, champion, policy.max_length_growth))
    if policy.max_forgetting is not None:
        rows.append(_forgetting(version, policy.max_forgetting))
    if policy.max_distance is not None:
        rows.append(_distance(version, policy.max_distance))
    return Verdict(rows)


def round_of(version: ModelVersion) -> Round | None:
    """The round that made it, if one did."""
    return Round.objects.filter(challenger=version).order_by("-id").first()


def _accuracies(version: ModelVersion, least: float) -> list[Row]:
    rows = []
    made_by = round_of(version)
    if made_by is not None and made_by.reward_model is not None:
        found = scoring.score_of(made_by.reward_model, "reward accuracy")
        rows.append(_above("Reward accuracy", _interval(found), least, PAIRS))
    found = scoring.score_of(version, "preference accuracy")
    rows.append(_above("Preference accuracy", _interval(found), least, PAIRS))
    return rows


def _wins(version: ModelVersion, champion: ModelVersion, least: float) -> list[Row]:
    """Simulated annotators count where the round that made the model let them, and no person has said anything."""
    made_by = round_of(version)
    said = blind.of(version, champion, simulated=bool(made_by and made_by.settings.get("simulated")))
    won = _above(WON, said.interval, least, COMPARISONS)
    even = _above(WON_EVEN, said.at_equal_length, least, COMPARISONS)
    at_equal_length = said.at_equal_length
    silent = said.standing is not None and said.standing.silent  # then it may have won by what nobody answered
    if won.passed and even.outcome == UNDECIDED and not silent and at_equal_length and at_equal_length.value <= least:
        even = replace(even, outcome=FAILED, why="it wins by longer answers")
    if said.is_partial:
        even = replace(even, outcome=UNDECIDED, why="it is told once all is answered, and that was stopped")
    if said.under_way:
        return [replace(row, why=said.under_way) if row.outcome == UNDECIDED else row for row in (won, even)]
    return [won, even]


def written(found: Verdict) -> dict[str, Any]:
    """As a round writes it down."""
    return {"outcome": found.outcome, "words": found.words, "verdict": [row.as_json() for row in found.rows]}


def _length(version: ModelVersion, champion: ModelVersion, most: float) -> Row:
    name, goal = "Longer answers than the present model's", f"at most {percent(most, 'g')}"
    found = lengths.growth(version, champion)
    if found is None:
        return Row(name, "not measured", goal, UNDECIDED, "measure both models")
    value = found.words("+.0f", counted=True)
    return _row(name, value, goal, evidence.at_most(found, most, margin=evidence.LENGTH), "held-out prompts")


def _forgetting(version: ModelVersion, most: float) -> Row:
    """The probe is the same for ever and read whole: where its interval holds the limit, nothing more can be had."""
    name = "Forgetting"
    goal = f"at most {percent(most, 'g')} more than the base model"
    found = _interval(scoring.score_of(version, "forgetting"))
    if found is None:
        return Row(name, "not measured", goal, UNDECIDED, "measure the model")
    value = found.words("+.1f", counted=True)
    if found.value <= most:
        return Row(name, value, goal, PASSED)
    run = version.run
    never = run is not None and run.method == "dpo" and not run.settings.get("rehearsal")
    return Row(name, value, goal, FAILED, 'DPO has a setting for this, "Hold on to what it knew"' if never else "")


def _distance(version: ModelVersion, most: float) -> Row:
    name, goal = "Distance from the base model", f"at most {most:g} nat{'' if most == 1 else 's'} for each token"
    found = _interval(scoring.score_of(version, "distance from base"))
    if found is None:
        return Row(name, "not measured", goal, UNDECIDED, "measure the model")
    value = f"{found.value:.2f} ({found.lower:.2f} to {found.upper:.2f}, n {found.n})"
    return _row(name, value, goal, evidence.at_most(found, most, margin=evidence.DISTANCE), "held-out prompts")


def _interval(score: Score | None) -> Interval | None:
    if score is None:
        return None
    lower, upper = (score.value if end is None else end for end in (score.lower, score.upper))
    return Interval(score.value, lower, upper, score.n)


def _above(name: str, found: Interval | None, least: float, what: str) -> Row:
    goal = f"above {percent(least, 'g')}, with 95 % certainty"
    if found is None:
        return Row(name, "not measured", goal, UNDECIDED, "nothing is there to tell it by")
    return _row(name, str(found), goal, evidence.above(found, least, margin=evidence.SHARES), what)


def _row(name: str, value: str, goal: str, found: Finding, what: str) -> Row:
    why = f"about {found.needed} more {what} would tell" if found.needed else ""
    return Row(name, value, goal, found.outcome, why)


@transaction.atomic
def promote(*, version: ModelVersion, actor: User | None = None, reason: str = "") -> Verdict:
    """Make a policy the production model, if it passes the gate or a reason is given to overrule it; going back to one
    that was in production needs neither.

    Raises ValidationError for a reward model, and where the gate holds and no reason is given. The table as it stood is
    in the event log either way.
    """
    if version.kind != ModelKind.POLICY:
        raise ValidationError("Only a policy can be promoted.")
    Project.objects.select_for_update(no_key=True).get(pk=version.project_id)
    version.refresh_from_db()
    found = verdict(version)
    if version.stage == Stage.CANDIDATE and found.outcome != PASSED:
        if not reason.strip():
            raise ValidationError(f"{found.words} To promote {version} all the same, say why; it stays on record.")
        record(
            "gate overruled",
            version,
            project=version.project,
            actor=actor,
            reason=reason,
            verdict=[row.as_json() for row in found.rows],
        )
    _promote(version, actor, reason)
    return found


@transaction.atomic
def roll_back(*, project: Project, actor: User | None = None, reason: str = "") -> ModelVersion:
    """Put the model that was in production before the present one back, in one step.

    What reads the production model (rounds, new answers, runs) finds the old one from then on. Raises ValidationError
    if there was none before.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before = predecessor(project)
    if before is None:
        raise ValidationError("No other model was in production before this one.")
    _promote(before, actor, reason or "rolled back")
    return before


def _promote(version: ModelVersion, actor: User | None, reason: str) -> None:
    replaced = ModelVersion.objects.filter(project=version.project_id).production().exclude(pk=version.pk).first()
    registry.promote(version=version, actor=actor, reason=reason)
    head_to_head.end_by_promotion(promoted=version, before=replaced, actor=actor)


def predecessor(project: Project) -> ModelVersion | None:
    """The model that was in production before the present one."""
    present = ModelVersion.objects.filter(project=project).production().first()
    if present is None:
        return None
    promoted = Event.objects.filter(project=project, verb="model promoted", target=f"modelversion:{present.pk}")
    last = promoted.order_by("-id").first()
    before = last.data.get("before") if last else None
    return ModelVersion.objects.filter(project=project, pk=before).first() if before else None


def _list(names: list[str]) -> str:
    words = [name[:1].lower() + name[1:] for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
