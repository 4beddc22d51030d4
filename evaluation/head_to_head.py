"""Champion against challenger: people choose blindly between their answers to the same held-out prompts.

Both models answer held-out prompts, one answer each; of each prompt one pair is put into the ordinary queue, at a place
drawn by lot among the other comparisons, so that nothing tells it from them. No pair is chosen for being close: the win
rate is of the models, and not of their hardest cases. The interval holds however often one looks, so that a lead may
stop as soon as it says enough. That at equal length holds for one look, once all is answered.

A match that nobody needs any more ends by itself: when a model is promoted (`end_by_promotion`), and when the next
round's model is asked about (evaluation/polling.py). What waits then leaves the queue, until the two meet again.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format

from annotation.asking import ask
from annotation.models import Assignment, Item, Label, Project, Response, User
from annotation.models.events import record
from annotation.models.items import Kind, Purpose, State
from annotation.statistics import Interval
from annotation.text import as_seen
from evaluation import heldout, length_control, sequential, winrate
from evaluation.models import HeadToHead
from training import runs
from training.models import Generation, ModelVersion, Run
from training.models.registry import ModelKind
from training.models.runs import Status

SELECTOR = "head to head"
WITHDRAWN = "withdrawn"  # why an item left the queue, in its selection
PROMPTS = 50


@dataclass(frozen=True)
class Standing:
    """How a match stands. Items count once they have all the labels they want, so that no score changes later.

    Nobody is asked about prompts to which both gave the same answer, or neither one, which are ties, nor about those to
    which only one of them said nothing: it has lost. These count by and by, as others are judged (`_so_far`).
    """

    match: HeadToHead
    interval: Interval  # of the challenger's win rate; holds at every moment
    at_equal_length: Interval | None
    decided: int  # 1: the challenger is better, -1: it is worse, 0: open
    wins: int = 0
    losses: int = 0
    ties: int = 0
    asked: int = 0  # items in all
    left: int = 0  # items that may still get labels they want; not those that were dropped
    cut_short: bool = False  # stopped while somebody could have answered more
    withdrawn: int = 0  # items that its end took out of the queue, before they had all labels they wanted
    people: int = 0
    judged: int = 0  # items that count
    silence: tuple[int, int, int] = (0, 0, 0)  # prompts to which the challenger alone said nothing, the champion, both
    problems: list[str] = field(default_factory=list)

    @property
    def prompts(self) -> int:
        """All that count or may, those included that nobody is asked about."""
        return self.asked + (self.match.identical or 0) + self.silent

    @property
    def silent(self) -> int:
        """Prompts to which one of them, or both, said nothing."""
        return sum(self.silence)

    @property
    def silence_words(self) -> str:
        """Who said nothing how often, and what of it; empty if it did not happen."""
        whose = ("the new model said nothing", "the one before said nothing", "neither said anything")
        said = [
            f"{words} to {prompts} prompt{'' if prompts == 1 else 's'}"
            for words, prompts in zip(whose, self.silence, strict=True)
            if prompts
        ]
        lost = " Who alone says nothing has lost." if any(self.silence[:2]) else ""
        return f"Nobody is asked about silence: {', '.join(said)}.{lost}" if said else ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be said."""
        return self.match.ended_at is not None or self.is_answered

    @property
    def is_answered(self) -> bool:
        """Whether all that people can say is said, and nothing was cut short."""
        return self.match.identical is not None and not self.left and not self.cut_short

    @property
    def words(self) -> str:
        """What a lead should know, in a sentence or two."""
        if self.problems:
            return " ".join(self.problems)
        if self.match.identical is None:
            return "Both models are answering the held-out prompts."
        wins = f"it wins {self.interval.words()}"
        if self.decided > 0:
            more = "" if self.is_over else " Go on asking: whether it is at equal length is told once all is answered."
            return f"The new model is better: {wins}.{more}"
        if self.decided < 0:
            more = "" if self.is_over else " You may stop now; more answers only narrow this."
            return f"The new model is worse: {wins}.{more}"
        if self.cut_short:
            return f"Stopped before a difference was shown: {wins} after {self.interval.n} prompts."
        if self.is_answered and not self.people:
            same = f"{self.prompts} prompt{'s' if self.prompts != 1 else ''}"
            return f"Nobody had to be asked: both gave the same answer to {same}."
        if self.is_answered:
            return f"All is answered, and no difference could be shown: {wins}."
        return f"Too early to tell: {wins} after {self.interval.n} prompts. Go on asking."

    @property
    def end(self) -> str:
        """When a match ended, why, and what became of the pairs that waited; empty while it goes on."""
        if self.match.ended_at is None:
            return ""
        said = f"Ended {date_format(timezone.localtime(self.match.ended_at), 'j M Y, H:i')}"
        said += f": {self.match.ended_because}." if self.match.ended_because else "."
        if self.withdrawn:
            pairs = f"{self.withdrawn} pair{' was' if self.withdrawn == 1 else 's were'}"
            said += f" {pairs} taken out of the queue, to be asked again if the two are compared again."
        return said


@transaction.atomic
def start(
    *,
    challenger: ModelVersion,
    champion: ModelVersion | None = None,
    prompts: int = PROMPTS,
    settings: dict[str, Any] | None = None,
    seed: int = 17,
    actor: User | None = None,
    wake: bool = True,
) -> HeadToHead:
    """Have both models answer held-out prompts; once they have, people are asked (`ask_if_ready`).

    The champion is the production model unless another is named. Raises ValidationError if one of them cannot answer,
    if they are one and the same, if they meet already, or if there is no held-out prompt.
    """
    project = challenger.project
    champion = champion or ModelVersion.objects.filter(project=project).production().first()
    answer = champion is not None and {champion.kind, challenger.kind} == {ModelKind.POLICY}
    if champion is None or not answer or champion.project_id != project.pk:
        raise ValidationError("Two models of this project that answer are needed.")
    if champion == challenger:
        raise ValidationError("A model cannot be compared with itself.")
    asked = [{"id": one.pk, "messages": one.messages} for one in heldout.prompts(project=project, number=prompts)]
    if not asked:
        raise ValidationError("There is no held-out prompt to answer: import prompts first.")
    if HeadToHead.objects.filter(champion=champion, challenger=challenger, ended_at=None).exists():
        raise ValidationError("These two are being compared already.")
    settings = {**(settings or {}), "samples_per_prompt": 1}
    started = {
        f"{role}_run": runs.start(
            project=project,
            method="generate",
            base=model,
            inputs={"prompts": asked},
            settings=settings,
            seed=seed,
            actor=actor,
            wake=wake,
        )
        for role, model in (("champion", champion), ("challenger", challenger))
    }
    try:
        with transaction.atomic():
            match = HeadToHead.objects.create(
                project=project, champion=champion, challenger=challenger, started_by=actor, **started
            )
    except IntegrityError as error:
        raise ValidationError("These two are being compared already.") from error
    record("head to head started", match, project=project, actor=actor, champion=champion.pk, challenger=challenger.pk)
    return match


def ask_if_ready(run: Run) -> int:
    """Put the pairs of the match that waits for this run into the queue, once both models have answered; returns how
    many are new. Safe to call again."""
    waiting = HeadToHead.objects.filter(ended_at=None, identical=None)
    found = waiting.filter(champion_run=run).first() or waiting.filter(challenger_run=run).first()
    if found is None:
        return 0
    with transaction.atomic():
        match = HeadToHead.objects.select_for_update(of=["self"]).get(pk=found.pk)
        ended = [match.champion_run, match.challenger_run]
        if match.identical is not None or any(one.status != Status.SUCCEEDED for one in ended):
            return 0
        return _ask(match)


def _ask(match: HeadToHead) -> int:
    old, new = (_answers(run) for run in (match.champion_run, match.challenger_run))
    project, random = match.project, Random(match.challenger_run.seed)
    among = Item.objects.open().work().of_kind(Kind.COMPARISON).filter(project=project).order_by("priority")
    priorities = list(among.values_list("priority", flat=True)) or [0.0]
    identical = asked = 0
    for prompt in sorted(old.keys() & new.keys()):
        pair = [old[prompt], new[prompt]]
        if as_seen(pair[0].text) == as_seen(pair[1].text):
            identical += 1
            continue
        item, created = ask(
            project=project,
            prompt=pair[0].prompt,
            kind=Kind.COMPARISON,
            responses=pair,
            purpose=Purpose.HEAD_TO_HEAD,
            priority=random.uniform(priorities[0], priorities[-1]),
            selection={"selector": SELECTOR, "match": match.pk},
        )
        asked += created
        if not created and item.purpose == Purpose.HEAD_TO_HEAD:  # asked before, and as blind: it counts here too
            skipped = item.assignments.filter(state=State.SKIPPED).exists()
            known = {name: value for name, value in item.selection.items() if name != WITHDRAWN}
            Item.objects.filter(pk=item.pk).update(
                selection={**known, "match": match.pk},
                wanted=max(item.wanted, project.labels_per_item),
                dropped=item.set_aside or (item.dropped and skipped),  # what a match's end left unasked is asked now
            )
    match.identical = identical
    match.save(update_fields=["identical"])
    return asked


def _answers(run: Run) -> dict[int, Response]:
    rows = run.generation.responses.select_related("prompt").order_by("id").distinct()
    return {response.prompt_id: response for response in rows}


def standing(match: HeadToHead, *, simulated: bool = False) -> Standing:
    """How a match stands, by the labels of people, or of simulated annotators too."""
    ended = (match.champion_run, match.challenger_run)
    problems = [f"Run {run.pk} failed: {run.error}" for run in ended if run.status in (Status.FAILED, Status.CANCELLED)]
    items = Item.objects.filter(project_id=match.project_id, selection__match=match.pk)
    claims = Assignment.objects.filter(item=OuterRef("pk"))
    rows = list(items.annotate(held=Exists(claims.held()), skipped=Exists(claims.filter(state=State.SKIPPED))))
    wanted = {item.pk: item.wanted for item in rows}
    labels = Label.objects.counted().decisive().filter(item__in=wanted)
    if not simulated:
        labels = labels.filter(simulated=False)
    sides = [{answer.pk for answer in _answers(run).values()} for run in reversed(ended)] if wanted else [set(), set()]
    settled = set(labels.filter(decision=True).values_list("item_id", flat=True))  # by a reviewer: that is all
    verdicts: dict[int, list[tuple[int, winrate.Verdict]]] = defaultdict(list)
    for label in winrate.compared(labels):
        verdict = winrate.verdict_of(label, sides[0] - sides[1], sides[1] - sides[0])
        if verdict is not None:
            verdicts[label.item].append((label.label, verdict))
    complete = {
        item: said for item, said in verdicts.items() if len(said) >= wanted[item] or match.ended_at or item in settled
    }
    rest = [one for one in rows if len(verdicts[one.pk]) < one.wanted and one.pk not in settled]
    withdrawn = sum(WITHDRAWN in one.selection for one in rows)
    order = sorted(complete, key=lambda item: complete[item][-1][0])
    scores = [sum(one.score for _, one in complete[item]) / len(complete[item]) for item in order]
    longer = [complete[item][0][1].longer for item in order]
    silence = _silence(match)
    decisions = _so_far(match, silence, asked=len(wanted), judged=scores)
    found = sequential.win_rate(decisions)
    everything = [one for item in order for _, one in complete[item]]
    return Standing(
        match=match,
        interval=found.interval,
        at_equal_length=length_control.win_rate(scores, longer) if scores else None,
        decided=found.decided,
        wins=sum(score > 0.5 for score in decisions),
        losses=sum(score < 0.5 for score in decisions),
        ties=sum(score == 0.5 for score in decisions),
        asked=len(wanted),
        left=sum(not one.dropped and (one.taken < one.wanted or one.held) for one in rest),
        cut_short=match.ended_at is not None
        and (bool(withdrawn) or any(one.dropped and not (one.set_aside or one.skipped) for one in rest)),
        withdrawn=withdrawn,
        people=len({one.person for one in everything}),
        judged=len(complete),
        silence=silence,
        problems=problems,
    )


def _silence(match: HeadToHead) -> tuple[int, int, int]:
    """Prompts to which the challenger alone said nothing, the champion, both; none before both have spoken. One that a
    model was never shown, since it did not fit, is none of them."""
    if match.identical is None:
        return 0, 0, 0
    runs_of = (match.challenger_run, match.champion_run)
    said = Generation.objects.filter(run__in=runs_of).values_list("run_id", "silent")
    found = {run: set(prompts) for run, prompts in said if prompts}
    if not found:
        return 0, 0, 0
    new, old = (found.get(run.pk, set()) for run in runs_of)
    spoke_new, spoke_old = (_answers(run).keys() for run in runs_of)
    return len(new & spoke_old), len(old & spoke_new), len(new & old)


def _so_far(match: HeadToHead, silence: tuple[int, int, int], *, asked: int, judged: Sequence[float]) -> list[float]:
    """The challenger's scores in an order that knows nothing of them, which is what the interval needs.

    All prompts are drawn by lot once; those that are asked about are filled in as they are judged, up to the first that
    is not. Were those that nobody is asked about all first, eight of fifty would decide before anybody was asked.
    """
    lost, won, both = silence
    drawn: list[float | None] = [0.5] * ((match.identical or 0) + both) + [0.0] * lost + [1.0] * won + [None] * asked
    Random(match.pk).shuffle(drawn)
    rest = iter(judged)
    found = []
    for score in drawn:
        if score is None:
            score = next(rest, None)
        if score is None:
            break
        found.append(score)
    return found


@transaction.atomic
def stop(*, match: HeadToHead, because: str = "", actor: User | None = None) -> bool:
    """End a match: what nobody has judged yet is asked no more, and what was said counts. False if it had ended."""
    now, why = timezone.now(), because or ("a lead stopped it" if actor else "")  # the event says who
    if not HeadToHead.objects.filter(pk=match.pk, ended_at=None).update(ended_at=now, ended_because=why):
        return False
    match.ended_at, match.ended_because = now, why
    for run in (match.champion_run, match.challenger_run):
        runs.cancel(run=run, actor=actor)
    left = withdraw(match)
    record("head to head stopped", match, project=match.project, actor=actor, not_asked=left, because=why)
    return True


@transaction.atomic
def withdraw(match: HeadToHead) -> int:
    """Take what waits of a match that has ended out of the queue, and say why; returns how many items. One in
    somebody's hands stays there; if it is given back, this is to be called again."""
    mine = Item.objects.filter(project_id=match.project_id, selection__match=match.pk, selection__selector=SELECTOR)
    left = list(mine.open().select_for_update(no_key=True).order_by("id"))
    for item in left:
        item.selection[WITHDRAWN] = match.ended_because or "the comparison was stopped"
        if item.taken:  # a dropped item would hide the labels that it has
            item.wanted = item.taken
        else:
            item.dropped = True
    Item.objects.bulk_update(left, ["selection", "wanted", "dropped"])
    return len(left)


def withdraw_returned() -> int:
    """Items that come back after their match has ended leave the queue too: some were in somebody's hands then, and a
    label may be taken back at any time. Returns how many."""
    ended = HeadToHead.objects.exclude(ended_at=None)
    back = Item.objects.open().of_kind(Kind.COMPARISON).filter(project__in=ended.values("project"))
    back = back.filter(purpose=Purpose.HEAD_TO_HEAD, selection__selector=SELECTOR)
    matches = set(back.values_list("selection__match", flat=True))
    return sum(withdraw(match) for match in ended.filter(pk__in=matches).order_by("pk"))


def end_by_promotion(*, promoted: ModelVersion, before: ModelVersion | None, actor: User | None = None) -> int:
    """End the open matches that a promotion makes idle: those of the promoted model against others, and those against
    the one that it replaced. Returns how many."""
    idle = Q(challenger=promoted) | Q(champion=before) if before else Q(challenger=promoted)
    found = of_project(promoted.project).filter(idle, ended_at=None).exclude(champion=promoted)
    return sum(stop(match=match, because=f"{promoted} was promoted", actor=actor) for match in found)


def of_project(project: Project) -> QuerySet[HeadToHead]:
    rows = HeadToHead.objects.filter(project=project)
    return rows.select_related("champion", "challenger", "champion_run", "challenger_run", "project")
