"""The API of snapshots and their recipes, for leads: gate, serializer, verb, answer."""

from typing import Any

from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.shapes.outgoing import TYPES
from training import access
from training.frozen import download
from training.models.snapshots import FreezeState
from training.snapshots import Rule, asking, comparing, comparisons, files, outgoing, previewing, recipes, saving
from training.snapshots.recipes import Recipe
from training.snapshots.rules import words
from training.snapshotserializers import (
    ChangesAskedSerializer,
    ComparisonAskedSerializer,
    ComparisonSerializer,
    FreezeSerializer,
    FreezingSerializer,
    FromRowSerializer,
    IntactSerializer,
    RecipeSerializer,
    RecipeTextSerializer,
    RowPreviewSerializer,
    SaveRecipeSerializer,
    SnapshotRowsSerializer,
    SnapshotSerializer,
    SnapshotShapeSerializer,
)

GONE = "The snapshot's file is gone or damaged: freeze the same rule again, and the same rows are written anew."


class Snapshots(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Snapshots", SnapshotSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The project's frozen data sets, newest first."""
        return self.page(access.lead(self.person, slug).project.snapshots.all(), SnapshotSerializer)

    @documented(
        "Snapshots",
        SnapshotSerializer,
        sends=FreezeSerializer,
        code=201,
        refuses=(400, 401, 403, 404, 409),
        operation_id="freeze",
        also={202: FreezingSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Freeze the labels that fit a rule; the same labels and rule give the snapshot that is there already.

        Of very many labels the answer is 202, and what was asked for, under freezings/. 409 says that no label fits
        yet.
        """
        project = access.lead(self.person, slug).project
        asked = asking.ask(project=project, actor=self.person, **self.sent(FreezeSerializer))
        if asked.state == FreezeState.FAILED:
            raise Conflict(asked.error)
        if asked.snapshot is None:
            return Response(FreezingSerializer(asked).data, status=202)
        return Response(SnapshotSerializer(asked.snapshot).data, status=201)


class OneFreezing(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Snapshots", FreezingSerializer, operation_id="freezing")
    def get(self, request: Request, slug: str, freezing_id: int) -> Response:
        """How far a snapshot is that was asked for."""
        _, asked = access.freezing(self.person, slug, freezing_id)
        return Response(FreezingSerializer(asked).data)


class PreviewSnapshot(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Snapshots",
        RowPreviewSerializer,
        sends=FreezeSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="preview_snapshot",
    )
    def post(self, request: Request, slug: str) -> Response:
        """What a rule would come to: how many rows, of whom, what is left out and why, and the first. Nothing is
        frozen."""
        project = access.lead(self.person, slug).project
        sent = self.sent(FreezeSerializer)
        found = previewing.preview(project=project, **sent)
        answer = {**vars(found), "words": words(sent["rule"], sent["kind"])}
        for name in ("left_out", "dropped"):
            answer[name] = [{"why": why, "count": count} for why, count in answer[name]]
        return Response(RowPreviewSerializer(answer).data)


class OneSnapshot(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Snapshots", SnapshotSerializer, operation_id="snapshot")
    def get(self, request: Request, slug: str, snapshot_id: int) -> Response:
        """One frozen data set."""
        _, snapshot = access.snapshot(self.person, slug, snapshot_id)
        return Response(SnapshotSerializer(snapshot).data)


class SnapshotRows(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    @documented(
        "Snapshots",
        SnapshotRowsSerializer,
        parameters=[FromRowSerializer],
        refuses=(400, 401, 403, 404, 409),
        operation_id="snapshot_rows",
    )
    def get(self, request: Request, slug: str, snapshot_id: int) -> Response:
        """Rows as they lie in the file; they never change, so their places do not either."""
        _, snapshot = access.snapshot(self.person, slug, snapshot_id)
        asked = self.asked(FromRowSerializer)
        start = asked["start"]
        try:
            rows = files.page(snapshot, start, asked["most"])
        except (OSError, ValueError) as error:
            raise Conflict(GONE) from error
        after = start + len(rows)
        answer = {
            "rows": [{"number": start + place, "row": row} for place, row in enumerate(rows)],
            "next": after if rows and after < snapshot.counts.get("rows", 0) else None,
        }
        return Response(SnapshotRowsSerializer(answer).data)


class SnapshotFile(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    @documented(
        "Snapshots",
        OpenApiTypes.BINARY,
        media_type=list(TYPES.values()),
        parameters=[SnapshotShapeSerializer],
        refuses=(400, 401, 403, 404, 409),
        operation_id="snapshot_file",
    )
    def get(self, request: Request, slug: str, snapshot_id: int) -> HttpResponseBase:
        """The rows in a shape that other tools read, as a Parquet file unless another is asked for."""
        _, snapshot = access.snapshot(self.person, slug, snapshot_id)
        shape = self.asked(SnapshotShapeSerializer)["shape"]
        try:
            out = outgoing.take_out(snapshot=snapshot, shape=shape, actor=self.person)
        except (OSError, ValueError) as error:
            raise Conflict(GONE) from error
        return download(out)


class CheckSnapshot(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Snapshots", IntactSerializer, operation_id="check_snapshot")
    def post(self, request: Request, slug: str, snapshot_id: int) -> Response:
        """Read the whole file and compare its rows with the hash of when it was frozen."""
        _, snapshot = access.snapshot(self.person, slug, snapshot_id)
        return Response(IntactSerializer({"intact": files.is_intact(snapshot)}).data)


class SnapshotRecipe(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Snapshots", RecipeTextSerializer, operation_id="snapshot_recipe")
    def get(self, request: Request, slug: str, snapshot_id: int) -> Response:
        """What a snapshot is made of: in words, and as a file."""
        _, snapshot = access.snapshot(self.person, slug, snapshot_id)
        rule = Rule.model_validate(snapshot.rule)
        text = recipes.written(Recipe(snapshot.kind, rule))
        answer = {"kind": snapshot.kind, "rule": rule.told(), "words": words(rule, snapshot.kind), "file": text}
        return Response(RecipeTextSerializer(answer).data)


class CompareSnapshots(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Snapshots",
        ComparisonSerializer,
        parameters=[ChangesAskedSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="compare_snapshots",
        also={202: ComparisonAskedSerializer},
    )
    def get(self, request: Request, slug: str, snapshot_id: int, other_id: int) -> Response:
        """What a snapshot has, or says, that another of its kind has not; row by row.

        Of big ones the answer is 202, and how far it is: ask again.
        """
        _, second = access.snapshot(self.person, slug, snapshot_id)
        _, first = access.snapshot(self.person, slug, other_id)
        asked = self.asked(ChangesAskedSerializer)
        found = comparisons.ask(first=first, second=second)
        if not isinstance(found, comparing.Comparison):
            return Response(ComparisonAskedSerializer(found).data, status=202)
        start, counts = asked["start"], found.counts()
        try:
            changes = found.page(asked["what"], start, asked["most"])
        except (OSError, ValueError) as error:
            raise Conflict(GONE) from error
        after = start + len(changes)
        more = after if changes and after < counts[asked["what"]] else None
        answer: dict[str, Any] = {"counts": counts, "changes": changes, "next": more}
        return Response(ComparisonSerializer(answer).data)


class Recipes(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Snapshots", RecipeSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The saved recipes, all versions, newest first."""
        return self.page(access.lead(self.person, slug).project.recipes.all(), RecipeSerializer)

    @documented(
        "Snapshots",
        RecipeSerializer,
        sends=SaveRecipeSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="save_recipe",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Save a recipe under a name, as its next version; unchanged, it stays the version it is."""
        project = access.lead(self.person, slug).project
        made = saving.save(project=project, actor=self.person, **self.sent(SaveRecipeSerializer))
        return Response(RecipeSerializer(made).data, status=201)


class OneRecipe(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Snapshots", RecipeSerializer, operation_id="recipe")
    def get(self, request: Request, slug: str, recipe_id: int) -> Response:
        """One version of a saved recipe."""
        saved = access.recipe(access.lead(self.person, slug), recipe_id)
        return Response(RecipeSerializer(saved).data)


ONE = "projects/<slug:slug>/snapshots/<int:snapshot_id>"
urlpatterns = [
    path("projects/<slug:slug>/snapshots/", Snapshots.as_view()),
    path("projects/<slug:slug>/snapshots/preview/", PreviewSnapshot.as_view()),
    path("projects/<slug:slug>/freezings/<int:freezing_id>/", OneFreezing.as_view()),
    path(f"{ONE}/", OneSnapshot.as_view()),
    path(f"{ONE}/rows/", SnapshotRows.as_view()),
    path(f"{ONE}/file/", SnapshotFile.as_view()),
    path(f"{ONE}/check/", CheckSnapshot.as_view()),
    path(f"{ONE}/recipe/", SnapshotRecipe.as_view()),
    path(f"{ONE}/compare/<int:other_id>/", CompareSnapshots.as_view()),
    path("projects/<slug:slug>/recipes/", Recipes.as_view()),
    path("projects/<slug:slug>/recipes/<int:recipe_id>/", OneRecipe.as_view()),
]
