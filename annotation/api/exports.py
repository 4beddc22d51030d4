"""Taking data out: in a stream, or as files that are made, listed and downloaded in parts."""

from typing import Any, cast

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access
from annotation.endpoints import NDJSON, Conflict, Endpoint, NdjsonRenderer, documented
from annotation.exporting import files, lines
from annotation.exportserializers import (
    AskExportSerializer,
    ExportedRowSerializer,
    ExportFileSerializer,
    ExportFilterSerializer,
)
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.shapes.outgoing import SHAPES, TYPES
from annotation.views.exports import send

RANGE = OpenApiParameter(
    "Range", OpenApiTypes.STR, OpenApiParameter.HEADER, description="One range of bytes, such as `bytes=1000-`."
)


class Export(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    renderer_classes = [JSONRenderer, NdjsonRenderer]

    @documented(
        "Exports",
        ExportedRowSerializer,
        media_type=(NDJSON, "text/csv"),
        parameters=[ExportFilterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="export",
    )
    def get(self, request: Request, slug: str) -> StreamingHttpResponse:
        """A lead takes the labelled data out, in a stream.

        Without a `shape`, each labelled item as a line of JSON with all that was said of it; people appear under
        pseudonyms. Parquet and Hugging Face datasets are whole files: ask for one at `exports/`.
        """
        project = access.project(self.person, slug)
        asked = self.asked(ExportFilterSerializer)
        shape, wanted = asked["shape"], ExportFilterSerializer.wanted(asked)
        files.check(shape=shape, wanted=wanted)
        if not SHAPES[shape].streams:
            raise ValidationError(f"{SHAPES[shape].title} is a whole file: ask for it at exports/.")
        rows = lines.take_out(project=project, shape=shape, wanted=wanted, actor=self.person)
        return StreamingHttpResponse(
            rows,
            content_type=TYPES[SHAPES[shape].suffix],
            headers={"Content-Disposition": f'attachment; filename="{slug}.{SHAPES[shape].suffix}"'},
        )


class Exports(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    @documented("Exports", ExportFileSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The files of data that leads had made, newest first, with the hash of each."""
        project = access.project(self.person, slug)
        return self.page(project.exports.select_related("created_by", "project"), ExportFileSerializer)

    @documented(
        "Exports",
        ExportFileSerializer,
        sends=AskExportSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="make_export",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have a file made. A small one is ready in the answer, a large one is made by the queue: ask again."""
        project = access.project(self.person, slug)
        asked = self.sent(AskExportSerializer)
        export = files.ask(
            project=project,
            shape=asked["shape"],
            wanted=AskExportSerializer.wanted(asked),
            actor=self.person,
            repository=asked["repository"],
        )
        return Response(ExportFileSerializer(export).data, status=201)


class OneExport(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    @documented("Exports", ExportFileSerializer, operation_id="export_state")
    def get(self, request: Request, slug: str, export_id: int) -> Response:
        """How far a file is, or what it came to."""
        return Response(ExportFileSerializer(access.export(self.person, slug, export_id)).data)

    @documented("Exports", None, code=204, operation_id="delete_export")
    def delete(self, request: Request, slug: str, export_id: int) -> Response:
        """Delete a file, or stop its being made."""
        files.delete(export=access.export(self.person, slug, export_id), actor=self.person)
        return Response(status=204)


class ExportFile(Endpoint):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    @documented(
        "Exports",
        OpenApiTypes.BINARY,
        media_type="application/octet-stream",
        code=(200, 206),
        parameters=[RANGE],
        refuses=(401, 403, 404, 409),
        operation_id="export_file",
    )
    def get(self, request: Request, slug: str, export_id: int) -> HttpResponseBase:
        """The file itself, whole or from where a download broke off: `Range`, `If-Range` and `ETag` (the hash) hold.

        409 says that it is not ready yet.
        """
        export = access.export(self.person, slug, export_id)
        if export.is_open:
            raise Conflict("The file is being made; ask again.")
        return send(cast(HttpRequest, request), export)


urlpatterns: list[Any] = [
    path("projects/<slug:slug>/export/", Export.as_view()),
    path("projects/<slug:slug>/exports/", Exports.as_view()),
    path("projects/<slug:slug>/exports/<int:export_id>/", OneExport.as_view()),
    path("projects/<slug:slug>/exports/<int:export_id>/file/", ExportFile.as_view()),
]
