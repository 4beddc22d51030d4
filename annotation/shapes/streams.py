"""The bytes of a file as UTF-8, whatever it is packed in, and never more than is safe. Imports no Django.

A packed file may grow to a thousand times its size: it is read in small parts, and reading ends at a limit, whatever
the file says of its own size. Nothing is ever unpacked under a name that stands in an archive.
"""

import codecs
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

PART = 1 << 20
LARGEST = 64 << 30  # bytes, unpacked
ALWAYS_FINE = 256 << 20  # bytes, unpacked: how well these were packed is no matter
BEST_PACKED = 250  # times: what people write packs to a tenth, and hardly anything to less than a hundredth
GZIP = b"\x1f\x8b"
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # byte-order marks of UTF-16
DAMAGED = "is damaged: copy or pack it anew"
CUT = "ends in the middle: it was not copied to its end; what came before was read"


class BadFile(ValueError):
    """A file that cannot be read, or not to its end; the message says why and what to do."""


class Stream:
    """The bytes of a file, as many at a time as come easily."""

    def __init__(self) -> None:
        self.left = b""  # read before its time

    def read(self) -> bytes:
        """The next bytes; none at the end."""
        if self.left:
            data, self.left = self.left, b""
            return data
        return self.more()

    def more(self) -> bytes:
        raise NotImplementedError

    def skip(self, count: int) -> None:
        """Leave out so many bytes from the beginning."""
        while count > 0 and (data := self.read()):
            self.left = data[count:]
            count -= len(data)

    @property
    def share(self) -> float:
        """How much of the file was read, 0 to 1."""
        raise NotImplementedError


class Plain(Stream):
    """A file that is not packed."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__()
        self.file, self.size = file, size

    def more(self) -> bytes:
        return self.file.read(PART)

    def skip(self, count: int) -> None:
        self.left = b""
        self.file.seek(count)

    @property
    def share(self) -> float:
        return min(self.file.tell() / (self.size or 1), 1.0)


class Unpacked(Stream):
    """A packed file, unpacked up to the limits. `size` is the packed size, `packed` the packed file if it can tell
    how much of it was read."""

    def __init__(self, file: gzip.GzipFile | IO[bytes], size: int, packed: IO[bytes] | None = None) -> None:
        super().__init__()
        self.file, self.size, self.packed, self.count = file, size, packed, 0

    def more(self) -> bytes:
        try:
            data: bytes = self.file.read1(PART)  # type: ignore[union-attr]  # never loses what came before an error
        except EOFError:
            raise BadFile(CUT) from None
        except (zlib.error, zipfile.BadZipFile, OSError):
            raise BadFile(f"{DAMAGED}; what came before the damage was read") from None
        self.count += len(data)
        if self.count > LARGEST:
            raise BadFile(f"unpacks to more than {LARGEST >> 30} GB: send it in parts")
        if self.count > ALWAYS_FINE and self.count > BEST_PACKED * self._packed():
            raise BadFile(f"unpacks to more than {BEST_PACKED} times its size, which data does not: send it unpacked")
        return data

    def _packed(self) -> int:
        return self.packed.tell() if self.packed else self.size

    @property
    def share(self) -> float:
        read = self.packed.tell() if self.packed else self.count / 8  # what data packs to, more or less
        return min(read / (self.size or 1), 1.0)


class Recoded(Stream):
    """What is written in UTF-16, as UTF-8. Half a surrogate pair stays one, which is not UTF-8: its line is refused."""

    def __init__(self, inner: Stream) -> None:
        super().__init__()
        self.inner = inner
        self.decoder = codecs.getincrementaldecoder("utf-16")(errors="surrogatepass")

    def more(self) -> bytes:
        try:
            while data := self.inner.read():
                if text := self.decoder.decode(data):
                    return text.encode("utf-8", "surrogatepass")
            return self.decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise BadFile(CUT) from None

    @property
    def share(self) -> float:
        return self.inner.share


@contextmanager
def stream_of(path: Path, member: str = "") -> Iterator[Stream]:
    """The bytes of a file as UTF-8: unpacked, or of one member of a zip. Raises BadFile where that cannot be."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if member:
            with member_of(file, member) as (inner, packed_size):
                yield _as_utf8(Unpacked(inner, packed_size))
        elif file.read(2) == GZIP:
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as unpacking:
                yield _as_utf8(Unpacked(unpacking, size, file))
        else:
            file.seek(0)
            yield _as_utf8(Plain(file, size))


@contextmanager
def member_of(file: IO[bytes], member: str) -> Iterator[tuple[IO[bytes], int]]:
    """One member of a zip, and its packed size."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(member) as inner:
            yield inner, archive.getinfo(member).compress_size
    except RuntimeError as error:
        if isinstance(error, NotImplementedError):
            raise BadFile("is packed in a way that is not known here: pack it as plain zip") from None
        raise BadFile("is locked with a password: unlock it first") from None
    except (zipfile.BadZipFile, KeyError, EOFError, zlib.error):
        raise BadFile(DAMAGED) from None


@contextmanager
def seekable(path: Path, member: str = "") -> Iterator[IO[bytes]]:
    """A file to read here and there: the file itself, or what is unpacked of it, in a place that is gone afterwards."""
    with path.open("rb") as file:
        packed = bool(member) or file.read(2) == GZIP
        file.seek(0)
        if not packed:
            yield file
            return
    with TemporaryFile() as unpacked:
        with stream_of(path, member) as stream:
            while data := stream.read():
                unpacked.write(data)
        unpacked.seek(0)
        yield unpacked


def _as_utf8(stream: Stream) -> Stream:
    """The stream itself, unless it begins with the mark of UTF-16."""
    stream.left = stream.read()
    return Recoded(stream) if stream.left[:2] in WIDE else stream
