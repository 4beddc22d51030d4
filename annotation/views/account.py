"""The pages of a person's own account."""

from allauth.account.decorators import reauthentication_required
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from annotation import personal, sessions
from annotation.doors import SIGNED_IN, door
from annotation.peopleforms import NameForm
from annotation.requests import Request


@door(SIGNED_IN, "GET", "HEAD")
def account(request: Request) -> HttpResponse:
    """One page that leads to all that belongs to oneself."""
    person = request.user
    context = {
        "sessions": len(sessions.listed(person)),
        "second_factor": is_mfa_enabled(person, [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]),
        "elsewhere": SocialAccount.objects.filter(user=person).exists(),
        "oidc": settings.OIDC_NAME,
        "mail": bool(settings.MAIL),
    }
    return render(request, "account/account.html", context)


@door(SIGNED_IN, "GET", "POST")
@reauthentication_required(app="annotation")
def name(request: Request) -> HttpResponse:
    """Name and e-mail. With the e-mail one can get a new password, so that this asks who is there."""
    form = NameForm(request.POST if request.method == "POST" else None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            if "email" in form.changed_data:
                EmailAddress.objects.filter(user=request.user).delete()  # one that was there before opens nothing
            request.user.save(update_fields=["first_name", "last_name", "email"])
        messages.success(request, "Saved.")
        return redirect("account")
    if form.errors:
        request.user.refresh_from_db()  # the header shows who they are, and not what they typed
    return render(request, "account/name.html", {"form": form}, status=422 if form.errors else 200)


@door(SIGNED_IN, "GET", "HEAD")
def sign_in_anew(request: Request) -> HttpResponse:
    """For whoever has neither password nor code: only the provider can say that it is still them."""
    return render(request, "account/sign_in_anew.html", {"oidc": settings.OIDC_NAME})


@door(SIGNED_IN, "GET", "HEAD")
def own_sessions(request: Request) -> HttpResponse:
    """Where one is signed in."""
    rows = [
        {"one": one, "device": sessions.device(one.user_agent), "here": one.is_current()}
        for one in sessions.listed(request.user)
    ]
    return render(request, "account/sessions.html", {"rows": rows})


@door(SIGNED_IN, "POST", own=True)
def end_session(request: Request, pk: int) -> HttpResponse:
    found = UserSession.objects.filter(user=request.user, pk=pk).first()
    if found is None:
        raise Http404("No such session")
    found.end()
    messages.success(request, "That session has ended.")
    return redirect("sessions")


@door(SIGNED_IN, "POST")
def end_sessions(request: Request) -> HttpResponse:
    sessions.end_others(request)
    messages.success(request, "You are signed out everywhere but here.")
    return redirect("sessions")


@never_cache
@door(SIGNED_IN, "POST")
@reauthentication_required(app="annotation")
def personal_data(request: Request) -> FileResponse:
    """Everything that is held about oneself, as a file."""
    file = personal.packed(request.user)
    return FileResponse(file, as_attachment=True, filename=f"touchstone-{request.user.username}.zip")
