"""The API of room 2, for leads: gate, serializer, verb, answer."""

from django.db.models import Count
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from training import (
    access,
    guide,
    lineage,
    paraphraseapi,
    preflight,
    queueing,
    registry,
    runs,
    sampling,
    snapshotapi,
    staleness,
    suggestionapi,
    toxicapi,
    tuning,
)
from training.serializers import (
    AdviceSerializer,
    AfterSerializer,
    AnswerSerializer,
    ContinueSerializer,
    CurveSerializer,
    GenerationSerializer,
    ImportModelSerializer,
    JudgedFilterSerializer,
    ModelDetailSerializer,
    ModelSerializer,
    MoveSerializer,
    NeedsSerializer,
    PreflightSerializer,
    ResponseLineageSerializer,
    RunDetailSerializer,
    RunSerializer,
    SampleSerializer,
    StartRunSerializer,
)

MOST_POINTS = 2000  # in one answer


class Runs(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Runs", RunSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The project's runs, newest first."""
        project = access.lead(self.person, slug).project
        rows = project.runs.select_related("base", "teacher", "model_version", "created_by").defer("inputs")
        return self.page(rows, RunSerializer)

    @documented(
        "Runs",
        RunDetailSerializer,
        sends=StartRunSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="start_run",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a training run, on a snapshot or on the labels as they are now."""
        project = access.lead(self.person, slug).project
        sent = self.sent(StartRunSerializer, project=project)
        run = tuning.tune(project=project, actor=self.person, **sent)
        return Response(RunDetailSerializer(run).data, status=201)


class Advice(Endpoint):
    who = Role.LEAD
    scope = Scope.READ
    pagination_class = None  # a few steps

    @documented(
        "Runs",
        AdviceSerializer(many=True),
        parameters=[NeedsSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="which_method",
    )
    def get(self, request: Request, slug: str) -> Response:
        """Which method, by what should get better and by what the project has: a few steps, in order."""
        project = access.lead(self.person, slug).project
        needs = guide.Needs(**self.asked(NeedsSerializer))
        return Response(AdviceSerializer(guide.propose(needs, guide.holdings(project)), many=True).data)


class CheckRun(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented(
        "Runs",
        PreflightSerializer,
        sends=StartRunSerializer,
        refuses=(400, 401, 403, 404),
        operation_id="check_run",
    )
    def post(self, request: Request, slug: str) -> Response:
        """What a run would be, before it is started: rows kept, dropped and cut, what is odd about them, time, memory.

        Takes what starting a run takes. Nothing is frozen or queued.
        """
        project = access.lead(self.person, slug).project
        sent = self.sent(StartRunSerializer, project=project)
        sent.pop("seed")
        return Response(PreflightSerializer(preflight.check(project=project, **sent)).data)


class OneRun(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("Runs", RunDetailSerializer, operation_id="run")
    def get(self, request: Request, slug: str, run_id: int) -> Response:
        """One run: how far it is, its settings, figures and log."""
        _, run = access.run(self.person, slug, run_id)
        return Response(RunDetailSerializer(run).data)


class RunMetrics(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented(
        "Runs",
        CurveSerializer,
        parameters=[AfterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="run_metrics",
    )
    def get(self, request: Request, slug: str, run_id: int) -> Response:
        """What a run reported step by step, 2000 points at most; `after` asks for those that follow."""
        _, run = access.run(self.person, slug, run_id)
        points = run.metric_rows.filter(step__gt=self.asked(AfterSerializer)["after"])[:MOST_POINTS]
        curve = {"status": run.status, "step": run.step, "total": run.total, "points": points}
        return Response(CurveSerializer(curve).data)


class CancelRun(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Runs", RunDetailSerializer, refuses=(401, 403, 404, 409), operation_id="cancel_run")
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        """Stop a run: at once if it waits, within seconds if it runs."""
        _, run = access.run(self.person, slug, run_id)
        if not runs.cancel(run=run, actor=self.person):
            raise Conflict("This run has ended already.")
        run.refresh_from_db()
        return Response(RunDetailSerializer(run).data)


class RetryRun(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Runs", RunDetailSerializer, refuses=(401, 403, 404, 409), operation_id="retry_run")
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        """Queue a run that failed or was cancelled again; it goes on from its last checkpoint."""
        _, run = access.run(self.person, slug, run_id)
        if not runs.retry(run=run, actor=self.person):
            raise Conflict("Only a run that failed or was cancelled can be retried.")
        run.refresh_from_db()
        return Response(RunDetailSerializer(run).data)


class MoveRun(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Runs",
        RunDetailSerializer,
        sends=MoveSerializer,
        refuses=(400, 401, 403, 404, 409),
        operation_id="move_run",
    )
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        """Change a queued run's place among the project's. 409 says that it waits no more, or is there already."""
        _, run = access.run(self.person, slug, run_id)
        if not queueing.move(run=run, actor=self.person, **self.sent(MoveSerializer)):
            raise Conflict("This run keeps its place.")
        run.refresh_from_db()
        return Response(RunDetailSerializer(run).data)


class ContinueRun(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Runs",
        RunDetailSerializer,
        sends=ContinueSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="continue_run",
    )
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        """Train what a run made for more passes over the same data, as a new run."""
        _, run = access.run(self.person, slug, run_id)
        further = runs.carry_on(run=run, actor=self.person, **self.sent(ContinueSerializer))
        return Response(RunDetailSerializer(further).data, status=201)


class Models(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Models", ModelSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The project's model versions, newest first."""
        project = access.lead(self.person, slug).project
        stale = staleness.of_models(project)
        return self.page(project.model_versions.select_related("parent"), ModelSerializer, stale=stale)

    @documented(
        "Models",
        RunDetailSerializer,
        sends=ImportModelSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="import_model",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue the import of a base model; the run yields the model version."""
        project = access.lead(self.person, slug).project
        run = registry.import_model(project=project, actor=self.person, **self.sent(ImportModelSerializer))
        return Response(RunDetailSerializer(run).data, status=201)


class OneModel(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Models", ModelDetailSerializer, operation_id="model")
    def get(self, request: Request, slug: str, model_id: int) -> Response:
        """One model version, with its ancestors and the people whose labels made it."""
        _, version = access.model(self.person, slug, model_id)
        behind = lineage.of_model(version)
        counts = {"labels": len(behind["labels"]), "judged_answers": registry.judged_answers(version)}
        return Response({**ModelSerializer(version).data, "card": version.card, **behind, **counts})

    @documented("Models", None, code=204, refuses=(400, 401, 403, 404), operation_id="delete_model")
    def delete(self, request: Request, slug: str, model_id: int) -> Response:
        """Delete a model version on which nothing depends, with its files; a refusal names what does."""
        _, version = access.model(self.person, slug, model_id)
        registry.delete(version=version, actor=self.person)
        return Response(status=204)


class Merge(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Models", RunDetailSerializer, code=201, refuses=(400, 401, 403, 404), operation_id="merge_model")
    def post(self, request: Request, slug: str, model_id: int) -> Response:
        """Queue a run that merges an adapter into the weights it lies on; it yields a whole model."""
        _, version = access.model(self.person, slug, model_id)
        return Response(RunDetailSerializer(registry.merge(version=version, actor=self.person)).data, status=201)


class Answers(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented(
        "Models", AnswerSerializer(many=True), parameters=[JudgedFilterSerializer], refuses=(400, 401, 403, 404)
    )
    def get(self, request: Request, slug: str, model_id: int) -> Response:
        """The answers a model version gave, each with the labels that judged it."""
        _, version = access.model(self.person, slug, model_id)
        return self.page(lineage.answers_of(version, **self.asked(JudgedFilterSerializer)), AnswerSerializer)


class ResponseLineage(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("Models", ResponseLineageSerializer, operation_id="response_lineage")
    def get(self, request: Request, slug: str, response_id: int) -> Response:
        """One answer, walked back: generations, model versions, runs, snapshots, labels, people."""
        _, response = access.response(self.person, slug, response_id)
        return Response(ResponseLineageSerializer(lineage.of_response(response)).data)


class Generations(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Generations", GenerationSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Which models answered what, newest first."""
        project = access.lead(self.person, slug).project
        rows = project.generations.select_related("model_version").annotate(answers=Count("samples"))
        return self.page(rows, GenerationSerializer)

    @documented(
        "Generations",
        RunDetailSerializer,
        sends=SampleSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="generate",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run in which a model answers prompts; when it ends, the generation is there."""
        project = access.lead(self.person, slug).project
        sent = self.sent(SampleSerializer, project=project)
        sent.pop("split", None)
        run = sampling.sample(project=project, actor=self.person, **sent)
        return Response(RunDetailSerializer(run).data, status=201)


urlpatterns = [
    *snapshotapi.urlpatterns,
    *suggestionapi.urlpatterns,
    *toxicapi.urlpatterns,
    *paraphraseapi.urlpatterns,
    path("projects/<slug:slug>/runs/", Runs.as_view()),
    path("projects/<slug:slug>/runs/check/", CheckRun.as_view()),
    path("projects/<slug:slug>/runs/advice/", Advice.as_view()),
    path("projects/<slug:slug>/runs/<int:run_id>/", OneRun.as_view()),
    path("projects/<slug:slug>/runs/<int:run_id>/metrics/", RunMetrics.as_view()),
    path("projects/<slug:slug>/runs/<int:run_id>/cancel/", CancelRun.as_view()),
    path("projects/<slug:slug>/runs/<int:run_id>/retry/", RetryRun.as_view()),
    path("projects/<slug:slug>/runs/<int:run_id>/move/", MoveRun.as_view()),
    path("projects/<slug:slug>/runs/<int:run_id>/continue/", ContinueRun.as_view()),
    path("projects/<slug:slug>/models/", Models.as_view()),
    path("projects/<slug:slug>/models/<int:model_id>/", OneModel.as_view()),
    path("projects/<slug:slug>/models/<int:model_id>/merge/", Merge.as_view()),
    path("projects/<slug:slug>/models/<int:model_id>/answers/", Answers.as_view()),
    path("projects/<slug:slug>/responses/<int:response_id>/lineage/", ResponseLineage.as_view()),
    path("projects/<slug:slug>/generations/", Generations.as_view()),
]
