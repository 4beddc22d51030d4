"""Fine-tuning as hosted services offer it: files, jobs, models. For leads; `base_url` is
`/api/v1/projects/<project>/openai/v1`, and the key is the person's token.
"""

from django.http import FileResponse, Http404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from training import access, files, jobevents, jobs
from training.chatapi import Completions
from training.hosted import Hosted, PageSerializer, hosted, listed
from training.jobserializers import (
    CheckpointSerializer,
    CheckpointsSerializer,
    CreateJobSerializer,
    DeletedSerializer,
    EventSerializer,
    EventsSerializer,
    FileSerializer,
    FilesSerializer,
    JobSerializer,
    JobsSerializer,
    SendFileSerializer,
    ServedModelSerializer,
    ServedModelsSerializer,
)
from training.models.registry import Format

TOPIC = "Fine-tuning"
REFUSES = (400, 401, 403, 404)


class Files(Hosted):
    who = Role.LEAD
    scope = Scope.DATA

    parser_classes = (MultiPartParser,)

    @hosted(TOPIC, FilesSerializer, parameters=[PageSerializer], refuses=REFUSES, operation_id="training_files")
    def get(self, request: Request, slug: str) -> Response:
        """The project's files of examples, newest first."""
        project = access.lead(self.person, slug).project
        return self.rows(project.training_files.there(), FileSerializer)

    @hosted(
        TOPIC,
        FileSerializer,
        sends={"multipart/form-data": SendFileSerializer},
        refuses=REFUSES,
        operation_id="send_training_file",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Send a file of examples, JSON Lines of 100 MB at most. It is looked at when a job asks for it."""
        project = access.lead(self.person, slug).project
        sent = self.sent(SendFileSerializer)["file"]
        file = files.keep(project=project, name=sent.name, parts=sent.chunks(), actor=self.person)
        return Response(FileSerializer(file).data)


class OneFile(Hosted):
    who = Role.LEAD
    scope = Scope.DATA

    @hosted(TOPIC, FileSerializer, operation_id="training_file")
    def get(self, request: Request, slug: str, file_id: str) -> Response:
        """One file."""
        _, file = access.training_file(self.person, slug, file_id)
        return Response(FileSerializer(file).data)

    @hosted(TOPIC, DeletedSerializer, refuses=REFUSES, operation_id="delete_training_file")
    def delete(self, request: Request, slug: str, file_id: str) -> Response:
        """Delete a file. What was made of it stays, and names it for ever."""
        _, file = access.training_file(self.person, slug, file_id)
        files.delete(file=file, actor=self.person)
        return Response(DeletedSerializer(file).data)


class FileContent(Hosted):
    who = Role.LEAD
    scope = read_scope = Scope.DATA

    @hosted(TOPIC, {(200, "application/jsonl"): OpenApiTypes.BINARY}, operation_id="training_file_content")
    def get(self, request: Request, slug: str, file_id: str) -> FileResponse:
        """A file as it was sent."""
        _, file = access.training_file(self.person, slug, file_id)
        try:
            content = files.open_file(file)
        except OSError:
            raise Http404("The file is not where it was stored.") from None
        return FileResponse(content, as_attachment=True, filename=file.name, content_type="application/jsonl")


class Jobs(Hosted):
    who = Role.LEAD
    scope = Scope.TRAIN

    @hosted(TOPIC, JobsSerializer, parameters=[PageSerializer], refuses=REFUSES, operation_id="tuning_jobs")
    def get(self, request: Request, slug: str) -> Response:
        """The project's fine-tuning jobs, newest first."""
        project = access.lead(self.person, slug).project
        related = ("project", "base", "run__model_version", "training_file", "validation_file")
        return self.rows(project.tuning_jobs.select_related(*related), JobSerializer)

    @hosted(TOPIC, JobSerializer, sends=CreateJobSerializer, refuses=REFUSES, operation_id="create_tuning_job")
    def post(self, request: Request, slug: str) -> Response:
        """Train a model of the project on a file, by examples (`supervised`) or preferences (`dpo`).

        The file is checked first; then the job has a run, which a gpu worker takes like any other.
        """
        project = access.lead(self.person, slug).project
        sent = self.sent(CreateJobSerializer, project=project)
        return Response(JobSerializer(jobs.create(project=project, actor=self.person, **sent)).data)


class OneJob(Hosted):
    who = Role.LEAD
    scope = Scope.TRAIN

    @hosted(TOPIC, JobSerializer, operation_id="tuning_job")
    def get(self, request: Request, slug: str, job_id: str) -> Response:
        """One job: how far it is, and the model that came of it."""
        _, job = access.job(self.person, slug, job_id)
        return Response(JobSerializer(job).data)


class CancelJob(Hosted):
    who = Role.LEAD
    scope = Scope.TRAIN

    @hosted(TOPIC, JobSerializer, refuses=REFUSES, operation_id="cancel_tuning_job")
    def post(self, request: Request, slug: str, job_id: str) -> Response:
        """Stop a job: at once if it waits, within seconds if it runs."""
        _, job = access.job(self.person, slug, job_id)
        if not jobs.cancel(job=job, actor=self.person):
            raise ValidationError("This job has ended already.")
        _, job = access.job(self.person, slug, job_id)
        return Response(JobSerializer(job).data)


class JobEvents(Hosted):
    who = Role.LEAD
    scope = Scope.TRAIN

    @hosted(TOPIC, EventsSerializer, parameters=[PageSerializer], refuses=REFUSES, operation_id="tuning_job_events")
    def get(self, request: Request, slug: str, job_id: str) -> Response:
        """What happened to a job, newest first: each step with its figures, too."""
        _, job = access.job(self.person, slug, job_id)
        asked = self.asked(PageSerializer)
        found = jobevents.page(job, after=asked.get("after"), limit=asked["limit"])
        if found is None:
            raise ValidationError({"after": f"There is no {asked['after']} in this list."})
        events, more = found
        return listed(EventSerializer(events, many=True).data, more=more)  # type: ignore[arg-type]  # not its field


class Checkpoints(Hosted):
    who = Role.LEAD
    scope = Scope.TRAIN

    @hosted(TOPIC, CheckpointsSerializer, operation_id="tuning_job_checkpoints")
    def get(self, request: Request, slug: str, job_id: str) -> Response:
        """The models one can ask that came of a job: the one at its end."""
        _, job = access.job(self.person, slug, job_id)
        return listed(CheckpointSerializer(jobs.checkpoints(job), many=True).data, more=False)


class ServedModels(Hosted):
    who = Role.LEAD
    scope = Scope.TRAIN

    @hosted(TOPIC, ServedModelsSerializer, operation_id="served_models")
    def get(self, request: Request, slug: str) -> Response:
        """The project's models that answer, and whose weights are here."""
        project = access.lead(self.person, slug).project
        rows = project.model_versions.policies().exclude(format=Format.ENDPOINT).select_related("project")
        return listed(ServedModelSerializer(rows, many=True).data, more=False)


class ServedModel(Hosted):
    who = Role.LEAD
    scope = Scope.TRAIN

    @hosted(TOPIC, ServedModelSerializer, operation_id="served_model")
    def get(self, request: Request, slug: str, model_name: str) -> Response:
        """One model, by its name."""
        _, version = access.model_named(self.person, slug, model_name)
        return Response(ServedModelSerializer(version).data)


BASE = "projects/<slug:slug>/openai/v1/"  # and no slash at the end of an address, as these clients ask
urlpatterns = [
    path(f"{BASE}files", Files.as_view()),
    path(f"{BASE}files/<str:file_id>", OneFile.as_view()),
    path(f"{BASE}files/<str:file_id>/content", FileContent.as_view()),
    path(f"{BASE}fine_tuning/jobs", Jobs.as_view()),
    path(f"{BASE}fine_tuning/jobs/<str:job_id>", OneJob.as_view()),
    path(f"{BASE}fine_tuning/jobs/<str:job_id>/cancel", CancelJob.as_view()),
    path(f"{BASE}fine_tuning/jobs/<str:job_id>/events", JobEvents.as_view()),
    path(f"{BASE}fine_tuning/jobs/<str:job_id>/checkpoints", Checkpoints.as_view()),
    path(f"{BASE}models", ServedModels.as_view()),
    path(f"{BASE}models/<path:model_name>", ServedModel.as_view()),
    path(f"{BASE}chat/completions", Completions.as_view()),
]
