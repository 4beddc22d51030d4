"""What we want otherwise than django-allauth has it: no open door, our own idea of an address, our own words."""

import time
from ipaddress import ip_address
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse

from annotation import invitations
from annotation.models import Invitation, User
from config.limits import address
from config.second_factor import LAST, may_remove_one

NO_ADDRESS = str(ip_address(0))


class Accounts(DefaultAccountAdapter):
    """Accounts come by invitation, or from the admin."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """As the limits know it; what is no address, from a proxy or a socket, is all one."""
        try:
            return str(ip_address(address(request)))
        except ValueError:
            return NO_ADDRESS

    def is_reauthentication_required(self, *, app: str, **more: Any) -> bool:
        """Changes of an account ask who is there, but not soon after signing in, however that was."""
        request = context.request
        soon = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        return not any(one["at"] > soon for one in get_authentication_records(request, request.user))

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Whoever has neither password nor second factor here says who they are by signing in anew."""
        anew = {"id": "sign_in", "description": "Sign in anew", "url": reverse("sign_in_anew")}
        return super().get_reauthentication_methods(user) or [anew]

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return "/account/"


class FromElsewhere(DefaultSocialAccountAdapter):
    """Whoever comes by the company's sign-in."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Turn away whoever has no account here and may not make one. An account with the same e-mail is not
        taken for theirs: anybody can have put that address there."""
        if sociallogin.is_existing or sociallogin.state.get("process") == "connect":
            return
        email = sociallogin.user.email
        if email and User.objects.filter(email__iexact=email).exists():
            raise ImmediateHttpResponse(self._refused(request, "taken"))
        if not self.is_open_for_signup(request, sociallogin):
            raise ImmediateHttpResponse(self._refused(request, "unknown"))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return settings.OIDC_SIGN_UP or _invited(sociallogin.state.get("next") or "")

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return "/account/"

    def _refused(self, request: HttpRequest, why: str) -> Any:
        context = {"why": why, "provider": settings.OIDC_NAME}
        return render(request, "socialaccount/refused.html", context, status=403)


class SecondFactors(DefaultMFAAdapter):
    error_messages = {**DefaultMFAAdapter.error_messages, "cannot_delete_authenticator": LAST}

    def get_totp_issuer(self) -> str:
        return "Touchstone"

    def get_totp_label(self, user: Any) -> str:
        return str(user.get_username())

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        return may_remove_one(authenticator.user)


def _invited(path: str) -> bool:
    """Whether somebody is on the way to an invitation that still admits people."""
    try:
        found = resolve(path.partition("?")[0])
    except Resolver404:
        return False
    if found.url_name != "join":
        return False
    link = Invitation.objects.select_related("project").filter(token=found.kwargs["token"]).first()
    return link is not None and not invitations.why_closed(link)
