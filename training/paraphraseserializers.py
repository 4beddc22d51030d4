"""What the API of paraphrases takes and gives. Serializers validate and never write."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.endpoints import BIGGEST_ID, plain_schema
from training import paraphrasing
from training.methods import ParaphraseSettings
from training.models import ModelVersion, Paraphrase
from training.models.paraphrases import Refusal
from training.serializers import BIGGEST_SEED, InProject


@extend_schema_field(plain_schema(ParaphraseSettings))
class ParaphraseSettingsField(serializers.DictField):
    """Settings of paraphrasing."""


class ParaphraseSerializer(serializers.ModelSerializer):
    """A prompt's last turn in a model's words, and what became of it."""

    original = serializers.CharField(source="prompt.last_turn", help_text="The last turn of the prompt.")
    model = serializers.IntegerField(source="run.base_id", help_text="The model that wrote it.")
    kept = serializers.BooleanField(source="is_kept", help_text="Whether it may be learnt from.")
    refused_because = serializers.CharField(help_text="What was found when it was written; empty for nothing.")
    why = serializers.CharField(help_text="Why it is refused, in words. Empty if it is kept.")
    final = serializers.SerializerMethodField(help_text="Whether it stays refused whatever anybody decides.")
    decision = serializers.CharField(help_text="What a person decided, kept or refused. Empty if nobody did.")
    decided_by = serializers.CharField(source="decided_by.username", default=None, allow_null=True)

    class Meta:
        model = Paraphrase
        fields = (
            *("id", "run", "model", "prompt", "index", "original", "text", "kept", "refused_because", "why", "final"),
            *("nearness", "decision", "decided_by", "decided_at", "created_at"),
        )

    def get_final(self, one: Paraphrase) -> bool:
        return not one.can_change


class WhichParaphrasesSerializer(serializers.Serializer):
    run = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID, help_text="Only of this run.")
    kept = serializers.BooleanField(required=False, help_text="Only those that are kept, or only the others.")
    refused_because = serializers.ChoiceField(
        choices=Refusal.choices, required=False, help_text="Only those of which this was found."
    )


class StartParaphrasingSerializer(serializers.Serializer):
    model = InProject(queryset=ModelVersion.objects.all())
    prompts = serializers.IntegerField(
        default=paraphrasing.USUAL,
        min_value=1,
        max_value=paraphrasing.MOST_PROMPTS,
        help_text="How many at most. Those that this model has not reworded yet come first.",
    )
    settings = ParaphraseSettingsField(default=dict, help_text="What is left out keeps its default.")
    seed = serializers.IntegerField(default=17, min_value=0, max_value=BIGGEST_SEED)


class DecideParaphraseSerializer(serializers.Serializer):
    keep = serializers.BooleanField(help_text="False refuses it; true takes it back.")
