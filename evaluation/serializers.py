"""What the API of room 3 takes and gives. Serializers validate and never write."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.endpoints import plain_schema
from evaluation import head_to_head, second_opinion
from evaluation.evidence import FAILED, PASSED, UNDECIDED
from evaluation.gate import LIMITS
from evaluation.models import Aim, Evaluation, GatePolicy, Round, RoundPolicy, RoundStep, Score, StepRun
from evaluation.policy import RoundSettings
from training.methods import JUDGE, SUITE
from training.models import ModelVersion
from training.serializers import BIGGEST_SEED, InProject, ModelNameSerializer

OUTCOMES = [PASSED, FAILED, UNDECIDED]


class ScoreSerializer(serializers.ModelSerializer):
    class Meta:
        model = Score
        fields = ("name", "group", "value", "lower", "upper", "n")


class EvaluationSerializer(serializers.ModelSerializer):
    model = ModelNameSerializer(source="model_version")
    details = serializers.DictField()
    scores = ScoreSerializer(many=True)

    class Meta:
        model = Evaluation
        fields = ("id", "model", "kind", "run", "scores", "details", "created_at")


class MeasureSerializer(serializers.Serializer):
    model = InProject(queryset=ModelVersion.objects.all(), help_text="A reward model or a policy.")
    simulated = serializers.BooleanField(default=False, help_text="Measure with pairs of simulated annotators too.")
    seed = serializers.IntegerField(default=17, min_value=0, max_value=BIGGEST_SEED)


class StepRunSerializer(serializers.ModelSerializer):
    status = serializers.CharField(source="run.status")

    class Meta:
        model = StepRun
        fields = ("purpose", "run", "status")


class StepSerializer(serializers.ModelSerializer):
    detail = serializers.DictField(help_text="What the step found: counts, figures, the verdict at the gate.")
    runs = StepRunSerializer(source="step_runs", many=True)

    class Meta:
        model = RoundStep
        fields = ("name", "status", "detail", "runs", "started_at", "finished_at")


class RoundSerializer(serializers.ModelSerializer):
    champion = ModelNameSerializer(allow_null=True)
    challenger = ModelNameSerializer(allow_null=True)
    reward_model = ModelNameSerializer(allow_null=True)
    started_by = serializers.CharField(source="started_by.username", allow_null=True, default=None)

    class Meta:
        model = Round
        fields: tuple[str, ...] = (
            *("number", "status", "step", "champion", "challenger", "reward_model", "error"),
            *("started_by", "created_at", "finished_at"),
        )


class RoundDetailSerializer(RoundSerializer):
    settings = serializers.DictField()
    steps = StepSerializer(many=True)

    class Meta(RoundSerializer.Meta):
        fields = (*RoundSerializer.Meta.fields, "settings", "snapshots", "steps")


@extend_schema_field(plain_schema(RoundSettings))
class RoundSettingsField(serializers.DictField):
    """A round's settings; `rounds.checked_settings` validates them."""


class StartRoundSerializer(serializers.Serializer):
    settings = RoundSettingsField(default=dict, help_text="What is left out keeps its default.")


class AdvanceSerializer(serializers.Serializer):
    force = serializers.BooleanField(
        default=True, help_text="Go on with the labels that are there, though fewer than the round waits for."
    )


class RoundPolicySerializer(serializers.ModelSerializer):
    class Meta:
        model = RoundPolicy
        fields = (
            *("enabled", "new_labels", "minimum_agreement", "cooldown_hours"),
            *("label_budget", "minutes_budget"),
        )


class ConditionSerializer(serializers.Serializer):
    name = serializers.CharField()
    value = serializers.CharField(help_text="What is there, in words.")
    goal = serializers.CharField(help_text="What is wanted, in words.")
    met = serializers.BooleanField()


class OutlookSerializer(serializers.Serializer):
    policy = RoundPolicySerializer()
    would_start = serializers.BooleanField(help_text="All conditions are met; it starts if the policy is enabled.")
    conditions = ConditionSerializer(many=True)


class SavedSerializer(serializers.Serializer):
    """Share of labels, with its 95 % interval; nothing is saved for certain where `lower` is not above 0."""

    value = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()


class AimSerializer(serializers.Serializer):
    aim = serializers.ChoiceField(
        choices=Aim.choices,
        help_text="What comparisons are chosen for: `knowing` people's taste, or `tuning` the model.",
    )


class SteeringSerializer(AimSerializer):
    made_at = serializers.DateTimeField(allow_null=True, help_text="When the queue was last put in order.")
    pairs = serializers.IntegerField(help_text="Judged pairs behind the order.")
    ordered = serializers.IntegerField(help_text="Open comparisons that were put in order.")
    doubted = serializers.IntegerField(help_text="Of them, those that wait for another opinion.")
    read = serializers.IntegerField(help_text="Answers that the project's model has read.")
    saved = SavedSerializer(allow_null=True, help_text="Null while too few random ones are judged, or for tuning.")


class RateSerializer(serializers.Serializer):
    """Share of items won, a tie counting half and several votes on one averaged first, with Wilson's 95 % interval."""

    value = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()
    n = serializers.IntegerField()


class StandingSerializer(serializers.Serializer):
    model = ModelNameSerializer(source="version")
    wins = serializers.IntegerField(source="record.wins", help_text="Votes for it, against other versions.")
    losses = serializers.IntegerField(source="record.losses")
    ties = serializers.IntegerField(source="record.ties")
    rate = RateSerializer(source="record.interval")
    strength = RateSerializer(
        allow_null=True, help_text="What it would win against the average, sides and lengths being even."
    )


class LeaderboardSerializer(serializers.Serializer):
    standings = StandingSerializer(many=True)
    left = RateSerializer(allow_null=True, help_text="How often the left one of two equal answers wins.")
    longer = RateSerializer(allow_null=True, help_text="How often one of twice as many words wins among equals.")
    warnings = serializers.ListField(child=serializers.CharField(), help_text="What may not be read from the board.")


class GatePolicySerializer(serializers.ModelSerializer):
    class Meta:
        model = GatePolicy
        fields = LIMITS


class VerdictRowSerializer(serializers.Serializer):
    name = serializers.CharField()
    value = serializers.CharField(help_text="What was found, with its interval.")
    goal = serializers.CharField()
    outcome = serializers.ChoiceField(OUTCOMES, help_text="undecided: too few to tell; `why` says how many more would.")
    why = serializers.CharField()


class VerdictSerializer(serializers.Serializer):
    outcome = serializers.ChoiceField(OUTCOMES)
    words = serializers.CharField()
    rows = VerdictRowSerializer(many=True)


class HeadToHeadSerializer(serializers.Serializer):
    id = serializers.IntegerField(source="match.pk")
    champion = ModelNameSerializer(source="match.champion")
    challenger = ModelNameSerializer(source="match.challenger")
    words = serializers.CharField(help_text="How it stands, and whether one may stop.")
    decided = serializers.IntegerField(help_text="1: the challenger is better, -1: it is worse, 0: open.")
    rate = RateSerializer(
        source="interval", help_text="The challenger's win rate; the interval holds however often one looks."
    )
    at_equal_length = RateSerializer(allow_null=True)
    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    ties = serializers.IntegerField()
    asked = serializers.IntegerField(help_text="Items in the queue for it, answered or not.")
    people = serializers.IntegerField()
    silent = serializers.IntegerField(
        help_text="Prompts to which one of them said nothing, and has lost, or both, which is a tie."
    )
    created_at = serializers.DateTimeField(source="match.created_at")
    ended_at = serializers.DateTimeField(source="match.ended_at", allow_null=True)
    ended_because = serializers.CharField(source="match.ended_because", allow_blank=True)
    withdrawn = serializers.IntegerField(help_text="Items that its end took out of the queue.")

    def to_representation(self, match: Any) -> dict[str, Any]:
        return super().to_representation(head_to_head.standing(match, simulated=self.context.get("simulated", False)))


class StartHeadToHeadSerializer(serializers.Serializer):
    challenger = InProject(queryset=ModelVersion.objects.all(), help_text="The new model.")
    champion = InProject(
        queryset=ModelVersion.objects.all(),
        required=False,
        help_text="The production model if left out.",
    )
    prompts = serializers.IntegerField(default=head_to_head.PROMPTS, min_value=1, max_value=1000)
    seed = serializers.IntegerField(default=17, min_value=0, max_value=BIGGEST_SEED)


@extend_schema_field(plain_schema(JUDGE.settings))
class JudgeSettingsField(serializers.DictField):
    """Settings of a second opinion: budget, longest verdict, questions at once."""


class AskSecondOpinionSerializer(serializers.Serializer):
    challenger = InProject(queryset=ModelVersion.objects.all(), help_text="The new model.")
    champion = InProject(
        queryset=ModelVersion.objects.all(), required=False, help_text="The production model if left out."
    )
    judge = InProject(queryset=ModelVersion.objects.all(), help_text="A model behind an endpoint.")
    pairs = serializers.IntegerField(
        default=second_opinion.PAIRS,
        min_value=1,
        max_value=second_opinion.MOST_PAIRS,
        help_text="At most so many of the two models, and as many that people have compared; each is asked twice.",
    )
    settings = JudgeSettingsField(default=dict, help_text="What is left out keeps its default.")


@extend_schema_field(plain_schema(SUITE.settings))
class SuiteSettingsField(serializers.DictField):
    """Settings of public suites: which, how many questions, asked as in a conversation or not."""


class AskSuitesSerializer(serializers.Serializer):
    model = InProject(queryset=ModelVersion.objects.all(), help_text="A model that answers.")
    settings = SuiteSettingsField(default=dict, help_text="What is left out keeps its default.")
