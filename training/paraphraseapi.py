"""The API of paraphrases, for leads: gate, serializer, verb, answer."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.endpoints import Conflict, Endpoint, documented
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from training import access, paraphrasing
from training.models import Paraphrase
from training.paraphraseserializers import (
    DecideParaphraseSerializer,
    ParaphraseSerializer,
    StartParaphrasingSerializer,
    WhichParaphrasesSerializer,
)
from training.serializers import RunDetailSerializer


class Paraphrases(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Paraphrases",
        ParaphraseSerializer(many=True),
        parameters=[WhichParaphrasesSerializer],
        refuses=(400, 401, 403, 404),
    )
    def get(self, request: Request, slug: str) -> Response:
        """What models made of people's prompts, beside the originals, the newest first."""
        project = access.lead(self.person, slug).project
        which = self.asked(WhichParaphrasesSerializer)
        rows = Paraphrase.objects.filter(prompt__project=project).defer("run__inputs")
        rows = rows.select_related("prompt", "run", "decided_by")
        if "kept" in which:
            rows = rows.kept() if which["kept"] else rows.refused()
        wanted = {name: which[name] for name in ("run", "refused_because") if name in which}
        return self.page(rows.filter(**wanted), ParaphraseSerializer)

    @documented(
        "Paraphrases",
        RunDetailSerializer,
        sends=StartParaphrasingSerializer,
        code=201,
        refuses=(400, 401, 403, 404),
        operation_id="start_paraphrasing",
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run in which a model says people's prompts in other words; when it ends, they are here."""
        project = access.lead(self.person, slug).project
        sent = self.sent(StartParaphrasingSerializer, project=project)
        run = paraphrasing.paraphrase(project=project, actor=self.person, **sent)
        return Response(RunDetailSerializer(run).data, status=201)


class DecideParaphrase(Endpoint):
    who = Role.LEAD
    scope = Scope.TRAIN

    @documented(
        "Paraphrases",
        ParaphraseSerializer,
        sends=DecideParaphraseSerializer,
        refuses=(400, 401, 403, 404, 409),
        operation_id="decide_paraphrase",
    )
    def post(self, request: Request, slug: str, paraphrase_id: int) -> Response:
        """Refuse a paraphrase, or take one back; 409 if it is so already."""
        _, found = access.paraphrase(self.person, slug, paraphrase_id)
        if not paraphrasing.decide(paraphrase=found, actor=self.person, **self.sent(DecideParaphraseSerializer)):
            raise Conflict("This paraphrase is so already.")
        found.refresh_from_db()
        return Response(ParaphraseSerializer(found).data)


urlpatterns = [
    path("projects/<slug:slug>/paraphrases/", Paraphrases.as_view()),
    path("projects/<slug:slug>/paraphrases/<int:paraphrase_id>/decide/", DecideParaphrase.as_view()),
]
