"""Signing in with a second factor, by every door; a forgotten password; sessions."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from django.core import mail
from django.test import Client
from django.urls import reverse

from annotation import invitations, sessions
from annotation.models import Event, Membership, User
from config import mail as letters

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(secret=SECRET):
    return totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))


def with_factor(person):
    totp.TOTP.activate(person, SECRET)
    RecoveryCodes.activate(person)
    return person


def sign_in(client, name="bob", **more):
    return client.post("/sign-in/", {"username": name, "password": f"{name.split('@')[0]}-has-a-secret", **more})


def who(client):
    return client.session.get("_auth_user_id")


# By name or e-mail


def test_a_person_signs_in_by_e_mail_too(client, bob):
    User.objects.filter(pk=bob.person_id).update(email="bob@example.com")
    for wrong in ("bea@example.com", "bob@example.org"):
        sign_in(client, wrong)
        assert who(client) is None
    sign_in(client, "Bob@Example.com", password="bob-has-a-secret")
    assert who(client) == str(bob.person_id)


def test_a_name_that_looks_like_an_e_mail_is_a_name(client, db):
    odd = User.objects.create_user("ann@home", password="ann-has-a-secret")
    sign_in(client, "ann@home")
    assert who(client) == str(odd.pk)


def test_a_closed_account_is_refused_and_only_its_person_is_told_why(client, bob):
    User.objects.filter(pk=bob.person_id).update(is_active=False)
    assert "was closed" in sign_in(client).content.decode()
    assert "do not fit together" in sign_in(client, password="guess").content.decode()
    assert who(client) is None


def test_guessing_one_persons_password_ends_from_wherever_it_comes(bob):
    for number in range(10):
        Client(REMOTE_ADDR=f"10.0.0.{number}").post("/sign-in/", {"username": "bob", "password": "guess"})
    said = {"username": "bob", "password": "bob-has-a-secret"}
    late = Client(REMOTE_ADDR="10.0.1.1")
    assert late.post("/api/v1/token/", said, content_type="application/json").status_code == 400
    assert "Too many" in sign_in(late).content.decode()
    assert who(late) is None


def test_a_closed_account_gets_no_token(client, bob):
    said = {"username": "bob", "password": "bob-has-a-secret"}
    assert client.post("/api/v1/token/", said, content_type="application/json").status_code == 200
    User.objects.filter(pk=bob.person_id).update(is_active=False)
    assert client.post("/api/v1/token/", said, content_type="application/json").status_code == 400


def test_an_address_that_is_none_stops_nobody(bob, settings):
    settings.PROXIES = 1
    client = Client(HTTP_X_FORWARDED_FOR="unknown")
    sign_in(client)
    assert who(client) == str(bob.person_id)


def test_there_is_no_page_to_sign_up_on(client, db):
    for address in ("/account/signup/", "/sign-up/", "/accounts/signup/"):
        assert client.get(address).status_code == 404
    assert client.get(reverse("socialaccount_signup"))["Location"] == reverse("login")


# The second factor


def test_whoever_has_a_second_factor_is_asked_for_it(client, bob):
    with_factor(bob.person)
    answer = sign_in(client, next="/projects/desk/")
    assert answer["Location"] == reverse("mfa_authenticate")
    assert who(client) is None
    assert client.get("/projects/desk/").status_code == 302
    assert client.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    assert who(client) is None
    assert client.post(reverse("mfa_authenticate"), {"code": code()})["Location"] == "/projects/desk/"
    assert who(client) == str(bob.person_id)


def test_a_code_opens_once(client, bob):
    with_factor(bob.person)
    used = code()
    for browser, opened in ((client, True), (Client(), False)):
        sign_in(browser)
        browser.post(reverse("mfa_authenticate"), {"code": used})
        assert (who(browser) is not None) == opened


def test_a_recovery_code_opens_once(bob):
    with_factor(bob.person)
    kept = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    for opened in (True, False):
        browser = Client()
        sign_in(browser)
        browser.post(reverse("mfa_authenticate"), {"code": kept})
        assert (who(browser) is not None) == opened


def test_guessing_codes_ends(client, bob):
    with_factor(bob.person)
    sign_in(client)
    for _ in range(10):
        client.post(reverse("mfa_authenticate"), {"code": "000000"})
    client.post(reverse("mfa_authenticate"), {"code": code()})
    assert who(client) is None


def test_the_admin_is_no_way_around_it(client, alice):
    with_factor(alice.person)
    User.objects.filter(pk=alice.person_id).update(is_staff=True)
    assert client.post("/admin/login/", {"username": "alice", "password": "alice-has-a-secret"}).status_code == 405
    door = client.get("/admin/", follow=True)
    assert door.request["PATH_INFO"] == reverse("login")
    listed = client.get("/admin/annotation/label/?verdict=edit&p=2", follow=True).redirect_chain[-1][0]
    assert "%26p%3D2" in listed.replace("%2526", "%26").replace("%253D", "%3D"), "all of the address comes back"
    assert sign_in(client, "alice", next="/admin/")["Location"] == reverse("mfa_authenticate")
    assert client.get("/admin/").status_code == 302
    assert client.post(reverse("mfa_authenticate"), {"code": code()})["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_whoever_is_signed_in_and_not_staff_is_told_so_at_the_admins_door(client, bob):
    client.force_login(bob.person)
    assert client.get("/admin/", follow=True).status_code == 403


def test_an_invitation_is_no_way_around_it(client, project, alice, charlie):
    with_factor(charlie)
    page = reverse("join", args=[invitations.invite(project=project, actor=alice, role="annotator").token])
    said = {"with": "sign-in", "in-username": "charlie", "in-password": "charlie-has-a-secret"}
    assert client.post(page, said)["Location"] == reverse("mfa_authenticate")
    assert who(client) is None
    assert not Membership.objects.filter(person=charlie).exists()
    assert client.post(reverse("mfa_authenticate"), {"code": code()})["Location"] == page
    client.post(page)
    assert Membership.objects.filter(person=charlie).exists()


def test_a_token_is_no_way_around_it(client, bob, bea, settings):
    with_factor(bob.person)

    def ask(name):
        said = {"username": name, "password": f"{name}-has-a-secret"}
        return client.post("/api/v1/token/", said, content_type="application/json")

    assert ask("bob").status_code == 400
    assert "second factor" in ask("bob").content.decode()
    assert ask("bea").status_code == 200
    settings.SECOND_FACTOR = "all"
    assert ask("bea").status_code == 400


def test_a_new_password_is_no_way_around_it(client, bob):
    with_factor(bob.person)
    bob.person.set_password("another-long-secret")
    bob.person.save()
    assert sign_in(client, password="another-long-secret")["Location"] == reverse("mfa_authenticate")


def test_it_is_set_up_with_a_code_and_recovery_codes_are_shown(client, bob):
    sign_in(client)
    page = client.get(reverse("mfa_activate_totp")).content.decode()
    secret = re.search(r"<code>([A-Z2-7]+)</code>", page)[1]
    assert "<svg" in page
    assert client.post(reverse("mfa_activate_totp"), {"code": "000000"}).status_code == 200
    assert not Authenticator.objects.exists()
    shown = client.post(reverse("mfa_activate_totp"), {"code": code(secret)}, follow=True).content.decode()
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    assert all(one in shown for one in codes)
    assert codes[0] in client.get(reverse("mfa_download_recovery_codes")).content.decode()
    client.post(reverse("mfa_generate_recovery_codes"))
    assert codes[0] not in client.get(reverse("mfa_view_recovery_codes")).content.decode()
    client.post(reverse("mfa_deactivate_totp"))
    assert not Authenticator.objects.exists()


def test_it_is_not_changed_by_whoever_finds_a_browser_open(client, bob):
    with_factor(bob.person)
    client.force_login(bob.person)
    for name in ("mfa_deactivate_totp", "mfa_generate_recovery_codes", "account_name"):
        answer = client.post(reverse(name), {})
        assert answer["Location"].startswith("/account/confirm/")
    assert "****" not in client.get(reverse("mfa_view_recovery_codes")).content.decode()
    kept = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    assert kept not in client.get(reverse("mfa_view_recovery_codes")).content.decode()
    assert client.post(reverse("account_reauthenticate"), {"password": "wrong"}).status_code == 200
    client.post(reverse("account_reauthenticate"), {"password": "bob-has-a-secret"})
    assert client.get(reverse("account_name")).status_code == 200


class TestRequired:
    def test_of_nobody_unless_the_operator_says_so(self, client, alice):
        sign_in(client, "alice")
        assert client.get("/projects/desk/").status_code == 200

    def test_of_leads_and_staff(self, settings, alice, bob, charlie):
        settings.SECOND_FACTOR = "leads"
        User.objects.filter(pk=charlie.pk).update(is_staff=True)
        for name, free in (("alice", False), ("charlie", False), ("bob", True)):
            client = Client()
            sign_in(client, name)
            answer = client.get("/notices/")
            assert (answer.status_code == 200) == free, name
            if not free:
                assert answer["Location"] == reverse("mfa_index")
                assert client.get("/admin/")["Location"] == reverse("mfa_index")
                assert client.get("/api/v1/projects/").status_code == 403
                assert client.get(reverse("mfa_activate_totp")).status_code == 200

    def test_of_everybody(self, settings, client, bob):
        settings.SECOND_FACTOR = "all"
        sign_in(client)
        assert client.get("/")["Location"] == reverse("mfa_index")
        with_factor(bob.person)
        assert client.get("/").status_code == 200

    def test_and_then_it_stays(self, settings, client, bob):
        settings.SECOND_FACTOR = "all"
        with_factor(bob.person)
        sign_in(client)
        client.post(reverse("mfa_authenticate"), {"code": code()})
        assert client.get("/").status_code == 200
        assert "before you remove the last" in client.post(reverse("mfa_deactivate_totp")).content.decode()
        assert Authenticator.objects.filter(type="totp").exists()
        key = Authenticator.objects.create(user=bob.person, type="webauthn", data={"name": "Laptop", "credential": {}})
        client.post(reverse("mfa_deactivate_totp"))
        assert not Authenticator.objects.filter(type="totp").exists(), "another one is left"
        client.post(reverse("mfa_remove_webauthn", args=[key.pk]))
        assert Authenticator.objects.filter(type="webauthn").exists()
        client.post(reverse("logout"))
        assert client.get("/sign-in/").status_code == 200

    def test_a_session_of_somebody_else_in_the_same_browser_does_not_count(self, settings, client, bob, bea):
        settings.SECOND_FACTOR = "all"
        with_factor(bob.person)
        client.force_login(bob.person)
        assert client.get("/").status_code == 200
        client.force_login(bea.person)
        assert client.get("/").status_code == 302


def test_nobody_removes_the_passkey_of_another(client, bob, bea):
    key = Authenticator.objects.create(user=bob.person, type="webauthn", data={"name": "Laptop", "credential": {}})
    sign_in(client, "bea")
    assert client.post(reverse("mfa_remove_webauthn", args=[key.pk])).status_code == 404
    assert Client().post(reverse("mfa_remove_webauthn", args=[key.pk])).status_code == 302
    assert Authenticator.objects.filter(pk=key.pk).exists()


# Forgotten


def test_a_link_comes_by_e_mail_and_works_once(client, bob, settings):
    settings.MAIL = {"EMAIL_BACKEND": "locmem"}
    User.objects.filter(pk=bob.person_id).update(email="bob@example.com")
    elsewhere = Client()
    elsewhere.force_login(bob.person)
    client.post(reverse("account_reset_password"), {"email": "bob@example.com"})
    (letter,) = mail.outbox
    assert letter.to == ["bob@example.com"]
    address = re.search(r"http://testserver(/\S+)", letter.body)[1]
    form = client.get(address, follow=True)
    new = {"password1": "a-long-new-secret", "password2": "a-long-new-secret"}
    assert client.post(form.redirect_chain[-1][0], {**new, "password2": "other"}).status_code == 200
    client.post(form.redirect_chain[-1][0], new)
    assert who(client) is None, "a link in a letter signs nobody in"
    assert elsewhere.get("/account/").status_code == 302
    sign_in(client, password="a-long-new-secret")
    assert who(client) == str(bob.person_id)
    assert "no longer works" in Client().get(address, follow=True).content.decode()


def test_nobody_learns_who_has_an_account(client, bob):
    answers = [
        client.post(reverse("account_reset_password"), {"email": email}, follow=True).content
        for email in ("nobody@example.com", "someone@example.com")
    ]
    assert b"If an account has this address" in answers[0]
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("address", "host", "port", "whole"),
    [
        ("smtp://desk:se%40cret@mail.example", "mail.example", 587, False),
        ("smtps://desk:x@mail.example:4650", "mail.example", 4650, True),
    ],
)
def test_the_address_of_the_mail_server_says_all(address, host, port, whole):
    made = letters.settings(address)
    assert (made["EMAIL_HOST"], made["EMAIL_PORT"], made["EMAIL_USE_SSL"]) == (host, port, whole)


@pytest.mark.parametrize("wrong", ["mail.example", "http://mail.example", "smtp://", "smtp://u:hush@h:port"])
def test_a_wrong_address_is_refused_and_its_password_not_repeated(wrong):
    with pytest.raises(ValueError, match="TOUCHSTONE_EMAIL_URL") as refused:
        letters.settings(wrong)
    assert "hush" not in str(refused.value)


# The account


def test_a_password_is_changed_and_other_sessions_end(client, bob):
    elsewhere = Client()
    sign_in(elsewhere)
    sign_in(client)
    new = {"password1": "a-long-new-secret", "password2": "a-long-new-secret"}
    page = reverse("account_change_password")
    assert client.post(page, {**new, "oldpassword": "wrong"}).status_code == 200
    short = client.post(page, {**dict.fromkeys(new, "elevenchars"), "oldpassword": "bob-has-a-secret"})
    assert "at least 12" in short.content.decode()
    assert client.post(page, {**new, "oldpassword": "bob-has-a-secret"})["Location"] == "/account/"
    assert client.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302


def test_name_and_e_mail_are_changed_and_an_address_of_before_opens_nothing(client, bob, bea):
    User.objects.filter(pk=bea.person_id).update(email="bea@example.com")
    User.objects.filter(pk=bob.person_id).update(email="old@example.com")
    EmailAddress.objects.create(user=bob.person, email="old@example.com", primary=True)
    sign_in(client)
    page = reverse("account_name")
    said = {"first_name": "Robert", "last_name": "", "email": "new@example.com"}
    assert client.post(page, {**said, "email": "BEA@example.com"}).status_code == 422
    assert client.post(page, {**said, "username": "root", "is_staff": "on"})["Location"] == "/account/"
    person = User.objects.get(pk=bob.person_id)
    assert (person.get_full_name(), person.email, person.username, person.is_staff) == (
        "Robert", "new@example.com", "bob", False,
    )  # fmt: skip
    stranger = Client()
    sign_in(stranger, "old@example.com", password="bob-has-a-secret")
    assert who(stranger) is None


def test_a_person_sees_and_ends_their_own_sessions(client, bob, bea):
    phone, other = Client(HTTP_USER_AGENT="Mozilla/5.0 (Android 15) Firefox/140.0"), Client()
    sign_in(phone)
    sign_in(other, "bea")
    sign_in(client)
    assert "Firefox on Android" in client.get("/account/sessions/").content.decode()
    theirs, hers = (UserSession.objects.get(session_key=one.session.session_key) for one in (phone, other))
    assert client.post(reverse("end_session", args=[hers.pk])).status_code == 404
    assert client.get(reverse("end_session", args=[theirs.pk])).status_code == 405
    client.post(reverse("end_session", args=[theirs.pk]))
    assert phone.get("/account/").status_code == 302
    assert other.get("/account/").status_code == 200
    assert client.get("/account/").status_code == 200


def test_a_person_signs_out_everywhere_but_here(client, bob):
    old, listed = Client(), Client()
    old.force_login(bob.person)
    UserSession.objects.all().delete()  # as from before there was a list
    sign_in(listed)
    sign_in(client)
    assert client.post(reverse("end_sessions")).status_code == 302
    assert [one.get("/account/").status_code for one in (client, old, listed)] == [200, 302, 302]
    assert len(sessions.listed(bob.person)) == 1


def test_leads_end_sessions_of_people_they_see_and_a_superuser_removes_a_lost_factor(client, alice, bob, charlie):
    with_factor(bob.person)
    User.objects.filter(pk=alice.person_id).update(is_staff=True)
    theirs = Client()
    theirs.force_login(bob.person)
    client.force_login(alice.person)
    send = {"_form_submitted": "True"}

    def button(name, person):
        return reverse(f"admin:annotation_user_{name}", args=[person.pk])

    assert client.get(button("end_sessions", bob.person)).status_code == 200
    assert theirs.get("/account/").status_code == 200, "looking at the question ends nothing"
    assert client.post(button("end_sessions", charlie), send).status_code == 404
    assert client.post(button("remove_second_factor", bob.person), send).status_code == 403
    assert client.post(button("end_sessions", bob.person), send).status_code == 302
    assert theirs.get("/account/").status_code == 302
    assert Event.objects.get(verb="sessions ended").actor == alice.person
    client.force_login(User.objects.create_superuser("root"))
    client.post(button("remove_second_factor", bob.person), send)
    assert not Authenticator.objects.filter(user=bob.person).exists()


def test_keys_of_sessions_and_second_factors_are_on_no_page_of_the_admin(admin_client):
    page = admin_client.get("/admin/").content.decode()
    for model in ("mfa/authenticator", "usersessions/usersession", "socialaccount/socialtoken", "account/emailaddress"):
        assert model not in page
        assert admin_client.get(f"/admin/{model}/").status_code == 404


ACCOUNT = [
    *("account", "account_name", "account_change_password", "account_set_password", "account_reauthenticate"),
    *("mfa_reauthenticate", "mfa_index", "mfa_activate_totp", "mfa_view_recovery_codes", "sign_in_anew"),
    *(
        "mfa_add_webauthn",
        "mfa_reauthenticate_webauthn",
        "mfa_generate_recovery_codes",
        "mfa_download_recovery_codes",
        "socialaccount_connections",
        "sessions",
    ),
]


@pytest.mark.parametrize("name", ACCOUNT)
def test_nobody_sees_a_page_of_an_account_without_signing_in(client, db, name):
    answer = client.get(reverse(name))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("login"))


def test_passwords_are_kept_with_argon2(settings):
    from django.contrib.auth.hashers import check_password, identify_hasher, make_password

    settings.PASSWORD_HASHERS = ["config.hashing.Argon2", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    made = make_password("bob-has-a-secret")
    assert identify_hasher(made).algorithm == "argon2"
    assert made.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert check_password("bob-has-a-secret", made)
    old = make_password("bob-has-a-secret", hasher="pbkdf2_sha256")
    assert check_password("bob-has-a-secret", old)
