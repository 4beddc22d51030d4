"""What the fine-tuning API takes and gives, in the shape of hosted services. Serializers validate and never write."""

import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.text import why_unstorable
from training.hosted import ListedSerializer, SecondsField, ThingSerializer
from training.jobs import Checkpoint, model_of
from training.models import ModelVersion, TrainingFile, TuningJob
from training.models.jobs import Way
from training.models.runs import Status
from training.serializers import BIGGEST_SEED

SUFFIX = re.compile(r"[\w.-]{1,64}")
LARGEST = 1_000_000  # of a hyperparameter; each has its own limits besides
MOST_METADATA, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512


class FileSerializer(ThingSerializer):
    kind = "file"
    id = serializers.CharField(source="key")
    bytes = serializers.IntegerField()
    created_at = SecondsField()
    filename = serializers.CharField(source="name")
    purpose = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()

    def get_purpose(self, file: TrainingFile) -> str:
        return "fine-tune"

    def get_status(self, file: TrainingFile) -> str:
        return "processed"


class FilesSerializer(ListedSerializer):
    row = FileSerializer


class SendFileSerializer(serializers.Serializer):
    file = serializers.FileField(help_text="JSON Lines.", allow_empty_file=True)  # the verb says it in its words
    purpose = serializers.ChoiceField(choices=["fine-tune"])


class DeletedSerializer(ThingSerializer):
    kind = "file"
    id = serializers.CharField(source="key")
    deleted = serializers.SerializerMethodField()

    def get_deleted(self, file: TrainingFile) -> bool:
        return True


@extend_schema_field({"oneOf": [{"type": "string", "enum": ["auto"]}, {"type": "number"}]})
class NumberOrAuto(serializers.Field):
    """A number above 0, or "auto"."""

    def __init__(self, *, whole: bool = False) -> None:
        super().__init__(required=False)
        self.whole = whole

    def to_internal_value(self, data: Any) -> Any:
        if data == "auto":
            return data
        allowed = int if self.whole else (int, float)
        if isinstance(data, bool) or not isinstance(data, allowed) or not 0 < data <= LARGEST:
            kind = "a whole number" if self.whole else "a number"
            raise serializers.ValidationError(f'Give {kind} above 0, or "auto".')
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class HyperparametersSerializer(serializers.Serializer):
    n_epochs = NumberOrAuto(whole=True)
    batch_size = NumberOrAuto(whole=True)
    learning_rate_multiplier = NumberOrAuto()


class DpoHyperparametersSerializer(HyperparametersSerializer):
    beta = NumberOrAuto()


class SupervisedSerializer(serializers.Serializer):
    hyperparameters = HyperparametersSerializer(required=False)


class DpoSerializer(serializers.Serializer):
    hyperparameters = DpoHyperparametersSerializer(required=False)


class MethodSerializer(serializers.Serializer):
    type = serializers.ChoiceField(choices=Way.choices)
    supervised = SupervisedSerializer(required=False)
    dpo = DpoSerializer(required=False)


class CreateJobSerializer(serializers.Serializer):
    """`context["project"]` says where the files and models are looked for."""

    model = serializers.CharField(help_text="The name of a model of the project, as `models` has it.")
    training_file = serializers.CharField(help_text="The id of a file.")
    validation_file = serializers.CharField(required=False, allow_null=True)
    method = MethodSerializer(required=False)
    hyperparameters = HyperparametersSerializer(required=False, help_text="Where no method is named.")
    suffix = serializers.CharField(required=False, allow_null=True, help_text="Becomes a part of the model's name.")
    seed = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=BIGGEST_SEED)
    metadata = serializers.DictField(required=False, allow_null=True, child=serializers.CharField())
    integrations = serializers.ListField(required=False, allow_null=True, help_text="None are supported.")

    def validate_model(self, name: str) -> ModelVersion:
        found = self.context["project"].model_versions.policies().filter(name=name).first()
        if found is None:
            raise serializers.ValidationError(f"There is no model {name!r} in this project.", "model_not_found")
        return found

    def validate_training_file(self, key: str) -> TrainingFile:
        found = TrainingFile.objects.there().filter(project=self.context["project"], key=key).first()
        if found is None:
            raise serializers.ValidationError(f"There is no file {key!r} in this project.", "file_not_found")
        return found

    def validate_validation_file(self, key: str | None) -> TrainingFile | None:
        return self.validate_training_file(key) if key else None

    def validate_suffix(self, suffix: str | None) -> str:
        if suffix and not SUFFIX.fullmatch(suffix):
            raise serializers.ValidationError("Use up to 64 letters, digits, dots, dashes and underscores.")
        return suffix or ""

    def validate_metadata(self, given: dict[str, str] | None) -> dict[str, str]:
        found = given or {}
        if reason := why_unstorable(found):
            raise serializers.ValidationError(f"It {reason}.")
        if len(found) > MOST_METADATA or any(len(k) > LONGEST_KEY or len(v) > LONGEST_VALUE for k, v in found.items()):
            raise serializers.ValidationError(
                f"Give at most {MOST_METADATA} pairs, keys of {LONGEST_KEY} and values of {LONGEST_VALUE} characters."
            )
        return found

    def validate_integrations(self, given: list[Any] | None) -> None:
        if given:
            raise serializers.ValidationError("None are supported: see TOUCHSTONE_REPORT_TO.", "unsupported_parameter")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """As `jobs.create` takes it."""
        method = given.get("method") or {"type": Way.SUPERVISED}
        way = str(method["type"])
        chosen = (method.get(way) or {}).get("hyperparameters") or given.get("hyperparameters") or {}
        return {
            "base": given["model"],
            "training_file": given["training_file"],
            "validation_file": given.get("validation_file"),
            "method": way,
            "hyperparameters": dict(chosen),
            "suffix": given.get("suffix", ""),
            "metadata": given.get("metadata", {}),
            **({"seed": given["seed"]} if given.get("seed") is not None else {}),
        }


class JobErrorSerializer(serializers.Serializer):
    code = serializers.CharField()
    message = serializers.CharField()
    param = serializers.CharField(allow_null=True)


class JobSerializer(ThingSerializer):
    kind = "fine_tuning.job"
    id = serializers.CharField(source="key")
    created_at = SecondsField()
    finished_at = serializers.SerializerMethodField()
    model = serializers.CharField(source="base.name")
    fine_tuned_model = serializers.SerializerMethodField(help_text="The model's name, once there is one.")
    organization_id = serializers.CharField(source="project.slug", help_text="The project.")
    status = serializers.ChoiceField(choices=["validating_files", *Status.values])
    training_file = serializers.CharField(source="training_file.key")
    validation_file = serializers.SerializerMethodField()
    method = serializers.SerializerMethodField()
    hyperparameters = serializers.SerializerMethodField(help_text="As they were given; what was not is auto.")
    seed = serializers.IntegerField()
    metadata = serializers.DictField()
    error = serializers.SerializerMethodField()
    result_files = serializers.SerializerMethodField(help_text="Always empty: the figures are in the events.")
    trained_tokens = serializers.SerializerMethodField(help_text="Always null: tokens are not counted over a run.")
    estimated_finish = serializers.SerializerMethodField(help_text="While it runs: if it goes on as fast as so far.")
    user_provided_suffix = serializers.CharField(source="suffix")
    run = serializers.IntegerField(source="run_id", allow_null=True, help_text="Our own run, once there is one.")

    def get_finished_at(self, job: TuningJob) -> int | None:
        if job.run is not None:
            ended = None if job.run.is_open else job.run.finished_at
        else:
            ended = job.cancelled_at or (job.checked_at if job.error else None)
        return int(ended.timestamp()) if ended else None

    def get_fine_tuned_model(self, job: TuningJob) -> str | None:
        model = model_of(job)
        return model.name if model else None

    def get_validation_file(self, job: TuningJob) -> str | None:
        return job.validation_file.key if job.validation_file else None

    @extend_schema_field(MethodSerializer)
    def get_method(self, job: TuningJob) -> dict[str, Any]:
        return {"type": job.method, job.method: {"hyperparameters": self.get_hyperparameters(job)}}

    @extend_schema_field(DpoHyperparametersSerializer)
    def get_hyperparameters(self, job: TuningJob) -> dict[str, Any]:
        names = ["n_epochs", "batch_size", "learning_rate_multiplier", *(["beta"] if job.method == Way.DPO else [])]
        return {**dict.fromkeys(names, "auto"), **job.hyperparameters}

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, job: TuningJob) -> Mapping[str, Any] | None:
        if job.error:
            return job.error
        if job.run is None or job.run.status != Status.FAILED:
            return None
        return {"code": job.run.reason, "message": f"{job.run.error} {job.run.advice}".strip(), "param": None}

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_result_files(self, job: TuningJob) -> list[str]:
        return []

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_trained_tokens(self, job: TuningJob) -> None:
        return None

    def get_estimated_finish(self, job: TuningJob) -> int | None:
        run = job.run
        if run is None or run.status != Status.RUNNING or not run.step or run.started_at is None or not run.seconds:
            return None
        return int(run.started_at.timestamp() + run.seconds * run.total / run.step)


class JobsSerializer(ListedSerializer):
    row = JobSerializer


class EventSerializer(ThingSerializer):
    kind = "fine_tuning.job.event"
    id = serializers.CharField(source="key")
    created_at = SecondsField(source="at")
    level = serializers.ChoiceField(choices=["info", "warn", "error"])
    message = serializers.CharField()
    type = serializers.ChoiceField(choices=["message", "metrics"])
    data = serializers.DictField()  # type: ignore[assignment]  # a field, though serializers have data too


class EventsSerializer(ListedSerializer):
    row = EventSerializer


class CheckpointSerializer(ThingSerializer):
    kind = "fine_tuning.job.checkpoint"
    id = serializers.SerializerMethodField()
    created_at = SecondsField(source="model.created_at")
    fine_tuned_model_checkpoint = serializers.CharField(source="model.name")
    fine_tuning_job_id = serializers.CharField(source="job.key")
    step_number = serializers.IntegerField(source="run.step")
    metrics = serializers.DictField()

    def get_id(self, checkpoint: Checkpoint) -> str:
        return f"ftckpt-{checkpoint.job.key.removeprefix('ftjob-')}"


class CheckpointsSerializer(ListedSerializer):
    row = CheckpointSerializer


class ServedModelSerializer(ThingSerializer):
    kind = "model"
    id = serializers.CharField(source="name")
    created = SecondsField(source="created_at")
    owned_by = serializers.CharField(source="project.slug", help_text="The project.")


class ServedModelsSerializer(ListedSerializer):
    row = ServedModelSerializer
