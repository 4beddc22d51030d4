"""A file over HTTP that can be gone on with: one range of bytes, and an ETag by which a client knows it is the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

BLOCK = 1 << 18  # bytes read at once
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.A)


def send(request: HttpRequest, path: Path, *, name: str, content_type: str, sha256: str) -> HttpResponseBase:
    """The file, or the part of it that was asked for. Raises OSError if it is not there."""
    size = path.stat().st_size
    tag = f'"{sha256}"'
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-cache",
    }
    if tag in request.headers.get("If-None-Match", ""):
        return HttpResponse(status=304, headers=headers)
    asked = request.headers.get("Range", "")
    if request.headers.get("If-Range", tag) != tag:  # of another file
        asked = ""
    wanted = part(asked, size)
    start, end = wanted or (0, size)
    if wanted and start >= end:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Length"] = str(end - start)
    status = 200
    if wanted:
        status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{size}"
    file = path.open("rb")  # now, so that one that is deleted meanwhile is still sent to its end
    blocks = _blocks(file, start, end) if request.method != "HEAD" else iter(())
    return StreamingHttpResponse(blocks, status=status, content_type=content_type, headers=headers)


def part(asked: str, size: int) -> tuple[int, int] | None:
    """Where the one range that is asked for begins and ends; None if all is wanted: no range, several, or no sense.

    One that begins where nothing is left does not begin before its end.

    >>> part("bytes=2-", 10), part("bytes=2-3", 10), part("bytes=-3", 10), part("bytes=8-99", 10)
    ((2, 10), (2, 4), (7, 10), (8, 10))
    >>> part("", 10), part("bytes=0-1,4-5", 10), part("bytes=-", 10), part("bytes=5-2", 10)
    (None, None, None, None)
    """
    found = RANGE.fullmatch(asked)
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def _blocks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < end and (block := file.read(min(BLOCK, end - start))):
            start += len(block)
            yield block
