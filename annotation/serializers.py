"""What the API of room 1 takes and gives. Serializers validate and never write."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation import guidelines, progress
from annotation.checking import MOST
from annotation.checks import KINDS
from annotation.importing import Summary
from annotation.models import Membership, Prompt

MESSAGE = "#/components/schemas/Message"


class MessageSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=["system", "user", "assistant"])
    content = serializers.CharField()


# Projects


class WaitingSerializer(serializers.Serializer):
    demonstration = serializers.IntegerField()
    comparison = serializers.IntegerField()


class ProjectSerializer(serializers.Serializer):
    """A project as one of its members sees it."""

    slug = serializers.CharField(source="project.slug")
    name = serializers.CharField(source="project.name")
    description = serializers.CharField(source="project.description")
    role = serializers.CharField(help_text="The person's own: annotator, reviewer or lead.")
    waiting = serializers.SerializerMethodField(help_text="How many items of each kind this person could be given.")

    @extend_schema_field(WaitingSerializer)
    def get_waiting(self, member: Membership) -> dict[str, int]:
        return progress.waiting_for(member)


class ProgressSerializer(serializers.Serializer):
    items = serializers.IntegerField()
    done = serializers.IntegerField(help_text="Labels given.")
    wanted = serializers.IntegerField(help_text="Labels wanted.")


class ProgressByKindSerializer(serializers.Serializer):
    demonstration = ProgressSerializer()
    comparison = ProgressSerializer()


class ProjectDetailSerializer(ProjectSerializer):
    guidelines = serializers.SerializerMethodField(help_text="Markdown.")
    guidelines_number = serializers.SerializerMethodField(help_text="Of the newest version; null if there is none.")
    guidelines_unread = serializers.SerializerMethodField(help_text="Whether this person has yet to read it.")
    ties_allowed = serializers.BooleanField(source="project.ties_allowed")
    strength_levels = serializers.ListField(
        source="project.strength_levels", child=serializers.CharField(), help_text="Weakest first."
    )
    criteria = serializers.ListField(source="project.criteria", child=serializers.CharField())
    flags = serializers.ListField(source="project.flags", child=serializers.CharField())
    progress = serializers.SerializerMethodField()
    own_labels = serializers.SerializerMethodField(help_text="How many labels this person has given.")

    def get_guidelines(self, member: Membership) -> str:
        return member.project.guidelines

    def get_guidelines_number(self, member: Membership) -> int | None:
        current = member.project.current_guidelines
        return current.number if current else None

    def get_guidelines_unread(self, member: Membership) -> bool:
        return bool(member.pk and guidelines.unread(member))

    @extend_schema_field(ProgressByKindSerializer)
    def get_progress(self, member: Membership) -> Any:
        return ProgressByKindSerializer(progress.as_seen_by(member)).data

    def get_own_labels(self, member: Membership) -> int:
        return progress.labels_by(member.person, member.project)


# Prompts


class PromptSerializer(serializers.ModelSerializer):
    messages = MessageSerializer(many=True)
    tags = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Prompt
        fields = ("id", "messages", "split", "language", "tags", "metadata", "sha256", "created_at")


@extend_schema_field({"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": MESSAGE}}]})
class TextOrMessagesField(serializers.Field):
    """A text, or a list of messages."""


class ImportRowSerializer(serializers.Serializer):
    """One row to import, for the reader; annotation/importing.py says what is understood, row by row."""

    messages = MessageSerializer(
        many=True, required=False, help_text="A conversation; its last answer is to be cleaned."
    )
    prompt = TextOrMessagesField(required=False, help_text="What the user says, or a conversation up to the answer.")
    completion = serializers.CharField(required=False, help_text="The answer to clean.")
    responses = serializers.ListField(child=serializers.CharField(), required=False, help_text="Answers to rank.")
    language = serializers.CharField(required=False)
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    metadata = serializers.DictField(required=False)
    gold = serializers.DictField(required=False, help_text="What is known to be right: `ranks` or `verdicts`, and why.")


class RejectedSerializer(serializers.Serializer):
    line = serializers.IntegerField(help_text="Counted from 1.")
    reason = serializers.CharField()


class CountsSerializer(serializers.Serializer):
    added = serializers.IntegerField(help_text="Rows that brought something new.")
    known = serializers.IntegerField(help_text="Rows that were there already.")
    prompts = serializers.IntegerField(help_text="New prompts.")
    responses = serializers.IntegerField(help_text="New answers.")
    demonstrations = serializers.IntegerField(help_text="New items to clean.")
    comparisons = serializers.IntegerField(help_text="New items to rank.")
    gold = serializers.IntegerField(help_text="Items whose right answer came with them.")
    labels = serializers.IntegerField(help_text="New labels that came with the rows.")


class SummarySerializer(CountsSerializer):
    rejected = serializers.SerializerMethodField()

    @extend_schema_field(RejectedSerializer(many=True))
    def get_rejected(self, summary: Summary) -> list[dict[str, Any]]:
        return [{"line": line, "reason": reason} for line, reason in summary.rejected]


# Checking a text


class CheckSerializer(serializers.Serializer):
    text = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=200_000)
    messages = MessageSerializer(many=True, required=False, help_text="The conversation that the text answers.")


class FoundSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=sorted(KINDS))
    sentence = serializers.CharField()
    start = serializers.IntegerField(help_text="Places are counted in Unicode characters, from 0.")
    end = serializers.IntegerField()


class CheckedSerializer(serializers.Serializer):
    findings = FoundSerializer(many=True, help_text=f"The first {MOST}, in the order of the text.")
    more = serializers.IntegerField(help_text="How many there are beyond those.")
    tokens = serializers.IntegerField(
        allow_null=True, help_text="About how many, conversation and text; null if there is no model to ask."
    )
    limit = serializers.IntegerField(allow_null=True, help_text="How many the model can read, if it says so.")


# Out of the project


class SimulatedFilterSerializer(serializers.Serializer):
    simulated = serializers.BooleanField(default=False, help_text="Count the labels of simulated annotators too.")
