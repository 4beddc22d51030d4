"""Many annotators at the HTTP API, in a process of their own, so that what they cost is not the server's.

    python -m tests.benchmarks._crowd < plan.json

Each annotator keeps one connection open, as a browser does, and sends one request at a time: it asks for an item,
judges it, and gets the next one with the answer, until `seconds` are over or nothing is left. `think` seconds pass
before each label (drawn exponentially around it); 0 is a closed loop. With `insert` each only posts to the view of
`_limit.py`. Prints one JSON line: the milliseconds each cycle took, and the labels that were acknowledged.
"""

import asyncio
import json
import random
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Connection:
    """HTTP/1.1 with the least work on our side: one request, one answer with a length."""

    port: int
    token: str
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self.reader is not None
        body = json.dumps(data).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(answer.partition("content-length:")[2].partition("\r\n")[0] or 0)
        text = await self.reader.readexactly(length)
        if "connection: close" in answer:
            self.writer.close()
            self.reader = self.writer = None
        return int(answer[9:12]), json.loads(text or b"{}")


@dataclass
class Crowd:
    port: int
    project: str
    seconds: float
    think: float
    insert: bool
    cycles: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    refused: int = 0

    async def annotate(self, token: str, lot: random.Random) -> None:
        connection = Connection(self.port, token)
        held = None
        while time.monotonic() < self.until:
            if self.think:
                await asyncio.sleep(lot.expovariate(1 / self.think))
            started = time.perf_counter()
            if self.insert:
                status, _ = await connection.post("/insert/", {"text": "one row"})
                done = status == 201
            elif held is None:
                status, answer = await connection.post(f"/api/v1/projects/{self.project}/next/", {"kind": "comparison"})
                held = answer["assignment"] if status == 200 else None
                if held is None:
                    return
                continue
            else:
                one = str(uuid.UUID(int=lot.getrandbits(128), version=4))
                said = {"client_uuid": one, "ranks": lot.choice([[1, 2], [2, 1]]), "strength": 2, "next": True}
                status, answer = await connection.post(f"/api/v1/assignments/{held['id']}/submit/", said)
                done = status == 201
                if done:
                    self.labels.append(one)
                    held = answer["next"]
                    if held is None:
                        return
            if done:
                self.cycles.append(1000 * (time.perf_counter() - started))
            else:
                self.refused += 1

    async def run(self, tokens: list[str], seed: int) -> None:
        self.until = time.monotonic() + self.seconds
        await asyncio.gather(*(self.annotate(token, random.Random(f"{seed} {token}")) for token in tokens))


def main() -> None:
    plan = json.load(sys.stdin)
    tokens, seed = plan.pop("tokens"), plan.pop("seed")
    crowd = Crowd(**plan)
    started = time.monotonic()
    asyncio.run(crowd.run(tokens, seed))
    took = time.monotonic() - started
    print(json.dumps({"took": took, "cycles": crowd.cycles, "labels": crowd.labels, "refused": crowd.refused}))


if __name__ == "__main__":
    main()
