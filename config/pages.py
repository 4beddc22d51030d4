"""Pages of the installation, for staff."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from annotation.doors import STAFF, door
from annotation.requests import Request
from config import checkup


@never_cache
@door(STAFF, "GET", "HEAD")
def everything_is_well(request: Request) -> HttpResponse:
    """What every check found, the worst first. It names no project: staff may lead one, and see no other."""
    findings = checkup.look()
    order = [checkup.WRONG, checkup.LOOK, checkup.WELL]
    ordered = sorted(findings, key=lambda one: order.index(one.state))
    context = {"findings": ordered, "worst": checkup.worst(findings)}
    return render(request, "config/everything_is_well.html", context)
