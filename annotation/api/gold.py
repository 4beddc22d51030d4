"""Gold, its rules, and people who are paused; all of it for leads."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, gold, pausing
from annotation.endpoints import Conflict, Endpoint, documented
from annotation.gold import Right
from annotation.labelserializers import FeedbackSerializer
from annotation.models import Gold, Item, Project
from annotation.models.accesskeys import Scope
from annotation.models.items import Kind
from annotation.models.people import Role


class RightSerializer(serializers.Serializer):
    """What is right: to a demonstration any of `verdicts`, to a comparison `ranks` by the id of the response."""

    verdicts = serializers.ListField(
        child=serializers.CharField(max_length=8), required=False, help_text="Of accept, edit and reject."
    )
    ranks = serializers.DictField(
        child=serializers.IntegerField(min_value=1, max_value=8), required=False, help_text="1 is best."
    )
    unacceptable = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="Ids of responses that must be called so."
    )

    def validate_ranks(self, value: dict[str, int]) -> dict[str, int]:
        if not all(key.isascii() and key.isdigit() for key in value):
            raise serializers.ValidationError("Ranks go by the id of the response.")
        return value

    @staticmethod
    def right(data: dict[str, Any]) -> Right:
        ranks = {int(pk): rank for pk, rank in data.get("ranks", {}).items()}
        return Right(verdicts=data.get("verdicts", ()), ranks=ranks, unacceptable=data.get("unacceptable", ()))


class GoldChangeSerializer(RightSerializer):
    explanation = serializers.CharField(required=False, allow_blank=True, max_length=4000)
    quiz = serializers.BooleanField(required=False, help_text="Asked of new annotators, and of nobody else.")
    retired = serializers.BooleanField(required=False, help_text="Asked of nobody; nobody's answer to it counts.")


class GoldNewSerializer(RightSerializer):
    item = serializers.IntegerField()
    explanation = serializers.CharField(default="", allow_blank=True, max_length=4000)
    quiz = serializers.BooleanField(default=False, help_text="Asked of new annotators, and of nobody else.")


class GoldSerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(source="item.kind", choices=Kind.choices)
    prompt = serializers.CharField(source="item.prompt.last_turn")
    verdicts = serializers.ListField(child=serializers.CharField())
    ranks = serializers.DictField(child=serializers.IntegerField(), help_text="By the id of the response; 1 is best.")
    unacceptable = serializers.ListField(child=serializers.IntegerField())
    retired = serializers.BooleanField(source="item.dropped")
    answered = serializers.SerializerMethodField(help_text="How many people's answers there are.")
    right = serializers.SerializerMethodField(help_text="How many of them were right.")
    doubtful = serializers.SerializerMethodField(help_text="Half or more of those who are right elsewhere fail it.")

    class Meta:
        model = Gold
        fields = (
            *("id", "item", "kind", "prompt", "verdicts", "ranks", "unacceptable", "explanation", "quiz", "retired"),
            *("answered", "right", "doubtful"),
        )

    @extend_schema_field(int)
    def get_answered(self, found: Gold) -> int:
        return getattr(found, "answered", 0)

    @extend_schema_field(int)
    def get_right(self, found: Gold) -> int:
        return getattr(found, "right", 0)

    @extend_schema_field(bool)
    def get_doubtful(self, found: Gold) -> bool:
        return getattr(found, "doubtful", False)


class RulesSerializer(serializers.ModelSerializer):
    """The project's rules; shares run from 0 to 1."""

    class Meta:
        model = Project
        fields = ("gold_share", "gold_feedback", "gold_threshold", "gold_minimum", "quiz_length", "quiz_threshold")


class PausedSerializer(serializers.Serializer):
    id = serializers.IntegerField(source="person_id", help_text="Of the person.")
    person = serializers.CharField(source="person.username")
    paused_at = serializers.DateTimeField()
    paused_because = serializers.CharField()


class PauseSerializer(serializers.Serializer):
    because = serializers.CharField(default="", allow_blank=True, max_length=300, help_text="The person reads it.")


class GoOnSerializer(serializers.Serializer):
    without_quiz = serializers.BooleanField(default=False, help_text="Take the entry quiz as passed.")


class AllGold(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Gold", GoldSerializer(many=True), operation_id="gold")
    def get(self, request: Request, slug: str) -> Response:
        """All gold of the project, newest first, with how often each was answered and was right."""
        project = access.project(self.person, slug)
        scored = {one.pk: one for one in gold.with_scores(project)}

        def with_scores(found: list[Gold]) -> list[Gold]:
            return [scored[one.pk] for one in found if one.pk in scored]

        return self.page(Gold.objects.filter(item__project=project), GoldSerializer, with_scores)

    @documented(
        "Gold",
        GoldSerializer,
        sends=GoldNewSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="make_gold",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make an item gold: what people said about it so far is data no more."""
        access.membership(self.person, slug)
        sent = self.sent(GoldNewSerializer)
        item: Item = access.item(self.person, slug, sent["item"])
        more = {"explanation": sent["explanation"], "quiz": sent["quiz"]}
        made = gold.mark(item=item, right=RightSerializer.right(sent), actor=self.person, **more)
        return Response(GoldSerializer(made).data, status=201)


class CandidateFilterSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    q = serializers.CharField(required=False, max_length=200, help_text="Words of the prompt.")


class CandidateSerializer(serializers.Serializer):
    id = serializers.IntegerField(help_text="Of the item.")
    kind = serializers.ChoiceField(choices=Kind.choices)
    prompt = serializers.CharField(source="prompt.last_turn")
    people = serializers.IntegerField(help_text="How many have labelled it.")


class Candidates(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented(
        "Gold",
        CandidateSerializer(many=True),
        parameters=[CandidateFilterSerializer],
        refuses=(400, 401, 403, 404),
        operation_id="gold_candidates",
    )
    def get(self, request: Request, slug: str) -> Response:
        """Items that could be made gold, newest first."""
        project = access.project(self.person, slug)
        return self.page(gold.candidates(project, **self.asked(CandidateFilterSerializer)), CandidateSerializer)


class OwnFeedback(Endpoint):
    who = Role.ANNOTATOR
    own = True
    scope = Scope.READ

    @documented("Gold", FeedbackSerializer, refuses=(401, 404), operation_id="gold_feedback")
    def get(self, request: Request, label_id: int) -> Response:
        """Whether your label on gold was right, and why, where the project tells people; 404 otherwise."""
        return Response(FeedbackSerializer(gold.feedback(access.gold_answer(self.person, label_id))).data)


class OneGold(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Gold", GoldSerializer, sends=GoldChangeSerializer, refuses=(400, 401, 403, 404))
    def patch(self, request: Request, slug: str, gold_id: int) -> Response:
        """Change what is sent and nothing else; the right answer only while nobody has answered."""
        found = access.gold(self.person, slug, gold_id)
        sent = self.sent(GoldChangeSerializer)
        given = sent.keys() & {"verdicts", "ranks", "unacceptable"}
        right = RightSerializer.right(sent) if given else None
        more = {"explanation": sent.get("explanation"), "quiz": sent.get("quiz")}
        gold.change(gold=found, right=right, actor=self.person, **more)
        if "retired" in sent:
            gold.retire(gold=found, actor=self.person, again=not sent["retired"])
        found = access.gold(self.person, slug, gold_id)
        return Response(GoldSerializer(found).data)

    @documented("Gold", None, code=204, refuses=(400, 401, 403, 404))
    def delete(self, request: Request, slug: str, gold_id: int) -> Response:
        """Make it an item like the others again; refused once somebody has answered it as gold."""
        gold.take_back(gold=access.gold(self.person, slug, gold_id), actor=self.person)
        return Response(status=204)


class Rules(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("Gold", RulesSerializer, operation_id="gold_rules")
    def get(self, request: Request, slug: str) -> Response:
        """How much gold is mixed in, what follows from it, and the entry quiz."""
        return Response(RulesSerializer(access.project(self.person, slug)).data)

    @documented(
        "Gold", RulesSerializer, sends=RulesSerializer, refuses=(400, 401, 403, 404), operation_id="set_gold_rules"
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change the rules that are sent."""
        project = access.project(self.person, slug)
        form = RulesSerializer(project, data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        gold.set_rules(project=project, actor=self.person, **form.validated_data)
        return Response(RulesSerializer(project).data)


class Paused(Endpoint):
    who = Role.LEAD
    scope = Scope.READ

    @documented("People", PausedSerializer(many=True), operation_id="paused")
    def get(self, request: Request, slug: str) -> Response:
        """Who is paused, since when and why; newest members first."""
        project = access.project(self.person, slug)
        return self.page(project.memberships.filter(paused_at__isnull=False).select_related("person"), PausedSerializer)


class Pause(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("People", PausedSerializer, sends=PauseSerializer, refuses=(400, 401, 403, 404, 409))
    def post(self, request: Request, slug: str, person_id: int) -> Response:
        """Give somebody no more items; those they hold go back to the queue."""
        member = access.member_of(access.membership(self.person, slug), person_id)
        if not pausing.pause(membership=member, actor=self.person, **self.sent(PauseSerializer)):
            raise Conflict("This person is paused already.")
        return Response(PausedSerializer(member).data)


class Unpause(Endpoint):
    who = Role.LEAD
    scope = Scope.MANAGE

    @documented("People", None, sends=GoOnSerializer, code=204, refuses=(400, 401, 403, 404, 409))
    def post(self, request: Request, slug: str, person_id: int) -> Response:
        """Let somebody go on: their answers to gold are counted anew, and a quiz they failed begins again."""
        member = access.member_of(access.membership(self.person, slug), person_id)
        if not pausing.unpause(membership=member, actor=self.person, **self.sent(GoOnSerializer)):
            raise Conflict("This person is not paused.")
        return Response(status=204)


urlpatterns = [
    path("projects/<slug:slug>/gold/", AllGold.as_view()),
    path("labels/<int:label_id>/gold/", OwnFeedback.as_view()),
    path("projects/<slug:slug>/gold/candidates/", Candidates.as_view()),
    path("projects/<slug:slug>/gold/rules/", Rules.as_view()),
    path("projects/<slug:slug>/gold/<int:gold_id>/", OneGold.as_view()),
    path("projects/<slug:slug>/paused/", Paused.as_view()),
    path("projects/<slug:slug>/people/<int:person_id>/pause/", Pause.as_view()),
    path("projects/<slug:slug>/people/<int:person_id>/unpause/", Unpause.as_view()),
]
