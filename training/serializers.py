"""What the API of room 2 takes and gives. Serializers validate and never write."""

from typing import Any, get_args

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.endpoints import BIGGEST_ID, plain_schema
from annotation.models import Prompt, Response
from annotation.models.prompts import Split
from training import staleness
from training.guide import Goal, Means
from training.methods import METHODS
from training.models import Generation, Metric, ModelVersion, Run, Snapshot
from training.models.runs import Spread
from training.queueing import WAYS
from training.registry import IMPORTED
from training.runs import Plan
from training.sampling import MOST_PROMPTS
from training.snapshotserializers import RuleField

TRAINING = [(method.name, method.title) for method in METHODS.values() if method.produces]
BIGGEST_SEED = 2**31 - 1
MOST_MINUTES = 7 * 24 * 60


class InProject(serializers.PrimaryKeyRelatedField):
    """The id of a row of this project; `context["project"]` says which."""

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        assert rows is not None
        return rows.filter(project=self.context["project"])


@extend_schema_field({"anyOf": [plain_schema(METHODS[name].settings) for name, _ in TRAINING]})
class RunSettingsField(serializers.DictField):
    """Settings of a training method; `runs.checked_settings` validates them."""


@extend_schema_field(plain_schema(METHODS["generate"].settings))
class SamplingSettingsField(serializers.DictField):
    """Settings of sampling."""


# Runs


class ModelNameSerializer(serializers.ModelSerializer):
    class Meta:
        model = ModelVersion
        fields = ("id", "name")


class RunSerializer(serializers.ModelSerializer):
    base = ModelNameSerializer(allow_null=True)
    teacher = ModelNameSerializer(allow_null=True, help_text="The model it learns from.")
    model = ModelNameSerializer(source="model_version", allow_null=True, default=None, help_text="What it yielded.")
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    percent = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True)
    advice = serializers.CharField(help_text="What to do about `reason`. Empty if it went well.")

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            *("id", "method", "status", "base", "snapshot", "teacher", "model", "seed", "attempt", "cancel_requested"),
            *("step", "total", "percent", "seconds", "reason", "error", "advice"),
            *("created_by", "created_at", "started_at", "finished_at"),
        )


class RunDetailSerializer(RunSerializer):
    others = serializers.SerializerMethodField(help_text="Snapshots that were mixed in.")
    settings = serializers.DictField(help_text="As they were chosen, defaults included. They never change.")
    eased = serializers.DictField(help_text="What was changed in them after memory had run out.")
    rows = serializers.DictField(help_text="Rows read, kept, dropped and cut.")
    metrics = serializers.DictField(help_text="The figures at its end; those on the way are under metrics/.")
    environment = serializers.DictField(help_text="Code, packages and device.")
    log = serializers.CharField(source="log_tail", help_text="The end of what the process printed.")

    class Meta(RunSerializer.Meta):
        fields = (
            *RunSerializer.Meta.fields,
            *("others", "settings", "eased", "rows", "metrics", "environment", "log"),
            *("limit_minutes", "devices", "spread", "priority", "waits_for", "continues", "repeats"),
        )

    def get_others(self, run: Run) -> list[int]:
        return [source.snapshot_id for source in run.sources.all()]


class PlanSerializer(serializers.Serializer):
    limit_minutes = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_MINUTES, help_text="After which an attempt is stopped."
    )
    after = InProject(
        queryset=Run.objects.all(), many=True, required=False, help_text="Runs that must have succeeded first."
    )
    devices = serializers.IntegerField(
        required=False, min_value=1, max_value=64, help_text="How many devices work on it together."
    )
    spread = serializers.ChoiceField(choices=Spread.choices, required=False, help_text="How it uses several devices.")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The plan apart from the rest, as the verbs take it."""
        values = super().to_internal_value(data)
        names = ("limit_minutes", "after", "devices", "spread")
        chosen: dict[str, Any] = {name: values.pop(name) for name in names if name in values}
        return {**values, "plan": Plan(**{**chosen, "after": tuple(chosen.get("after", ()))})}


class ContinueSerializer(serializers.Serializer):
    epochs = serializers.FloatField(min_value=0.01, max_value=100, help_text="More passes over the data.")


class MoveSerializer(serializers.Serializer):
    way = serializers.ChoiceField(choices=WAYS, help_text="To the front of the project's queued runs, or past one.")


class NeedsSerializer(serializers.Serializer):
    """What the guide asks."""

    goal = serializers.ChoiceField(choices=get_args(Goal), help_text="What should get better; scoring: nothing.")
    subject = serializers.ChoiceField(choices=["known", "new"], help_text="How well the model knows the subject.")
    means = serializers.ChoiceField(choices=get_args(Means), help_text="What it trains on: one device, or many.")


class AdviceSerializer(serializers.Serializer):
    title = serializers.CharField()
    why = serializers.ListField(child=serializers.CharField())
    method = serializers.CharField(allow_blank=True, help_text="Empty where nothing is to be trained yet.")
    settings = serializers.DictField(help_text="Other than the method's defaults.")


class StartRunSerializer(PlanSerializer):
    method = serializers.ChoiceField(choices=TRAINING)
    snapshot = InProject(
        queryset=Snapshot.objects.all(), required=False, help_text="Left out, the labels are frozen now by `rule`."
    )
    others = InProject(
        queryset=Snapshot.objects.all(),
        many=True,
        required=False,
        help_text="Other snapshots that are mixed in, as the settings say: earlier rounds', other tasks'.",
    )
    rule = RuleField(default=dict)
    base = InProject(
        queryset=ModelVersion.objects.all(), required=False, help_text="The model to start from, or else production."
    )
    teacher = InProject(
        queryset=ModelVersion.objects.all(),
        required=False,
        help_text="The model to learn from, on prompts: a reward model for rlhf, one that answers for distill.",
    )
    settings = RunSettingsField(default=dict, help_text="What is left out keeps its default.")
    seed = serializers.IntegerField(default=17, min_value=0, max_value=BIGGEST_SEED)


class ExampleSerializer(serializers.Serializer):
    text = serializers.CharField(help_text="The beginning of what was asked.")
    label = serializers.IntegerField(  # type: ignore[assignment]  # a field, though fields have a label too
        allow_null=True, help_text="A label behind the row."
    )
    tokens = serializers.IntegerField(allow_null=True)


class PreflightFindingSerializer(serializers.Serializer):
    level = serializers.ChoiceField(choices=["refused", "warning", "note"])
    title = serializers.CharField()
    text = serializers.CharField()
    examples = ExampleSerializer(many=True)
    more = serializers.IntegerField(help_text="Examples that are not listed.")


class PreflightSerializer(serializers.Serializer):
    """What a run would be; lengths are estimated without the model's chat template."""

    can_start = serializers.BooleanField(help_text="False if it could not work: see the findings that refuse it.")
    read = serializers.IntegerField()
    kept = serializers.IntegerField()
    dropped = serializers.DictField(child=serializers.IntegerField(), help_text="Rows by the reason.")
    cut = serializers.IntegerField()
    sampled = serializers.BooleanField(help_text="Whether only some of the rows were looked at, evenly spread.")
    tokens = serializers.IntegerField(allow_null=True, help_text="In one pass over all rows.")
    longest = serializers.IntegerField(allow_null=True)
    steps = serializers.IntegerField(allow_null=True)
    seconds = serializers.FloatField(source="estimate.seconds", allow_null=True, help_text="From earlier runs.")
    memory = serializers.IntegerField(source="estimate.memory", allow_null=True, help_text="Bytes.")
    findings = PreflightFindingSerializer(many=True)


class AfterSerializer(serializers.Serializer):
    after = serializers.IntegerField(
        default=-1, min_value=-1, max_value=BIGGEST_SEED, help_text="Only points after this step."
    )


class PointSerializer(serializers.ModelSerializer):
    values = serializers.DictField()

    class Meta:
        model = Metric
        fields = ("step", "values")


class CurveSerializer(serializers.Serializer):
    """Points of a run's curve in order of step; ask again with `after` for those that follow."""

    status = serializers.CharField()
    step = serializers.IntegerField()
    total = serializers.IntegerField()
    points = PointSerializer(many=True)


# Models and lineage


class AncestorSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    run = serializers.IntegerField(allow_null=True)
    method = serializers.CharField(allow_null=True)
    snapshot = serializers.IntegerField(allow_null=True)
    others = serializers.ListField(child=serializers.IntegerField(), help_text="Snapshots that were mixed in.")
    teacher = serializers.IntegerField(allow_null=True, help_text="The model that it learnt from.")


class PersonBehindSerializer(serializers.Serializer):
    person = serializers.CharField()
    labels = serializers.IntegerField(help_text="How many of the labels are theirs.")


class ModelLineageSerializer(serializers.Serializer):
    """A model version, and what it was made of."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    ancestry = AncestorSerializer(many=True, help_text="The version itself, its parent, and so on to the base model.")
    labels = serializers.ListField(
        child=serializers.IntegerField(), help_text="Labels in the snapshots behind it and its ancestors."
    )
    people = PersonBehindSerializer(many=True)


class ModelSerializer(serializers.ModelSerializer):
    parent = ModelNameSerializer(allow_null=True)
    stale = serializers.SerializerMethodField(
        help_text="Why it is stale: trained on labels of people who were excluded since. Empty if it is not."
    )

    class Meta:
        model = ModelVersion
        fields: tuple[str, ...] = (
            *("id", "name", "kind", "format", "stage", "parent", "run", "sha256", "stale", "created_at"),
        )

    def get_stale(self, version: ModelVersion) -> str:
        known = self.context.get("stale")  # of all versions, where many are told
        return staleness.of_model(version) if known is None else known.get(version.pk, "")


class ModelDetailSerializer(ModelSerializer):
    card = serializers.DictField(help_text="Figures of the run that made it.")
    ancestry = AncestorSerializer(many=True, help_text="The version itself, its parent, and so on to the base model.")
    labels = serializers.IntegerField(help_text="How many labels are behind it and its ancestors.")
    people = PersonBehindSerializer(many=True)
    judged_answers = serializers.IntegerField(help_text="How many of its answers people have judged.")

    class Meta(ModelSerializer.Meta):
        fields = (*ModelSerializer.Meta.fields, "card", "ancestry", "labels", "people", "judged_answers")


class ImportModelSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(
        IMPORTED, default="policy", help_text="A policy writes answers; a classifier is for checks, as of toxicity."
    )
    source = serializers.CharField(  # type: ignore[assignment]  # a field, though fields have a source too
        max_length=500, help_text="A folder or a GGUF file on the server, or the name of a model on the hub."
    )
    licence = serializers.CharField(
        max_length=120, default="", allow_blank=True, help_text="Of the model, such as apache-2.0, for the cards."
    )


class PromoteSerializer(serializers.Serializer):
    reason = serializers.CharField(default="", allow_blank=True, max_length=300)


class ResponseGenerationSerializer(serializers.Serializer):
    generation = serializers.IntegerField()
    run = serializers.IntegerField()
    shown = serializers.IntegerField(
        allow_null=True, help_text="The snapshot of which examples were shown to the model before the prompt."
    )
    model = ModelLineageSerializer()


class ResponseLineageSerializer(serializers.Serializer):
    """One answer, walked back to the labels behind the models that gave it."""

    response = serializers.IntegerField()
    prompt = serializers.IntegerField()
    origin = serializers.CharField()
    edited_from = serializers.IntegerField(allow_null=True, help_text="The answer that a person edited into this one.")
    generations = ResponseGenerationSerializer(many=True)


class AnswerLabelSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    item = serializers.IntegerField()
    person = serializers.CharField()


class AnswerSerializer(serializers.ModelSerializer):
    """An answer of a model, and the live labels of the items that showed it."""

    labels = serializers.SerializerMethodField()

    class Meta:
        model = Response
        fields = ("id", "prompt", "text", "created_at", "labels")

    @extend_schema_field(AnswerLabelSerializer(many=True))
    def get_labels(self, response: Response) -> list[dict[str, Any]]:
        return [
            {"id": label.pk, "item": label.item_id, "person": label.person.username}
            for item in response.items.all()
            for label in item.live_labels  # type: ignore[attr-defined]  # prefetched by lineage.answers_of
        ]


class JudgedFilterSerializer(serializers.Serializer):
    judged = serializers.BooleanField(required=False, help_text="Only answers that people judged, or only the others.")
    run = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID, help_text="Only of this run.")


# Generations


class GenerationSerializer(serializers.ModelSerializer):
    model = ModelNameSerializer(source="model_version")
    settings = serializers.DictField()
    answers = serializers.IntegerField(help_text="How many answers it brought.")

    class Meta:
        model = Generation
        fields = ("id", "model", "run", "settings", "seed", "answers", "created_at")


class SampleSerializer(serializers.Serializer):
    """Which model answers what: either prompts by id, or all prompts of a split."""

    model = InProject(queryset=ModelVersion.objects.all())
    prompts = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=BIGGEST_ID), required=False, max_length=MOST_PROMPTS
    )
    split = serializers.ChoiceField(choices=Split.choices, required=False)
    snapshot = InProject(
        queryset=Snapshot.objects.all(),
        required=False,
        help_text="Of demonstrations: what examples to be shown (`few_shot`) are drawn from. Left out, the labels now.",
    )
    pairs_per_prompt = serializers.IntegerField(
        default=0,
        min_value=0,
        max_value=64,
        help_text="How many pairs of each prompt's answers are queued to be ranked.",
    )
    settings = SamplingSettingsField(default=dict, help_text="What is left out keeps its default.")
    seed = serializers.IntegerField(default=17, min_value=0, max_value=BIGGEST_SEED)
    pairs_per_prompt = serializers.IntegerField(
        default=0, min_value=0, max_value=100, help_text="How many pairs of a prompt's answers are queued to be ranked."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("prompts" in attrs) == ("split" in attrs):
            raise serializers.ValidationError("Name the prompts, or a split: one of the two.")
        rows = Prompt.objects.filter(project=self.context["project"])
        if "split" in attrs:
            return {**attrs, "prompts": rows.filter(split=attrs["split"])}
        wanted = set(attrs["prompts"])
        found = rows.filter(pk__in=wanted)
        if missing := wanted - set(found.values_list("pk", flat=True)):
            listed = ", ".join(str(pk) for pk in sorted(missing)[:10])
            raise serializers.ValidationError({"prompts": [f"No such prompts in this project: {listed}."]})
        return {**attrs, "prompts": found}
