"""Webhooks: who is told, and sending what waits, signed as the Standard Webhooks specification has it.

The row of a delivery is the truth. Whoever sends claims it first, by putting its next try off: if they die, it is due
again then, with the same id. So each message arrives once or more, and receivers go by its id.
"""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from annotation import outbound
from annotation.models import Delivery, Project, User, Webhook
from annotation.models.events import record
from annotation.models.webhooks import PING, DeliveryState, Group, envelope, wake, webhook_secret

MOST = 10  # of a project
MOST_TRIES = 9  # over about a day
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 6 * 3600.0
CLAIMED_FOR = timedelta(seconds=60)  # longer than any sending takes
QUIET = timedelta(seconds=60)  # for a server that does not answer at all
AT_ONCE = 8
BUDGET = 30.0  # seconds of the queue's worker, which has other things to do
KEPT = timedelta(days=30)
EXCERPT = 500  # characters of what came back
CHANGEABLE = {"url", "groups", "active"}

CLAIM = """
UPDATE annotation_delivery SET attempts = attempts + 1, next_try_at = %(until)s
WHERE id IN (
    SELECT id FROM annotation_delivery WHERE id IN (
        SELECT DISTINCT ON (delivery.webhook_id) delivery.id
        FROM annotation_delivery delivery JOIN annotation_webhook webhook ON webhook.id = delivery.webhook_id
        WHERE delivery.state = 'waiting' AND delivery.next_try_at <= %(now)s AND webhook.active
          AND coalesce(webhook.quiet_until, %(now)s) <= %(now)s AND NOT delivery.webhook_id = ANY(%(not_to)s)
        ORDER BY delivery.webhook_id, delivery.id
    ) AND state = 'waiting' AND next_try_at <= %(now)s
    LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


@transaction.atomic
def make(*, project: Project, actor: User, url: str, groups: Iterable[str]) -> Webhook:
    """Tell another server of these groups of events; raises ValidationError for an address that cannot be."""
    _check_address(url)
    chosen = _chosen(groups)
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    if project.webhooks.count() >= MOST:
        raise ValidationError(f"A project has {MOST} webhooks at most: delete one first.")
    made = Webhook.objects.create(project=project, author=actor, url=url, groups=chosen)
    record("webhook made", made, project=project, actor=actor, url=url, groups=chosen)
    return made


@transaction.atomic
def change(*, webhook: Webhook, actor: User, **changes: Any) -> Webhook:
    """Change its address, its groups, or whether it is active; raises as `make` does. What waits for one that is not
    active is sent when it is again."""
    assert set(changes) <= CHANGEABLE, changes
    if changes.get("url", webhook.url) != webhook.url:
        _check_address(changes["url"])
    changes["groups"] = _chosen(changes.get("groups", webhook.groups))
    changed = {name: value for name, value in changes.items() if getattr(webhook, name) != value}
    for name, value in changed.items():
        setattr(webhook, name, value)
    if changed:
        webhook.save(update_fields=list(changed))
        record("webhook changed", webhook, project=webhook.project, actor=actor, **changed)
        transaction.on_commit(wake)
    return webhook


def _check_address(url: str) -> None:
    try:
        outbound.checked(url)
    except outbound.Refused as error:
        raise ValidationError({"url": [str(error)]}) from error


def _chosen(groups: Iterable[str]) -> list[str]:
    asked = set(groups)
    chosen = [group for group in Group.values if group in asked]
    if not chosen or asked - set(chosen):
        raise ValidationError({"groups": ["Choose what it is told of."]})
    return chosen


@transaction.atomic
def renew_secret(*, webhook: Webhook, actor: User) -> str:
    """A new secret; the old one signs nothing any more."""
    webhook.secret = webhook_secret()
    webhook.save(update_fields=["secret"])
    record("webhook secret renewed", webhook, project=webhook.project, actor=actor, url=webhook.url)
    return webhook.secret


@transaction.atomic
def delete(*, webhook: Webhook, actor: User) -> None:
    """It is told nothing any more; its deliveries go with it."""
    record("webhook deleted", webhook, project=webhook.project, actor=actor, url=webhook.url)
    webhook.delete()


@transaction.atomic
def ping(*, webhook: Webhook, actor: User) -> Delivery:
    """A message of no event, to see whether the address is right; raises ValidationError for one that is off."""
    if not webhook.active:
        raise ValidationError("This webhook is off: turn it on first.")
    Webhook.objects.filter(pk=webhook.pk).update(quiet_until=None)
    payload = {**envelope(PING, webhook.project, actor, timezone.now().isoformat()), "webhook": webhook.pk}
    made = Delivery.objects.create(webhook=webhook, verb=PING, payload=payload)
    transaction.on_commit(wake)
    return made


@transaction.atomic
def send_again(*, delivery: Delivery) -> None:
    """Try now, and from the beginning, under the same id."""
    Webhook.objects.filter(pk=delivery.webhook_id).update(quiet_until=None)
    Delivery.objects.filter(pk=delivery.pk).update(
        state=DeliveryState.WAITING, attempts=0, next_try_at=timezone.now(), delivered_at=None
    )
    transaction.on_commit(wake)


def deliver() -> int:
    """Send what is due, to several servers at once but to each one message after another, for half a minute at most;
    returns how many arrived. Whoever does not answer is asked again later. Safe to run at any time, anywhere."""
    began, arrived, silent = monotonic(), 0, set[int]()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while monotonic() - began < BUDGET:
            claimed = _claim(silent)
            if not claimed:
                return arrived
            for one, outcome in zip(claimed, threads.map(_send, claimed), strict=True):
                _note(one, outcome)
                if one.state == DeliveryState.DELIVERED:
                    arrived += 1
                else:
                    silent.add(one.webhook_id)
    wake()
    return arrived


def _claim(not_to: set[int]) -> list[Delivery]:
    now = timezone.now()
    asked: dict[str, Any] = {"now": now, "until": now + CLAIMED_FOR, "not_to": list(not_to), "most": AT_ONCE}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, asked)
        claimed = [row[0] for row in cursor.fetchall()]
    return list(Delivery.objects.filter(pk__in=claimed).select_related("webhook"))


def _send(one: Delivery) -> outbound.Answer | Exception:
    """In a thread, without the database."""
    body = json.dumps(one.payload, ensure_ascii=False).encode()
    now = str(int(timezone.now().timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Touchstone-Webhook/1",
        "Webhook-Id": str(one.uuid),
        "Webhook-Timestamp": now,
        "Webhook-Signature": signature(one.webhook.secret, str(one.uuid), now, body),
    }
    try:
        return outbound.send(one.webhook.url, body, headers)
    except (outbound.Refused, outbound.Unreachable) as error:
        return error


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """
    >>> signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
    ...           b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed).decode()


def _note(one: Delivery, outcome: outbound.Answer | Exception) -> None:
    """Write down what came of a try: only while it is still ours, and not sent again meanwhile."""
    now = timezone.now()
    known = Delivery.objects.filter(pk=one.pk, state=DeliveryState.WAITING, attempts=one.attempts)
    if isinstance(outcome, outbound.Answer):
        one.status_code, one.answer = outcome.status, outcome.text.replace("\0", "")[:EXCERPT]
        if 300 <= outcome.status < 400:
            one.answer = "It sent us on to another address; that is not followed."
    else:
        one.status_code, one.answer = None, str(outcome)[:EXCERPT]
        Webhook.objects.filter(pk=one.webhook_id).update(quiet_until=now + QUIET)
    if one.status_code is not None and 200 <= one.status_code < 300:
        one.state, one.delivered_at = DeliveryState.DELIVERED, now
    elif one.attempts >= MOST_TRIES:
        one.state = DeliveryState.FAILED
    else:
        one.next_try_at = now + pause(one.attempts)
    known.update(
        state=one.state,
        status_code=one.status_code,
        answer=one.answer,
        delivered_at=one.delivered_at,
        next_try_at=one.next_try_at,
    )


def pause(attempts: int) -> timedelta:
    """How long to wait after so many tries: four times as long each time, give or take a fifth."""
    return timedelta(seconds=min(FIRST_PAUSE * 4 ** (attempts - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2))


def forget() -> int:
    """Delete deliveries of long ago that came to an end; returns how many."""
    ended = Delivery.objects.exclude(state=DeliveryState.WAITING)
    return ended.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
