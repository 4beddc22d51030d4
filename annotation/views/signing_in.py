"""Signing in: with a password, and then with the second factor of whoever has one."""

from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import get_next_redirect_url, perform_login
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from annotation.doors import ANYBODY, door
from annotation.models import User
from annotation.peopleforms import SignInForm


def begin(request: HttpRequest, person: User, *, to: str = "") -> Any:
    """After the password: signed in, and a redirect to `to`; or, where there is a second factor, a redirect to it."""
    record_authentication(request, person, method="password", username=person.username)
    return perform_login(request, person, redirect_url=to or None)


@sensitive_post_parameters()
@never_cache
@door(ANYBODY, "GET", "POST")
def sign_in(request: HttpRequest) -> HttpResponse:
    to = get_next_redirect_url(request) or reverse(settings.LOGIN_REDIRECT_URL)
    if request.user.is_authenticated:
        return redirect(to)
    form = SignInForm(request, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        return begin(request, form.get_user(), to=to)
    context = {"form": form, "next": to, "oidc": settings.OIDC_NAME}
    return render(request, "account/login.html", context)


@door(ANYBODY, "GET", "HEAD")
def to_the_admin(request: HttpRequest) -> HttpResponse:
    """The admin has no sign-in of its own, which would know no second factor."""
    if request.user.is_authenticated:
        raise PermissionDenied("The admin is for leads and those who run the server.")
    to = get_next_redirect_url(request) or reverse("admin:index")
    return redirect(f"{reverse('login')}?{urlencode({'next': to})}")
