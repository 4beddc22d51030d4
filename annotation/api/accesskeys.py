"""One's own access keys."""

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, accesskeys
from annotation.doors import SIGNED_IN
from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models import AccessKey, Project
from annotation.models.accesskeys import Scope


class AccessKeySerializer(serializers.ModelSerializer):
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    project: "serializers.SlugRelatedField[Project]" = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True, help_text="The only one it opens; null for all."
    )

    class Meta:
        model = AccessKey
        fields = (
            *("id", "name", "prefix", "scopes", "project"),
            *("created_at", "expires_at", "last_used_at", "revoked_at"),
        )


class NewAccessKeySerializer(AccessKeySerializer):
    secret = serializers.SerializerMethodField(help_text="Told this once.")

    class Meta(AccessKeySerializer.Meta):
        fields = (*AccessKeySerializer.Meta.fields, "secret")  # type: ignore[assignment]

    def get_secret(self, key: AccessKey) -> str:
        return str(self.context["secret"])


class MakeAccessKeySerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80, help_text="What it is for.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices), allow_empty=False)
    days = serializers.IntegerField(
        default=accesskeys.DAYS[2], min_value=1, max_value=accesskeys.MOST_DAYS, help_text="How long it works."
    )
    project = serializers.SlugField(required=False, allow_null=True, help_text="The only one it opens.")

    def validate_project(self, slug: str | None) -> Project | None:
        if slug is None:
            return None
        found = Project.objects.visible_to(self.context["person"]).filter(slug=slug).first()
        if found is None:
            raise serializers.ValidationError("Choose a project of yours.")
        return found


class AccessKeys(Endpoint):
    who = SIGNED_IN
    scope = read_scope = Scope.MANAGE
    of_person = secret_answer = True

    @documented("Access", AccessKeySerializer(many=True), refuses=(401,), operation_id="access_keys")
    def get(self, request: Request) -> Response:
        """Your access keys, newest first, those that work no more among them; never their secrets."""
        return self.page(self.person.access_keys.select_related("project"), AccessKeySerializer)

    @documented(
        "Access",
        NewAccessKeySerializer,
        sends=MakeAccessKeySerializer,
        code=201,
        refuses=(400, 401),
        operation_id="make_access_key",
    )
    def post(self, request: Request) -> Response:
        """Make an access key; its secret is in this answer and nowhere else. A key passes on no more than it opens."""
        by = request.auth if isinstance(request.auth, AccessKey) else None
        sent = self.sent(MakeAccessKeySerializer, person=self.person)
        key, secret = accesskeys.make(owner=self.person, by=by, **sent)
        return Response(NewAccessKeySerializer(key, context={"secret": secret}).data, status=201)


class OneAccessKey(Endpoint):
    who = SIGNED_IN
    own = True
    scope = Scope.MANAGE
    of_person = True

    @documented("Access", None, code=204, refuses=(401, 404, 409), operation_id="revoke_access_key")
    def delete(self, request: Request, key_id: int) -> Response:
        """Revoke a key: it opens nothing any more. 409 if it was revoked already."""
        if not accesskeys.revoke(key=access.access_key(self.person, key_id), actor=self.person):
            raise Conflict("This key was revoked already.")
        return Response(status=204)


urlpatterns = [
    path("access-keys/", AccessKeys.as_view()),
    path("access-keys/<int:key_id>/", OneAccessKey.as_view()),
]
