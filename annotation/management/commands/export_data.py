import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandParser

from annotation.commands import ProjectCommand
from annotation.endpoints import json_line
from annotation.exporting import labelled_rows
from annotation.models import Project
from annotation.models.items import Kind


class Command(ProjectCommand):
    help = (
        "Write a project's labelled items as JSON Lines: each with its prompt, its answers and every live label, "
        "people under pseudonyms. To standard output, or with --output to a file that appears only once it is whole."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--kind", choices=Kind.values, default="", help="only items of this kind")
        parser.add_argument("--output", "-o", metavar="FILE", help="the file to write, instead of standard output")

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        rows = labelled_rows(project=project, kind=options["kind"])
        if options["output"] in (None, "-"):
            count = _write(rows, self.stdout)
        else:
            with _whole(Path(options["output"])) as file:
                count = _write(rows, file)
        self.tell(f"{count} labelled item{'' if count == 1 else 's'} exported.")


def _write(rows: Iterator[dict[str, Any]], out: Any) -> int:
    count = 0
    for row in rows:
        out.write(json_line(row))
        count += 1
    return count


@contextmanager
def _whole(path: Path) -> Iterator[IO[str]]:
    """A file that takes its place when all of it is written, and never before."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".half-", delete=False) as half:
        try:
            yield half
            half.flush()
            os.fsync(half.fileno())
            os.chmod(half.name, 0o666 & ~_umask())
            os.replace(half.name, path)
        except BaseException:
            os.unlink(half.name)
            raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
