"""How good a model is, by the API: held-out data, people, a second opinion, public suites."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.serializers import SimulatedFilterSerializer
from evaluation import access, head_to_head, scoring, second_opinion, suites
from evaluation.serializers import (
    AskSecondOpinionSerializer,
    AskSuitesSerializer,
    EvaluationSerializer,
    HeadToHeadSerializer,
    MeasureSerializer,
    StartHeadToHeadSerializer,
)
from training.access import lead
from training.serializers import RunDetailSerializer


class Evaluations(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Results", EvaluationSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Model versions measured, on held-out data or by public suites: figures, counts and intervals."""
        project = lead(self.person, slug).project
        rows = project.evaluations.select_related("model_version").prefetch_related("scores")
        return self.page(rows, EvaluationSerializer)

    @documented(
        "Results",
        RunDetailSerializer,
        sends=MeasureSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="measure",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run that measures a model on held-out data; it yields an evaluation.

        A reward model scores the judged held-out pairs. A policy reads these, good answers and a fixed probe beside the
        base model it came from, and both answer held-out prompts.
        """
        project = lead(self.person, slug).project
        run = scoring.measure(project=project, actor=self.person, **self.sent(MeasureSerializer, project=project))
        return Response(RunDetailSerializer(run).data, status=201)


class HeadToHeads(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Results", HeadToHeadSerializer(many=True), parameters=[SimulatedFilterSerializer], refuses=(400, 401, 403, 404)
    )
    def get(self, request: Request, slug: str) -> Response:
        """Blind comparisons of two models on held-out prompts, newest first, and whether one may stop."""
        project = lead(self.person, slug).project
        asked = self.asked(SimulatedFilterSerializer)
        return self.page(head_to_head.of_project(project), HeadToHeadSerializer, **asked)

    @documented(
        "Results",
        HeadToHeadSerializer,
        sends=StartHeadToHeadSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="start_head_to_head",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have two models answer held-out prompts, and people choose blindly between their answers."""
        project = lead(self.person, slug).project
        sent = self.sent(StartHeadToHeadSerializer, project=project)
        match = head_to_head.start(actor=self.person, **sent)
        return Response(HeadToHeadSerializer(match).data, status=201)


class StopHeadToHead(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Results", HeadToHeadSerializer, refuses=(401, 403, 404, 409), operation_id="stop_head_to_head")
    def post(self, request: Request, slug: str, match_id: int) -> Response:
        """Ask no more; what was said counts."""
        _, match = access.head_to_head(self.person, slug, match_id)
        if not head_to_head.stop(match=match, actor=self.person):
            raise Conflict("This comparison has ended already.")
        return Response(HeadToHeadSerializer(match).data)


class SecondOpinions(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Results",
        RunDetailSerializer,
        sends=AskSecondOpinionSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="ask_second_opinion",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run that asks a model behind an endpoint which of two models' answers are better; it yields an
        evaluation of the challenger.

        Each pair is shown twice with the sides swapped, and a verdict that changes with them is a tie. How often the
        judge agrees with people is told beside it. The gate does not ask for it.
        """
        project = lead(self.person, slug).project
        run = second_opinion.ask(actor=self.person, **self.sent(AskSecondOpinionSerializer, project=project))
        return Response(RunDetailSerializer(run).data, status=201)


class PublicSuites(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Results",
        RunDetailSerializer,
        sends=AskSuitesSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="ask_suites",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run that asks a model, and the base it came from, suites of questions that EleutherAI's evaluation
        harness knows; it yields an evaluation of the kind `public suites`.

        A score's group is the suite, its name the measure: alone of the model, with `, of its base` of the base, with
        `, over its base` of the difference on the same questions. The gate does not ask for it.
        """
        project = lead(self.person, slug).project
        run = suites.ask(actor=self.person, **self.sent(AskSuitesSerializer, project=project))
        return Response(RunDetailSerializer(run).data, status=201)


urlpatterns = [
    path("projects/<slug:slug>/head-to-heads/", HeadToHeads.as_view()),
    path("projects/<slug:slug>/head-to-heads/<int:match_id>/stop/", StopHeadToHead.as_view()),
    path("projects/<slug:slug>/second-opinions/", SecondOpinions.as_view()),
    path("projects/<slug:slug>/suites/", PublicSuites.as_view()),
    path("projects/<slug:slug>/evaluations/", Evaluations.as_view()),
]
