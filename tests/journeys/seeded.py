"""A project with something on every page, made directly in the database: `manage.py shell` calls `make()`."""

import uuid
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.utils import timezone

from annotation import invitations, labelling, reviewing, talk, teams
from annotation.asking import ask
from annotation.gold import Right, mark
from annotation.guidelines import publish
from annotation.labelling import Said
from annotation.models import Invitation, Label, Membership, Project, User
from annotation.pausing import pause
from evaluation.models import Evaluation, HeadToHead, Round, RoundStep, Score, Steering
from tests.annotation.making import a_comparison, a_demonstration, a_prompt, an_answer, asked, lease
from training import registry
from training.models import Generation, Metric, ModelVersion, Run, Sample, Snapshot

MARKDOWN = """# House style

Be **kind**, and *short*. See [the policy](https://example.com/policy).

- first
- second, with `code`

> A good example.

| Case | Answer |
|---|---|
| Parcel | Say when |

```python
print("a rather long line of code that needs more room than a narrow screen has, so that it scrolls by itself")
```
"""


def make() -> dict[str, Any]:
    """Desk has everything, Empty nothing; alice leads both, bob and bea annotate, rita reviews."""
    desk = Project.objects.create(slug="desk", name="Desk", description="Letters of a small shop.", heldout_share=0.3)
    empty = Project.objects.create(slug="empty", name="Empty")
    people = {
        name: User.objects.create_user(name, password=f"{name}-has-a-secret", is_staff=role == "lead")
        for name, role in (("alice", "lead"), ("rita", "reviewer"), ("bob", "annotator"), ("bea", "annotator"))
    }
    charlie = User.objects.create_user("charlie", password="charlie-has-a-secret")
    RecoveryCodes.activate(charlie)
    TOTP.activate(User.objects.create_user("dora", password="dora-has-a-secret"), generate_totp_secret())
    roles = {"alice": "lead", "rita": "reviewer"}
    members = {
        name: Membership.objects.create(person=person, project=desk, role=roles.get(name, "annotator"))
        for name, person in people.items()
    }
    for name in ("alice", "bob"):
        Membership.objects.create(person=people[name], project=empty, role=roles.get(name, "annotator"))
    publish(project=desk, text=MARKDOWN, actor=people["alice"], asks_again=False)
    ids = _judged(desk, members) | _people(desk, members) | _loop(desk, people["alice"]) | _gold(desk, members)
    for number in range(3):  # what is still to be done
        a_comparison(desk, answers=(f"{MARKDOWN}\n\nFirst {number}.", "Second. " * 60), wanted=3)
        _demonstration(desk, f"A draft, number {number}.", wanted=3)
    return {**ids, "bob": people["bob"].pk}


def _demonstration(project: Project, text: str, **more: Any) -> None:
    messages = [{"role": "system", "content": "You work in a shop."}, {"role": "user", "content": "Where is it?"}]
    prompt = a_prompt(project, f"Where is my parcel, {uuid.uuid4()}?", language="en", tags=["parcels"])
    prompt.messages = [*messages, *prompt.messages]
    prompt.save()
    ask(project=project, prompt=prompt, kind="demonstration", responses=[an_answer(prompt, text)], **more)


def _gold(desk: Project, members: dict[str, Membership]) -> dict[str, Any]:
    """Gold, one of it answered wrongly; somebody who is paused; guidelines that bob has not read."""
    desk.gold_feedback = True
    desk.save()
    items = [a_demonstration(desk, f"Known, {number}.") for number in range(2)]
    known, quiz = (
        mark(item=item, right=Right(verdicts=["accept"]), explanation="It is **kind**.", quiz=bool(number))
        for number, item in enumerate(items)
    )
    answer = labelling.submit(assignment=asked(known, members["bob"]), said=Said(verdict="reject"))
    ben = User.objects.create_user("ben", password="ben-has-a-secret")
    pause(membership=Membership.objects.create(person=ben, project=desk), because="Let us talk about the last batch.")
    reading = Project.objects.create(slug="reading", name="Reading")
    Membership.objects.create(person=members["bob"].person, project=reading)
    for text in ("# Be kind\n\nAlways.", "# Be kind\n\nAlways, and short."):
        publish(project=reading, text=text, note="Short, too.")
    plain = a_demonstration(desk, "Not known yet.")
    return {"gold": known.pk, "quiz": quiz.pk, "gold_answer": answer.pk, "plain": plain.pk}


def _judged(desk: Project, members: dict[str, Membership]) -> dict[str, Any]:
    """What people said so far, some of it withdrawn."""
    for number in range(3):
        a_comparison(desk, answers=(f"One, {number}", f"Two, {number}"), wanted=2)
        _demonstration(desk, f"A draft [TIME], {number}.")
    for name in ("bob", "bea"):
        for number in range(3):
            said = Said(ranks=(1, 2) if number else (1, 1), strength=2, seconds=12.5, comment="A reason.")
            label = labelling.submit(assignment=lease(members[name]), said=said)
    for number in range(3):
        said = Said(verdict="edit", text=f"Mended, {number}.", seconds=40) if number else Said(verdict="accept")
        labelling.submit(assignment=lease(members["bob"], "demonstration"), said=said)
    labelling.retract(label=label, actor=members["bea"])
    Membership.objects.filter(pk=members["bea"].pk).update(paused_at=timezone.now(), paused_because="much too fast")
    own = Label.objects.live().filter(person=members["bob"].person, item__kind="comparison").first()
    assert own is not None
    reviewing.open_case(item=own.item, reason="asked")
    flag = talk.comment(item=own.item, author=members["bob"], text="@alice: which product is meant?", flag=True)
    talk.comment(item=own.item, author=members["alice"], text="@bob the green tea.")
    return {"label": label.pk, "own_label": own.pk, "assignment": own.assignment_id, "flag": flag.pk}


def _people(desk: Project, members: dict[str, Membership]) -> dict[str, Any]:
    alice = members["alice"]
    team = teams.save(
        project=desk, actor=alice.person, name="Parcels", tags=["parcels"], languages=["en"], members=[members["bea"]]
    )
    for uses in (1, 4):
        link = invitations.invite(project=desk, actor=alice, role="annotator", uses=uses, team=team)
    closed = invitations.invite(project=desk, actor=alice, role="reviewer")
    invitations.revoke(invitation=closed, actor=alice.person)
    return {"team": team.pk, "token": link.token, "closed": Invitation.objects.get(pk=closed.pk).token}


def _loop(desk: Project, alice: User) -> dict[str, Any]:
    """A base model, a model tuned from it, their answers, and the round that did it; another run failed."""
    snapshot = Snapshot.objects.create(
        project=desk, kind="demonstrations", rule={}, sha256="0" * 64, folder="gone", counts={"train": 3}
    )
    base = ModelVersion.objects.create(
        project=desk, name="base", kind="policy", format="full", stage="production", location="base"
    )
    now = timezone.now()
    run = Run.objects.create(
        project=desk, method="sft", base=base, snapshot=snapshot, status="succeeded", step=3, total=3, started_at=now,
        finished_at=now, created_by=alice,
    )  # fmt: skip
    Metric.objects.bulk_create(Metric(run=run, step=n, values={"loss": 2.0 - n / 3, "epoch": n}) for n in (1, 2, 3))
    failed = Run.objects.create(
        project=desk, method="dpo", base=base, snapshot=snapshot, status="failed", step=1, total=9,
        reason="out_of_memory", error="The batch does not fit.",
    )  # fmt: skip
    tuned = ModelVersion.objects.create(
        project=desk, name="tuned", kind="policy", format="adapter", parent=base, run=run, location="tuned"
    )
    prompt = a_prompt(desk, "Do you sell tea?")
    answers = []
    for version, text in ((base, "The old answer."), (tuned, "The new answer.")):
        sampling = Run.objects.create(project=desk, method="generate", base=version, status="succeeded")
        generation = Generation.objects.create(project=desk, run=sampling, model_version=version, seed=17)
        answers.append(an_answer(prompt, text, "model"))
        Sample.objects.create(generation=generation, response=answers[-1], index=0)
    ask(project=desk, prompt=prompt, kind="comparison", responses=answers, wanted=3)
    first = Round.objects.create(
        project=desk, number=1, status="done", step="selecting", champion=base, challenger=tuned, started_by=alice
    )
    RoundStep.objects.create(round=first, name="sft", status="done")
    RoundStep.objects.create(
        round=first,
        name="gated",
        status="done",
        detail={
            "outcome": "failed",
            "words": "It does not pass: longer answers than the present model's.",
            "verdict": [
                {"name": "Reward accuracy", "value": "75 %", "goal": "above 50 %", "outcome": "open", "passed": False},
                {
                    "name": "Longer answers",
                    "value": "+31 %",
                    "goal": "at most 15 %",
                    "outcome": "failed",
                    "passed": False,
                },
                {"name": "Forgetting", "value": "+1 %", "goal": "at most 10 %", "outcome": "passed", "passed": True},
            ],
        },
    )
    registry.promote(version=tuned, actor=alice, reason="An earlier try.")
    registry.promote(version=base, actor=alice)
    judge = ModelVersion.objects.create(
        project=desk, name="judge", kind="reward", format="adapter", parent=base, location="judge"
    )
    Round.objects.filter(pk=first.pk).update(reward_model=judge)
    figures = Evaluation.objects.create(
        project=desk,
        model_version=tuned,
        kind="held-out measures",
        details={"words_model": {"1": 34, "2": 28}, "words_reference": {"1": 30, "2": 28}},
    )
    Score.objects.bulk_create(
        Score(evaluation=figures, name=name, value=value, lower=lower, upper=upper, n=n, group=group)
        for name, value, lower, upper, n, group in (
            ("preference accuracy", 0.71, 0.6, 0.8, 54, ""),
            ("preference accuracy", 0.8, 0.5, 0.94, 10, "language: de"),
            ("perplexity of good answers", 9.2, 8.1, 10.4, 20, ""),
            ("forgetting", 0.021, -0.004, 0.05, 60, ""),
            ("distance from base", 0.42, 0.35, 0.5, 24, ""),
        )
    )
    HeadToHead.objects.create(
        project=desk, champion=base, challenger=tuned, champion_run=sampling, challenger_run=run, identical=1
    )
    Steering.objects.create(
        project=desk, made_at=now, report={"pairs": 80, "ordered": 40, "simulated": False, "saved": [0.4, 0.1, 0.6]}
    )
    evaluation = Evaluation.objects.create(project=desk, model_version=judge, kind="held-out pairs")
    Score.objects.create(evaluation=evaluation, name="reward accuracy", value=0.75, lower=0.3, upper=0.95, n=40)
    return {"run": run.pk, "failed_run": failed.pk, "base": base.pk, "model": tuned.pk, "round": first.number}
