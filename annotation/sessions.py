"""A person's sessions: where they are signed in, and how that ends."""

from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.utils import timezone

from annotation.models import User
from annotation.models.events import record
from annotation.requests import Request


def listed(person: User) -> list[UserSession]:
    """Those that still hold, the newest first."""
    return sorted(UserSession.objects.purge_and_list(person), key=lambda one: one.created_at, reverse=True)


@transaction.atomic
def end_all(*, person: User, actor: User | None) -> None:
    """Sign a person out everywhere, at once, whether or not a session is on the list."""
    for one in UserSession.objects.filter(user=person):
        one.end()
    person.sessions_ended_at = timezone.now()
    person.save(update_fields=["sessions_ended_at"])
    record("sessions ended", person, project=None, actor=actor)


def end_others(request: Request) -> None:
    """Sign a person out everywhere but here."""
    end_all(person=request.user, actor=request.user)
    stays: Any = request.session
    stays.create()  # its row went with the others
    update_session_auth_hash(request, request.user)
    UserSession.objects.create_from_request(request)


def device(agent: str) -> str:
    """What a browser says of itself, in a few words.

    >>> device("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36")
    'Chrome on Linux'
    >>> device("curl/8")
    'curl/8'
    """
    browsers = (
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    )
    systems = (
        *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows")),
        *(("Mac OS", "macOS"), ("Linux", "Linux")),
    )
    browser = next((name for sign, name in browsers if sign in agent), "")
    system = next((name for sign, name in systems if sign in agent), "")
    return f"{browser} on {system}" if browser and system else browser or agent[:60] or "Unknown browser"
