"""Coming by an invitation: with an account or without one."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from annotation import access, invitations
from annotation.doors import ANYBODY, door
from annotation.invitations import Closed
from annotation.models import Invitation, User
from annotation.peopleforms import AccountForm, SignInForm
from annotation.views.signing_in import begin


@sensitive_post_parameters()
@never_cache
@door(ANYBODY, "GET", "POST")
def join(request: HttpRequest, token: str) -> HttpResponse:
    """What a link opens: who is signed in confirms; who is not signs in, or makes an account, on this page.

    Nobody needs to be signed in. A link that is closed says why, and admits nobody.
    """
    invitation = access.invitation(token)
    known = request.user.is_authenticated
    making = request.method == "POST" and request.POST.get("with") == "account"
    sign_in = SignInForm(request, request.POST if request.method == "POST" and not making else None, prefix="in")
    account = AccountForm(request.POST if making else None, prefix="new")
    context = {"invitation": invitation, "sign_in": sign_in, "account": account, "making": making}
    context["oidc"] = settings.OIDC_NAME
    closed = invitations.why_closed(invitation)
    if request.method == "POST" and (known or not closed):
        try:
            if known:
                return _in(request, invitation, invitations.join(invitation=invitation, person=_user(request)))
            if making and account.is_valid():
                data = account.cleaned_data
                person = invitations.join_anew(
                    invitation=invitation,
                    username=data["username"],
                    password=data["password1"],
                    email=data["email"],
                )
                begin(request, person)
                return _in(request, invitation, True)
            if not making and sign_in.is_valid():
                then = begin(request, sign_in.get_user(), to=request.path)
                if not request.user.is_authenticated:
                    return then  # to the second factor, and back here
                return _in(request, invitation, invitations.join(invitation=invitation, person=_user(request)))
        except Closed as error:
            closed = str(error)
        except ValidationError as error:
            account.add_error(None, error)
    member = known and invitation.project.memberships.filter(person=_user(request)).first()
    if member and (closed or member.at_least(invitation.role)):
        context["member"] = member
    status = 410 if closed and not member else 422 if account.errors or sign_in.errors else 200
    return render(request, "annotation/join.html", {**context, "closed": closed}, status=status)


def _in(request: HttpRequest, invitation: Invitation, new: bool) -> HttpResponse:
    project = invitation.project
    messages.success(request, f"Welcome to {project}." if new else f"You are in {project} already.")
    return redirect(project)


def _user(request: HttpRequest) -> Any:
    assert isinstance(request.user, User)
    return request.user
