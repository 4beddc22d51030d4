"""Asking a model that answers over HTTP as OpenAI's chat completions do: vLLM, `transformers serve`, a vendor.

It runs where recipes run, with nothing but the standard library. Two variables of the environment say what it may do:

    TOUCHSTONE_PRIVATE_ENDPOINTS   host:port, with commas: where it may go although the address is private
    TOUCHSTONE_ENDPOINT_KEYS       https://host=key, with commas: the key for each origin, sent nowhere else

Whoever leads a project names an address, and the worker calls it from within the operator's network. So a name is
looked up once, every address it has must be public unless the operator allowed it, the connection goes to the address
that was looked at, and redirects are not followed.
"""

import http.client
import ipaddress
import json
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from training.recipes.contract import BadData, Unanswered

SECONDS = 300.0  # for one answer: large models on small machines are slow
MOST_BYTES = 8 * 1024 * 1024
TRIES = 6
BUSY = {408, 409, 425, 429, 500, 502, 503, 504}


class Busy(Exception):
    """The endpoint cannot answer now; `seconds` is how long it asks to be left alone, if it says."""

    def __init__(self, words: str, seconds: float | None = None) -> None:
        super().__init__(words)
        self.seconds = seconds


class Refused(BadData):
    """The endpoint does not take this one request, for what stands in it."""


@dataclass(frozen=True)
class Said:
    text: str
    tokens: int
    finished: bool
    read: int = 0  # tokens of what was sent, if the endpoint counts them


@dataclass(frozen=True)
class Endpoint:
    url: str  # up to and without /chat/completions
    model: str

    @classmethod
    def named(cls, source: str) -> "Endpoint":
        """From `https://host/v1#model`.

        >>> Endpoint.named("http://127.0.0.1:8000/v1/#org/name")
        Endpoint(url='http://127.0.0.1:8000/v1', model='org/name')
        """
        url, _, model = source.partition("#")
        if not model:
            raise BadData(f"The address {url} names no model: write it after a #, as in {url}#name.")
        return cls(url.rstrip("/"), model)

    def ask(self, messages: list[dict[str, str]], **settings: Any) -> Said:
        """One answer. Raises Busy if it is worth trying again at once, Unanswered if it is once something was mended,
        BadData if it is not."""
        answer = self._post("/chat/completions", {"model": self.model, "messages": messages, **settings})
        try:
            choice = answer["choices"][0]
            text = choice["message"]["content"] or ""
            usage = answer.get("usage") or {}
            tokens, read = (int(usage.get(f"{kind}_tokens") or 0) for kind in ("completion", "prompt"))
            return Said(str(text), tokens, choice["finish_reason"] == "stop", read)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadData(f"{self.url} answers, but not in the form of chat completions: check the address.") from error

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        parts = urlsplit(self.url)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := _key_for(f"{parts.scheme}://{parts.netloc}"):
            headers["Authorization"] = f"Bearer {key}"
        connection = _connection(self.url)
        try:
            connection.request("POST", parts.path + path, json.dumps(body).encode(), headers)
            response = connection.getresponse()
            data = response.read(MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Busy(f"{self.url} could not be reached ({str(error) or type(error).__name__})") from error
        finally:
            connection.close()
        if response.status in BUSY:
            wait = response.headers.get("Retry-After", "")
            said = f"{self.url} answered with status {response.status}"
            raise Busy(said, float(wait) if wait.isdecimal() else None)
        if response.status in (401, 403):
            raise Unanswered(f"{self.url} refused the key: set TOUCHSTONE_ENDPOINT_KEYS for the worker.")
        words = " ".join(data.decode(errors="replace").split())
        words = (words.replace(key, "…") if key else words)[:200]  # some say the key that they were sent
        if response.status == 402:
            raise Unanswered(f"{self.url} wants to be paid first: {words}")
        if response.status != 200:
            refused = Refused if response.status in (400, 413, 422) else BadData
            raise refused(f"{self.url} refused the request with status {response.status}: {words}")
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadData(f"{self.url} did not answer with JSON: check the address.") from error


def patiently(endpoint: Endpoint, stop: Any, messages: list[dict[str, str]], **settings: Any) -> Said:
    """Ask, and again after a while if the endpoint is busy, up to a minute in all. `stop` ends the waiting."""
    pause = 1.0
    for number in range(TRIES):
        try:
            return endpoint.ask(messages, **settings)
        except Busy as busy:
            if number + 1 == TRIES:
                raise Unanswered(f"{busy}, {TRIES} times: look whether it is up, then retry the run.") from busy
            stop.wait(min(busy.seconds or pause, 60.0))
            pause *= 2
    raise AssertionError("the last try returns or raises")


def allowed_addresses(url: str) -> list[tuple[str, int]]:
    """Every address the host of this URL has. Raises Unanswered if one of them is private and not allowed."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
        host = parts.hostname or ""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (KeyError, ValueError) as error:
        raise BadData(f"{url} is no address of an endpoint: it begins with https:// or http://.") from error
    except OSError as error:
        raise Busy(f"The name {parts.hostname} could not be looked up") from error
    allowed = {name.strip() for name in os.environ.get("TOUCHSTONE_PRIVATE_ENDPOINTS", "").split(",")}
    addresses = [str(one[4][0]) for one in found]
    if f"{host}:{port}" not in allowed and not all(_is_public(address) for address in addresses):
        raise Unanswered(
            f"{host}:{port} is a private address: an operator may allow it by TOUCHSTONE_PRIVATE_ENDPOINTS."
        )
    return [(address, port) for address in addresses]


def _is_public(address: str) -> bool:
    """Whether an address is one of the open Internet: in IPv6 global unicast alone, and no other's address in disguise.

    >>> [_is_public(a) for a in ("93.184.216.34", "2606:4700::1", "10.0.0.1", "127.0.0.1", "::1", "fe80::1%eth0")]
    [True, True, False, False, False, False]
    >>> [_is_public(a) for a in ("::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "fec0::1", "::10.0.0.1")]
    [False, False, False, False, False]
    """
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None and ip not in GLOBAL:
            return False
        ip = inner or ip
    return ip.is_global and not ip.is_multicast


NAT64, GLOBAL = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("2000::/3")


def _key_for(origin: str) -> str | None:
    pairs = (pair.strip().partition("=") for pair in os.environ.get("TOUCHSTONE_ENDPOINT_KEYS", "").split(","))
    return next((key for name, _, key in pairs if name.rstrip("/") == origin and key), None)


def _connection(url: str) -> http.client.HTTPConnection:
    """To an address that was looked at, whatever the name means a moment later."""
    addresses = allowed_addresses(url)
    host = urlsplit(url).hostname or ""

    class Checked(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.create_connection(addresses[0], SECONDS)
            if url.startswith("https:"):
                self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=host)

    return Checked(host, addresses[0][1], timeout=SECONDS)
