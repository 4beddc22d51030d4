"""Making, recognising and revoking access keys."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from annotation.models import AccessKey, Project, User
from annotation.models.accesskeys import Scope
from annotation.models.events import record

MARK = "tst_"  # how secrets begin, so that scanners find one that was published
SHOWN = 10  # characters of a secret that tell it from others
MOST_DAYS = 365
DAYS = (7, 30, 90, MOST_DAYS)
MOST_WORKING = 50  # of one person
SIGNED_IN = "Signed in over the API"
SIGN_IN_DAYS, MOST_SIGN_INS = 30, 20
USED_EVERY = timedelta(minutes=1)
FORGOTTEN_AFTER = timedelta(days=90)  # since a key ended


@transaction.atomic
def make(
    *,
    owner: User,
    name: str,
    scopes: Iterable[str],
    days: int,
    project: Project | None = None,
    by: AccessKey | None = None,
) -> tuple[AccessKey, str]:
    """A new key and its secret, which nobody can be told again. `by` is the key that asks, if one does: it passes on no
    more than it opens itself. Raises ValidationError for what cannot be."""
    chosen = [scope for scope in Scope.values if scope in set(scopes)]
    if not chosen:
        raise ValidationError({"scopes": ["Choose what the key opens."]})
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError({"days": [f"A key works for 1 to {MOST_DAYS} days."]})
    if by is not None and (missing := [scope for scope in chosen if scope not in by.scopes]):
        raise ValidationError({"scopes": [f"The key you use does not open this itself: {', '.join(missing)}."]})
    if project is not None and not Project.objects.visible_to(owner).filter(pk=project.pk).exists():
        raise ValidationError({"project": ["Choose a project of yours."]})
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)
    if AccessKey.objects.working().filter(owner=owner).count() >= MOST_WORKING:
        raise ValidationError(f"You have {MOST_WORKING} keys that work: revoke one first.")
    secret = MARK + secrets.token_urlsafe(32)
    key = AccessKey.objects.create(
        owner=owner,
        name=name,
        prefix=secret[:SHOWN],
        sha256=hashed(secret),
        scopes=chosen,
        project=project,
        expires_at=timezone.now() + timedelta(days=days),
    )
    record("access key made", key, project=project, actor=owner, name=name, prefix=key.prefix, scopes=chosen)
    return key, secret


def sign_in(*, person: User, scopes: Iterable[str], days: int) -> tuple[AccessKey, str]:
    """A key for whoever just gave their password; of these only the newest go on working."""
    old = AccessKey.objects.working().filter(owner=person, name=SIGNED_IN).order_by("-id")[MOST_SIGN_INS - 1 :]
    for key in old:
        revoke(key=key, actor=person)
    return make(owner=person, name=SIGNED_IN, scopes=scopes, days=days)


@transaction.atomic
def revoke(*, key: AccessKey, actor: User) -> bool:
    """The key opens nothing any more; False if that was so already."""
    if not AccessKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
        return False
    record("access key revoked", key, project=key.project, actor=actor, name=key.name, prefix=key.prefix)
    return True


def holder(secret: str) -> AccessKey | None:
    """The key that works with this secret, its owner beside it; notes that it was used."""
    found = AccessKey.objects.working().select_related("owner").filter(sha256=hashed(secret)).first()
    if found is None or not found.owner.is_active:
        return None
    now = timezone.now()
    if found.last_used_at is None or found.last_used_at < now - USED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - USED_EVERY)
        AccessKey.objects.filter(stale, pk=found.pk).update(last_used_at=now)
    found.owner.within = found.project_id
    return found


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def forget() -> int:
    """Delete keys that ended long ago; returns how many."""
    since = timezone.now() - FORGOTTEN_AFTER
    ended = AccessKey.objects.filter(Q(revoked_at__lt=since) | Q(expires_at__lt=since))
    return ended.delete()[0]
