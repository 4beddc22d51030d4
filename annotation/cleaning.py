"""Going through a project's prompts and answers with the checks: in the background over new ones, and when asked to.

What was looked at is remembered by its newest ids (annotation/settled.py), batch by batch, so that a process that dies
is taken up where it was; a finding is stored once, so that looking twice adds nothing. One process at a time looks
at a project. A slice of the work ends after some seconds, so that whatever else waits for the queue has its turn.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.tasks import async_task

from annotation import leaving_out, settled, textchecks, wholechecks
from annotation.models import Cleaning, Finding, Project, Prompt, Response, User
from annotation.models.cleaning import Check, Decision
from annotation.models.events import record

VERSION = 1  # of the checks: with a higher one every text is looked at anew
BATCH = 200
SLICE = 20.0  # seconds
PATIENCE = timedelta(minutes=10)  # without word, after which a process that checks is taken for lost
SELDOM = 10  # comparing all with all rests this many times as long as it took
MOST_COMPARED = 1_000_000  # texts; more would take longer than the queue lets a task take, and are left to the command
TASK = "annotation.tasks.clean"
STAGES = {"texts": "Reading", "whole": "Comparing with each other", "more": "Looking for label errors"}

MoreChecks = Callable[..., int]  # of rooms that import this one: settings.MORE_CHECKS


@dataclass(frozen=True)
class Progress:
    """How far the checks are. `at_work`: a process is at it; `busy`: or somebody asked for it; `waiting`: and it
    has not begun."""

    checked_at: datetime | None
    compared_at: datetime | None
    at_work: bool
    busy: bool
    waiting: bool
    stage: str
    done: int
    total: int

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 0


def progress(project: Project) -> Progress:
    row = Cleaning.objects.filter(project=project).first() or Cleaning(project=project)
    at_work = row.claimed_at is not None and row.claimed_at > timezone.now() - PATIENCE
    going_on = at_work or row.asked_at is not None
    return Progress(
        checked_at=row.checked_at,
        compared_at=row.compared_at,
        at_work=at_work,
        busy=going_on,
        waiting=going_on and not row.stage,
        stage=STAGES.get(row.stage, ""),
        done=row.done,
        total=row.total,
    )


COUNT_ONE = """
SELECT %s, %s, (SELECT count(*) FROM (
    SELECT FROM annotation_finding WHERE project_id = %s AND state = %s AND kind = %s LIMIT %s) few)
"""


def counts(project: Project) -> dict[str, Counter[str]]:
    """How many findings there are of each kind, by their state."""
    rows = Finding.objects.filter(project=project).order_by().values_list("kind", "state")
    return _by_kind(list(rows.annotate(number=Count("id"))))


def counts_up_to(project: Project, most: int, states: Sequence[str]) -> dict[str, Counter[str]]:
    """The same of these states, with so many at most of each, which takes milliseconds however many there are."""
    each = [(kind, state, project.pk, state, kind, most) for kind in Check.values for state in states]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # it would look for what is rare in the whole table
        cursor.execute(" UNION ALL ".join([COUNT_ONE] * len(each)), [value for one in each for value in one])
        return _by_kind(cursor.fetchall())


def _by_kind(rows: Iterable[tuple[str, str, int]]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for kind, state, number in rows:
        if number:
            found.setdefault(kind, Counter())[state] = number
    return found


@transaction.atomic
def ask(*, project: Project, actor: User | None = None, wake: bool = True) -> bool:
    """Have all of it checked soon, comparing all with all too; False if somebody asked for that just now. Without
    `wake` whoever asks does it."""
    row, _ = Cleaning.objects.get_or_create(project=project)
    now = timezone.now()
    free = Q(asked_at=None) | Q(asked_at__lt=now - PATIENCE)
    if not Cleaning.objects.filter(free, pk=row.pk).update(asked_at=now, asked_by=actor):
        return False
    record("checks asked for", project, project=project, actor=actor)
    if wake:
        transaction.on_commit(lambda: async_task(TASK, project.pk, cluster="default"))
    return True


def is_due(project: Project) -> bool:
    """Whether anything is new, or somebody asked."""
    row = Cleaning.objects.filter(project=project).first() or Cleaning(project=project)
    return (
        row.asked_at is not None
        or row.version < VERSION
        or Prompt.objects.filter(project=project, pk__gt=row.prompts_seen).exists()
        or Response.objects.filter(prompt__project=project, pk__gt=row.responses_seen).exists()
        or _is_whole_due(row, timezone.now())
    )


def check(*, project: Project, seconds: float | None = None, largest: bool = False) -> bool:
    """Look at what is new, for so many seconds or to the end; whether there is nothing to go on with now: nothing is
    left, another process is at it, or rows are being brought in just now, and whatever was asked for stays asked for.

    Of projects of a million texts and more, all are compared with all only if the `largest` are to be, too.
    """
    row, _ = Cleaning.objects.get_or_create(project=project)
    now = timezone.now()
    free = Q(claimed_at=None) | Q(claimed_at__lt=now - PATIENCE)
    if not Cleaning.objects.filter(free, pk=row.pk).update(claimed_at=now):
        return True
    row.refresh_from_db()
    try:
        leaving_out.set_aside(project)
        patience = settled.PATIENCE if seconds is None else min(settled.PATIENCE, seconds)
        newest = settled.newest(Prompt._meta.db_table, Response._meta.db_table, patience=patience)
        if newest is None:
            _tell(row, "", 0, 0)
            return True
        finished = _texts(row, newest, None if seconds is None else time.monotonic() + seconds)
        if finished:
            if row.asked_at is not None or _is_whole_due(row, now):
                if largest or not _is_too_big(project):
                    _whole(row)
                _more(row)
            Cleaning.objects.filter(pk=row.pk).update(stage="", done=0, total=0, checked_at=timezone.now())
            Cleaning.objects.filter(pk=row.pk, asked_at=row.asked_at).update(asked_at=None, asked_by=None)
    finally:
        Cleaning.objects.filter(pk=row.pk).update(claimed_at=None)
    return finished


# Each text by itself


def _texts(row: Cleaning, newest: list[int], deadline: float | None) -> bool:
    """Read what is new up to these ids; whether the end was reached."""
    if row.version < VERSION:
        row.version, row.prompts_seen, row.responses_seen, row.done = VERSION, 0, 0, 0
        row.save(update_fields=["version", "prompts_seen", "responses_seen", "done"])
    prompts = Prompt.objects.filter(project=row.project, pk__gt=row.prompts_seen, pk__lte=newest[0])
    answers = Response.objects.filter(prompt__project=row.project, pk__gt=row.responses_seen, pk__lte=newest[1])
    new = prompts.count() + answers.count()
    compared = row.compared_prompts >= row.prompts_seen and row.compared_responses >= row.responses_seen
    _tell(row, "texts", row.done, row.done + new)
    for seen, rows, look, last in (
        ("prompts_seen", prompts, _look_at_prompts, newest[0]),
        ("responses_seen", answers, _look_at_answers, newest[1]),
    ):
        while True:
            with transaction.atomic():
                batch = look(row.project, cast("QuerySet", rows).filter(pk__gt=getattr(row, seen)))
                setattr(row, seen, batch[-1] if batch else last)
                row.done += len(batch)
                row.claimed_at = timezone.now()
                row.save(update_fields=[seen, "done", "claimed_at"])
            if not batch:
                break
            if deadline is not None and time.monotonic() > deadline:
                return False
    if compared and not new:  # the ids that passed were other projects'
        row.compared_prompts, row.compared_responses = row.prompts_seen, row.responses_seen
        row.save(update_fields=["compared_prompts", "compared_responses"])
    return True


def _look_at_prompts(project: Project, rows: QuerySet[Prompt]) -> list[int]:
    batch = list(rows.order_by("pk")[:BATCH])
    found, told = [], {}
    for prompt in batch:
        held, language = textchecks.of_prompt(prompt.messages, language=prompt.language)
        found += [_finding(project, one, prompt.pk, excluded=prompt.excluded_at is not None) for one in held]
        if language and not prompt.language:
            told[prompt.pk] = language
    _store(found)
    for language in sorted(set(told.values())):
        fitting = [pk for pk, one in told.items() if one == language]
        filled = Prompt.objects.filter(pk__in=fitting, language="").update(language=language)
        record("languages filled in", project, project=project, actor=None, language=language, prompts=filled)
    return [prompt.pk for prompt in batch]


def _look_at_answers(project: Project, rows: QuerySet[Response]) -> list[int]:
    fields = ("pk", "text", "prompt_id", "prompt__language", "excluded_at", "prompt__excluded_at")
    batch = list(rows.order_by("pk").values_list(*fields)[:BATCH])
    _store(
        [
            _finding(project, one, prompt, pk, excluded=excluded is not None or prompt_excluded is not None)
            for pk, text, prompt, language, excluded, prompt_excluded in batch
            for one in textchecks.of_answer(text, language=language)
        ]
    )
    return [row[0] for row in batch]


def _finding(
    project: Project, found: textchecks.Found, prompt: int, response: int | None = None, *, excluded: bool
) -> Finding:
    return Finding(
        project=project,
        kind=found.kind,
        prompt_id=prompt,
        response_id=response,
        key=found.key,
        turn=found.turn,
        start=found.start,
        end=found.end,
        sentence=found.sentence,
        score=found.score,
        data={"language": found.language} if found.language else {},
        state=Decision.EXCLUDED if excluded else Decision.OPEN,
        decided_at=timezone.now() if excluded else None,
    )


def _store(found: list[Finding]) -> None:
    Finding.objects.bulk_create(found, ignore_conflicts=True)


# All of them together


def _is_whole_due(row: Cleaning, now: datetime) -> bool:
    """Whether texts are new since all were compared, and that is long enough ago."""
    if row.compared_prompts >= row.prompts_seen and row.compared_responses >= row.responses_seen:
        return False
    return row.compared_at is None or now - row.compared_at > timedelta(seconds=SELDOM * row.compared_seconds)


def _is_too_big(project: Project) -> bool:
    answers = Response.objects.filter(prompt__project=project)[: MOST_COMPARED + 1].count()
    return answers + Prompt.objects.filter(project=project)[: MOST_COMPARED + 1].count() > MOST_COMPARED


def _whole(row: Cleaning) -> None:
    began = time.monotonic()
    seen = {"compared_prompts": row.prompts_seen, "compared_responses": row.responses_seen}
    wholechecks.compare(project=row.project, tell=lambda done, total: _tell(row, "whole", done, total))
    took = {"compared_at": timezone.now(), "compared_seconds": time.monotonic() - began}
    Cleaning.objects.filter(pk=row.pk).update(**seen, **took)


def _more(row: Cleaning) -> None:
    for path in settings.MORE_CHECKS:
        _tell(row, "more", 0, 0)
        cast(MoreChecks, import_string(path))(project=row.project)


def _tell(row: Cleaning, stage: str, done: int, total: int) -> None:
    Cleaning.objects.filter(pk=row.pk).update(stage=stage, done=done, total=total, claimed_at=timezone.now())
