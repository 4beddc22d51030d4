"""Pages of the installation, for staff."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotation.requests import Request
from config import checkup


@never_cache
@require_safe
@login_required
def everything_is_well(request: Request) -> HttpResponse:
    """What every check found, the worst first. It names no project: staff may lead one, and see no other."""
    if not request.user.is_staff:
        raise Http404("This page is for staff.")
    findings = checkup.look()
    order = [checkup.WRONG, checkup.LOOK, checkup.WELL]
    ordered = sorted(findings, key=lambda one: order.index(one.state))
    context = {"findings": ordered, "worst": checkup.worst(findings)}
    return render(request, "config/everything_is_well.html", context)
