"""What the API of room 3 takes and gives. Serializers validate and never write."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.endpoints import plain_schema
from evaluation.models import Evaluation, Round, RoundStep, Score, StepRun
from evaluation.policy import RoundSettings
from training.models import ModelVersion
from training.serializers import BIGGEST_SEED, InProject, ModelNameSerializer


class ScoreSerializer(serializers.ModelSerializer):
    class Meta:
        model = Score
        fields = ("name", "value", "lower", "upper", "n")


class EvaluationSerializer(serializers.ModelSerializer):
    model = ModelNameSerializer(source="model_version")
    details = serializers.DictField()
    scores = ScoreSerializer(many=True)

    class Meta:
        model = Evaluation
        fields = ("id", "model", "kind", "run", "scores", "details", "created_at")


class MeasureSerializer(serializers.Serializer):
    model = InProject(queryset=ModelVersion.objects.all(), help_text="A reward model.")
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


class LeaderboardSerializer(serializers.Serializer):
    standings = StandingSerializer(many=True)
