"""Sending a request again without doing the thing twice: the header `Idempotency-Key`.

The answer is kept in the transaction that does the work, so both are there or neither, whatever dies meanwhile; whoever
sends the same again is given that answer. A refusal is not kept: nothing was done. While a request is under way its key
is held by a lock of PostgreSQL, which goes with the connection if the process is killed.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from tempfile import SpooledTemporaryFile
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.models import KeptAnswer, User

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
LONGEST = 255
KEPT = timedelta(hours=24)
CHUNK = 64 * 1024


class UnderWay(APIException):
    status_code = 409
    default_detail = "A request with this Idempotency-Key is under way: wait for its answer."


class AnotherRequest(APIException):
    status_code = 422
    default_detail = "This Idempotency-Key was sent with another request: draw a new key for each thing to be done."


def once(handle: Callable[..., Any], *, person: User, key: str, request: Request, named: dict[str, Any]) -> Any:
    """What `handle` answers; or what it answered when the same person sent the same request with this key before."""
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= LONGEST):
        raise ValidationError({HEADER: [f"Between 1 and {LONGEST} letters, digits and signs."]})
    sent = _fingerprint(request)
    with transaction.atomic():
        if not _hold(person, key):
            raise UnderWay
        kept = KeptAnswer.objects.filter(person=person, key=key).first()
        if kept is not None and kept.created_at < timezone.now() - KEPT:
            kept.delete()
            kept = None
        if kept is not None:
            if kept.request != sent:
                raise AnotherRequest
            body = json.loads(kept.body) if kept.body else None
            return Response(body, status=kept.status, headers={REPLAYED: "true"})
        answer = handle(request, **named)
        if answer.status_code >= 400:
            transaction.set_rollback(True)
            return answer
        if not isinstance(answer, Response):  # a file or a stream: too much to keep
            return answer
        body = "" if answer.data is None else JSONRenderer().render(answer.data).decode()
        KeptAnswer.objects.create(person=person, key=key, request=sent, status=answer.status_code, body=body)
    return answer


def _hold(person: User, key: str) -> bool:
    """Until the transaction ends; False if another request has it."""
    digest = hashlib.sha256(f"{person.pk} {key}".encode()).digest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], signed=True)])
        return bool(cursor.fetchone()[0])


def _fingerprint(request: Request) -> str:
    """Hash of the whole request; what may be long goes by way of the disk, and is read from there by its parser."""
    plain: Any = request._request
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()} {request.content_type}\n".encode())
    if plain.content_type == "application/json":
        digest.update(plain.body)
        return digest.hexdigest()
    if plain._read_started:
        raise ValidationError({HEADER: ["With a form and a session there is none: send an access key."]})
    body: Any = SpooledTemporaryFile(max_size=16 * CHUNK)  # noqa: SIM115  # closed with the request
    for chunk in iter(lambda: plain.read(CHUNK), b""):
        digest.update(chunk)
        body.write(chunk)
    if body.tell():
        body.seek(0)
        request._stream = body  # what the parser reads
    return digest.hexdigest()


def forget() -> int:
    """Delete answers that are kept no longer; returns how many."""
    return KeptAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
