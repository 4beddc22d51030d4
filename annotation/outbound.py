"""Sending to an address that somebody of a project named, from within the operator's network.

The name is looked up once; every address it has must be public, unless the operator listed its host and port in
TOUCHSTONE_PRIVATE_ENDPOINTS; the connection goes to the address that was looked at, whatever the name means a moment
later. Redirects are not followed, and all of it ends after some seconds. (training/recipes/endpoint.py does the same
where models are asked, without Django.)
"""

import http.client
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Timer
from urllib.parse import SplitResult, urlsplit

SECONDS = 10.0  # from the first byte sent to the last one read
EXCERPT = 500  # bytes of the answer that are read
PORTS = {"https": 443, "http": 80}


class Refused(Exception):
    """Nothing is sent to this address; the message says why."""


class Unreachable(Exception):
    """Nobody answered; it may be worth trying again."""


@dataclass(frozen=True)
class Answer:
    status: int
    text: str


def send(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST it. Raises Refused or Unreachable."""
    parts, port = checked(url)
    address = _addresses(parts, port)[0]
    connection = _Pinned(parts, port, address)
    clock = Timer(SECONDS, connection.cut)
    clock.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        text = answer.read(EXCERPT).decode(errors="replace")
        if connection.was_cut:  # what was cut short reads like what has ended
            raise TimeoutError
        return Answer(answer.status, text)
    except (OSError, http.client.HTTPException) as error:
        slow = connection.was_cut or isinstance(error, TimeoutError)
        why = f"no answer within {SECONDS:.0f} seconds" if slow else str(error) or type(error).__name__
        raise Unreachable(f"{parts.netloc} could not be reached: {why}.") from error
    finally:
        clock.cancel()
        connection.close()


def checked(url: str) -> tuple[SplitResult, int]:
    """The parts of an address and its port, without looking anything up; raises Refused for one that can never be."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Refused("Write the address in plain letters, without spaces.")
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), 0
    if not port or not parts.hostname:
        raise Refused("An address begins with https:// and a host name.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Refused("An address has no password and no # in it.")
    if parts.scheme != "https" and not _allowed(parts, port):
        raise Refused("An address begins with https://, so that nobody on the way can read along.")
    if _is_number(parts.hostname):
        _refuse_private(parts, port, [parts.hostname])
    return parts, port


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _allowed(parts: SplitResult, port: int) -> bool:
    listed = {name.strip() for name in os.environ.get("TOUCHSTONE_PRIVATE_ENDPOINTS", "").split(",")}
    return f"{parts.hostname}:{port}" in listed


def _addresses(parts: SplitResult, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"The name {parts.hostname} could not be looked up.") from error
    addresses = [str(one[4][0]) for one in found]
    _refuse_private(parts, port, addresses)
    return addresses


def _refuse_private(parts: SplitResult, port: int, addresses: list[str]) -> None:
    if not _allowed(parts, port) and not all(is_public(address) for address in addresses):
        raise Refused(
            f"{parts.hostname}:{port} is a private address: an operator may allow it by TOUCHSTONE_PRIVATE_ENDPOINTS."
        )


def is_public(address: str) -> bool:
    """Whether an address is one of the open Internet: in IPv6 global unicast alone, and no other's address in disguise.

    >>> [is_public(a) for a in ("93.184.216.34", "2606:4700::1", "10.0.0.1", "127.0.0.1", "::1", "fe80::1%eth0")]
    [True, True, False, False, False, False]
    >>> [is_public(a) for a in ("::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "fec0::1", "::10.0.0.1")]
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


class _Pinned(http.client.HTTPConnection):
    """To an address that was looked at; `cut` ends it from another thread."""

    def __init__(self, parts: SplitResult, port: int, address: str) -> None:
        super().__init__(parts.hostname or "", port, timeout=SECONDS)
        self.address, self.secure, self.was_cut = address, parts.scheme == "https", False
        self.default_port = PORTS[parts.scheme]  # so that the Host header has no port where none is needed

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), SECONDS)
        if self.secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        self.was_cut = True
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
