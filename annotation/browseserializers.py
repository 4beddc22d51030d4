"""What the API takes and gives about finding rows: filters, answers, saved views, changes of many."""

from typing import Any

from rest_framework import serializers

from annotation import filters, ordering
from annotation.models import BulkChange, Response, SavedView
from annotation.models.items import Kind
from annotation.models.prompts import Origin, Split


class BrowseFilterSerializer(serializers.Serializer):
    """The filters of the page Browse, under the same names."""

    q = serializers.CharField(
        required=False, max_length=300, help_text='Words: `tea or coffee`, `"green tea"`, `-tea`, `deliver*`.'
    )
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    state = serializers.ChoiceField(
        choices=list((filters.STATES | filters.LEADS_STATES).items()), required=False, help_text="`gold` is for leads."
    )
    tag = serializers.CharField(required=False, max_length=64)
    language = serializers.CharField(required=False, max_length=16)
    split = serializers.ChoiceField(choices=Split.choices, required=False)
    metadata = serializers.CharField(required=False, max_length=300, help_text="`key=value`")
    person = serializers.CharField(required=False, max_length=150, help_text="A user name.")
    flag = serializers.CharField(required=False, max_length=64, help_text="One of the project's.")
    standing = serializers.ChoiceField(choices=list(filters.STANDINGS.items()), required=False, help_text="Of labels.")
    agreement = serializers.ChoiceField(choices=list(filters.AGREEMENTS.items()), required=False)
    origin = serializers.ChoiceField(
        choices=Origin.choices, required=False, help_text="Of answers; for leads, as it tells who wrote them."
    )
    model = serializers.CharField(required=False, max_length=120, help_text="The name of the model; for leads.")
    suggested = serializers.CharField(
        required=False, max_length=64, help_text="A tag that a classifier suggests and nobody has decided; for leads."
    )
    since = serializers.DateField(required=False)
    until = serializers.DateField(required=False, help_text="This day too.")
    order = serializers.ChoiceField(
        choices=list(ordering.words(filters.LABELS).items()),
        required=False,
        help_text="Newest first if left out.",
    )


class LikeFilterSerializer(BrowseFilterSerializer):
    like = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        help_text="The id of one of these rows: the 50 most like it, on one page.",
    )


class PromptFilterSerializer(LikeFilterSerializer):
    order = serializers.ChoiceField(
        choices=list(ordering.words(filters.PROMPTS).items()),
        required=False,
        help_text="`newest` if left out; `labelled` or `disputed` if they are looked for by what people said. "
        "`disputed`: those of several labels alone, that on which people agree least first.",
    )


class ResponseFilterSerializer(LikeFilterSerializer):
    order = serializers.ChoiceField(
        choices=list(ordering.words(filters.ANSWERS).items()),
        required=False,
        help_text="Newest prompt first if left out; lengths are counted in characters.",
    )


class ResponseSerializer(serializers.ModelSerializer):
    """An answer. Who wrote it is told to leads alone."""

    origin = serializers.SerializerMethodField(help_text="For leads; null for others.")
    models = serializers.SerializerMethodField(help_text="Models that gave it; for leads, null for others.")

    class Meta:
        model = Response
        fields = ("id", "prompt", "text", "origin", "models", "created_at")

    def get_origin(self, response: Response) -> str | None:
        return response.origin if self.context.get("lead") else None

    def get_models(self, response: Response) -> list[str] | None:
        return self.context["models"].get(response.pk, []) if self.context.get("lead") else None


class SavedViewSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.username")
    query = serializers.DictField(child=serializers.CharField(), help_text="`view` and filters, as in an address.")

    class Meta:
        model = SavedView
        fields = ("id", "name", "owner", "shared", "query", "created_at")


class SaveViewSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    query = serializers.DictField(
        child=serializers.CharField(max_length=300),
        help_text="`view` (prompts, answers or labels), `order` and filters by name.",
    )
    shared = serializers.BooleanField(default=False, help_text="Colleagues see it too.")


class ChangeViewSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80, required=False)
    shared = serializers.BooleanField(required=False)


class ChangeSerializer(serializers.Serializer):
    """What to change of many prompts; `query` or `prompts` says which."""

    query = serializers.DictField(
        child=serializers.CharField(max_length=300),
        required=False,
        help_text="Everything that these filters find, in the background: as the `query` of a view.",
    )
    prompts = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        max_length=500,
        help_text="Or these, by id, at once.",
    )
    add_tags = serializers.ListField(child=serializers.CharField(max_length=64), required=False, max_length=20)
    remove_tags = serializers.ListField(child=serializers.CharField(max_length=64), required=False, max_length=20)
    priority = serializers.FloatField(
        required=False, allow_null=True, help_text="Of their items that wait: -100 to 100, higher is asked first."
    )

    def validate(self, sent: dict[str, Any]) -> dict[str, Any]:
        if "query" in sent and not sent["query"]:
            sent["query"] = {"view": filters.PROMPTS}  # all of them
        return sent


class CountSerializer(serializers.Serializer):
    found = serializers.IntegerField(allow_null=True, help_text="null if it took too long to count.")
    more = serializers.BooleanField(help_text="There are more than that.")


class BulkChangeSerializer(serializers.ModelSerializer):
    actor = serializers.CharField(source="actor.username")
    query = serializers.DictField(child=serializers.CharField())
    add_tags = serializers.ListField(child=serializers.CharField())
    remove_tags = serializers.ListField(child=serializers.CharField())
    undone_by = serializers.SerializerMethodField(help_text="The change that took it back.")

    class Meta:
        model = BulkChange
        fields = (
            *("id", "actor", "query", "add_tags", "remove_tags", "priority", "undoes", "undone_by"),
            *("looked_at", "changed", "problem", "created_at", "finished_at"),
        )

    def get_undone_by(self, change: BulkChange) -> int | None:
        found = getattr(change, "undone_by", None)
        return found.pk if found else None
