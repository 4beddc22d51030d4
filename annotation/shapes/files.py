"""Files and folders that data comes in, opened as a stream of records. Imports no Django.

JSON Lines, JSON, CSV, Parquet and saved Hugging Face datasets, each as it is, in gzip, or with others in a zip or a
folder. What a file is, is seen by its first bytes; its name only helps where they do not tell.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from annotation.shapes.records import Found, found
from annotation.shapes.rows import BadLine
from annotation.shapes.streams import DAMAGED, GZIP, BadFile, seekable, stream_of
from annotation.shapes.tables import Counted
from annotation.shapes.texts import BLANK, MARK, csv_rows, json_lines, json_values

__all__ = ["BadFile", "Found", "Source", "open_file", "sample"]

JSONL, JSON, CSV, PARQUET, ARROW = "jsonl", "json", "csv", "parquet", "arrow"
TEXTS = {JSONL: json_lines, JSON: json_values, CSV: csv_rows}
ENDINGS = {
    **{".jsonl": JSONL, ".ndjson": JSONL, ".json": JSON, ".csv": CSV, ".tsv": CSV},
    **{".parquet": PARQUET, ".arrow": ARROW},
}
PACKED = {".gz", ".gzip"}
ABOUT = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}  # a dataset, and no data
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # with files in it, and without
CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b")) + b"\x7f"  # that stand in no text
LOOKED_AT = 8192  # bytes
FEW_CONTROLS, MOST_CONTROLS = 4, 0.02  # so many, and this share, may have slipped into a text
PARQUET_MARK, ARROW_MARK = b"PAR1", b"\xff\xff\xff\xff"
MOST_PARTS = 1000
PLACE = 1 << 48  # an offset is the number of the part times this, and the offset within


@dataclass(frozen=True)
class Part:
    """One file of those that were brought together; `member` is its name within a zip."""

    path: Path
    name: str
    format: str
    member: str = ""
    size: int = 0


@dataclass
class Source:
    """What `open_file` opened. `done` is the share of it that was read, 0 to 1; `left_out` names files that came with
    the data and hold none."""

    parts: list[Part]
    left_out: list[str] = field(default_factory=list)
    done: float = field(default=0.0, init=False)

    @property
    def format(self) -> str:
        return self.parts[0].format

    def records(self, *, number: int = 0, offset: int = 0) -> Iterator[Found]:
        """Every record, in order; after the place that `number` and `offset` of one found before name. Numbers run on
        from one file to the next, and reasons name the file.

        Raises BadFile where the file cannot be read on.
        """
        first, within = divmod(offset, PLACE)
        total = sum(part.size for part in self.parts) or 1
        before = sum(part.size for part in self.parts[:first])
        for place, part in enumerate(self.parts[first:], start=first):
            try:
                for one, share in _records(part, number, within if place == first else 0):
                    number = one.number
                    one.offset += place * PLACE
                    if len(self.parts) > 1 and isinstance(one.record, BadLine):
                        one.record = BadLine(f"{part.name}: {one.record}")
                    self.done = min((before + share * part.size) / total, 1.0)
                    yield one
                before += part.size
            except BadFile as error:
                raise BadFile(f"{part.name} {error}") from None
        self.done = 1.0


def open_file(path: Path, *, name: str = "") -> Source:
    """Find out what a file or folder is; `name` is what its owner calls it. Raises BadFile if it is nothing known."""
    name = name or path.name
    try:
        if path.is_dir():
            return _folder(path)
        with path.open("rb") as file:
            if file.read(4) in ZIPS:
                return _zip(path)
    except OSError as error:
        raise BadFile(f"{name} cannot be opened: {error.strerror or error}") from None
    return Source([_told(path, name, path.stat().st_size)])


def sample(source: Source, count: int = 100) -> list[Found]:
    """The first records, to find the shape by and to show."""
    return list(islice(source.records(), count))


def _records(part: Part, number: int, offset: int) -> Iterator[tuple[Found, float]]:
    """Each record of a part, and the share of the part that was read with it."""
    if part.format in TEXTS:
        with stream_of(part.path, part.member) as stream:
            for one in TEXTS[part.format](stream, number, offset):
                yield one, stream.share
    else:
        with seekable(part.path, part.member) as file:
            table = Counted()
            read = table.parquet if part.format == PARQUET else table.arrow
            for one in read(file, number, offset):
                yield one, table.share


def _folder(path: Path) -> Source:
    """The files with data in a folder, such as a dataset that was saved; links are not followed."""
    files = sorted(
        one
        for one in path.rglob("*")
        if one.is_file() and not one.is_symlink() and not any(part[0] in "._" for part in one.relative_to(path).parts)
    )
    names = {str(one.relative_to(path)): one for one in files}
    return _several(path.name, {name: one.stat().st_size for name, one in names.items()}, names)


def _zip(path: Path) -> Source:
    """The files with data in a zip. Their names are names and no more: nothing is written where they say."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if one.filename and not one.is_dir()]
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError, NotImplementedError):
        raise BadFile(f"{path.name} {DAMAGED}") from None
    sizes = {
        one.filename: one.compress_size
        for one in members
        if not any(part[:1] in (".", "_") and part not in ("..", ".") for part in PurePosixPath(one.filename).parts)
    }
    return _several(path.name, sizes, dict.fromkeys(sizes, path), packed=True)


def _several(name: str, sizes: dict[str, int], paths: dict[str, Path], *, packed: bool = False) -> Source:
    """A source of those of the files whose names say that they are data."""
    wanted: list[str] = []
    left_out: list[str] = []
    for one in sizes:
        (wanted if _ending(one) in ENDINGS and PurePosixPath(one).name not in ABOUT else left_out).append(one)
    if len(wanted) > MOST_PARTS:
        raise BadFile(
            f"{name} holds {len(wanted):,} files; at most {MOST_PARTS:,} can be read at once: put them together"
        )
    if not wanted:
        raise BadFile(f"{name} holds no data: put JSON Lines, JSON, CSV, Parquet or a saved dataset in it")
    return Source([_told(paths[one], one, sizes[one], one if packed else "") for one in wanted], left_out)


def _ending(name: str) -> str:
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in PACKED else path.suffix


def _told(path: Path, name: str, size: int, member: str = "") -> Part:
    """What a file is, by how it begins."""
    ending = ENDINGS.get(_ending(name), "")
    try:
        with stream_of(path, member) as stream:
            head = stream.read()
    except BadFile as error:
        raise BadFile(f"{name} {error}") from None
    if head.startswith(PARQUET_MARK):
        return Part(path, name, PARQUET, member, size)
    if head.startswith(ARROW_MARK):
        return Part(path, name, ARROW, member, size)
    if ending in (PARQUET, ARROW):
        raise BadFile(f"{name} {DAMAGED}")
    if head.startswith((*ZIPS, GZIP)):
        raise BadFile(f"{name} is packed twice: unpack it once")
    if _is_binary(head[:LOOKED_AT]):
        raise BadFile(f"{name} is neither text in UTF-8 nor Parquet: save it as JSON Lines, JSON, CSV or Parquet")
    return Part(path, name, _text(head, ending), member, size)


def _is_binary(head: bytes) -> bool:
    controls = len(head) - len(head.translate(None, CONTROLS))
    return controls > max(FEW_CONTROLS, MOST_CONTROLS * len(head))


def _text(head: bytes, ending: str) -> str:
    """Which kind of text this is."""
    if ending in (JSONL, CSV):
        return ending
    line, _, rest = head.removeprefix(MARK).lstrip(BLANK).partition(b"\n")
    if line.startswith(b"["):
        return JSON
    if line.startswith(b"{"):
        return JSON if rest and isinstance(found(1, line, 0).record, BadLine) else JSONL  # one runs over several lines
    return ending or (CSV if any(mark in line for mark in (b",", b";", b"\t", b"|")) else JSONL)
