"""Addresses of signing in and of a person's account: our own pages, and those of django-allauth that we want.

There is none to sign up on: accounts come by invitation, from the admin, or from the operator's provider of sign-ins.
"""

import logging
from typing import Any

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount import views as social
from allauth.socialaccount.providers.openid_connect import views as oidc
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, re_path
from requests import RequestException

from annotation.doors import ANYBODY, SIGNED_IN, door
from annotation.views import account as own
from annotation.views.signing_in import sign_in
from config.limits import slowly
from config.second_factor import LAST, may_remove_one

logger = logging.getLogger(__name__)


@door(ANYBODY, "POST")
def to_provider(request: HttpRequest, provider_id: str) -> HttpResponse:
    """A page that goes on to the provider: our policy sends no form to another site, not even by a redirect."""
    try:
        answer = oidc.login(request, provider_id)
    except RequestException:
        logger.exception("The provider of sign-ins does not answer")
        return render(request, "socialaccount/authentication_error.html", status=502)
    if answer.status_code != 302 or "//" not in answer["Location"]:
        return answer
    return render(request, "socialaccount/going.html", {"to": answer["Location"]})


def forgotten(request: HttpRequest) -> HttpResponse:
    """Asks for an e-mail, or says whom to ask where no letters are sent."""
    return account.PasswordResetView.as_view(extra_context={"mail": bool(settings.MAIL)})(request)


@door(SIGNED_IN, "GET", "POST", own=True)
def remove_passkey(request: Any, pk: int) -> Any:
    if not may_remove_one(request.user):
        messages.error(request, LAST)
        return redirect("mfa_index")
    return passkeys.remove_webauthn(request, pk=pk)


@door(SIGNED_IN, "GET")
def passkeys_are_listed_there(request: HttpRequest) -> HttpResponse:
    return redirect("mfa_index")


@door(ANYBODY, "GET", "POST")
def no_sign_up(request: HttpRequest, **more: Any) -> HttpResponse:
    return redirect("login")


# Of a package's pages it is said here who they are for, and what they are asked for.
PAGE, FORM = door(ANYBODY, "GET"), door(ANYBODY, "GET", "POST")
OWN_PAGE, OWN_FORM = door(SIGNED_IN, "GET"), door(SIGNED_IN, "GET", "POST")

urlpatterns = [
    path("sign-in/", slowly(sign_in), name="login"),
    path("sign-in/", slowly(sign_in), name="account_login"),
    path("sign-in/closed/", PAGE(account.account_inactive), name="account_inactive"),
    path("sign-in/second-factor/", FORM(slowly(mfa.authenticate)), name="mfa_authenticate"),
    path(
        "sign-in/forgotten/",
        FORM(slowly(forgotten)),
        name="account_reset_password",
    ),
    path("sign-in/forgotten/sent/", PAGE(account.password_reset_done), name="account_reset_password_done"),
    path(
        "sign-in/forgotten/changed/",
        PAGE(account.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^sign-in/forgotten/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        FORM(slowly(account.password_reset_from_key)),
        name="account_reset_password_from_key",
    ),
    path("sign-in/with/cancelled/", PAGE(social.login_cancelled), name="socialaccount_login_cancelled"),
    path("sign-in/with/failed/", PAGE(social.login_error), name="socialaccount_login_error"),
    path("sign-in/with/new/", no_sign_up, name="socialaccount_signup"),
    path("sign-in/with/<slug:provider_id>/", to_provider, name="openid_connect_login"),
    path("sign-in/with/<slug:provider_id>/back/", PAGE(oidc.callback), name="openid_connect_callback"),
    path("sign-out/", door(ANYBODY, "POST")(LogoutView.as_view()), name="logout"),
    path("sign-out/", door(ANYBODY, "POST")(LogoutView.as_view()), name="account_logout"),
    path("account/", own.account, name="account"),
    path("account/name/", own.name, name="account_name"),
    path("account/password/", OWN_FORM(account.password_change), name="account_change_password"),
    path("account/password/new/", OWN_FORM(account.password_set), name="account_set_password"),
    path("account/confirm/", OWN_FORM(slowly(account.reauthenticate)), name="account_reauthenticate"),
    path("account/confirm/anew/", own.sign_in_anew, name="sign_in_anew"),
    path("account/confirm/code/", OWN_FORM(slowly(mfa.reauthenticate)), name="mfa_reauthenticate"),
    path("account/second-factor/", OWN_PAGE(mfa.index), name="mfa_index"),
    path("account/second-factor/app/", OWN_FORM(totp.activate_totp), name="mfa_activate_totp"),
    path("account/second-factor/app/remove/", OWN_FORM(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("account/second-factor/passkeys/", passkeys_are_listed_there, name="mfa_list_webauthn"),
    path("account/second-factor/passkeys/add/", OWN_FORM(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path("account/second-factor/passkeys/<int:pk>/remove/", remove_passkey, name="mfa_remove_webauthn"),
    path(
        "account/confirm/passkey/",
        OWN_FORM(slowly(passkeys.reauthenticate_webauthn)),
        name="mfa_reauthenticate_webauthn",
    ),
    path("account/second-factor/codes/", OWN_PAGE(codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "account/second-factor/codes/new/", OWN_FORM(codes.generate_recovery_codes), name="mfa_generate_recovery_codes"
    ),
    path(
        "account/second-factor/codes/file/", OWN_PAGE(codes.download_recovery_codes), name="mfa_download_recovery_codes"
    ),
    path("account/connected/", OWN_FORM(social.connections), name="socialaccount_connections"),
    path("account/sessions/", own.own_sessions, name="sessions"),
    path("account/sessions/<int:pk>/end/", own.end_session, name="end_session"),
    path("account/sessions/end/", own.end_sessions, name="end_sessions"),
    path("account/data/", own.personal_data, name="personal_data"),
]
