"""Every address of the API below /api/v1/, and the access key that opens it for a name and a password."""

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError as Refused
from django.urls import include, path
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import accesskeys
from annotation.doors import ANYBODY
from annotation.endpoints import Endpoint, documented
from annotation.models import User
from annotation.models.accesskeys import Scope
from config import second_factor

SECOND_FACTOR = "This account has a second factor, or must have one, which a password alone does not stand for."


class SignInSerializer(serializers.Serializer):
    username = serializers.CharField()
    password = serializers.CharField(trim_whitespace=False, write_only=True)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=Scope.choices),
        default=list(Scope.values),
        allow_empty=False,
        help_text="What the key opens; all of it if left out.",
    )
    days = serializers.IntegerField(
        default=accesskeys.SIGN_IN_DAYS, min_value=1, max_value=accesskeys.MOST_DAYS, help_text="How long it works."
    )


class TokenSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="Send it as `Authorization: Bearer …`; nobody can tell it again.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    expires_at = serializers.DateTimeField()


class SignIn(Endpoint):
    who = ANYBODY
    authentication_classes = ()
    scope = Scope.MANAGE  # no key is asked for
    secret_answer = True

    @documented("Access", TokenSerializer, sends=SignInSerializer, refuses=(400,), operation_id="token", auth=[])
    def post(self, request: Request) -> Response:
        """A new access key, for a person's name and password. The newest 20 of these go on working."""
        sent = self.sent(SignInSerializer)
        said = {"username": sent.pop("username"), "password": sent.pop("password")}
        try:
            person = get_adapter().authenticate(request._request, **said)
        except Refused as error:  # too many wrong ones for this name
            raise ValidationError({"non_field_errors": error.messages}) from error
        if not isinstance(person, User) or not person.is_active:
            raise ValidationError({"non_field_errors": ["Wrong user name or password."]})
        if second_factor.has(person) or second_factor.must(person):
            raise ValidationError({"non_field_errors": [SECOND_FACTOR]})
        key, secret = accesskeys.sign_in(person=person, **sent)
        return Response({"token": secret, "scopes": key.scopes, "expires_at": key.expires_at})


urlpatterns = [
    path("token/", SignIn.as_view()),
    path("", include("annotation.api")),
    path("", include("training.api")),
    path("", include("training.jobapi")),
    path("", include("evaluation.api")),
]
