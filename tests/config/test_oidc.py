"""Signing in by a provider of the operator's: it opens accounts that are there, and makes none for strangers."""

import re
from html import unescape
from urllib.parse import urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse

from annotation import invitations
from annotation.models import User
from config import oidc
from tests.config import provider as small


@pytest.fixture
def provider(settings):
    with small.running() as running:
        app = oidc.provider(f"Company|{running.url}|{small.CLIENT}|{small.SECRET}", plain=True)
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
        settings.OIDC_NAME = "Company"
        settings.OIDC_SIGN_UP = False
        running.person = {"sub": "17", "email": "dora@example.com", "preferred_username": "dora"}
        yield running


def through(client, follow=True, **sent):
    """Press the button, say yes at the provider, come back."""
    going = client.post(reverse("openid_connect_login", args=["oidc"]), sent)
    assert going.status_code == 200
    there = unescape(re.search(r'content="0;url=([^"]+)"', going.content.decode())[1])
    back = urlsplit(requests.get(there, allow_redirects=False, timeout=10).headers["Location"])
    return client.get(f"{back.path}?{back.query}", follow=follow)


def who(client):
    return client.session.get("_auth_user_id")


def test_the_sign_in_page_has_its_button_only_where_there_is_one(client, db, settings):
    assert "Sign in with" not in client.get("/sign-in/").content.decode()
    settings.OIDC_NAME = "Company"
    assert "Sign in with Company" in client.get("/sign-in/").content.decode()


def test_a_stranger_is_refused_and_gets_no_account(client, provider, db):
    answer = through(client)
    assert answer.status_code == 403
    assert "You have no account here" in answer.content.decode()
    assert not User.objects.exists()
    assert who(client) is None


def test_whoever_opened_an_invitation_first_gets_an_account_and_joins(client, provider, project, alice):
    link = invitations.invite(project=project, actor=alice, role="annotator")
    page = reverse("join", args=[link.token])
    assert "Join with Company" in client.get(page).content.decode()
    answer = through(client, next=page)
    dora = User.objects.get(username="dora")
    assert (dora.email, dora.is_staff, dora.has_usable_password()) == ("dora@example.com", False, False)
    assert "Join as dora" in answer.content.decode()
    assert client.post(page)["Location"] == "/projects/desk/"
    assert project.memberships.filter(person=dora).exists()


@pytest.mark.parametrize("where", ["/", "/join/nobody-made-this/", "https://evil.example/join/x/", "closed"])
def test_a_link_that_admits_nobody_makes_no_account(client, provider, project, alice, where):
    link = invitations.invite(project=project, actor=alice, role="annotator")
    invitations.revoke(invitation=link, actor=alice.person)
    answer = through(client, next=reverse("join", args=[link.token]) if where == "closed" else where)
    assert answer.status_code == 403
    assert User.objects.count() == 1


def test_everybody_whom_the_provider_knows_may_come_if_the_operator_says_so(client, provider, db, settings):
    settings.OIDC_SIGN_UP = True
    through(client)
    assert who(client) == str(User.objects.get(username="dora").pk)
    other = Client()
    through(other)
    assert who(other) == who(client), "the second time it is the same account"


def test_an_account_with_the_same_address_is_not_taken_for_theirs(client, provider, charlie, settings):
    settings.OIDC_SIGN_UP = True
    User.objects.filter(pk=charlie.pk).update(email="Dora@example.com")
    answer = through(client)
    assert answer.status_code == 403
    assert "not connected yet" in answer.content.decode()
    assert User.objects.count() == 1
    assert who(client) is None


def test_an_account_is_connected_by_whoever_is_signed_in(client, provider, charlie):
    client.post("/sign-in/", {"username": "charlie", "password": "charlie-has-a-secret"})
    through(client, process="connect", next="/account/")
    assert SocialAccount.objects.get().user == charlie
    other = Client()
    through(other)
    assert who(other) == str(charlie.pk)
    page = other.get(reverse("socialaccount_connections")).content.decode()
    assert "Disconnect" in page
    other.post(reverse("socialaccount_connections"), {"account": SocialAccount.objects.get().pk})
    assert not SocialAccount.objects.exists()


def test_nobody_is_connected_without_being_signed_in(client, provider, charlie):
    through(client, process="connect")
    assert not SocialAccount.objects.exists()


def test_a_closed_account_stays_closed(client, provider, charlie):
    SocialAccount.objects.create(user=charlie, provider="oidc", uid="17")
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    assert "This account was closed" in through(client).content.decode()
    assert who(client) is None


def test_a_word_that_was_meant_for_another_site_opens_nothing(client, provider, charlie):
    SocialAccount.objects.create(user=charlie, provider="oidc", uid="17")
    provider.audience = "another-site"
    assert "That did not work" in through(client).content.decode()
    assert who(client) is None


def test_an_answer_that_nobody_asked_for_opens_nothing(client, provider, charlie):
    SocialAccount.objects.create(user=charlie, provider="oidc", uid="17")
    answer = client.get(reverse("openid_connect_callback", args=["oidc"]), {"code": "x", "state": "made-up"})
    assert "That did not work" in answer.content.decode()
    assert who(client) is None


def test_a_provider_that_does_not_answer_is_said_so(client, db, settings):
    app = oidc.provider("Company|http://127.0.0.1:9|desk|secret", plain=True)
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    answer = client.post(reverse("openid_connect_login", args=["oidc"]))
    assert (answer.status_code, "That did not work" in answer.content.decode()) == (502, True)


def test_a_link_alone_starts_nothing(client, provider, db):
    assert client.get(reverse("openid_connect_login", args=["oidc"])).status_code == 405
    assert client.post(reverse("openid_connect_login", args=["other"])).status_code == 404


def test_whoever_has_no_password_signs_in_anew_before_a_change(client, provider, db, settings):
    settings.OIDC_SIGN_UP = True
    through(client)
    assert client.get(reverse("account_name")).status_code == 200
    client.force_login(User.objects.get())
    client.session.flush()
    client.force_login(User.objects.get())
    assert client.get(reverse("account_name"))["Location"].startswith(reverse("sign_in_anew"))
    assert "Company" in client.get(reverse("sign_in_anew")).content.decode()


@pytest.mark.parametrize("wrong", ["Company", "a|b|c", "a|ftp://x|c|d", "a|http://x.example|c|hush", "|https://x|c|d"])
def test_what_is_not_understood_is_refused_and_no_secret_repeated(wrong):
    with pytest.raises(ValueError, match="TOUCHSTONE_OIDC") as refused:
        oidc.provider(wrong)
    assert "hush" not in str(refused.value)
