"""Items to judge, ways to judge them, and many hands at once."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, F, Q
from django.utils import timezone

from annotation import labelling, leasing
from annotation.asking import add_response, ask
from annotation.labelling import Said
from annotation.models import Assignment, Gold, Item, Label, Project, Prompt, Response
from annotation.text import sha256

_number = itertools.count(1)


def a_prompt(project: Project, question: str = "", **more: Any) -> Prompt:
    messages = [{"role": "user", "content": question or f"Question {next(_number)}?"}]
    more.setdefault("split", "train")
    return Prompt.objects.create(project=project, messages=messages, sha256=sha256(messages), **more)


def an_answer(prompt: Prompt, text: str, origin: str = "import") -> Response:
    return add_response(prompt=prompt, text=text, origin=origin)[0]


def a_comparison(project: Project, answers: Sequence[str] = ("first answer", "second answer"), **more: Any) -> Item:
    prompt = a_prompt(project)
    responses = [an_answer(prompt, text) for text in answers]
    return ask(project=project, prompt=prompt, kind="comparison", responses=responses, **more)[0]


def a_demonstration(project: Project, answer: str | None = "A draft.", **more: Any) -> Item:
    prompt = a_prompt(project)
    responses = [an_answer(prompt, answer)] if answer is not None else []
    return ask(project=project, prompt=prompt, kind="demonstration", responses=responses, **more)[0]


def first_is_better(**more: Any) -> Said:
    """Of the answers as this person sees them, in an order drawn by lot: two who say it need not agree (`prefers`)."""
    return Said(ranks=(1, 2), **more)


def lease(member: Any, kind: str = "comparison") -> Assignment:
    """The member's next item, which must exist."""
    assignment = leasing.next_assignment(membership=member, kind=kind)
    assert assignment is not None
    return assignment


def a_disagreement(project: Project, *members: Any, answers: Sequence[str] = ("first answer", "second answer")) -> Item:
    """A comparison of which each member says something else than the one before them."""
    item = a_comparison(project, answers, wanted=len(members))
    best = item.answers.values_list("response_id", flat=True)
    for number, member in enumerate(members):
        prefers(member, item, best[number % 2])
    return item


def prefers(member: Any, item: Item, best: int, **more: Any) -> Label:
    """The member's label on this item, which must be theirs to get: that this answer (by id) is the best."""
    assignment = lease(member)
    assert assignment.item == item
    ranks = [1 if response == best else 2 for response in assignment.order]
    return labelling.submit(assignment=assignment, said=Said(ranks=ranks, **more))


def asked(gold: Gold, member: Any) -> Assignment:
    """A gold item, leased to this member as if the lot had fallen on it."""
    Item.objects.filter(pk=gold.item_id).update(taken=F("taken") + 1)
    until = timezone.now() + timedelta(minutes=20)
    order = list(gold.item.answers.values_list("response_id", flat=True))
    return Assignment.objects.create(
        item=gold.item, person=member.person, leased_at=timezone.now(), lease_until=until, order=order
    )


def let_time_pass(assignments: Iterable[Assignment] | Any) -> None:
    """As if these leases had been taken long ago."""
    ago = timezone.now() - timedelta(seconds=1)
    Assignment.objects.filter(pk__in=[one.pk for one in assignments], state="leased").update(lease_until=ago)


def miscounted() -> list[tuple[int, int, int]]:
    """Items whose `taken` is not what their assignments say, with both figures: there must be none."""
    claims = Count("assignments", filter=Q(assignments__state__in=["leased", "submitted"], assignments__review=False))
    wrong = Item.objects.annotate(claims=claims).exclude(taken=F("claims"))
    return list(wrong.values_list("pk", "taken", "claims"))


def overlabelled() -> list[int]:
    """Items with more live labels than they want, decisions left out, or two of one person: there must be none."""
    live = Q(labels__retracted_at=None, labels__superseded_by=None, labels__isnull=False, labels__decision=False)
    counted = Item.objects.annotate(live=Count("labels", filter=live, distinct=True))
    twice = Label.objects.live().values("item", "person").annotate(n=Count("id")).filter(n__gt=1)
    return [*counted.filter(live__gt=F("wanted")).values_list("pk", flat=True), *(row["item"] for row in twice)]


def until_somebody_waits(patience: float = 60) -> None:
    """Return once another connection waits for a lock that this one holds, in its transaction."""
    with connection.cursor() as cursor:
        for _ in range(round(patience * 100)):
            cursor.execute("SELECT FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            if cursor.rowcount:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


def all_at_once(*jobs: Callable[[], Any], patience: float = 30) -> list[Any]:
    """Run each job in a thread with a connection of its own, all from the same moment; raise what any raised."""
    ready = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)
    errors: list[Exception] = []

    def run(number: int, job: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            ready.wait(patience)
            results[number] = job()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(jobs)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "threads wait for each other"
    if errors:
        raise ExceptionGroup("in threads", errors)
    return results
