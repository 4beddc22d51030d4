"""What each step of a round does. Every function may be called again and again until its step is done:
it looks at what is there, adds what is missing, and says whether the step is running, done or skipped."""

from collections import defaultdict
from itertools import product
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError
from django.db.models import Avg, Count, Q
from django.db.models.functions import Length

from annotation.asking import ask
from annotation.models import Prompt, Response
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Split
from annotation.text import as_seen, sha256
from evaluation import features, gate, judging, polling, scoring, steering
from evaluation.models import Reward, Round, RoundStep, Step, StepRun, StepStatus
from evaluation.policy import RoundSettings
from evaluation.selection import Pair, select
from evaluation.selectors import in_order
from evaluation.surface import reading_seconds
from training import runs, snapshots
from training.methods import GenerateSettings, MeasureSettings
from training.models import Generation, ModelVersion, Run, Snapshot
from training.models.runs import Status
from training.models.snapshots import SnapshotKind

MOST_READ = 5_000  # answers that wait, and judged pairs, in one round


class StepFailed(Exception):
    """A step cannot be done; the message says what to do."""


def collecting(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    """Wait until enough comparisons are judged; a lead may go on with what is there."""
    rule = snapshots.Rule(simulated=settings.simulated)
    rows = snapshots.collect(project=current.project, kind=SnapshotKind.PREFERENCES, rule=rule)
    step.detail = {"preferences": len(rows), "wanted": settings.minimum_comparisons}
    enough = len(rows) >= settings.minimum_comparisons or (force and rows)
    return StepStatus.DONE if enough else StepStatus.RUNNING


def freezing(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    rule = snapshots.Rule(simulated=settings.simulated)
    for kind in (SnapshotKind.DEMONSTRATIONS, SnapshotKind.PREFERENCES):
        try:
            snapshot = snapshots.freeze(project=current.project, kind=kind, rule=rule, actor=current.started_by)
        except snapshots.NoRows as error:
            if kind == SnapshotKind.PREFERENCES:
                raise StepFailed(f"{error} Rank some answers, then retry the round.") from error
            step.detail[kind] = 0
            continue
        current.snapshots.add(snapshot)
        step.detail[kind] = snapshot.counts["rows"]
    return StepStatus.DONE


def sft(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    """From the full weights under the champion, on all demonstrations so far."""
    snapshot = _snapshot(current, SnapshotKind.DEMONSTRATIONS)
    if snapshot is None:
        step.detail["why"] = "no demonstrations yet"
        return StepStatus.SKIPPED
    run = _run(step, "sft", settings, base=_root(current), snapshot=snapshot, settings=settings.sft)
    return _ended(run)


def reward(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    snapshot = _snapshot(current, SnapshotKind.PREFERENCES)
    run = _run(step, "reward", settings, base=_root(current), snapshot=snapshot, settings=settings.reward)
    if _ended(run) == StepStatus.RUNNING:
        return StepStatus.RUNNING
    current.reward_model = run.model_version
    current.save(update_fields=["reward_model"])
    return StepStatus.DONE


def dpo(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    """Continues this round's SFT adapter, or starts from the full weights if there is none."""
    tuned = StepRun.objects.filter(step__round=current, purpose="sft").select_related("run__model_version").first()
    base = tuned.run.model_version if tuned else _root(current)
    snapshot = _snapshot(current, SnapshotKind.PREFERENCES)
    run = _run(step, "dpo", settings, base=base, snapshot=snapshot, settings=settings.dpo)
    if _ended(run) == StepStatus.RUNNING:
        return StepStatus.RUNNING
    current.challenger = run.model_version
    current.save(update_fields=["challenger"])
    return StepStatus.DONE


def evaluating(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    """The reward model on judged held-out pairs, exactly; the challenger on these, on examples, on the probe and in its
    answers; and the champion too, if it is not what the challenger is measured against and did not answer most of the
    same prompts when it was measured."""
    started = [_measured(current, step, settings, "challenger", current.challenger)]
    if current.champion != _root(current) and not _comparable(current, started[0]):
        started.append(_measured(current, step, settings, "champion", current.champion))
    inputs: dict[str, Any] = {}
    if not step.step_runs.filter(purpose="score heldout").exists():
        inputs = scoring.reward_inputs(project=current.project, simulated=settings.simulated)
    if inputs.get("answers") == []:
        step.detail["why"] = scoring.NOTHING
    else:
        started.append(_run(step, "score heldout", settings, method="score", base=current.reward_model, inputs=inputs))
    if any(_ended(run) == StepStatus.RUNNING for run in started):
        return StepStatus.RUNNING
    concluded = [scoring.conclude(run) for run in started]
    judges = _judges(current, step, settings)
    if judges is not None and judges.is_open:
        return StepStatus.RUNNING
    if judges is not None and judges.status == Status.SUCCEEDED:  # one that failed fails nothing: it is a figure more
        judging.conclude(_match(current, settings), concluded[0], judges)
    for evaluation in concluded:
        accuracy = evaluation.scores.filter(name="reward accuracy", group="").first()
        if accuracy is not None:
            step.detail["reward_accuracy"] = [accuracy.value, accuracy.lower, accuracy.upper, accuracy.n]
    return StepStatus.DONE


def _measured(current: Round, step: RoundStep, settings: RoundSettings, role: str, model: ModelVersion | None) -> Run:
    assert model is not None
    purpose = f"measure {role}"
    inputs = {}
    if not step.step_runs.filter(purpose=purpose).exists():
        inputs = scoring.policy_inputs(
            project=current.project, model=model, simulated=settings.simulated, prompts=settings.measured_prompts
        )
    names = MeasureSettings.model_fields.keys() & GenerateSettings.model_fields.keys() - {"batch_size"}
    answering = {name: settings.generate[name] for name in sorted(names) if name in settings.generate}
    return _run(step, purpose, settings, method="measure", base=model, inputs=inputs, settings=answering)


def _match(current: Round, settings: RoundSettings) -> judging.Match:
    assert current.challenger is not None
    assert current.champion is not None
    return judging.Match(current.challenger, current.champion, _root(current), settings.simulated)


def _judges(current: Round, step: RoundStep, settings: RoundSettings) -> Run | None:
    """The run that reads what both models answered; None where nobody can judge it."""
    purpose = "read measured answers"
    asked: list[dict[str, Any]] = []
    if not step.step_runs.filter(purpose=purpose).exists():
        asked = judging.to_read(_match(current, settings))
        if not asked:
            return None
    return _run(step, purpose, settings, method="features", base=_root(current), inputs={"answers": asked})


def _comparable(current: Round, measured: Run) -> bool:
    """Whether the champion answered most of the prompts that the challenger is measured with, by this round's run or
    before."""
    assert current.champion is not None
    evaluation = scoring.newest(current.champion)
    if evaluation is None:
        return False
    asked = {str(prompt["id"]) for prompt in measured.inputs.get("prompts", [])}
    return 2 * len(asked & evaluation.details.get("words_model", {}).keys()) >= len(asked)


def gated(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    """Write down what speaks for the challenger and what against it (evaluation/gate.py), and have people compare it
    with the champion. Promotion is a lead's decision; a round goes on either way, since the next labels are what will
    tell."""
    assert current.challenger is not None
    found = gate.verdict(current.challenger, champion=current.champion)
    step.detail |= {**gate.written(found), **polling.ask_people(current, settings, found)}
    return StepStatus.DONE


def sampling(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    """Champion and challenger answer the prompts that were asked about least, and some held-out ones."""
    if "prompts" not in step.detail:
        step.detail["prompts"] = [
            *_least_asked(current, Split.TRAIN, settings.fresh_prompts, settings.seed),
            *_least_asked(current, Split.HELDOUT, settings.heldout_prompts, settings.seed),
        ]
        step.save(update_fields=["detail"])
    prompts = Prompt.objects.filter(pk__in=step.detail["prompts"]).order_by("id")
    inputs = {"prompts": [{"id": prompt.pk, "messages": prompt.messages} for prompt in prompts]}
    if not inputs["prompts"]:
        raise StepFailed("There is no prompt to answer: import prompts, then retry the round.")
    started = [
        _run(
            step,
            f"generate {role}",
            settings,
            method="generate",
            base=base,
            inputs=inputs,
            settings=settings.generate,
        )
        for role, base in (("champion", current.champion), ("challenger", current.challenger))
    ]
    if any(_ended(run) == StepStatus.RUNNING for run in started):
        return StepStatus.RUNNING
    for role, run in zip(("champion", "challenger"), started, strict=True):
        lengths = Response.objects.filter(samples__generation__run=run).aggregate(mean=Avg(Length("text")))
        step.detail[f"{role}_mean_characters"] = round(lengths["mean"] or 0, 1)
    return StepStatus.DONE


def selecting(current: Round, step: RoundStep, settings: RoundSettings, force: bool) -> StepStatus:
    """Score and read the new answers, and queue the pairs that tell most; while too little is known to say which these
    are, those that the reward model is least sure of."""
    answers = new_answers(current)
    everything = {response.pk: response for sides in answers.values() for side in sides for response in side}
    if not everything and Step.SAMPLING in settings.skip:
        step.detail["why"] = "no new answers were sampled"
        return StepStatus.SKIPPED
    if not everything:
        raise StepFailed("Neither model gave an answer with any text: look at the sampling runs.")
    inputs = {
        "answers": [
            {"id": pk, "messages": response.prompt.messages, "text": response.text}
            for pk, response in sorted(everything.items())
        ]
    }
    run = _run(step, "score answers", settings, method="score", base=current.reward_model, inputs=inputs)
    reading = _reading(current, step, settings, everything)
    if _ended(run) == StepStatus.RUNNING or (reading is not None and reading.is_open):
        return StepStatus.RUNNING
    if reading is not None:  # one that failed fails nothing: there is the reward model
        features.take_in_if_read(reading)
    rewards = scoring.scores(run)
    reward_model = run.base
    assert reward_model is not None
    Reward.objects.bulk_create(
        [Reward(model_version=reward_model, response_id=pk, value=value) for pk, value in rewards.items()],
        ignore_conflicts=True,
    )
    pairs = [
        Pair(prompt, a.pk, b.pk, (rewards[a.pk], rewards[b.pk]))
        for prompt, (old, new) in answers.items()
        for a, b in product(old, new)
        if as_seen(a.text) != as_seen(b.text) and a.pk in rewards and b.pk in rewards
    ]
    ranked = _ranked(current, settings, pairs, everything)
    chosen = select(
        pairs,
        wanted=settings.new_items,
        random_share=settings.random_share,
        seed=settings.seed + current.number,
        ranked=ranked,
    )
    queued = 0
    for one in chosen:
        first, second = everything[one.pair.first], everything[one.pair.second]
        heldout = first.prompt.split == Split.HELDOUT
        _, created = ask(
            project=current.project,
            prompt=first.prompt,
            kind=Kind.COMPARISON,
            responses=[first, second],
            purpose=Purpose.HEAD_TO_HEAD if heldout else Purpose.TRAIN,
            priority=one.priority,
            selection={
                "selector": one.selector,
                "round": current.number,
                "uncertainty": round(one.pair.uncertainty, 4),
            },
        )
        queued += created
    step.detail |= {"candidates": len(pairs), "queued": queued}
    if queued:
        step.detail["chosen_by"] = "uncertainty" if ranked is None else "posterior"
    else:
        step.detail["why"] = "champion and challenger gave the same answers, or all pairs were asked before"
    return StepStatus.DONE


def _reading(current: Round, step: RoundStep, settings: RoundSettings, everything: dict[int, Response]) -> Run | None:
    """The run that reads the new answers, those that wait and those judged last; None where all are read already."""
    purpose = "read answers"
    unread: list[dict[str, Any]] = []
    if not step.step_runs.filter(purpose=purpose).exists():
        judged = steering.judged_pairs(current.project, simulated=settings.simulated)[-MOST_READ:]
        wanted = {*everything, *steering.waiting_answers(current.project)[:MOST_READ]}
        wanted |= {pk for one in judged for pk in (one.first, one.second)}
        unread = features.unread(wanted, reader=_root(current))
        if not unread:
            return None
    return _run(step, purpose, settings, method="features", base=_root(current), inputs={"answers": unread})


def _ranked(
    current: Round, settings: RoundSettings, pairs: list[Pair], everything: dict[int, Response]
) -> list[Pair] | None:
    """The pairs in the order in which the posterior would ask them; None while too little is said, or if the answers
    could not be read."""
    known = steering.know(current.project, also=sorted(everything), simulated=settings.simulated, reader=_root(current))
    if known is None or not pairs or not known.answers.read[known.answers.places(everything)].all():
        return None
    costs = [reading_seconds(everything[pair.first].text, everything[pair.second].text) for pair in pairs]
    pool = known.pool([(pair.first, pair.second) for pair in pairs], costs)
    selector = steering.SELECTOR[steering.aim_of(current.project)]
    order = in_order(pool, np.random.default_rng(settings.seed + current.number), selector)
    return [pairs[place] for place in order]


def new_answers(current: Round) -> dict[int, tuple[list[Response], list[Response]]]:
    """By prompt: the answers of the champion and those of the challenger in this round."""
    found: dict[int, tuple[list[Response], list[Response]]] = defaultdict(lambda: ([], []))
    generations = Generation.objects.filter(run__step_run__step__round=current).select_related("run__step_run")
    for generation in generations:
        side = int(generation.run.step_run.purpose == "generate challenger")
        responses = generation.responses.select_related("prompt").order_by("id").distinct()
        for response in responses:
            found[response.prompt_id][side].append(response)
    return dict(found)


def open_runs(current: Round) -> list[StepRun]:
    return list(
        StepRun.objects.filter(step__round=current, run__status__in=[Status.QUEUED, Status.RUNNING]).select_related(
            "run__project"
        )
    )


def ended_badly(current: Round) -> list[StepRun]:
    return list(
        StepRun.objects.filter(step__round=current, run__status__in=[Status.FAILED, Status.CANCELLED]).select_related(
            "run__project"
        )
    )


def _root(current: Round) -> ModelVersion:
    assert current.champion is not None
    return current.champion.ancestry()[-1]


def _snapshot(current: Round, kind: str) -> Snapshot | None:
    return current.snapshots.filter(kind=kind).first()


def _run(
    step: RoundStep,
    purpose: str,
    round_settings: RoundSettings,
    *,
    base: ModelVersion | None,
    method: str = "",
    snapshot: Snapshot | None = None,
    settings: dict[str, Any] | None = None,
    inputs: dict[str, Any] | None = None,
) -> Run:
    """The run of this purpose, started if it was not yet."""
    existing = step.step_runs.filter(purpose=purpose).select_related("run__project").first()
    if existing is not None:
        return existing.run
    try:
        run = runs.start(
            project=step.round.project,
            method=method or purpose,
            base=base,
            snapshot=snapshot,
            settings=settings,
            inputs=inputs,
            seed=round_settings.seed,
            actor=step.round.started_by,
        )
    except ValidationError as error:
        raise StepFailed(" ".join(error.messages)) from error
    StepRun.objects.create(step=step, purpose=purpose, run=run)
    return run


def _ended(run: Run) -> StepStatus:
    """Done, or running; raises StepFailed if the run failed or was cancelled."""
    if run.is_open:
        return StepStatus.RUNNING
    if run.status == Status.SUCCEEDED:
        return StepStatus.DONE
    if run.status == Status.CANCELLED:
        raise StepFailed(f"Its run {run.pk} ({run.method}) was cancelled. Retry the round to go on from there.")
    raise StepFailed(f"Its run {run.pk} ({run.method}) failed: {run.error}")


def _least_asked(current: Round, split: str, number: int, seed: int) -> list[int]:
    """Prompts with the fewest comparisons so far, in an order drawn by the seed among equals.

    Conversations that were mended are left out: each would count its twin's question a second time.
    """
    rows = (
        Prompt.objects.kept()
        .originals()
        .filter(project=current.project, split=split)
        .annotate(asked=Count("items", filter=Q(items__kind=Kind.COMPARISON)))
        .values_list("pk", "asked", "sha256")
    )
    ordered = sorted(rows, key=lambda row: (row[1], sha256(f"{seed} {current.number} {row[2]}")))
    return [pk for pk, _, _ in ordered[:number]]
