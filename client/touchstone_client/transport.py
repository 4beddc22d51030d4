"""Requests that may be sent again: none is ever carried out twice.

Reading is safe to repeat. A change carries an Idempotency-Key, by which the server knows it again, and a label its own
`client_uuid` besides. So after a broken connection or a busy server the same request is sent again, a few times.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx2

from touchstone_client.errors import Unreachable, refusal

TRIES = 5
BUSY = {429, 502, 503, 504}
LONGEST_WAIT = 60.0  # seconds, whatever the server asks for
NDJSON = "application/x-ndjson"


class Transport:
    """One person at one server. `pause` waits between two tries; tests put their own there."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 60.0,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Authorization": f"Token {key}"} if key else {}
        base = f"{url.rstrip('/')}/api/v1/"
        self.http = httpx2.Client(base_url=base, headers=headers, timeout=timeout, transport=transport)
        self.pause = pause

    def get(self, path: str, **query: Any) -> Any:
        return self._answer(self._send("GET", path, params=_given(query)))

    def post(self, path: str, body: Any = None, *, known_again: bool = True) -> Any:
        """`known_again`: with an Idempotency-Key, which all changes take but those that answer with a secret."""
        headers = {"Idempotency-Key": str(uuid4())} if known_again else {}
        return self._answer(self._send("POST", path, json={} if body is None else body, headers=headers))

    def patch(self, path: str, body: Any) -> Any:
        return self._answer(self._send("PATCH", path, json=body))

    def post_lines(self, path: str, lines: bytes) -> Any:
        """JSON Lines that do nothing when they are sent again."""
        return self._answer(self._send("POST", path, content=lines, headers={"Content-Type": NDJSON}))

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """Every row of a list, page by page."""
        answer = self.get(path, page_size=500, **query)
        yield from answer["results"]
        while answer["next"]:
            answer = self._answer(self._send("GET", answer["next"]))
            yield from answer["results"]

    def lines(self, path: str, **query: Any) -> Iterator[Any]:
        """Rows as they arrive, however many. A connection that breaks on the way is an error: begin again."""
        request = self.http.build_request("GET", path, params=_given(query), headers={"Accept": f"{NDJSON}, */*;q=0.5"})
        try:
            answer = self.http.send(request, stream=True)
            try:
                if answer.is_error:
                    answer.read()
                    self._answer(answer)
                for line in answer.iter_lines():
                    if line:
                        yield json.loads(line)
            finally:
                answer.close()
        except httpx2.TransportError as error:
            raise Unreachable([f"The connection broke ({error}): begin again."]) from error

    def _send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        wait = 0.5
        for attempt in range(1, TRIES + 1):
            try:
                answer = self.http.request(method, path, **more)
            except httpx2.TransportError as error:
                if attempt == TRIES:
                    raise Unreachable([f"{self.http.base_url} could not be reached: {error}"]) from error
            else:
                if answer.status_code not in BUSY or attempt == TRIES:
                    return answer
                asked = answer.headers.get("Retry-After", "")
                wait = max(wait, min(float(asked), LONGEST_WAIT)) if asked.isdecimal() else wait
            self.pause(wait)
            wait *= 2
        raise AssertionError("the last try returns or raises")

    @staticmethod
    def _answer(answer: httpx2.Response) -> Any:
        try:
            body = answer.json() if answer.content else None
        except ValueError:
            body = None
        if answer.is_error:
            raise refusal(answer.status_code, body)
        return body


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None
    }
