"""How a request's body is read: JSON, and JSON Lines as they arrive."""

from collections.abc import Iterator
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser


class PlainJsonParser(JSONParser):
    """JSON in; what is nested beyond all reason is refused."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - it is nested too deeply.") from None


class NdjsonParser(BaseParser):
    """JSON Lines in: `request.data` is an iterator over the lines, read as they arrive."""

    media_type = "application/x-ndjson"

    def parse(  # type: ignore[override]  # lines, and not a form
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> Iterator[bytes]:
        return iter(stream.readline, b"")
