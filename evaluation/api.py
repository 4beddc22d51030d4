"""The API of room 3, for leads: gate, serializer, verb, answer."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models import User
from annotation.serializers import SimulatedFilterSerializer
from evaluation import access, leaderboard, rounds, scoring
from evaluation.models import RoundStatus
from evaluation.serializers import (
    AdvanceSerializer,
    EvaluationSerializer,
    LeaderboardSerializer,
    MeasureSerializer,
    RoundDetailSerializer,
    RoundSerializer,
    StartRoundSerializer,
)
from training.access import lead
from training.serializers import RunDetailSerializer


class Evaluations(Endpoint):
    @documented("Results", EvaluationSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Model versions measured on held-out data, with their figures, counts and intervals."""
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
        """Queue a run that scores the judged held-out pairs with a reward model; it yields an evaluation."""
        project = lead(self.person, slug).project
        run = scoring.measure(project=project, actor=self.person, **self.sent(MeasureSerializer, project=project))
        return Response(RunDetailSerializer(run).data, status=201)


class Rounds(Endpoint):
    @documented("Rounds", RoundSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The turns of the loop, newest first."""
        project = lead(self.person, slug).project
        rows = project.rounds.select_related("champion", "challenger", "reward_model", "started_by")
        return self.page(rows, RoundSerializer)

    @documented(
        "Rounds",
        RoundDetailSerializer,
        sends=StartRoundSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="start_round",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Begin a round with the production model as its champion; a project has one at a time."""
        project = lead(self.person, slug).project
        new = rounds.start(project=project, actor=self.person, **self.sent(StartRoundSerializer))
        return Response(RoundDetailSerializer(new).data, status=201)


class OneRound(Endpoint):
    @documented("Rounds", RoundDetailSerializer, operation_id="round")
    def get(self, request: Request, slug: str, number: int) -> Response:
        """One round with its steps and their runs."""
        return _shown(self.person, slug, number)


class AdvanceRound(Endpoint):
    @documented(
        "Rounds",
        RoundDetailSerializer,
        sends=AdvanceSerializer,
        refuses=(400, 401, 403, 404, 409),
        operation_id="advance_round",
    )
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Do what can be done now; a round that waits for labels goes on with those that are there."""
        _, current = access.round(self.person, slug, number)
        force = self.sent(AdvanceSerializer)["force"]
        if current.status != RoundStatus.ACTIVE:
            raise Conflict("This round is not under way.")
        rounds.advance(round_id=current.pk, force=force, actor=self.person)
        return _shown(self.person, slug, number)


class CancelRound(Endpoint):
    @documented("Rounds", RoundDetailSerializer, refuses=(401, 403, 404, 409), operation_id="cancel_round")
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Stop a round and its runs."""
        _, current = access.round(self.person, slug, number)
        if not rounds.cancel(round=current, actor=self.person):
            raise Conflict("This round is not under way.")
        return _shown(self.person, slug, number)


class RetryRound(Endpoint):
    @documented("Rounds", RoundDetailSerializer, refuses=(400, 401, 403, 404, 409), operation_id="retry_round")
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Go on with a failed or cancelled round from the step where it stopped."""
        _, current = access.round(self.person, slug, number)
        if not rounds.retry(round=current, actor=self.person):
            raise Conflict("Only a round that failed or was cancelled can be retried.")
        return _shown(self.person, slug, number)


def _shown(person: User, slug: str, number: int) -> Response:
    _, current = access.round(person, slug, number)
    return Response(RoundDetailSerializer(current).data)


class Leaderboard(Endpoint):
    @documented(
        "Results",
        LeaderboardSerializer,
        parameters=[SimulatedFilterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="leaderboard",
    )
    def get(self, request: Request, slug: str) -> Response:
        """Model versions by the share of judged items they won against other versions.

        Items were chosen to be asked, not drawn at random: the rates describe these items.
        """
        project = lead(self.person, slug).project
        found = leaderboard.standings(project, **self.asked(SimulatedFilterSerializer))
        return Response(LeaderboardSerializer({"standings": found}).data)


urlpatterns = [
    path("projects/<slug:slug>/evaluations/", Evaluations.as_view()),
    path("projects/<slug:slug>/rounds/", Rounds.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/", OneRound.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/advance/", AdvanceRound.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/cancel/", CancelRound.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/retry/", RetryRound.as_view()),
    path("projects/<slug:slug>/leaderboard/", Leaderboard.as_view()),
]
