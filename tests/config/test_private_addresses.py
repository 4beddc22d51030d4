"""Neither webhooks nor the runs that ask a model reach the operator's own network, however its addresses are spelt."""

import socket

import pytest

from annotation import outbound
from training.recipes import endpoint
from training.recipes.contract import BadData, Unanswered

PUBLIC = ("93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822")
PRIVATE = (
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1"),
    *("192.168.1.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    # an address of IPv4 within one of IPv6: mapped, compatible, translated, 6to4, NAT64, Teredo
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:0:10.0.0.1", "2002:7f00:1::", "2002:a00:1::"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2001:0:7f00:1::", "2001:db8::1", "100::1"),
)
SPELLINGS = (
    *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "012.0.0.1", "127.0.0.1.", "localhost"),
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]"),
)


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch):
    """Nobody may be called."""
    monkeypatch.delenv("TOUCHSTONE_PRIVATE_ENDPOINTS", raising=False)

    def called(address, *args, **more):
        raise AssertionError(f"{address} was called")

    monkeypatch.setattr(socket, "create_connection", called)


@pytest.mark.parametrize("is_public", [outbound.is_public, endpoint._is_public])
def test_an_address_is_public_or_it_is_not(is_public):
    assert [one for one in PUBLIC if not is_public(one)] == []
    assert [one for one in PRIVATE if is_public(one)] == []


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_this_machine_is_called(host):
    with pytest.raises((outbound.Refused, outbound.Unreachable)):
        outbound.send(f"https://{host}/", b"", {})
    with pytest.raises((BadData, Unanswered, endpoint.Busy)):
        endpoint._connection(f"http://{host}/v1").connect()


def test_a_name_that_means_something_else_a_moment_later_is_asked_once(monkeypatch):
    """The connection goes to the address that was looked at."""
    asked, called = [], []

    def look_up(host, port, **more):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34" if len(asked) == 1 else "10.0.0.1", port))]

    def call(address, *args, **more):
        called.append(address)
        raise OSError("nobody is there")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", call)
    with pytest.raises(endpoint.Busy):
        endpoint.Endpoint("https://models.example/v1", "m").ask([])
    assert (asked, called) == (["models.example"], [("93.184.216.34", 443)])


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
    with pytest.raises(Unanswered, match="private"):
        endpoint.allowed_addresses("https://models.example/v1")
