"""The demonstration project: a small shop's customer-service desk, and the real small model that answers for it."""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from django.db import transaction

from annotation.guidelines import publish
from annotation.importing import import_lines
from annotation.models import Membership, Project, User
from annotation.models.people import Role
from config.paths import BASE, VAR
from training import registry, runner, runs, sampling
from training.models import ModelVersion
from training.recipes.demo_model import smollm2_gguf

CONTENT = BASE / "annotation" / "demo"
SLUG = "shop-desk"
MODEL = "SmolLM2-135M-Instruct"
HELDOUT_SHARE = 0.25
BATCHES, PROMPTS_PER_BATCH = 3, 12  # the first comparisons come after one short batch


@dataclass(frozen=True)
class SignIn:
    """How somebody signs in to the demonstration; made up anew for each installation."""

    name: str
    role: str
    password: str


def set_up(say: Callable[[str], object], *, model: bool = True, samples: bool = True) -> list[SignIn]:
    """Make whatever is missing; what people did since stays. Returns the sign-ins.

    `model` false: only the project, its people and its texts. `samples` false: the model answers nothing yet.
    """
    sign_ins = _sign_ins(VAR / "demo.json")
    with transaction.atomic():
        project, created = Project.objects.get_or_create(
            slug=SLUG,
            defaults={
                "name": "Fern & Kettle: customer service",
                "description": "Replies of a small shop for teas, teapots and house plants.",
                "heldout_share": HELDOUT_SHARE,
            },
        )
        people = [_person(project, sign_in) for sign_in in sign_ins]
        if created:
            text = "\n\n".join((CONTENT / name).read_text() for name in ("guidelines.md", "policy.md"))
            publish(project=project, text=text, actor=people[0], asks_again=False)  # straight to the work
            for name in ("drafts.jsonl", "prompts.jsonl"):
                with (CONTENT / name).open("rb") as lines:
                    say(f"{name}: {import_lines(project=project, lines=lines, actor=people[0])}")
    if model and not ModelVersion.objects.filter(project=project).production().exists():
        say(f"Unpacking {MODEL}: once, about half a minute.")
        version = _import(project)
        if samples:
            _sample(project, version, people[0])
    return sign_ins


def _sign_ins(path: Path) -> list[SignIn]:
    if path.exists():
        return [SignIn(**row) for row in json.loads(path.read_text())]
    made = [
        SignIn(name, role, secrets.token_urlsafe(9))
        for name, role in (("lead", Role.LEAD), ("annotator", Role.ANNOTATOR))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps([asdict(sign_in) for sign_in in made], indent=1))
    return made


def _person(project: Project, sign_in: SignIn) -> User:
    person, created = User.objects.get_or_create(username=sign_in.name)
    if created:
        person.set_password(sign_in.password)
        person.is_staff = sign_in.role == Role.LEAD  # leads work in the admin too
        person.save()
    Membership.objects.get_or_create(person=person, project=project, defaults={"role": sign_in.role})
    return person


def _import(project: Project) -> ModelVersion:
    run = registry.import_model(project=project, name=MODEL, source=str(smollm2_gguf()), wake=False)
    claimed = runs.claim(worker=runner.worker_name(), run_id=run.pk)
    if claimed is not None:
        run = runner.execute(claimed)
        runner.release()
    if run.error:
        raise RuntimeError(run.error)
    return run.model_version


def _sample(project: Project, version: ModelVersion, lead: User) -> None:
    """Candidate answers, in the background, a few at a time."""
    prompts = prompts_to_answer(project)
    for number in range(BATCHES):
        batch = prompts[number * PROMPTS_PER_BATCH : (number + 1) * PROMPTS_PER_BATCH]
        sampling.sample(
            project=project,
            model=version,
            prompts=project.prompts.filter(pk__in=batch),
            pairs_per_prompt=2,
            settings={"samples_per_prompt": 3, "max_new_tokens": 80},
            seed=number,
            actor=lead,
        )


def prompts_to_answer(project: Project) -> list[int]:
    """The ids of prompts without work, splits mixed, in the same order everywhere.

    Hashes are sorted from their end: how they begin decides the split, so that their own order has all that is held out
    first, and no round could learn from the first hundred comparisons.
    """
    rows = project.prompts.filter(items__isnull=True).values_list("sha256", "pk")
    return [pk for _, pk in sorted((sha256[::-1], pk) for sha256, pk in rows)]
