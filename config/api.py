"""Every address of the API below /api/v1/, and the token that opens it."""

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError as Refused
from django.urls import include, path
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Endpoint, documented
from config import second_factor

SECOND_FACTOR = "This account has a second factor, or must have one, which a password alone does not stand for."


class SignInSerializer(serializers.Serializer):
    username = serializers.CharField()
    password = serializers.CharField(trim_whitespace=False, write_only=True)


class TokenSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="Send it as `Authorization: Token …`.")


class SignIn(Endpoint):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("Sign-in", TokenSerializer, sends=SignInSerializer, refuses=(400,), operation_id="token", auth=[])
    def post(self, request: Request) -> Response:
        """A person's token, for their name and password."""
        try:
            person = get_adapter().authenticate(request._request, **self.sent(SignInSerializer))
        except Refused as error:  # too many wrong ones for this name
            raise ValidationError({"non_field_errors": error.messages}) from error
        if person is None or not person.is_active:
            raise ValidationError({"non_field_errors": ["Wrong user name or password."]})
        if second_factor.has(person) or second_factor.must(person):
            raise ValidationError({"non_field_errors": [SECOND_FACTOR]})
        token, _ = Token.objects.get_or_create(user=person)
        return Response({"token": token.key})


urlpatterns = [
    path("token/", SignIn.as_view()),
    path("", include("annotation.api")),
    path("", include("training.api")),
    path("", include("evaluation.api")),
]
