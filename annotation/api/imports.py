"""Files of any shape, brought in as the pages do it: sent, looked through, stored by a worker. For leads."""

from collections.abc import Iterable
from typing import Any

from django.http import StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, imports, receiving
from annotation.endpoints import NDJSON, Conflict, Endpoint, NdjsonRenderer, documented
from annotation.models import Import
from annotation.models.accesskeys import Scope
from annotation.models.imports import Stage
from annotation.models.people import Role
from annotation.parsers import NdjsonParser, PlainJsonParser
from annotation.serializers import CountsSerializer
from annotation.shapes import SHAPES

CHOICES = [(name, shape.title) for name, shape in sorted(SHAPES.items())]


class ImportSerializer(serializers.ModelSerializer):
    name = serializers.CharField(help_text="What its owner calls the file.")
    shape = serializers.CharField(help_text="What its rows are; empty if that was not recognised.")
    mapping = serializers.DictField(child=serializers.CharField(), help_text="Columns by the part they play.")
    status = serializers.ChoiceField(choices=Stage.choices)
    dry_run = serializers.BooleanField(help_text="Whether `counts` says what would be stored.")
    done = serializers.FloatField(help_text="Share of the file, 0 to 1.")
    lines = serializers.IntegerField(source="number", help_text="Up to which line it was read.")
    counts = serializers.SerializerMethodField(help_text="Null until something was counted.")
    rejected = serializers.IntegerField(help_text="Rows that were refused, all or in part.")
    error = serializers.CharField(help_text="Why it failed.")
    person = serializers.CharField(source="actor.username", allow_null=True, default=None)

    class Meta:
        model = Import
        fields = (
            *("id", "name", "size", "shape", "mapping", "status", "dry_run", "done", "lines", "counts", "rejected"),
            *("error", "person", "created_at", "started_at", "finished_at"),
        )

    @extend_schema_field(CountsSerializer(allow_null=True))
    def get_counts(self, found: Import) -> Any:
        return found.counts or None


class StartSerializer(serializers.Serializer):
    shape = serializers.ChoiceField(choices=CHOICES, required=False, help_text="Found by itself if left out.")
    mapping = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Columns by the part they play, where not as usual."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Count, and store nothing.")


class SendSerializer(StartSerializer):
    file = serializers.FileField(required=False, help_text="JSON Lines, JSON, CSV or Parquet, also as .gz or .zip.")
    hub = serializers.CharField(
        required=False, help_text="Instead, a dataset of the hub: owner/name[:configuration[:split]]."
    )


class SendingSerializer(serializers.Serializer):
    """What stands in the address where the body is the file."""

    name = serializers.CharField(required=False, max_length=200, help_text="What the file is called.")
    shape = serializers.ChoiceField(choices=CHOICES, required=False)
    dry_run = serializers.BooleanField(default=False)


class Imports(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    parser_classes = [MultiPartParser, NdjsonParser, PlainJsonParser]

    @documented("Imports", ImportSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What was brought in, newest first."""
        rows = Import.objects.filter(project=access.project(self.person, slug)).select_related("actor")
        return self.page(rows, ImportSerializer)

    @documented(
        "Imports",
        ImportSerializer,
        sends={"multipart/form-data": SendSerializer, NDJSON: OpenApiTypes.STR, "application/json": SendSerializer},
        parameters=[SendingSerializer],
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="send_import",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Send a file and have it brought in: at once if it is small, else by a worker; ask again how far it is.

        The file is a part of a form, or JSON Lines are the body. With `dry_run` nothing is stored but the file:
        `start/` brings it in then. A dataset of the hub is fetched first, and waits for `start/` too.
        """
        project = access.project(self.person, slug)
        if isinstance(request.data, dict):
            sent = self.sent(SendSerializer)
            file = sent.get("file")
            name, chunks = (file.name, file.chunks()) if file else ("", None)
        else:
            sent = self.asked(SendingSerializer)
            name, chunks = sent.get("name", "rows.jsonl"), request.data
        source = self.received(project, name, chunks, sent)
        if source.location:
            shape = sent.get("shape") or source.shape
            try:
                self.begin(source, shape, sent)
            except Exception:
                imports.cancel(source=source, actor=self.person)
                raise
        source.refresh_from_db()
        return Response(ImportSerializer(source).data, status=201)

    def received(self, project: Any, name: str, chunks: Iterable[bytes] | None, sent: dict[str, Any]) -> Import:
        if chunks is not None:
            return receiving.receive(project=project, name=name, chunks=chunks, actor=self.person)
        if not sent.get("hub"):
            raise serializers.ValidationError({"file": ["Send a file, or name a dataset under `hub`."]})
        return imports.receive_from_hub(project=project, dataset=sent["hub"], actor=self.person)

    def begin(self, source: Import, shape: str, sent: dict[str, Any]) -> bool:
        return imports.bring_in(
            source=source,
            shape=shape,
            mapping=sent.get("mapping"),
            dry_run=sent["dry_run"],
            actor=self.person,
        )


class OneImport(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Imports", ImportSerializer, operation_id="import")
    def get(self, request: Request, slug: str, import_id: int) -> Response:
        """How far an import is, or what came of it."""
        return Response(ImportSerializer(access.import_of(self.person, slug, import_id)[1]).data)


class Start(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented(
        "Imports",
        ImportSerializer,
        sends=StartSerializer,
        refuses=(400, 401, 403, 404, 409),
        operation_id="start_import",
    )
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Bring in a file that was sent, or count what that would do."""
        _, source = access.import_of(self.person, slug, import_id)
        sent = self.sent(StartSerializer)
        shape, mapping = sent.get("shape") or source.shape, sent.get("mapping", source.mapping)
        if not imports.bring_in(
            source=source, shape=shape, mapping=mapping, dry_run=sent["dry_run"], actor=self.person
        ):
            raise Conflict("This import is under way, or over.")
        source.refresh_from_db()
        return Response(ImportSerializer(source).data)


class Cancel(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Imports", ImportSerializer, refuses=(401, 403, 404, 409), operation_id="cancel_import")
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Stop an import, or throw an upload away; what it has stored stays. A dry run alone is stopped."""
        _, source = access.import_of(self.person, slug, import_id)
        if not imports.cancel(source=source, actor=self.person):
            raise Conflict("This import is over.")
        source.refresh_from_db()
        return Response(ImportSerializer(source).data)


class Retry(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    @documented("Imports", ImportSerializer, refuses=(401, 403, 404, 409), operation_id="retry_import")
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Take up an import that failed where it stopped."""
        _, source = access.import_of(self.person, slug, import_id)
        if not imports.retry(source=source, actor=self.person):
            raise Conflict("Only an import that failed can be tried again.")
        source.refresh_from_db()
        return Response(ImportSerializer(source).data)


class RejectedRowSerializer(serializers.Serializer):
    """One refused row with its own keys, and why it was refused; a line that is no object stands under `line`."""

    rejected = serializers.CharField()
    line = serializers.CharField(required=False)


class RejectedRows(Endpoint):
    who = Role.LEAD
    scope = Scope.DATA

    renderer_classes = [JSONRenderer, NdjsonRenderer]

    @documented("Imports", RejectedRowSerializer, media_type=NDJSON, operation_id="rejected_rows")
    def get(self, request: Request, slug: str, import_id: int) -> StreamingHttpResponse:
        """The refused rows as JSON Lines, to be mended and sent again."""
        _, source = access.import_of(self.person, slug, import_id)
        return StreamingHttpResponse(imports.rejected_lines(source), content_type=NDJSON)


urlpatterns = [
    path("projects/<slug:slug>/imports/", Imports.as_view()),
    path("projects/<slug:slug>/imports/<int:import_id>/", OneImport.as_view()),
    path("projects/<slug:slug>/imports/<int:import_id>/start/", Start.as_view()),
    path("projects/<slug:slug>/imports/<int:import_id>/cancel/", Cancel.as_view()),
    path("projects/<slug:slug>/imports/<int:import_id>/retry/", Retry.as_view()),
    path("projects/<slug:slug>/imports/<int:import_id>/rejected/", RejectedRows.as_view()),
]
