"""The API of room 3, for leads: gate, serializer, verb, answer."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models import Project, User
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.serializers import SimulatedFilterSerializer
from evaluation import access, gate, historyapi, leaderboard, measuringapi, rounds, starting, steering
from evaluation.models import Aim, RoundStatus, Steering
from evaluation.serializers import (
    AdvanceSerializer,
    AimSerializer,
    GatePolicySerializer,
    LeaderboardSerializer,
    OutlookSerializer,
    RoundDetailSerializer,
    RoundPolicySerializer,
    RoundSerializer,
    StartRoundSerializer,
    SteeringSerializer,
    VerdictSerializer,
)
from training.access import lead
from training.access import model as gated_model
from training.serializers import ModelSerializer, PromoteSerializer


class Rounds(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

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


class Policy(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Rounds", OutlookSerializer, operation_id="round_policy")
    def get(self, request: Request, slug: str) -> Response:
        """When the next round starts by itself, and whether it would now: each condition, with what is there."""
        return _outlook(lead(self.person, slug).project)

    @documented(
        "Rounds",
        OutlookSerializer,
        sends=RoundPolicySerializer,
        refuses=(400, 401, 403, 404),
        operation_id="set_round_policy",
    )
    def put(self, request: Request, slug: str) -> Response:
        """Set the rule; what is left out takes its default."""
        project = lead(self.person, slug).project
        policy = starting.policy_of(project)
        for name, value in self.sent(RoundPolicySerializer).items():
            setattr(policy, name, value)
        starting.set_policy(policy=policy, actor=self.person)
        return _outlook(project)


def _outlook(project: Project) -> Response:
    outlook = starting.look(project)
    row = {"policy": starting.policy_of(project), "would_start": outlook.would_start, "conditions": outlook.conditions}
    return Response(OutlookSerializer(row).data)


class Asking(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Results", SteeringSerializer, operation_id="asking")
    def get(self, request: Request, slug: str) -> Response:
        """What comparisons are chosen for, how the open ones were last put in order, and which share of labels that has
        saved."""
        return self._told(lead(self.person, slug).project)

    @documented(
        "Results", SteeringSerializer, sends=AimSerializer, refuses=(400, 401, 403, 404), operation_id="set_aim"
    )
    def put(self, request: Request, slug: str) -> Response:
        """Choose comparisons for this from now on; the queue is put in order anew within a minute."""
        project = lead(self.person, slug).project
        steering.set_aim(project=project, actor=self.person, aim=Aim(self.sent(AimSerializer)["aim"]))
        return self._told(project)

    @staticmethod
    def _told(project: Project) -> Response:
        row = Steering.objects.filter(project=project).first() or Steering(project=project)
        saved = row.report.get("saved")
        named = dict(zip(("value", "lower", "upper"), saved, strict=True)) if saved else None
        told = {name: row.report.get(name, 0) for name in ("pairs", "ordered", "doubted", "read")}
        return Response(SteeringSerializer({"aim": row.aim, "made_at": row.made_at, **told, "saved": named}).data)


class OneRound(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("Rounds", RoundDetailSerializer, operation_id="round")
    def get(self, request: Request, slug: str, number: int) -> Response:
        """One round with its steps and their runs."""
        return _shown(self.person, slug, number)


class AdvanceRound(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

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
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented("Rounds", RoundDetailSerializer, refuses=(401, 403, 404, 409), operation_id="cancel_round")
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Stop a round and its runs."""
        _, current = access.round(self.person, slug, number)
        if not rounds.cancel(round=current, actor=self.person):
            raise Conflict("This round is not under way.")
        return _shown(self.person, slug, number)


class RetryRound(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

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
    who = Role.LEAD
    scope = Scope.READ

    @documented(
        "Results",
        LeaderboardSerializer,
        parameters=[SimulatedFilterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="leaderboard",
    )
    def get(self, request: Request, slug: str) -> Response:
        """Model versions by strength: what they would win against the average, sides and lengths being even.

        Items were chosen to be asked, not drawn at random: the rates describe these items.
        """
        project = lead(self.person, slug).project
        found = leaderboard.board(project, **self.asked(SimulatedFilterSerializer))
        return Response(LeaderboardSerializer(found).data)


class Gate(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Results", GatePolicySerializer, operation_id="gate")
    def get(self, request: Request, slug: str) -> Response:
        """What the project asks of a new model before it may be promoted; null asks nothing."""
        project = lead(self.person, slug).project
        return Response(GatePolicySerializer(gate.policy_of(project)).data)

    @documented(
        "Results",
        GatePolicySerializer,
        sends=GatePolicySerializer,
        refuses=(400, 401, 403, 404),
        operation_id="change_gate",
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change what is asked; what is left out stays as it is."""
        project = lead(self.person, slug).project
        sent = self.sent(GatePolicySerializer)
        return Response(GatePolicySerializer(gate.set_policy(project=project, actor=self.person, **sent)).data)


class GateOfModel(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("Results", VerdictSerializer, operation_id="gate_of_model")
    def get(self, request: Request, slug: str, model_id: int) -> Response:
        """What speaks for a model version and what against it, as things are now."""
        _, version = gated_model(self.person, slug, model_id)
        return Response(VerdictSerializer(gate.verdict(version)).data)


class Promote(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Models", ModelSerializer, sends=PromoteSerializer, refuses=(400, 401, 403, 404), operation_id="promote"
    )
    def post(self, request: Request, slug: str, model_id: int) -> Response:
        """Make a policy the project's production model; the one before is retired.

        One that does not pass the gate needs a reason, which stays on record.
        """
        _, version = gated_model(self.person, slug, model_id)
        gate.promote(version=version, actor=self.person, reason=self.sent(PromoteSerializer)["reason"])
        version.refresh_from_db()
        return Response(ModelSerializer(version).data)


class RollBack(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Models", ModelSerializer, sends=PromoteSerializer, refuses=(400, 401, 403, 404), operation_id="roll_back"
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put the model that was in production before the present one back."""
        project = lead(self.person, slug).project
        back = gate.roll_back(project=project, actor=self.person, **self.sent(PromoteSerializer))
        return Response(ModelSerializer(back).data)


urlpatterns = [
    *historyapi.urlpatterns,
    *measuringapi.urlpatterns,
    path("projects/<slug:slug>/gate/", Gate.as_view()),
    path("projects/<slug:slug>/models/<int:model_id>/gate/", GateOfModel.as_view()),
    path("projects/<slug:slug>/models/<int:model_id>/promote/", Promote.as_view()),
    path("projects/<slug:slug>/roll-back/", RollBack.as_view()),
    path("projects/<slug:slug>/rounds/", Rounds.as_view()),
    path("projects/<slug:slug>/rounds/policy/", Policy.as_view()),
    path("projects/<slug:slug>/asking/", Asking.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/", OneRound.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/advance/", AdvanceRound.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/cancel/", CancelRound.as_view()),
    path("projects/<slug:slug>/rounds/<int:number>/retry/", RetryRound.as_view()),
    path("projects/<slug:slug>/leaderboard/", Leaderboard.as_view()),
]
