"""Who must have a second factor, and what they see until they have one."""

from collections.abc import Callable
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from annotation.models import Membership, User

FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
SEEN = "second_factor"  # in the session: this person has one, so that not every page asks the database
OPEN = ("/account/second-factor/", "/account/confirm/", "/sign-out/", "/static/")
WORDS = "This server asks for a second factor: set one up first, on the page of your account."
LAST = "This server asks for a second factor: add another one before you remove the last."


def has(person: User) -> bool:
    return is_mfa_enabled(person, FACTORS)


def must(person: User) -> bool:
    """Whether the operator asks this person for a second factor: everybody, or staff and leads."""
    if settings.SECOND_FACTOR == "all":
        return True
    if settings.SECOND_FACTOR != "leads":
        return False
    return person.is_staff or person.is_superuser or Membership.objects.leads().filter(person=person).exists()


def may_remove_one(person: User) -> bool:
    """Whoever must have a second factor keeps the last one; they add another before they remove it."""
    return not must(person) or Authenticator.objects.filter(user=person, type__in=FACTORS).count() > 1


def asked_for(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: whoever must have a second factor and has none gets no page but the one that sets it up."""
    if not settings.SECOND_FACTOR:
        raise MiddlewareNotUsed

    def respond(request: HttpRequest) -> HttpResponse:
        person: Any = request.user
        if not person.is_authenticated or request.path.startswith(OPEN) or request.session.get(SEEN) == person.pk:
            return get_response(request)
        if not must(person):
            return get_response(request)
        if has(person):
            request.session[SEEN] = person.pk
            return get_response(request)
        if request.path.startswith("/api/"):
            return JsonResponse({"detail": WORDS}, status=403)
        messages.warning(request, WORDS)
        return redirect(reverse("mfa_index"))

    return respond
