"""A person's notices, of all their projects."""

from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from annotation import access
from annotation.doors import SIGNED_IN, door
from annotation.notices import mark_read
from annotation.requests import Request

MOST = 100


@never_cache
@door(SIGNED_IN, "GET")
def notices(request: Request) -> HttpResponse:
    """Unread ones first, each part newest first."""
    found = access.notices(request.user).select_related("project")
    found = found.order_by(F("read_at").desc(nulls_first=True), "-id")[:MOST]
    return render(request, "annotation/notices.html", {"notices": found})


@never_cache
@door(SIGNED_IN, "GET", own=True)
def notice(request: Request, pk: int) -> HttpResponse:
    """Open a notice: it is read, and the page that it is about comes."""
    found = access.notice(request.user, pk)
    address = found.get().address
    mark_read(found)
    return redirect(address if url_has_allowed_host_and_scheme(address, allowed_hosts=None) else "notices")


@door(SIGNED_IN, "POST")
def read_notices(request: Request) -> HttpResponse:
    mark_read(access.notices(request.user))
    return redirect("notices")
