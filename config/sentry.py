"""Errors told to a Sentry, if `SENTRY_DSN` names one: what broke and where, and nothing that people wrote.

Its package is imported only then; it is an extra: `pip install '.[sentry]'`.
"""

from importlib.metadata import version
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from annotation.logcontext import bound

OUR_LOGGERS = ("annotation.", "training.", "evaluation.", "config.")
KEPT_HEADERS = {"User-Agent", "Content-Type", "Content-Length", "X-Request-Id"}


def start(dsn: str, environment: str) -> None:
    """Raises ImproperlyConfigured if its package is not there or the address is none of Sentry's."""
    try:
        import sentry_sdk
        from sentry_sdk.utils import BadDsn
    except ImportError:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, and its package is not installed: pip install -c constraints.txt '.[sentry]'"
        ) from None
    try:
        sentry_sdk.init(dsn=dsn, environment=environment, **options())
    except BadDsn:
        raise ImproperlyConfigured("SENTRY_DSN is no address of a Sentry project: https://key@host/number") from None


def options() -> dict[str, Any]:
    """No bodies, no variables (they hold what people wrote), no measuring; names and addresses of people are off unless
    asked for (`send_default_pii`)."""
    return {
        "release": version("touchstone"),
        "max_request_body_size": "never",
        "include_local_variables": False,
        "traces_sample_rate": None,
        "before_send": scrubbed,
        "before_breadcrumb": of_the_log,
    }


def scrubbed(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    """Without address, query, cookies and most headers of the request: an invitation's address is its secret. Pages are
    told apart by `transaction`, the pattern of the address."""
    request = event.pop("request", {})
    headers = {name: value for name, value in request.get("headers", {}).items() if name in KEPT_HEADERS}
    event["request"] = {"method": request.get("method"), "headers": headers}
    event.pop("user", None)
    event.pop("extra", None)  # the command line, among others
    event["tags"] = {**event.get("tags", {}), **bound()}
    return event


def of_the_log(crumb: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
    """Of what went before, our lines: statements and addresses of other servers may hold what is nobody's business."""
    return crumb if str(crumb.get("category", "")).startswith(OUR_LOGGERS) else None
