"""Checking a text before it is submitted."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import access, checking
from annotation.endpoints import Endpoint, documented
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from annotation.serializers import CheckedSerializer, CheckSerializer


class Check(Endpoint):
    who = Role.ANNOTATOR
    scope = Scope.LABEL

    @documented("Labelling", CheckedSerializer, sends=CheckSerializer, refuses=(400, 401, 404), operation_id="check")
    def post(self, request: Request, slug: str) -> Response:
        """What the cleaning checks find in a text, and about how many tokens it is for the project's model.

        Nothing is stored.
        """
        project = access.project(self.person, slug)
        return Response(CheckedSerializer(checking.check(project=project, **self.sent(CheckSerializer))).data)


urlpatterns = [path("projects/<slug:slug>/check/", Check.as_view())]
