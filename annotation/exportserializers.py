"""What the API takes and gives when data goes out. Serializers validate and never write."""

from typing import Any

from rest_framework import serializers

from annotation.exporting.wanted import Wanted
from annotation.models import Export
from annotation.models.items import Kind
from annotation.models.prompts import Split
from annotation.serializers import MessageSerializer
from annotation.shapes.outgoing import SHAPES

FIELDS = Wanted.model_fields


def _about(name: str) -> str:
    return FIELDS[name].description or ""


CHOICES = [(name, one.title) for name, one in SHAPES.items()]


class WantedSerializer(serializers.Serializer):
    """What of a project is taken out, and in which shape."""

    shape = serializers.ChoiceField(choices=CHOICES, default="touchstone")
    kind = serializers.ChoiceField(choices=Kind.choices, required=False, help_text=_about("kind"))
    split = serializers.ChoiceField(choices=Split.choices, required=False, help_text=_about("split"))
    decisions = serializers.ChoiceField(choices=["only", "none"], required=False, help_text=_about("decisions"))
    simulated = serializers.BooleanField(required=False, help_text=_about("simulated"))
    minimum_agreement = serializers.FloatField(
        required=False, min_value=0.5, max_value=1, help_text=_about("minimum_agreement")
    )
    names = serializers.BooleanField(required=False, help_text=_about("names"))

    @staticmethod
    def wanted(asked: dict[str, Any]) -> Wanted:
        return Wanted(**{name: value for name, value in asked.items() if name in FIELDS})


class ExportFilterSerializer(WantedSerializer):
    """In an address, lists have commas between their parts."""

    tags = serializers.CharField(required=False, max_length=2_000, help_text="With commas between them.")
    languages = serializers.CharField(required=False, max_length=300, help_text="With commas between them.")

    def validate_tags(self, value: str) -> list[str]:
        return [part.strip() for part in value.split(",") if part.strip()]

    validate_languages = validate_tags


class AskExportSerializer(WantedSerializer):
    tags = serializers.ListField(child=serializers.CharField(max_length=64), required=False, help_text=_about("tags"))
    languages = serializers.ListField(
        child=serializers.CharField(max_length=16), required=False, help_text=_about("languages")
    )
    repository = serializers.CharField(
        required=False,
        default="",
        max_length=96,
        help_text="Put a `dataset` on the Hugging Face hub under this name, private if it is new.",
    )


class ExportFileSerializer(serializers.ModelSerializer):
    by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    file_name = serializers.CharField()

    class Meta:
        model = Export
        fields = (
            *("id", "shape", "wanted", "status", "done", "total", "rows", "left_out", "size", "sha256", "file_name"),
            *("repository", "address", "error", "by", "created_at", "expires_at"),
        )


class ExportedAnswerSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    text = serializers.CharField()
    origin = serializers.CharField()
    excluded = serializers.CharField(help_text="Why it was excluded; empty where it was not.")


class ExportedVoteSerializer(serializers.Serializer):
    answer = serializers.IntegerField(help_text="The id of one of the row's answers.")
    position = serializers.IntegerField()
    rank = serializers.IntegerField()
    unacceptable = serializers.BooleanField()


class ExportedLabelSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    person = serializers.CharField(help_text="A pseudonym, the same throughout the project.")
    simulated = serializers.BooleanField()
    decision = serializers.BooleanField(help_text="A reviewer's, which settles the item.")
    comment = serializers.CharField()
    criteria = serializers.DictField(
        child=serializers.IntegerField(), help_text="By criterion, the id of the better answer; 0 for no difference."
    )
    flags = serializers.ListField(child=serializers.CharField())
    seconds = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()
    strength = serializers.IntegerField(required=False, allow_null=True, help_text="Of a comparison.")
    votes = ExportedVoteSerializer(many=True, required=False, help_text="Of a comparison.")
    verdict = serializers.CharField(required=False, help_text="Of a demonstration.")
    text = serializers.CharField(
        allow_null=True, help_text="The text that was kept; of a comparison, the best answer as it was edited."
    )
    prompt = MessageSerializer(many=True, required=False, help_text="If earlier turns were mended: the conversation.")


class ExportedRowSerializer(serializers.Serializer):
    """One line of an export: an item and everything people said about it."""

    item = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    purpose = serializers.CharField()
    split = serializers.CharField()
    language = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    metadata = serializers.DictField(help_text="What came with the prompt.")
    excluded = serializers.CharField(help_text="Why the prompt was excluded; empty where it was not.")
    prompt = MessageSerializer(many=True)
    answers = ExportedAnswerSerializer(many=True)
    labels = ExportedLabelSerializer(many=True)
