"""How a program says for whom it acts: by an access key, in the header of each request."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from annotation import accesskeys
from annotation.models import AccessKey, User

WORDS = {b"token", b"bearer"}


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer …`, or `Token …` as it has always been."""

    def authenticate(self, request: Request) -> tuple[User, AccessKey] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() not in WORDS:
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Send the access key as `Authorization: Bearer …`, with nothing after it.")
        key = accesskeys.holder(parts[1].decode("latin-1"))
        if key is None:
            raise AuthenticationFailed("This access key opens nothing: it is unknown, expired or revoked.")
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular has no types here
    target_class = KeyAuthentication
    name = "accessKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An access key. `Token …` works as well."}
