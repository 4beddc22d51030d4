"""A server on loopback that speaks as OpenAI's chat completions do, and answers what a test wants; and judges whose
leanings are known."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SHOWN = re.compile(r"Answer ([AB]), up to the line (\w+):\n(.*?)\n\2", re.S)


def judge(choose: Callable[[str, str], str]) -> Callable[[Any, Any], "Reply"]:
    """One that is asked about two answers: `choose` reads both, as they are shown, and says A, B or C."""

    def reply(body: Any, headers: Any) -> Reply:
        left, right = (text for _, _, text in SHOWN.findall(body["messages"][-1]["content"]))
        return 200, {}, said(f"Both say something.\n[[{choose(left, right)}]]")

    return reply


def said(text: str) -> dict[str, Any]:
    return {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 2},
    }


Reply = tuple[int, dict[str, str], Any]


@contextmanager
def answering(reply: Callable[[Any, Any], Reply]) -> Iterator[tuple[str, list[tuple[Any, Any]]]]:
    """A server on loopback; yields its address and what it was sent."""
    seen: list[tuple[Any, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((body, dict(self.headers)))
            status, headers, answer = reply(body, self.headers)
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
