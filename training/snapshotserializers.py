"""What the API of snapshots takes and gives. Serializers validate and never write."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from pydantic import ValidationError as SettingsError
from rest_framework import serializers

from annotation.endpoints import plain_schema
from training.models import ComparisonAsked, Freezing, RecipeVersion, Snapshot
from training.models.snapshots import SnapshotKind
from training.snapshots import Rule, comparing, outgoing
from training.snapshots.recipes import sentences

BIGGEST_ROW = 2**31 - 1
MOST_ROWS = 200


@extend_schema_field(plain_schema(Rule))
class RuleField(serializers.DictField):
    """Which labels enter a snapshot, validated by its own model."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        given = super().run_validation(data)
        try:
            return Rule.model_validate(given)
        except SettingsError as error:
            raise serializers.ValidationError(sentences(error)) from None


class SnapshotSerializer(serializers.ModelSerializer):
    rule = serializers.DictField(help_text="By which it was frozen.")
    other_rules = serializers.ListField(
        child=serializers.DictField(), help_text="Other rules that gave the very same rows later."
    )
    source = serializers.DictField(  # type: ignore[assignment]  # a field, though fields have a source too
        help_text="The file it was made of, in place of labels. Empty if people made it."
    )
    counts = serializers.DictField(help_text="Rows, prompts and labels; rows by language and by tag.")

    class Meta:
        model = Snapshot
        fields = ("id", "kind", "rule", "other_rules", "recipe", "source", "sha256", "counts", "created_at")


class FreezeSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=SnapshotKind.choices)
    rule = RuleField(default=dict)


class FreezingSerializer(serializers.ModelSerializer):
    """A snapshot that was asked for; ask again until `snapshot` is there, or `error`."""

    rule = serializers.DictField()

    class Meta:
        model = Freezing
        fields = ("id", "kind", "rule", "recipe", "state", "done", "total", "error", "snapshot", "created_at")


class LeftOutSerializer(serializers.Serializer):
    why = serializers.CharField()
    count = serializers.IntegerField()


class SnapshotRowSerializer(serializers.Serializer):
    """A row as it lies in the file; which columns there are, the kind says (docs/data-formats.md)."""

    number = serializers.IntegerField(help_text="Its place in the file, from 0 on.")
    row = serializers.DictField()


class RowPreviewSerializer(serializers.Serializer):
    rows = serializers.IntegerField()
    prompts = serializers.IntegerField()
    people = serializers.IntegerField()
    labels = serializers.IntegerField()
    made = serializers.IntegerField(help_text="Rows that models would make, which are among `rows`.")
    weight = serializers.FloatField(allow_null=True, help_text="Of the rows by people together, if the rule weighs.")
    left_out = LeftOutSerializer(many=True, help_text="Labels that do not count, each under its first reason.")
    dropped = LeftOutSerializer(many=True, help_text="Pairs or answers that were judged and make no row.")
    words = serializers.ListField(child=serializers.CharField(), help_text="The rule in sentences.")
    first = serializers.ListField(child=serializers.DictField(), help_text="The first rows.")


class FromRowSerializer(serializers.Serializer):
    start = serializers.IntegerField(default=0, min_value=0, max_value=BIGGEST_ROW, help_text="The first is 0.")
    most = serializers.IntegerField(default=50, min_value=1, max_value=MOST_ROWS)


class SnapshotRowsSerializer(serializers.Serializer):
    rows = SnapshotRowSerializer(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="The `start` of the next page; null on the last.")


class SnapshotShapeSerializer(serializers.Serializer):
    shape = serializers.ChoiceField(
        choices=outgoing.NAMES, default="parquet", help_text="One that the snapshot's kind has (docs/data-formats.md)."
    )


class IntactSerializer(serializers.Serializer):
    intact = serializers.BooleanField(help_text="Whether the file still holds what was frozen.")


class RecipeTextSerializer(serializers.Serializer):
    kind = serializers.CharField()
    rule = serializers.DictField(help_text="What is not as it is by default.")
    words = serializers.ListField(child=serializers.CharField())
    file = serializers.CharField(help_text="The recipe as a file, to be kept and read again.")


class ChangesAskedSerializer(FromRowSerializer):
    what = serializers.ChoiceField(choices=comparing.CHANGES, default=comparing.CHANGED)


class ChangedRowSerializer(serializers.Serializer):
    what = serializers.ChoiceField(choices=comparing.CHANGES)
    before = serializers.DictField(allow_null=True, help_text="The row of the other snapshot.")
    after = serializers.DictField(allow_null=True, help_text="The row of this one.")
    told = serializers.ListField(child=serializers.CharField(), help_text="What is different, in words.")


class ChangeCountsSerializer(serializers.Serializer):
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    changed = serializers.IntegerField()
    same = serializers.IntegerField()


class ComparisonSerializer(serializers.Serializer):
    counts = ChangeCountsSerializer()
    changes = ChangedRowSerializer(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="The `start` of the next page; null on the last.")


class ComparisonAskedSerializer(serializers.ModelSerializer):
    """How far a comparison is."""

    total = serializers.IntegerField()

    class Meta:
        model = ComparisonAsked
        fields = ("state", "done", "total")


class RecipeSerializer(serializers.ModelSerializer):
    rule = serializers.DictField()

    class Meta:
        model = RecipeVersion
        fields = ("id", "name", "number", "kind", "rule", "created_at")


class SaveRecipeSerializer(FreezeSerializer):
    name = serializers.CharField(max_length=80)
