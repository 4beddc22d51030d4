"""What the API takes and gives about threads, notices and reviews. Serializers validate and never write."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.labelserializers import AssignmentSerializer
from annotation.models import Comment, Notice, Review
from annotation.models.items import Kind
from annotation.reviewing import Voice, voices
from annotation.talk import THEN


class CommentSerializer(serializers.ModelSerializer):
    author = serializers.SerializerMethodField(help_text="A user name; to a reviewer of the item, no annotator's.")

    class Meta:
        model = Comment
        fields = ("id", "author", "text", "flag", "settled_at", "created_at")

    def get_author(self, comment: Comment) -> str:
        return self.context.get("names", {}).get(comment.pk) or comment.author.username


class FlagSerializer(CommentSerializer):
    """A flag as the leads see it."""

    kind = serializers.ChoiceField(source="item.kind", choices=Kind.choices)
    prompt = serializers.CharField(source="item.prompt.last_turn", help_text="The last turn of the conversation.")

    class Meta(CommentSerializer.Meta):
        fields = (*CommentSerializer.Meta.fields, "item", "kind", "prompt")  # type: ignore[assignment]


class SayWordSerializer(serializers.Serializer):
    text = serializers.CharField(max_length=4000, help_text="`@name` mentions a member of the project.")
    flag = serializers.BooleanField(default=False, help_text="Ask the leads to act on the item.")


class SettleSerializer(serializers.Serializer):
    answer = serializers.CharField(required=False, allow_blank=True, max_length=3800, default="")
    then = serializers.ChoiceField(
        choices=list(THEN.items()), required=False, default="", help_text="What becomes of the item."
    )


class NoticeSerializer(serializers.ModelSerializer):
    project = serializers.CharField(source="project.slug")
    address = serializers.CharField(help_text="The page that shows what it is about, within the site.")

    class Meta:
        model = Notice
        fields = ("id", "project", "text", "address", "read_at", "created_at")


class ReadSerializer(serializers.Serializer):
    read = serializers.IntegerField(help_text="How many were unread until now.")


class VoiceSerializer(serializers.Serializer):
    """What one person said, under a number. Places are those of the reviewer's own assignment."""

    name = serializers.CharField(help_text="1, 2, …: the same each time, and in an order that tells nothing.")
    verdict = serializers.CharField(source="label.verdict")
    text = serializers.SerializerMethodField(help_text="What was kept or written; null if nothing was.")
    ranks = serializers.SerializerMethodField(help_text="By position; 1 is best, equal ranks are ties.")
    unacceptable = serializers.SerializerMethodField(help_text="By position.")
    strength = serializers.IntegerField(source="label.strength", allow_null=True)
    criteria = serializers.SerializerMethodField(help_text="The position of the better answer; null for none.")
    flags = serializers.ListField(source="label.flags", child=serializers.CharField())
    comment = serializers.CharField(source="label.comment")

    def get_text(self, voice: Voice) -> str | None:
        return voice.label.response.text if voice.label.response else None

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_ranks(self, voice: Voice) -> list[int]:
        return [judged.rank for judged in self._in_order(voice)]

    @extend_schema_field(serializers.ListField(child=serializers.BooleanField()))
    def get_unacceptable(self, voice: Voice) -> list[bool]:
        return [judged.unacceptable for judged in self._in_order(voice)]

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField(allow_null=True)))
    def get_criteria(self, voice: Voice) -> dict[str, int | None]:
        order = self.context["order"]
        better = voice.label.criteria.items()
        return {name: order.index(response) if response in order else None for name, response in better}

    def _in_order(self, voice: Voice) -> list[Any]:
        order = self.context["order"]
        return sorted(voice.label.judgements.all(), key=lambda judged: order.index(judged.response_id))


class CaseSerializer(serializers.ModelSerializer):
    assignment = AssignmentSerializer()
    labels = serializers.SerializerMethodField()
    flags = serializers.SerializerMethodField(help_text="What the open flags on the item say.")

    class Meta:
        model = Review
        fields = ("id", "reason", "opened_at", "assignment", "labels", "flags")

    @extend_schema_field(VoiceSerializer(many=True))
    def get_labels(self, case: Review) -> Any:
        assert case.assignment is not None
        return VoiceSerializer(voices(case), many=True, context={"order": case.assignment.order}).data

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_flags(self, case: Review) -> list[str]:
        return [flag.text for flag in case.item.comments.open_flags()]  # type: ignore[attr-defined]


class NextCaseSerializer(serializers.Serializer):
    case = CaseSerializer(allow_null=True, help_text="null when no case waits for this person.")
    waiting = serializers.IntegerField(help_text="Cases this person could be given, the one here among them.")


class OpenedCaseSerializer(serializers.ModelSerializer):
    class Meta:
        model = Review
        fields = ("id", "item", "reason", "opened_at")
