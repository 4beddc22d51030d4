"""Every address of the product."""

from django.contrib import admin
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.defaults import page_not_found
from drf_spectacular.views import SpectacularSwaggerSplitView

from annotation.doors import SIGNED_IN, door
from annotation.views.signing_in import to_the_admin
from config.openapi import Document
from config.pages import everything_is_well


@csrf_exempt
def nowhere(request: HttpRequest) -> JsonResponse:
    """Programs read JSON, also where there is nothing."""
    why = "There is nothing at this address: /api/docs/ lists what there is."
    if "/openai/v1/" in request.path:  # in the words of that part of the API
        error = {"message": why, "type": "invalid_request_error", "param": None, "code": "not_found"}
        return JsonResponse({"error": error}, status=404)
    return JsonResponse({"detail": why}, status=404)


urlpatterns = [
    # Addresses are tried one after the other: what programs ask for with every label comes before 150 pages.
    path("api/v1/", include("config.api")),
    path("", include("annotation.urls")),
    path("", include("evaluation.urls")),
    path("", include("config.account_urls")),
    path("is-everything-well/", everything_is_well, name="everything_is_well"),
    re_path(r"^admin/r/", page_not_found, {"exception": Http404()}),  # "view on site": it asks nobody who they are
    path("admin/login/", to_the_admin),
    path("admin/", admin.site.urls),
    re_path(r"^api/v1/(?:[\s\S]*/openai/v1/[\s\S]*|[\s\S]*/)$", nowhere),
    path("api/schema/", Document.as_view(), name="schema"),
    path("api/docs/", door(SIGNED_IN, "GET")(SpectacularSwaggerSplitView.as_view(url_name="schema")), name="api_docs"),
]
