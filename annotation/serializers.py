"""What the API of room 1 takes and gives. Serializers validate and never write."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation import guidelines, leasing, progress, ranking
from annotation.checking import MOST
from annotation.checks import KINDS
from annotation.importing import Summary
from annotation.labelling import Said
from annotation.models import Assignment, Judgement, Label, Membership, Prompt
from annotation.models.items import Kind
from annotation.models.labels import Verdict
from annotation.models.prompts import Split

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


class PromptFilterSerializer(serializers.Serializer):
    split = serializers.ChoiceField(choices=Split.choices, required=False)


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


class SummarySerializer(serializers.Serializer):
    added = serializers.IntegerField(help_text="Rows that brought something new.")
    known = serializers.IntegerField(help_text="Rows that were there already.")
    prompts = serializers.IntegerField(help_text="New prompts.")
    responses = serializers.IntegerField(help_text="New answers.")
    demonstrations = serializers.IntegerField(help_text="New items to clean.")
    comparisons = serializers.IntegerField(help_text="New items to rank.")
    gold = serializers.IntegerField(help_text="Items whose right answer came with them.")
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


# Labelling. What is shown here must not tell who wrote an answer, nor why it is asked about.


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
    answers = serializers.SerializerMethodField()
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

    @extend_schema_field(ShownAnswerSerializer(many=True))
    def get_answers(self, assignment: Assignment) -> list[dict[str, Any]]:
        return [{"position": place, "text": one.text} for place, one in enumerate(assignment.shown())]


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
    response = serializers.SerializerMethodField(help_text="For leads; null for others.")

    class Meta:
        model = Judgement
        fields = ("position", "rank", "unacceptable", "response")

    def get_response(self, judgement: Judgement) -> int | None:
        return judgement.response_id if self.context.get("lead") else None


class LabelSerializer(serializers.ModelSerializer):
    """A label. Which item, prompt and answers it is about is told to leads alone: people stay blind."""

    kind = serializers.ChoiceField(source="item.kind", choices=Kind.choices)
    person = serializers.CharField(source="person.username")
    text = serializers.SerializerMethodField(help_text="The text that was kept; of a comparison, the edit.")
    flags = serializers.ListField(child=serializers.CharField())
    criteria = serializers.SerializerMethodField(help_text="By criterion, the better answer's position; or null.")
    judgements = JudgementSerializer(many=True)
    live = serializers.SerializerMethodField(help_text="Neither withdrawn nor replaced.")
    guidelines = serializers.SerializerMethodField(help_text="Number of the version its author had read.")
    item = serializers.SerializerMethodField(help_text="For leads; null for others.")
    prompt = serializers.SerializerMethodField(
        help_text="For leads; null for others. Another than the item's if earlier turns were mended."
    )
    response = serializers.SerializerMethodField(help_text="For leads; null for others.")

    class Meta:
        model = Label
        fields = (
            *("id", "kind", "assignment", "person", "simulated", "client_uuid", "live", "created_at", "retracted_at"),
            *("decision", "verdict", "text", "flags", "strength", "judgements", "criteria", "comment", "seconds"),
            *("guidelines", "item", "prompt", "response"),
        )

    def get_guidelines(self, label: Label) -> int | None:
        return label.guidelines.number if label.guidelines else None

    def get_text(self, label: Label) -> str | None:
        return label.response.text if label.response else None

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField(allow_null=True)))
    def get_criteria(self, label: Label) -> dict[str, int | None]:
        places = {judged.response_id: judged.position for judged in label.judgements.all()}
        return ranking.by_position(label.criteria, places)

    def get_live(self, label: Label) -> bool:
        return label.retracted_at is None and not hasattr(label, "superseded_by")

    def get_item(self, label: Label) -> int | None:
        return label.item_id if self.context.get("lead") else None

    def get_prompt(self, label: Label) -> int | None:
        if not self.context.get("lead"):
            return None
        return label.response.prompt_id if label.response else label.item.prompt_id

    def get_response(self, label: Label) -> int | None:
        return label.response_id if self.context.get("lead") else None


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


class LabelFilterSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    person = serializers.CharField(required=False, help_text="A user name.")
    live = serializers.BooleanField(required=False, help_text="Neither withdrawn nor replaced, or the others.")


# Out of the project


class ExportFilterSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)


class ExportedAnswerSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    text = serializers.CharField()
    origin = serializers.CharField()


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
    prompt = MessageSerializer(many=True)
    answers = ExportedAnswerSerializer(many=True)
    labels = ExportedLabelSerializer(many=True)


class SimulatedFilterSerializer(serializers.Serializer):
    simulated = serializers.BooleanField(default=False, help_text="Count the labels of simulated annotators too.")
