"""Where letters of the product go, from one address in the environment. Imports no Django, so that the settings can."""

from typing import Any
from urllib.parse import unquote, urlsplit

EXPLAINED = "smtp://user:password@host:587, smtps://user:password@host:465, or file:///folder"


def settings(address: str) -> dict[str, Any]:
    """Django's settings for an address; none if there is no mail. Raises ValueError, which repeats no password.

    >>> settings("smtp://desk:se%40cret@mail.example")["EMAIL_HOST_PASSWORD"]
    'se@cret'
    """
    if not address:
        return {}
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme == "file" and parts.path:
        return {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend", "EMAIL_FILE_PATH": parts.path}
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError(f"TOUCHSTONE_EMAIL_URL must look like {EXPLAINED}.")
    whole = parts.scheme == "smtps"  # encrypted from the first byte; smtp turns to it before it says who it is
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or (465 if whole else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": whole,
        "EMAIL_USE_TLS": not whole,
        "EMAIL_TIMEOUT": 20,
    }
