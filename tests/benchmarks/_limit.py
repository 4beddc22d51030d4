"""The least a labelling server could do: a view of the product's own kind that only inserts a row.

`gunicorn tests.benchmarks._limit` serves it at /insert/ with the product's settings: the same middleware, token,
connection and serializer, and one INSERT in place of the label's work. What it reaches is what the queue is held to.
"""

import types
from typing import Any

from django.conf import settings
from django.urls import path

from config.wsgi import application  # noqa: F401  what gunicorn asks for; it also sets Django up


def view() -> Any:
    from rest_framework import serializers
    from rest_framework.response import Response

    from annotation.doors import SIGNED_IN
    from annotation.endpoints import Endpoint
    from annotation.models import Event
    from annotation.models.accesskeys import Scope

    class Note(serializers.Serializer):
        text = serializers.CharField()

    class Insert(Endpoint):
        who = SIGNED_IN
        scope = Scope.LABEL

        def post(self, request: Any) -> Response:
            row = Event.objects.create(actor=self.person, verb="noted", target="nothing", data=self.sent(Note))
            return Response({"id": row.pk}, status=201)

    return Insert.as_view()


addresses = types.ModuleType("addresses")
addresses.urlpatterns = [path("insert/", view())]  # type: ignore[attr-defined]
settings.ROOT_URLCONF = addresses
