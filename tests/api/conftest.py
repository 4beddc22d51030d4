"""Clients with tokens, and a project that has been once round the loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from annotation import accesskeys, bulk, labelling, savedviews, talk, webhooks
from annotation.asking import ask
from annotation.exporting import files as exports
from annotation.exporting.wanted import Wanted
from annotation.gold import Right, mark
from annotation.labelling import Said
from annotation.models import Import, Invitation, Notice, Team
from annotation.models.accesskeys import Scope
from evaluation.models import Evaluation, HeadToHead, Round, RoundStep, Score
from tests.annotation.making import a_demonstration, a_prompt, an_answer, lease
from training import files, jobs, snapshots
from training.models import Freezing, Generation, Metric, ModelVersion, Paraphrase, RecipeVersion, Run, Sample


@pytest.fixture
def api() -> Callable[..., APIClient]:
    """A client with an access key: `api(bob)`, or `api(bob, "read")` for one of fewer scopes; `api()` is nobody's."""

    secrets: dict[Any, str] = {}

    def of(who: Any = None, *scopes: str, project: Any = None) -> APIClient:
        client = APIClient()
        if who is not None:
            asked = (getattr(who, "person", who), scopes or tuple(Scope.values), project)
            if asked not in secrets:
                person, opens, only = asked
                secrets[asked] = accesskeys.make(owner=person, name="Tests", scopes=opens, days=1, project=only)[1]
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {secrets[asked]}")
        return client

    return of


@dataclass
class World:
    """The base model was tuned on bob's label into `tuned`; both answered, and bob preferred the tuned answer."""

    prompt: Any
    first_label: Any
    snapshot: Any
    run: Any
    base: Any
    tuned: Any
    old_answer: Any
    new_answer: Any
    assignment: Any
    label: Any
    round: Any
    team: Any
    invitation: Any
    flag: Any
    notice: Any
    gold: Any
    match: Any
    source: Any
    recipe: Any
    freezing: Any
    view: Any
    change: Any
    job: Any
    export: Any
    key: Any
    webhook: Any
    delivery: Any
    paraphrase: Any

    @property
    def ids(self) -> dict[str, Any]:
        """What stands in the addresses."""
        return {
            "slug": "desk",
            "assignment_id": self.assignment.pk,
            "label_id": self.label.pk,
            "person_id": self.label.person_id,
            "team_id": self.team.pk,
            "invitation_id": self.invitation.pk,
            "snapshot_id": self.snapshot.pk,
            "run_id": self.run.pk,
            "model_id": self.tuned.pk,
            "base_id": self.base.pk,
            "response_id": self.new_answer.pk,
            "number": self.round.number,
            "item_id": self.label.item_id,
            "comment_id": self.flag.pk,
            "notice_id": self.notice.pk,
            "gold_id": self.gold.pk,
            "match_id": self.match.pk,
            "import_id": self.source.pk,
            "recipe_id": self.recipe.pk,
            "freezing_id": self.freezing.pk,
            "other_id": self.snapshot.pk,
            "view_id": self.view.pk,
            "change_id": self.change.pk,
            "file_id": self.job.training_file.key,
            "job_id": self.job.key,
            "model_name": self.tuned.name,
            "export_id": self.export.pk,
            "key_id": self.key.pk,
            "webhook_id": self.webhook.pk,
            "delivery_id": self.delivery.pk,
            "paraphrase_id": self.paraphrase.pk,
        }


@pytest.fixture
def world(project: Any, alice: Any, bob: Any) -> World:
    prompt = a_prompt(project)
    draft = an_answer(prompt, "A draft.")
    ask(project=project, prompt=prompt, kind="demonstration", responses=[draft])
    said = Said(verdict="edit", text="A good answer.")
    first_label = labelling.submit(assignment=lease(bob, "demonstration"), said=said)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")

    base = ModelVersion.objects.create(
        project=project, name="base", kind="policy", format="full", stage="production", location="base"
    )
    run = Run.objects.create(
        project=project, method="sft", base=base, snapshot=snapshot, status="failed", step=2, total=2
    )
    Metric.objects.bulk_create(Metric(run=run, step=step, values={"loss": 2.0 - step}) for step in (1, 2))
    tuned = ModelVersion.objects.create(
        project=project, name="tuned", kind="policy", format="adapter", parent=base, run=run, location="tuned"
    )
    old_answer, new_answer = _answers(base, prompt, "The old answer."), _answers(tuned, prompt, "The new answer.")
    ask(project=project, prompt=prompt, kind="comparison", responses=[old_answer, new_answer])
    assignment = lease(bob)
    ranks = [1 if one == new_answer else 2 for one in assignment.shown()]
    label = labelling.submit(assignment=assignment, said=Said(ranks=ranks, strength=2))

    number_one = Round.objects.create(project=project, number=1, status="failed", step="sft", champion=base)
    RoundStep.objects.create(round=number_one, name="sft", status="failed")
    evaluation = Evaluation.objects.create(project=project, model_version=tuned, kind="held-out pairs")
    Score.objects.create(evaluation=evaluation, name="reward accuracy", value=0.75, lower=0.3, upper=0.95, n=4)
    team = Team.objects.create(project=project, name="Letters")
    invitation = Invitation.objects.create(project=project, author=alice.person)
    known = mark(item=a_demonstration(project), right=Right(verdicts=["accept"]))
    flag = talk.comment(item=label.item, author=bob, text="@alice: which product is meant?", flag=True)
    runs = [Run.objects.create(project=project, method="generate", base=one, status="failed") for one in (base, tuned)]
    match = HeadToHead.objects.create(
        project=project,
        champion=base,
        challenger=tuned,
        champion_run=runs[0],
        challenger_run=runs[1],
        ended_at=timezone.now(),
    )
    recipe = RecipeVersion.objects.create(project=project, name="house", number=1, kind="preferences", rule={})
    line = b'{"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}'
    file = files.keep(project=project, name="examples.jsonl", parts=[line])
    hook = webhooks.make(project=project, actor=alice.person, url="https://hooks.example/", groups=["runs"])
    return World(
        prompt=prompt,
        first_label=first_label,
        snapshot=snapshot,
        run=run,
        base=base,
        tuned=tuned,
        old_answer=old_answer,
        new_answer=new_answer,
        assignment=assignment,
        label=label,
        round=number_one,
        team=team,
        invitation=invitation,
        flag=flag,
        notice=Notice.objects.get(person=alice.person),
        gold=known,
        match=match,
        source=Import.objects.create(project=project, name="data.jsonl", status="failed"),
        recipe=recipe,
        freezing=Freezing.objects.create(project=project, kind="preferences", rule={}, recipe=recipe),
        view=savedviews.save(member=alice, name="Mine", query={"tag": "tea"}),
        change=bulk.start(project=project, actor=alice.person, prompts=[prompt.pk], priority=1),
        job=jobs.create(project=project, base=base, training_file=file),
        export=exports.ask(project=project, shape="csv", wanted=Wanted(), actor=alice.person),
        key=accesskeys.make(owner=alice.person, name="Nightly export", scopes=["data"], days=30)[0],
        webhook=hook,
        delivery=webhooks.ping(webhook=hook, actor=alice.person),
        paraphrase=Paraphrase.objects.create(run=runs[0], prompt=prompt, index=0, text="In other words?", nearness=0.1),
    )


def _answers(version: ModelVersion, prompt: Any, text: str) -> Any:
    run = Run.objects.create(project=version.project, method="generate", base=version, status="succeeded")
    generation = Generation.objects.create(project=version.project, run=run, model_version=version, seed=17)
    response = an_answer(prompt, text, "model")
    Sample.objects.create(generation=generation, response=response, index=0)
    return response
