"""The way from a request to a row of this room; what a person may not see is "not found"."""

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404

from annotation import access
from annotation.models import Membership, Response, User
from annotation.models.people import Role
from annotation.text import why_unstorable
from training.models import Freezing, ModelVersion, Paraphrase, RecipeVersion, Run, Snapshot, TrainingFile, TuningJob

T = TypeVar("T", bound=Model)


def lead(user: User, slug: str) -> Membership:
    """The person's membership as a lead; runs and models are for leads alone."""
    return access.membership(user, slug, Role.LEAD)


def run(user: User, slug: str, pk: int) -> tuple[Membership, Run]:
    member = lead(user, slug)
    found = (
        Run.objects.select_related("project", "snapshot", "base", "created_by")
        .defer("inputs")  # which may be megabytes, and pages ask for a run again and again
        .filter(project=member.project, pk=pk)
        .first()
    )
    if found is None:
        raise Http404("No such run")
    return member, found


def model(user: User, slug: str, pk: int) -> tuple[Membership, ModelVersion]:
    member = lead(user, slug)
    found = (
        ModelVersion.objects.select_related("project", "parent", "run__snapshot")
        .filter(project=member.project, pk=pk)
        .first()
    )
    if found is None:
        raise Http404("No such model")
    return member, found


def snapshot(user: User, slug: str, pk: int) -> tuple[Membership, Snapshot]:
    member = lead(user, slug)
    found = Snapshot.objects.select_related("project").filter(project=member.project, pk=pk).first()
    if found is None:
        raise Http404("No such snapshot")
    return member, found


def freezing(user: User, slug: str, pk: int) -> tuple[Membership, Freezing]:
    member = lead(user, slug)
    found = Freezing.objects.select_related("snapshot").filter(project=member.project, pk=pk).first()
    if found is None:
        raise Http404("No such thing was asked for")
    return member, found


def paraphrase(user: User, slug: str, pk: int) -> tuple[Membership, Paraphrase]:
    member = lead(user, slug)
    rows = Paraphrase.objects.select_related("prompt__project", "run", "decided_by")
    found = rows.filter(prompt__project=member.project, pk=pk).first()
    if found is None:
        raise Http404("No such paraphrase")
    return member, found


def recipe(lead: Membership, pk: int) -> RecipeVersion:
    found = RecipeVersion.objects.filter(project=lead.project, pk=pk).first()
    if found is None:
        raise Http404("No such recipe")
    return found


def response(user: User, slug: str, pk: int) -> tuple[Membership, Response]:
    """An answer of which one may learn who gave it."""
    member = lead(user, slug)
    found = Response.objects.filter(prompt__project=member.project, pk=pk).first()
    if found is None:
        raise Http404("No such answer")
    return member, found


def training_file(user: User, slug: str, key: str) -> tuple[Membership, TrainingFile]:
    member = lead(user, slug)
    found = _named(TrainingFile.objects.there().select_related("project"), member, key=key)
    if found is None:
        raise Http404("No such file")
    return member, found


def job(user: User, slug: str, key: str) -> tuple[Membership, TuningJob]:
    member = lead(user, slug)
    rows = TuningJob.objects.select_related(
        "project", "base", "run", "training_file", "validation_file", "run__model_version"
    )
    found = _named(rows, member, key=key)
    if found is None:
        raise Http404("No such fine-tuning job")
    return member, found


def model_named(user: User, slug: str, name: str) -> tuple[Membership, ModelVersion]:
    """A model that answers, by its name in the project."""
    member = lead(user, slug)
    found = _named(ModelVersion.objects.policies().select_related("parent"), member, name=name)
    if found is None:
        raise Http404(f"There is no model {name!r} in this project that answers.")
    return member, found


def _named(rows: QuerySet[T], member: Membership, **named: str) -> T | None:
    """The project's row of this name, as it stands in an address."""
    if why_unstorable(named):  # and so no row has it
        return None
    return rows.filter(project=member.project, **named).first()
