"""A project with something on every page, made directly in the database: `manage.py shell` calls `make()`."""

import json
import uuid
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.utils import timezone

from annotation import (
    accesskeys,
    bulk,
    cleaning,
    imports,
    invitations,
    labelling,
    receiving,
    reviewing,
    savedviews,
    searching,
    talk,
    teams,
    tidying,
    webhooks,
)
from annotation.asking import ask
from annotation.exporting import files
from annotation.exporting.wanted import Wanted
from annotation.gold import Right, mark
from annotation.guidelines import publish
from annotation.labelling import Said
from annotation.models import BulkChange, Delivery, Finding, Import, Invitation, Label, Membership, Project, User
from annotation.models.imports import Stage
from annotation.pausing import pause
from annotation.storing import Summary
from evaluation.models import Evaluation, HeadToHead, Round, RoundStep, Score, Steering
from tests.annotation.making import a_comparison, a_demonstration, a_prompt, an_answer, asked, lease
from tests.training.making import a_model
from training import registry, toxicity
from training.models import (
    Freezing,
    Generation,
    Metric,
    ModelVersion,
    Paraphrase,
    Run,
    Sample,
    Snapshot,
    ToxicityScore,
)
from training.snapshots import Rule, freeze, saving

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
    ids = (
        _judged(desk, members)
        | _people(desk, members)
        | _loop(desk, people["alice"])
        | _gold(desk, members)
        | _imports(desk, people["alice"])
    )
    ids |= _found_again(desk, members)
    for shape in ("touchstone", "dataset"):
        files.ask(project=desk, shape=shape, wanted=Wanted(tags=["parcels"]), actor=people["alice"])
    for number in range(3):  # what is still to be done
        a_comparison(desk, answers=(f"{MARKDOWN}\n\nFirst {number}.", "Second. " * 60), wanted=3)
        _demonstration(desk, f"A draft, number {number}.", wanted=3)
    _findings(desk, people["alice"])
    return {**ids, **_frozen(desk, people["alice"]), "bob": people["bob"].pk}


def _frozen(desk: Project, alice: User) -> dict[str, Any]:
    """Two snapshots of one kind, a saved recipe, and one more that waits to be frozen."""
    rules = [Rule(aggregation="all_votes", edits_as_preferences=edits) for edits in (True, False)]
    earlier, later = (freeze(project=desk, kind="preferences", rule=rule, actor=alice) for rule in rules)
    recipe = saving.save(project=desk, name="Every vote", kind="preferences", rule=rules[0], actor=alice)
    recipe = saving.save(project=desk, name="Every vote", kind="preferences", rule=rules[1], actor=alice)
    waits = Freezing.objects.create(project=desk, kind="preferences", rule=rules[0].stored(), done=300, total=1000)
    return {"snapshot": later.pk, "earlier_snapshot": earlier.pk, "recipe": recipe.pk, "freezing": waits.pk}


def _found_again(desk: Project, members: dict[str, Membership]) -> dict[str, Any]:
    """Views of Browse, a change of many prompts that was undone, words to search in."""
    savedviews.save(member=members["alice"], name="Parcels", query={"tag": "parcels"}, shared=True)
    label = Label.objects.order_by("pk").first()
    assert label is not None
    prompt = label.item.prompt
    for _ in range(2):
        made = bulk.start(project=desk, actor=members["alice"].person, prompts=[prompt.pk], add_tags=["looked at"])
    made = BulkChange.objects.exclude(changed=0).get()
    bulk.go_on(change_id=bulk.undo(change=made, actor=members["alice"].person).pk)
    searching.fill()
    return {"prompt": prompt.pk}


def _findings(desk: Project, alice: User) -> None:
    """What the checks found: of most kinds something, some of it decided."""
    letter = "Thank you for your letter. Your parcel left our shop on {} and should be with you by Thursday at latest."
    for day in ("Monday", "monday", "Tuesday"):
        prompt = a_prompt(desk, f"Where is the parcel that was to come on {day}?", language="en", tags=["parcels"])
        an_answer(prompt, letter.format(day.title()))
    for question, text in (
        ("My address is anna@shop.org: where is my parcel?", "I'm sorry, but I can't help with that."),
        ("Do you open on Sunday?", "The cafÃ© is open, itâ€™s fine. Call +44 20 7946 0958, or write to anna@shop.org."),
        ("May I return it?", "Vielen Dank für Ihre Nachricht, Ihr Paket ist heute bei uns abgegangen."),
    ):
        an_answer(a_prompt(desk, question, language="en"), text)
    cleaning.check(project=desk)
    found = Finding.objects.filter(project=desk)
    tidying.accept(project=desk, findings=found.filter(kind="refusal"), actor=alice)
    tidying.exclude(project=desk, findings=found.filter(kind="language"), because="It is not English.", actor=alice)
    detector = a_model(desk, "detector", kind="classifier", card={"labels": ["toxic", "insult", "praise"]})
    policy = toxicity.set_policy(project=desk, model=detector, actor=alice)
    read = {"policy": policy, "prompt": prompt, "response": prompt.responses.get(), "label": "insult"}
    ToxicityScore.objects.create(**read, value=0.93, start=0, end=30)
    toxicity.judge(policy)


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


def _imports(desk: Project, alice: User) -> dict[str, int]:
    """An import in each of its states."""
    rows = [
        {"prompt": MARKDOWN, "completion": "A draft. " * 30, "language": "en", "tags": ["post", "returns"]},
        {"prompt": "Which is better?", "answers": [{"id": 1, "text": "One."}, {"id": 2, "text": "Two, " * 60}]},
        {"instruction": "Say hello."},
    ]
    said = {"person": "ann", "votes": [{"answer": 1, "rank": 2}, {"answer": 2, "rank": 1}], "strength": 2}
    rows[1]["labels"] = [said]
    lines = [json.dumps(row).encode() + b"\n" for row in rows] + [b"{not JSON\n"]
    odd = json.dumps({"number": 7, "of": {"what": "we do not know"}}).encode()
    made = {
        name: receiving.receive(project=desk, name=f"{name}.jsonl", chunks=chunks, actor=alice)
        for name, chunks in (
            *((name, lines) for name in ("upload", "looked_through", "imported", "importing", "failed_import")),
            ("unknown_shape", [odd]),
        )
    }
    imports.bring_in(source=made["looked_through"], shape="touchstone", dry_run=True, actor=alice)
    imports.bring_in(source=made["imported"], shape="touchstone", actor=alice)
    counts = {**Summary().counts(), "added": 1200, "known": 3, "prompts": 1200}
    running = {"status": Stage.RUNNING, "shape": "touchstone", "number": 1240, "done": 0.31, "counts": counts}
    Import.objects.filter(pk=made["importing"].pk).update(**running, heartbeat_at=timezone.now())
    Import.objects.filter(pk=made["failed_import"].pk).update(status=Stage.FAILED, error="The disk: No space left.")
    return {name: source.pk for name, source in made.items()}


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
    accesskeys.make(owner=alice.person, name="Nightly export", scopes=["read", "data"], days=90, project=desk)
    old, _ = accesskeys.make(owner=alice.person, name="A script of last year", scopes=["read"], days=7)
    accesskeys.revoke(key=old, actor=alice.person)
    hook = webhooks.make(
        project=desk, actor=alice.person, url="https://hooks.example/a/rather/long/address/of/our/chat", groups=["runs"]
    )
    states = [
        {"state": "delivered", "attempts": 1, "status_code": 200, "answer": "ok"},
        {"state": "failed", "attempts": 9, "status_code": 404, "answer": "<h1>Not found</h1>"},
        {"attempts": 2, "answer": "hooks.example:443 could not be reached: no answer within 10 seconds."},
        {},
    ]
    for state in states:
        sent = webhooks.ping(webhook=hook, actor=alice.person)
        Delivery.objects.filter(pk=sent.pk).update(**state)
    return {
        "webhook": hook.pk,
        "team": team.pk,
        "token": link.token,
        "closed": Invitation.objects.get(pk=closed.pk).token,
    }


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
                {
                    "name": "Reward accuracy",
                    "value": "75 %",
                    "goal": "above 50 %",
                    "outcome": "undecided",
                    "why": "about 40 more judged held-out pairs would tell",
                    "passed": False,
                },
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
    ids = {"run": run.pk, "failed_run": failed.pk, "base": base.pk, "model": tuned.pk, "round": first.number}
    return {**ids, "wordings": _wordings(base, prompt, alice)}


def _wordings(model: ModelVersion, prompt: Any, alice: User) -> int:
    """A run that said a prompt in other words: kept, refused, refused for good, and decided on."""
    run = Run.objects.create(project=model.project, method="paraphrase", base=model, status="succeeded")
    decided = {"decided_by": alice, "decided_at": timezone.now()}
    for number, one in enumerate(
        [
            {"text": "Is there tea on your shelves?"},
            {"text": "Tea?", "refused_because": "shorter"},
            {"text": "Do you sell teapots for £5?", "refused_because": "detail", "about": "5"},
            {"text": "Do you sell cocoa?", "refused_because": "heldout"},
            {"text": "Tell me all about tea. " * 40, "decision": "refused", **decided},
            {"text": "Any tea?", "refused_because": "shorter", "decision": "kept", **decided},
        ]
    ):
        Paraphrase.objects.create(run=run, prompt=prompt, index=number, nearness=0.2 * number, **one)
    return run.pk
