"""A round in people's words: whether one can start, what each step did, what came of it all."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from annotation.models import Item, Label, Project
from annotation.models.items import ItemQuerySet, Kind
from annotation.statistics import Interval, percent
from evaluation import head_to_head, judging, scoring, second_opinion, winrate
from evaluation.models import (
    Aim,
    Evaluation,
    HeadToHead,
    Round,
    RoundStatus,
    RoundStep,
    Score,
    Steering,
    Step,
    StepRun,
    StepStatus,
)
from training.models import ModelVersion, Run

STEPS = [step for step in Step if step != Step.DONE]
WAITING = "waiting"
CHOSEN_BY = {
    "posterior": "by how much each would tell, after all that people said",
    "uncertainty": "by how unsure the reward model is",
}


def readiness(project: Project) -> dict[str, Any]:
    """What people have said so far, and whether a round can start; if not, why."""
    labels = Label.objects.trainable().filter(project=project)
    heldout = Label.objects.counted().decisive().filter(project=project, simulated=False)
    heldout = heldout.filter(item__prompt__split="heldout")
    reason = ""
    if not ModelVersion.objects.filter(project=project).production().exists():
        reason = "There is no production model yet: import a base model first."
    elif Round.objects.active().filter(project=project).exists():
        reason = "A round is under way: wait for it, or cancel it."
    return {
        "labels": {
            "demonstrations": labels.filter(item__kind=Kind.DEMONSTRATION, response__isnull=False).count(),
            "comparisons": labels.filter(item__kind=Kind.COMPARISON).count(),
            "heldout_pairs": heldout.filter(item__kind=Kind.COMPARISON).count(),
            "simulated": Label.objects.counted().filter(project=project, simulated=True).count(),
        },
        "can_start": not reason,
        "reason": reason,
    }


def steps_of(current: Round) -> list[dict[str, Any]]:
    """Every step of the round in order, the ones to come included."""
    rows = {row.name: row for row in current.steps.all()}
    runs = _runs_by_step(current)
    return [_step(current, step, rows.get(step), runs[step]) for step in STEPS]


def _runs_by_step(current: Round) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = defaultdict(list)
    linked = StepRun.objects.filter(step__round=current).select_related("step", "run__project").order_by("id")
    for step_run in linked:
        run: Any = step_run.run
        run.whose = step_run.purpose.partition(" ")[2]  # of "generate champion" the model, which the run's name lacks
        runs[step_run.step.name].append(run)
    return runs


def _step(current: Round, step: Step, row: RoundStep | None, runs: list[Run]) -> dict[str, Any]:
    status: str = row.status if row else WAITING
    detail = words(step, row.detail if row else {}, runs)
    seconds = None
    if row is not None:
        seconds = ((row.finished_at or timezone.now()) - row.started_at).total_seconds()
    if status == StepStatus.RUNNING and current.status == RoundStatus.CANCELLED:
        status, seconds = WAITING, None
        detail.append(("Stopped", "The round was cancelled here."))
    if status == StepStatus.FAILED and current.error:
        detail.append(("What went wrong", current.error))
    return {
        "name": step.value,
        "title": step.label,
        "status": status,
        "detail": detail,
        "runs": runs,
        "seconds": seconds,
    }


def words(step: str, detail: dict[str, Any], runs: list[Run]) -> list[tuple[str, str]]:
    """What a step wrote down, as (label, value) for people; keys nobody has words for are left out."""
    said: list[tuple[str, str]] = []
    if "wanted" in detail:
        there, wanted = detail.get("preferences", 0), detail["wanted"]
        how_many = f"{there} of {wanted} wanted" if there < wanted else f"{there} ({wanted} wanted)"
        said.append(("Preferences so far", how_many))
    if step == Step.FREEZING:
        kinds = [kind for kind in ("demonstrations", "preferences") if kind in detail]
        said += [(kind.capitalize(), counted(detail[kind], "row")) for kind in kinds]
    if step in (Step.SFT, Step.REWARD, Step.DPO):
        said += [line for run in runs for line in _training(run)]
    if accuracy := detail.get("reward_accuracy"):
        said.append(("Reward accuracy on held-out pairs", interval(Interval(*accuracy))))
    if verdict := detail.get("words"):
        said.append(("Verdict", verdict))
    for role in ("champion", "challenger"):
        if (mean := detail.get(f"{role}_mean_characters")) is not None:
            said.append((f"Answers of the {role}", f"{mean:.0f} characters on average"))
    if "match" in detail and "not_asked" not in detail:
        said.append(("People", "have compared it blind" if detail.get("settled") else "compare it blind in the queue"))
    if why := detail.get("not_asked"):
        said.append(("People", why))
    if ended := detail.get("ended"):
        said.append(("Their comparison", ended))
    if "candidates" in detail:
        said.append(("Pairs to choose from", str(detail["candidates"])))
    if by := detail.get("chosen_by"):
        said.append(("Chosen", CHOSEN_BY[by]))
    if "queued" in detail:
        said.append(("New comparisons queued", str(detail["queued"])))
    if why := detail.get("why"):
        said.append(("Why", f"{why[:1].upper()}{why[1:]}."))
    return said


def _training(run: Run) -> list[tuple[str, str]]:
    said = []
    if "kept" in run.rows:
        left_out = [f"{run.rows[key]} {key}" for key in ("dropped", "cut") if run.rows.get(key)]
        said.append(("Learnt from", ", ".join([counted(run.rows["kept"], "example"), *left_out])))
    first, last = run.metrics.get("first_loss"), run.metrics.get("last_loss")
    if first is not None and last is not None:
        said.append(("Loss", f"{first:.3f} at first, {last:.3f} at the end"))
    return said


def verdict_of(current: Round) -> list[dict[str, Any]]:
    """What the gate wrote down."""
    row = current.steps.filter(name=Step.GATED).first()
    return row.detail.get("verdict", []) if row else []


def verdict_words(current: Round) -> str:
    """What the gate said, in a sentence."""
    row = current.steps.filter(name=Step.GATED).first()
    return row.detail.get("words", "") if row else ""


def by_group(evaluation: Evaluation | None) -> list[tuple[str, list[Score]]]:
    """The figures of each language, tag and strength that an evaluation told apart, by group."""
    found: dict[str, list[Score]] = defaultdict(list)
    for score in evaluation.scores.exclude(group="").order_by("group", "id") if evaluation else []:
        found[score.group].append(score)
    return list(found.items())


def scores_of(current: Round) -> "QuerySet[Score]":
    versions = [version for version in (current.challenger, current.reward_model) if version]
    return (
        Score.objects.filter(evaluation__in=[scoring.newest(version) for version in versions], group="")
        .select_related("evaluation__model_version")
        .order_by("evaluation_id", "id")
    )


def new_items(current: Round) -> ItemQuerySet:
    """The comparisons that this round put into the queue."""
    return Item.objects.filter(project_id=current.project_id, selection__round=current.number)


def of_advance(before: str, after: Round) -> tuple[bool, str]:
    """Whether a push moved a round on from the step `before`, and what to tell whoever pushed."""
    if after.step != before:
        return True, f"The round went on: {after.get_step_display().lower()}."
    if after.status == RoundStatus.FAILED:
        return False, f"The round could not go on. {after.error}"
    if after.status == RoundStatus.ACTIVE and after.step == Step.COLLECTING:
        return False, "There is no preference to learn from yet: rank some answers first."
    return False, "There was nothing to go on with."


def sentences(current: Round) -> list[str]:
    """The report of a round: only sentences whose facts exist."""
    steps = {row.name: row.detail for row in current.steps.all()}
    said = [
        *_who(current),
        *_agreement(steps.get(Step.EVALUATING, {}), bool(current.settings.get("simulated"))),
        *_preferred(current),
        *_ended(current),
        *_judged(current),
        *_second_opinion(current),
        *_length(steps.get(Step.SAMPLING, {})),
    ]
    waiting = new_items(current).open().work().count()
    if waiting:
        verb = "waits" if waiting == 1 else "wait"
        telling = steps.get(Step.SELECTING, {}).get("chosen_by") == "posterior"
        first = "those that tell most" if telling else "the least certain"
        said.append(f"{counted(waiting, 'new comparison')} {verb}, {first} first.")
    return said


@dataclass(frozen=True)
class Group:
    simulated: bool
    labels: int
    people: int

    def __str__(self) -> str:
        one, many = ("simulated annotator", "simulated annotators") if self.simulated else ("person", "people")
        return f"{counted(self.labels, 'label')} by {counted(self.people, one, many)}"


def _who(current: Round) -> list[str]:
    groups = []
    for simulated in (False, True):
        labels = Label.objects.filter(snapshots__rounds=current, simulated=simulated)
        people = labels.order_by().values("person").distinct().count()
        if people:
            groups.append(Group(simulated, labels.order_by().values("pk").distinct().count(), people))
    return [f"{current} learnt from {' and '.join(map(str, groups))}."] if groups else []


def _agreement(detail: dict[str, Any], simulated: bool) -> list[str]:
    if "reward_accuracy" not in detail:
        return []
    found = Interval(*detail["reward_accuracy"])
    whom = "people and simulated annotators" if simulated else "people"
    return [f"The reward model agrees with {whom} on {found.words()} of {counted(found.n, 'held-out pair')}."]


def _preferred(current: Round) -> list[str]:
    if current.challenger is None or current.champion is None:
        return []
    compared = winrate.between(current.challenger, current.champion)
    said = []
    for who, rate in (("people", compared.human), ("simulated annotators", compared.simulated)):
        if rate is None:
            continue
        sentence = f"In blind comparisons {who} preferred the new model in {rate.interval.words()} of {rate.interval.n}"
        if rate.both_unacceptable:
            sentence += f"; {counted(rate.both_unacceptable, 'label')} called both answers unacceptable"
        said.append(f"{sentence}.")
    return said


def _ended(current: Round) -> list[str]:
    """When the blind comparison that the round asked for ended, and why; and how often one of the two said nothing."""
    row = current.steps.filter(name=Step.GATED).first()
    match = HeadToHead.objects.filter(pk=row.detail.get("match")).first() if row else None
    if match is None:
        return []
    standing = head_to_head.standing(match)
    end = f"The blind comparison {standing.end[:1].lower()}{standing.end[1:]}" if standing.end else ""
    return [sentence for sentence in (standing.silence_words, end) if sentence]


def _judged(current: Round) -> list[str]:
    """What a reward model says that has learned from other pairs."""
    evaluation = scoring.newest(current.challenger) if current.challenger else None
    judges = evaluation.details.get("judges", {}) if evaluation else {}
    if evaluation is None or current.champion is None or judges.get("against") != current.champion.pk:
        return []
    found = {score.name: score for score in evaluation.scores.filter(group="")}
    wins, even, right = (found.get(name) for name in (judging.WINS, judging.EVEN, judging.ACCURACY))
    if wins is None or even is None or right is None:
        return []
    seen = "no label on these prompts" if judges["learnt_by_model"] else "no label that the new model learnt from"
    won, level, agrees = (Interval(one.value, one.lower or 0, one.upper or 0, one.n) for one in (wins, even, right))
    said = f"A reward model that has seen {seen} prefers the new answers to {won.words()} of {won.n} prompts"
    said += f", and {level.words()} at equal length."
    if silent := judges.get("silent"):
        said += f" To {silent} of them one of the two said nothing, and has lost, or both, which is a tie."
    return [f"{said} It is right on {agrees.words()} of {agrees.n} pairs that it has not seen."]


def _second_opinion(current: Round) -> list[str]:
    """What a model behind an endpoint said last."""
    if current.challenger is None or current.champion is None:
        return []
    found = second_opinion.of_model(current.challenger, current.champion)
    return [f"A second opinion on the new model: {' '.join(second_opinion.sentences(found[0]))}"] if found else []


def _length(detail: dict[str, Any]) -> list[str]:
    before, after = detail.get("champion_mean_characters"), detail.get("challenger_mean_characters")
    if not before or not after:
        return []
    change = after / before - 1
    if abs(change) < 0.005:
        return ["In the answers drawn to be ranked it uses as many characters as the champion."]
    more = f"{percent(abs(change))} {'more' if change > 0 else 'fewer'} characters"
    return [f"In the answers drawn to be ranked it uses {more} than the champion."]


def of_steering(project: Project) -> list[str]:
    """How the queue is ordered, and what that has saved, in sentences; none before it was."""
    row = Steering.objects.filter(project=project, made_at__isnull=False).first()
    if row is None or not row.report.get("pairs"):
        return []
    whose = "simulated annotators" if row.report["simulated"] else "people"
    said = [
        f"{counted(row.report['ordered'], 'open comparison')} {'was' if row.report['ordered'] == 1 else 'were'} put in "
        f"order by what {whose} said of {counted(row.report['pairs'], 'pair')}; one in ten is drawn at random."
    ]
    if row.report.get("aim") == Aim.TUNING:
        said.append(
            "Those come first whose answers should be worth very different things: a model is tuned most by them."
        )
        return said
    if doubted := row.report.get("doubted", 0):
        said.append(
            f"The labels of {counted(doubted, 'of them', 'of them')} are doubted, and one person more is asked."
        )
    saved = row.report["saved"]
    if saved is None:
        said.append("Too few of the random ones are judged to tell whether choosing saves labels.")
        return said
    value, lower, upper = saved
    if upper < 0:
        said.append(
            f"Choosing cost {percent(-value)} more labels ({-100 * upper:.0f} to {percent(-lower)}), so that the next "
            "ones are asked at random."
        )
    elif lower > 0:
        said.append(f"Choosing saved {percent(value)} of the labels ({100 * lower:.0f} to {percent(upper)}).")
    else:
        said.append(
            f"Nothing is saved for certain: of the labels {percent(value)} would be "
            f"({100 * lower:.0f} to {percent(upper)}), judged by the random ones."
        )
    return said


SHARES = ("accuracy", "wins", "agreement", "refusals", "answers", "calibration")  # in names of figures: from 0 to 1
GROWTHS = ("forgetting", "growth")  # from 0 on, as a change


def figure(score: Score) -> str:
    """A figure in words, with its interval and the count behind it.

    >>> figure(Score(name="reward accuracy", value=0.71, lower=0.6, upper=0.8, n=54))
    '71 % (60 to 80 %), n 54'
    >>> figure(Score(name="forgetting", value=0.021, lower=-0.004, upper=0.05, n=60))
    '+2.1 % (-0.4 to +5.0 %), n 60'
    >>> figure(Score(name="perplexity of good answers", value=12.345, lower=None, upper=None, n=1))
    '12.35, n 1'
    """
    kind = next((mark for mark in (*GROWTHS, *SHARES) if mark in score.name), "")
    if score.name.startswith(("perplexity", "words")):
        kind = ""
    unit = " %" if kind else ""

    def shown(value: float) -> str:
        return f"{100 * value:+.1f}" if kind in GROWTHS else f"{100 * value:.0f}" if kind else f"{value:.2f}"

    said = f"{shown(score.value)}{unit}"
    if score.lower is not None and score.upper is not None:
        said += f" ({shown(score.lower)} to {shown(score.upper)}{unit})"
    return f"{said}, n {score.n}"


def interval(found: Interval) -> str:
    return f"{found.words()}, n {found.n}"


def counted(number: int, one: str, many: str = "") -> str:
    """
    >>> counted(1, "label"), counted(2, "person", "people")
    ('1 label', '2 people')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
