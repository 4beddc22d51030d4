"""The pages for programs: access keys, whose secrets are shown once, and webhooks with the log of their messages."""

import html
import re
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation import accesskeys, webhooks
from annotation.models import AccessKey, Delivery, Project, Webhook
from annotation.models.webhooks import DeliveryState

HOOKS = "/projects/desk/webhooks/"
SAID = {"url": "https://hooks.example/chat", "groups": ["runs", "rounds"]}


def secret_in(page: Any) -> str | None:
    found = re.search(r'id="secret"[^>]*value="([^"]+)"', page.content.decode())
    return html.unescape(found[1]) if found else None


@pytest.fixture
def as_bob(client, bob):
    client.force_login(bob.person)
    return client


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice.person)
    return client


class TestAccessKeys:
    def test_a_new_key_is_shown_once_and_works(self, as_bob, bob, project):
        said = {"name": "Nightly export", "scopes": ["read"], "project": project.pk, "days": "30"}
        page = as_bob.post(reverse("access_keys"), said)
        secret = secret_in(page)
        assert secret is not None
        assert "no-store" in page["Cache-Control"]
        key = accesskeys.holder(secret)
        assert key is not None
        assert (key.owner, key.scopes, key.project) == (bob.person, ["read"], project)
        again = as_bob.get(reverse("access_keys"))
        assert secret_in(again) is None
        assert secret not in again.content.decode()
        assert key.prefix in again.content.decode()

    def test_what_is_wrong_is_said_beside_the_field(self, as_bob):
        other = Project.objects.create(slug="other", name="Other")
        for wrong in ({"scopes": []}, {"scopes": ["all"]}, {"days": "400"}, {"name": ""}, {"project": other.pk}):
            said = {"name": "x", "scopes": ["read"], "days": "30", **wrong}
            page = as_bob.post(reverse("access_keys"), said)
            assert page.status_code == 422, wrong
            assert secret_in(page) is None
        assert not AccessKey.objects.exists()

    def test_one_revokes_ones_own_and_nobody_elses(self, as_bob, bob, alice):
        own, theirs = (
            accesskeys.make(owner=who.person, name=f"{who.person}'s", scopes=["read"], days=1)[0]
            for who in (bob, alice)
        )
        assert as_bob.post(reverse("revoke_access_key", args=[theirs.pk])).status_code == 404
        page = as_bob.post(reverse("revoke_access_key", args=[own.pk]), follow=True).content.decode()
        assert "is revoked" in page
        assert "Keys that work no more: 1" in page
        assert "alice" not in page
        assert list(AccessKey.objects.working()) == [theirs]


class TestWebhooks:
    def test_a_new_one_is_shown_with_its_secret_once(self, as_alice, project):
        page = as_alice.post(HOOKS, SAID)
        made = Webhook.objects.get()
        assert secret_in(page) == made.secret
        assert (made.url, made.groups) == (SAID["url"], SAID["groups"])
        where = reverse("webhook", args=["desk", made.pk])
        assert secret_in(as_alice.get(where)) is None
        assert made.secret not in as_alice.get(HOOKS).content.decode()
        renewed = secret_in(as_alice.post(reverse("renew_webhook_secret", args=["desk", made.pk])))
        made.refresh_from_db()
        assert renewed == made.secret != secret_in(page)

    @pytest.mark.parametrize("wrong", [{"url": "http://hooks.example/"}, {"url": ""}, {"groups": []}])
    def test_what_is_wrong_is_said(self, as_alice, project, wrong):
        page = as_alice.post(HOOKS, {**SAID, **wrong})
        assert page.status_code == 422
        assert "errorlist" in page.content.decode()
        assert not Webhook.objects.exists()

    @pytest.fixture
    def hook(self, project, alice):
        return webhooks.make(project=project, actor=alice.person, **SAID)

    def test_a_lead_changes_it_and_turns_it_off(self, as_alice, hook):
        where = reverse("webhook", args=["desk", hook.pk])
        assert as_alice.post(where, {**SAID, "groups": ["people"]}).status_code == 302
        hook.refresh_from_db()
        assert (hook.groups, hook.active) == (["people"], False)
        assert "nothing is sent" in as_alice.get(where).content.decode()
        page = as_alice.post(reverse("ping_webhook", args=["desk", hook.pk]), follow=True)
        assert "turn it on first" in page.content.decode()
        assert not Delivery.objects.exists()

    def test_the_log_says_how_each_message_went(self, as_alice, hook, alice):
        for state in (
            {"state": DeliveryState.DELIVERED, "status_code": 200, "answer": "thanks", "attempts": 1},
            {"state": DeliveryState.FAILED, "status_code": 500, "answer": "<b>broken</b>", "attempts": 9},
            {"answer": "could not be reached", "attempts": 2},
        ):
            sent = webhooks.ping(webhook=hook, actor=alice.person)
            Delivery.objects.filter(pk=sent.pk).update(**state)
        page = as_alice.get(reverse("webhook", args=["desk", hook.pk])).content.decode()
        for words in ("Delivered", "Given up", "Is tried again", "9 tries", "2 tries, next", "&lt;b&gt;broken"):
            assert words in page
        assert "<b>broken" not in page

    def test_a_message_is_sent_again_under_its_id(self, as_alice, hook, alice):
        sent = webhooks.ping(webhook=hook, actor=alice.person)
        long_ago = timezone.now()
        Delivery.objects.filter(pk=sent.pk).update(state=DeliveryState.FAILED, attempts=9, next_try_at=long_ago)
        assert as_alice.post(reverse("send_again", args=["desk", hook.pk, sent.pk])).status_code == 302
        again = Delivery.objects.get()
        assert (again.state, again.attempts, again.uuid) == (DeliveryState.WAITING, 0, sent.uuid)
        assert again.next_try_at > long_ago

    def test_the_log_goes_on_for_pages(self, as_alice, hook, alice):
        for _ in range(27):
            webhooks.ping(webhook=hook, actor=alice.person)
        where = reverse("webhook", args=["desk", hook.pk])
        first = as_alice.get(where).content.decode()
        older = re.search(r'rel="next" href="([^"]+)"', first)
        assert older is not None
        assert as_alice.get(older[1]).content.decode().count("Try now") == 2

    def test_a_webhook_of_another_project_is_not_there(self, as_alice, hook, alice):
        other = Project.objects.create(slug="other", name="Other")
        theirs = Webhook.objects.create(project=other, author=alice.person, url="https://x.example/", groups=["runs"])
        sent = webhooks.ping(webhook=theirs, actor=alice.person)
        assert as_alice.get(reverse("webhook", args=["desk", theirs.pk])).status_code == 404
        assert as_alice.post(reverse("send_again", args=["desk", hook.pk, sent.pk])).status_code == 404

    def test_it_is_deleted_with_its_log(self, as_alice, hook, alice):
        webhooks.ping(webhook=hook, actor=alice.person)
        page = as_alice.post(reverse("delete_webhook", args=["desk", hook.pk]), follow=True)
        assert "told nothing any more" in page.content.decode()
        assert not Webhook.objects.exists()
        assert not Delivery.objects.exists()


class TestAdmin:
    @pytest.fixture
    def key(self, bob):
        return accesskeys.make(owner=bob.person, name="A program", scopes=["read"], days=1)[0]

    def test_a_superuser_sees_and_revokes_any_key(self, admin_client, key):
        assert "A program" in admin_client.get(reverse("admin:annotation_accesskey_changelist")).content.decode()
        page = admin_client.get(reverse("admin:annotation_accesskey_change", args=[key.pk])).content.decode()
        assert key.prefix in page
        assert key.sha256 not in page
        where = reverse("admin:annotation_accesskey_revoke", args=[key.pk])
        assert admin_client.get(where).status_code == 200
        assert AccessKey.objects.working().exists()
        assert admin_client.post(where, {"_form_submitted": "True"}).status_code == 302
        assert not AccessKey.objects.working().exists()

    def test_a_lead_who_is_staff_does_not(self, as_alice, alice, key):
        alice.person.is_staff = True
        alice.person.save()
        assert as_alice.get(reverse("admin:annotation_accesskey_changelist")).status_code == 403
        for page in ("change", "revoke"):
            where = reverse(f"admin:annotation_accesskey_{page}", args=[key.pk])
            assert as_alice.get(where).status_code in (403, 404)
            assert as_alice.post(where, {"_form_submitted": "True"}).status_code in (403, 404)
        assert AccessKey.objects.working().exists()
        assert reverse("admin:annotation_accesskey_changelist") not in as_alice.get("/admin/").content.decode()
