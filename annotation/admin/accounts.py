"""Buttons on a person's page: sessions, second factor, what is held about them, and erasing them."""

from typing import Any

from allauth.account.admin import EmailAddress
from allauth.mfa.admin import Authenticator
from allauth.socialaccount.admin import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.admin import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from annotation import erasing, personal, sessions
from annotation.desk import Ask, is_lead, sure
from annotation.models import User
from annotation.models.events import record
from annotation.requests import Request

for model in (EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken, UserSession):
    admin.site.unregister(model)  # keys of second factors and of sessions are for nobody to read


class AskForName(Ask):
    """Nobody is erased by a slip: their user name must be typed."""

    name = forms.CharField(label="Their user name", widget=UnfoldAdminTextInputWidget)

    def __init__(self, request: Request, object_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(request, object_id, **kwargs)
        self.person = User.objects.filter(pk=object_id or 0).first()

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if self.person is None or name != self.person.username:
            raise ValidationError("That is another name.")
        return name


class AccountButtons:
    """Mixed into the admin of people. Leads end the sessions of people they see; the rest is a superuser's."""

    actions_detail = ("end_sessions", "remove_second_factor", "download", "erase")

    def has_lead_permission(self, request: Request, object_id: str | None = None) -> bool:
        if object_id is not None and is_lead(request):
            self.person(request, object_id)
        return is_lead(request)

    def has_superuser_permission(self, request: Request, object_id: str | None = None) -> bool:
        return request.user.is_active and request.user.is_superuser

    def person(self, request: Request, object_id: str) -> User:
        found: User | None = self.get_object(request, unquote(str(object_id)))  # type: ignore[attr-defined]
        if found is None:
            raise Http404("No such person")
        return found

    def get_actions_detail(self, request: Request, object_id: str) -> list[Any]:
        """An account that was erased has nothing left to press."""
        erased = self.person(request, object_id).erased_at
        return [] if erased else super().get_actions_detail(request, object_id)  # type: ignore[misc]

    def back(self, request: Request, person: User, said: str, level: int = messages.SUCCESS) -> HttpResponse:
        messages.add_message(request, level, said)
        url = reverse("admin:annotation_user_change", args=[person.pk])
        return HttpResponseClientRedirect(url) if request.htmx else redirect(url)

    @action(
        description="End sessions",
        permissions=["lead"],
        icon="logout",
        dialog=sure("End all their sessions?", "They are signed out everywhere, at once.", "End them"),
    )
    def end_sessions(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        person = self.person(request, object_id)
        sessions.end_all(person=person, actor=request.user)
        return self.back(request, person, f"{person} is signed out everywhere.")

    @action(
        description="Remove second factor",
        permissions=["superuser"],
        icon="phonelink_erase",
        dialog=sure(
            "Remove their second factor?",
            "For somebody who has lost phone and recovery codes: be sure who asks. They are signed out everywhere.",
            "Remove it",
        ),
    )
    def remove_second_factor(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        person = self.person(request, object_id)
        with transaction.atomic():
            Authenticator.objects.filter(user=person).delete()
            record("second factor removed", person, project=None, actor=request.user)
            sessions.end_all(person=person, actor=request.user)
        return self.back(request, person, f"The password alone opens the account of {person} now.")

    @action(description="Personal data", permissions=["superuser"], icon="download")
    def download(self, request: Request, object_id: str) -> FileResponse:
        person = self.person(request, object_id)
        file = personal.packed(person)
        record("personal data exported", person, project=None, actor=request.user)
        return FileResponse(file, as_attachment=True, filename=f"touchstone-{person.username}.zip")

    @action(
        description="Erase",
        permissions=["superuser"],
        icon="person_remove",
        dialog=sure(
            "Erase this person?",
            "Their account is closed; name, e-mail, sessions and tokens go. What they said stays, under a pseudonym. "
            "It cannot be undone.",
            "Erase them for ever",
            AskForName,
        ),
    )
    def erase(self, request: Request, form: Any, object_id: str) -> HttpResponse:
        person = self.person(request, object_id)
        try:
            erased = erasing.erase(person=person, actor=request.user)
        except ValidationError as error:
            return self.back(request, person, " ".join(error.messages), messages.ERROR)
        return self.back(request, erased, f"They were erased, and are called {erased} now.")
