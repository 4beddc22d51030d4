"""Each page says what a browser may load and run on it."""

import pytest


@pytest.fixture
def signed_in(client, project, alice):
    client.force_login(alice.person)
    return client


@pytest.mark.parametrize(
    "address", ["/", "/projects/desk/", "/projects/desk/label/comparison/", "/sign-in/", "/nowhere/"]
)
def test_a_page_of_ours_runs_our_own_files_alone(signed_in, address):
    policy = signed_in.get(address)["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "base-uri 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_without_signing_in_the_policy_is_the_same(client, db):
    assert "unsafe" not in client.get("/sign-in/")["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("address", "scripts"),
    [("/admin/", "script-src 'self' 'unsafe-inline' 'unsafe-eval'"), ("/api/docs/", "script-src 'self';")],
)
def test_pages_of_packages_get_what_they_need_and_nothing_from_elsewhere(admin_client, address, scripts):
    policy = admin_client.get(address)["Content-Security-Policy"]
    assert scripts in f"{policy};"
    assert "http" not in policy
    assert "default-src 'none'" in policy
