"""What labelling says over HTTP. What is shown here must not tell who wrote an answer, nor why it is asked about."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation import leasing, ranking
from annotation.browseserializers import BrowseFilterSerializer
from annotation.bulklabels import Taken
from annotation.endpoints import kept
from annotation.labelling import Said
from annotation.models import Assignment, Judgement, Label
from annotation.models.items import Kind
from annotation.models.labels import Verdict
from annotation.serializers import MessageSerializer, RejectedSerializer

MOMENT = serializers.DateTimeField()  # how a moment is written


class KindSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=Kind.choices)


class BeyondSerializer(serializers.Serializer):
    beyond = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        required=False,
        max_length=20,
        help_text="Assignments you hold already: you get the one after them. A person may hold four of a kind.",
    )


class AskSerializer(KindSerializer, BeyondSerializer):
    pass


class ShownAnswerSerializer(serializers.Serializer):
    position = serializers.IntegerField(help_text="0 is the first, or left, answer.")
    text = serializers.CharField()


class AssignmentSerializer(serializers.ModelSerializer):
    """One piece of work as one person sees it: the answers in their own order, and no word of who wrote them."""

    kind = serializers.ChoiceField(source="item.kind", choices=Kind.choices)
    prompt = MessageSerializer(source="item.prompt.messages", many=True)
    answers = ShownAnswerSerializer(many=True, read_only=True)
    ties_allowed = serializers.BooleanField(source="item.project.ties_allowed")
    strength_levels = serializers.ListField(
        source="item.project.strength_levels", child=serializers.CharField(), help_text="Weakest first."
    )
    criteria = serializers.ListField(source="item.project.criteria", child=serializers.CharField())
    flags = serializers.ListField(
        source="item.project.flags", child=serializers.CharField(), help_text="What may be wrong with an answer."
    )
    draft = serializers.DictField(help_text="What this person has kept of it so far.")

    class Meta:
        model = Assignment
        fields = (
            *("id", "kind", "leased_at", "lease_until", "prompt", "answers"),
            *("ties_allowed", "strength_levels", "criteria", "flags", "draft"),
        )

    def to_representation(self, instance: Assignment) -> dict[str, Any]:
        return assignment_as_told(instance)


def assignment_as_told(assignment: Assignment) -> dict[str, Any]:
    """What AssignmentSerializer describes, without going through its fields: this is told after every label."""
    item, project = assignment.item, assignment.item.project
    return {
        "id": assignment.pk,
        "kind": item.kind,
        "leased_at": MOMENT.to_representation(assignment.leased_at),
        "lease_until": MOMENT.to_representation(assignment.lease_until),
        "prompt": [{"role": turn["role"], "content": turn["content"]} for turn in item.prompt.messages],
        "answers": [{"position": place, "text": one.text} for place, one in enumerate(assignment.shown())],
        "ties_allowed": project.ties_allowed,
        "strength_levels": project.strength_levels,
        "criteria": project.criteria,
        "flags": project.flags,
        "draft": assignment.draft,
    }


class NextSerializer(serializers.Serializer):
    assignment = AssignmentSerializer(allow_null=True, help_text="null when nothing waits for this person.")
    detail = serializers.CharField(help_text="Why there is none, in a sentence, where it is not that nothing waits.")


class SaidSerializer(serializers.Serializer):
    """A label. A comparison has `ranks`, a demonstration a `verdict`; the rest is for both."""

    client_uuid = serializers.UUIDField(help_text="Drawn by the client; sent again, it is the same label.")
    ranks = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=8),
        required=False,
        max_length=8,
        help_text="By position; 1 is best, equal ranks are ties.",
    )
    unacceptable = serializers.ListField(
        child=serializers.BooleanField(), required=False, max_length=8, help_text="By position."
    )
    strength = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=32, help_text="1 is the weakest of the levels."
    )
    verdict = serializers.ChoiceField(choices=Verdict.choices, required=False)
    text = serializers.CharField(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        max_length=200_000,
        help_text="With the verdict edit; in a comparison, the one best answer made better.",
    )
    turns = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=200_000),
        required=False,
        help_text="With the verdict edit: new words for earlier turns of the assistant, by their place in `prompt`.",
    )
    flags = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, max_length=20, help_text="Some of the project's."
    )
    criteria = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=7, allow_null=True),
        required=False,
        help_text="Of a comparison: by criterion, the position of the better answer; null for no difference.",
    )
    comment = serializers.CharField(required=False, allow_blank=True, max_length=4000)
    seconds = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=1e6)

    def validate_turns(self, turns: dict[str, str]) -> dict[int, str]:
        if not all(place.isascii() and place.isdigit() and len(place) < 5 for place in turns):
            raise serializers.ValidationError("Name each turn by its place, counted from 0.")
        return {int(place): text.replace("\r\n", "\n") for place, text in turns.items()}

    @staticmethod
    def said(data: dict[str, Any]) -> Said:
        fields = {key: value for key, value in data.items() if key not in ("next", "beyond")}
        if "text" in fields:
            kept = fields.get("verdict") in (None, Verdict.EDIT)
            fields["text"] = fields["text"].replace("\r\n", "\n") if kept else ""
        if fields.get("verdict") in (Verdict.ACCEPT, Verdict.REJECT):  # they leave the conversation as it is
            fields.pop("turns", None)
        return Said(**fields)


@kept
class SubmitSerializer(SaidSerializer, BeyondSerializer):
    next = serializers.BooleanField(default=False, help_text="Answer with the next assignment of this kind too.")


class SkipSerializer(BeyondSerializer):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300, default="")
    next = serializers.BooleanField(default=False, help_text="Answer with the next assignment of this kind too.")


class SkippedSerializer(serializers.Serializer):
    next = AssignmentSerializer(allow_null=True)
    detail = serializers.CharField(help_text="Why there is no next one, where it is not that nothing waits.")


class DraftSerializer(serializers.Serializer):
    draft = serializers.DictField(
        child=serializers.JSONField(),
        required=False,
        help_text="What was chosen and typed, by name of the field: a text, or a list of texts. Left out, the lease is "
        "renewed and the draft stays as it is.",
    )

    def validate_draft(self, draft: dict[str, Any]) -> dict[str, Any]:
        if (problem := leasing.why_no_draft(draft)) is not None:
            raise serializers.ValidationError(problem)
        return draft


class ReleaseSerializer(serializers.Serializer):
    leased_at = serializers.DateTimeField(
        required=False, help_text="Only if it was not given out again since: the assignment's own `leased_at`."
    )


class ReleasedSerializer(serializers.Serializer):
    released = serializers.BooleanField(help_text="False for what has a draft, or is held no more.")


# Labels


class JudgementSerializer(serializers.ModelSerializer):
    response = serializers.IntegerField(read_only=True, allow_null=True, help_text="For leads; null for others.")

    class Meta:
        model = Judgement
        fields = ("position", "rank", "unacceptable", "response")


class LabelSerializer(serializers.ModelSerializer):
    """A label. Which item, prompt and answers it is about is told to leads alone: people stay blind."""

    kind = serializers.ChoiceField(source="item.kind", choices=Kind.choices)
    person = serializers.CharField(source="person.username")
    text = serializers.CharField(
        read_only=True, allow_null=True, help_text="The text that was kept; of a comparison, the edit."
    )
    flags = serializers.ListField(child=serializers.CharField())
    criteria = serializers.DictField(
        child=serializers.IntegerField(allow_null=True),
        read_only=True,
        help_text="By criterion, the better answer's position; or null.",
    )
    judgements = JudgementSerializer(many=True)
    live = serializers.BooleanField(read_only=True, help_text="Neither withdrawn nor replaced.")
    guidelines = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="Number of the version its author had read."
    )
    item = serializers.IntegerField(read_only=True, allow_null=True, help_text="For leads; null for others.")
    prompt = serializers.IntegerField(
        read_only=True,
        allow_null=True,
        help_text="For leads; null for others. Another than the item's if earlier turns were mended.",
    )
    response = serializers.IntegerField(read_only=True, allow_null=True, help_text="For leads; null for others.")

    class Meta:
        model = Label
        fields = (
            *("id", "kind", "assignment", "person", "simulated", "client_uuid", "live", "created_at", "retracted_at"),
            *("decision", "verdict", "text", "flags", "strength", "judgements", "criteria", "comment", "seconds"),
            *("guidelines", "item", "prompt", "response"),
        )

    def to_representation(self, instance: Label) -> dict[str, Any]:
        return label_as_told(instance, lead=self.context.get("lead", False))


def label_as_told(label: Label, *, lead: bool = False, fresh: bool = False) -> dict[str, Any]:
    """What LabelSerializer describes, without going through its fields; to a `lead`, which rows it is about. A `fresh`
    label was stored by this request, and so is replaced by none."""
    judged = list(label.judgements.all())
    kept = label.response
    about = None
    if lead:
        about = kept.prompt_id if kept else label.item.prompt_id
    return {
        "id": label.pk,
        "kind": label.item.kind,
        "assignment": label.assignment_id,
        "person": label.person.username,
        "simulated": label.simulated,
        "client_uuid": str(label.client_uuid),
        "live": label.retracted_at is None and (fresh or not hasattr(label, "superseded_by")),
        "created_at": MOMENT.to_representation(label.created_at),
        "retracted_at": MOMENT.to_representation(label.retracted_at) if label.retracted_at else None,
        "decision": label.decision,
        "verdict": label.verdict,
        "text": kept.text if kept else None,
        "flags": label.flags,
        "strength": label.strength,
        "judgements": [
            {
                "position": one.position,
                "rank": one.rank,
                "unacceptable": one.unacceptable,
                "response": one.response_id if lead else None,
            }
            for one in judged
        ],
        "criteria": ranking.by_position(label.criteria, {one.response_id: one.position for one in judged}),
        "comment": label.comment,
        "seconds": label.seconds,
        "guidelines": label.guidelines.number if label.guidelines else None,
        "item": label.item_id if lead else None,
        "prompt": about,
        "response": label.response_id if lead else None,
    }


class FeedbackSerializer(serializers.Serializer):
    correct = serializers.BooleanField()
    explanation = serializers.CharField()


class SubmittedSerializer(serializers.Serializer):
    label = LabelSerializer()  # type: ignore[assignment]  # a field, though fields have a label too
    feedback = FeedbackSerializer(
        allow_null=True, help_text="What was known to be right, where the project tells people; null otherwise."
    )
    next = AssignmentSerializer(allow_null=True, help_text="null when it was not asked for, or nothing waits.")
    detail = serializers.CharField(help_text="Why there is no next one, where it is not that nothing waits.")


class LabelFilterSerializer(BrowseFilterSerializer):
    live = serializers.BooleanField(required=False, help_text="Neither withdrawn nor replaced, or the others.")


# Many at once


class VoteSerializer(serializers.Serializer):
    answer = serializers.IntegerField(help_text="The id of one of the item's answers.")
    rank = serializers.IntegerField(help_text="1 is best, equal ranks are ties.")
    unacceptable = serializers.BooleanField(required=False)


class LabelRowSerializer(serializers.Serializer):
    """One label of many, for the reader; annotation/bulklabels.py says what is understood, row by row."""

    item = serializers.IntegerField()
    client_uuid = serializers.UUIDField(required=False, help_text="Left out, the same row is the same label.")
    votes = VoteSerializer(many=True, required=False, help_text="Of a comparison: one on each answer.")
    strength = serializers.IntegerField(required=False, allow_null=True)
    criteria = serializers.DictField(
        child=serializers.IntegerField(),
        required=False,
        help_text="By criterion, the id of the better answer; 0 for no difference.",
    )
    verdict = serializers.ChoiceField(choices=Verdict.choices, required=False, help_text="Of a demonstration.")
    text = serializers.CharField(required=False, allow_null=True, help_text="The edit.")
    flags = serializers.ListField(child=serializers.CharField(), required=False)
    comment = serializers.CharField(required=False)
    seconds = serializers.FloatField(required=False, allow_null=True)


class TakenSerializer(serializers.Serializer):
    added = serializers.IntegerField(help_text="New labels.")
    known = serializers.IntegerField(help_text="Labels that were there already.")
    rejected = serializers.SerializerMethodField()

    @extend_schema_field(RejectedSerializer(many=True))
    def get_rejected(self, taken: Taken) -> list[dict[str, Any]]:
        return [{"line": line, "reason": reason} for line, reason in taken.rejected]
