"""A data set in the hub's layout: a folder of Parquet files that `datasets.load_dataset` reads, with its card."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from annotation.exporting import items, table
from annotation.exporting.card import Part, card
from annotation.exporting.lines import ROWS
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import Project
from annotation.shapes.outgoing import Row

AS_MESSAGES = ("completion", "chosen", "rejected")
SOME_DAY = (1980, 1, 1, 0, 0, 0)  # so that the same data gives the same zip file


def write(folder: Path, *, project: Project, wanted: Wanted, tally: Tally) -> None:
    """Write the tables that have rows, and the card, into a new folder. All of one split: what is held out never lies
    beside what is trained on."""
    wanted = wanted.model_copy(update={"split": wanted.split or "train"})
    parts = [Part(name, wanted.split) for name in ("items", *ROWS)]
    for part in parts:
        path = folder / part.file
        path.parent.mkdir(parents=True)
        if part.name == "items":
            rows = table.for_parquet(items.labelled_rows(project=project, wanted=wanted, tally=tally))
            tally.rows += table.write_parquet(path, part.count(rows), table.items_schema())
        else:
            found = _as_messages(ROWS[part.name](project, wanted, tally))
            tally.rows += table.write_parquet(path, part.count(found), table.learning_schema(part.name))
        if not part.rows:
            path.unlink()
            path.parent.rmdir()
    (folder / "README.md").write_text(card(project, wanted, [part for part in parts if part.rows]), encoding="utf-8")


def pack(folder: Path, into: Path) -> None:
    """The folder as a zip file. Parquet is compressed already."""
    with zipfile.ZipFile(into, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), SOME_DAY)
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as there:
                while block := source.read(1 << 20):
                    there.write(block)


def _as_messages(rows: Iterable[Row]) -> Iterable[Row]:
    for row in rows:
        yield {
            name: [{"role": "assistant", "content": value}] if name in AS_MESSAGES else value
            for name, value in row.items()
        }
