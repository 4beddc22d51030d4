"""Who may come through which door: each page and each endpoint of the API says it once, and is held to it.

A page says it by `door`, an endpoint by attributes of the same meaning (annotation/endpoints.py). The role is asked for
where every row is found (annotation/access.py); docs/permissions.md lists all doors with their rules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpResponse
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from annotation.models.people import Membership, Role

F = TypeVar("F", bound=Callable[..., Any])
ANYBODY = "anybody"  # signed in or not
SIGNED_IN = "signed in"  # in whatever project, or in none
STAFF = "staff"  # of the installation: whom a superuser gave the mark
SIGNED_OUT = (
    "You were signed out, so what you sent was not done. Sign in and send it again; going back in the browser brings "
    "what you wrote."
)


@dataclass(frozen=True)
class Rule:
    """`who`: ANYBODY, SIGNED_IN, STAFF, or the least role in the project that the address or its object is of.

    `own`: the object must be their own; from the role `others` upwards somebody else's will do.
    """

    who: str
    own: bool = False
    others: Role | None = None

    def hold(self, person: Any) -> None:
        """From here on, `access.membership` asks the person for the role of this door. Raises Http404 at one of staff's
        for everybody else."""
        if self.who == STAFF and not person.is_staff:
            raise Http404("This page is for staff.")
        if self.who in Role.values:
            person.least = Role(self.who)


def door(who: str, *methods: str, own: bool = False, others: Role | None = None) -> Callable[[F], F]:
    """Say of a page which methods it has and whom it opens to; whoever must sign in is sent to do so."""
    rule = Rule(who, own, others)

    def declared(page: F) -> F:
        @wraps(page)
        def held(request: Any, *args: Any, **named: Any) -> Any:
            if not request.user.is_authenticated:
                return _sign_in(request)
            rule.hold(request.user)
            try:
                return page(request, *args, **named)
            except Membership.DoesNotExist as left:  # while their request was under way
                raise Http404("No such project") from left

        gated: Any = require_http_methods(methods)(page if who == ANYBODY else held)
        gated.rule, gated.methods = rule, methods
        return cast(F, gated)

    return declared


def _sign_in(request: Any) -> HttpResponse:
    """To where one signs in, and back to this page; if something was sent, to the one that it was sent from."""
    if request.method in ("GET", "HEAD"):
        return redirect_to_login(request.get_full_path())
    if "text/html" in request.headers.get("Accept", ""):  # a form; a script says itself what became of it
        messages.warning(request, SIGNED_OUT)
    sender = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(sender, {request.get_host()}, require_https=request.is_secure())
    came_from = urlsplit(sender if ours else "/")
    try:  # a form that was refused stands where it was sent to, and that address may have no page
        found = "GET" in getattr(resolve(came_from.path).func, "methods", ("GET",))
    except Resolver404:
        found = False
    return redirect_to_login(urlunsplit(("", "", came_from.path, came_from.query, "")) if found else "/")
