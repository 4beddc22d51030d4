"""A provider of sign-ins (OpenID Connect), from one variable in the environment. Imports no Django."""

from typing import Any
from urllib.parse import urlsplit

ID = "oidc"  # in the addresses of its pages


def provider(said: str, *, plain: bool = False) -> dict[str, Any]:
    """What allauth asks for, from `name|server|client id|secret`; empty if nothing is said.

    The secret may hold a `|`. Raises ValueError, which repeats no secret. `plain` lets the server answer over HTTP.

    >>> provider("Company|https://id.example|desk|s|x")["secret"]
    's|x'
    """
    if not said:
        return {}
    parts = [part.strip() for part in said.split("|", 3)]
    if len(parts) < 4 or not all(parts):
        raise ValueError("TOUCHSTONE_OIDC must look like name|https://server|client id|secret.")
    name, server, client, secret = parts
    address = urlsplit(server)
    if not address.hostname or address.scheme not in (("https", "http") if plain else ("https",)):
        raise ValueError("TOUCHSTONE_OIDC: the server's address must begin with https://.")
    settings = {"server_url": server.rstrip("/"), "oauth_pkce_enabled": True}
    return {"provider_id": ID, "name": name, "client_id": client, "secret": secret, "settings": settings}
