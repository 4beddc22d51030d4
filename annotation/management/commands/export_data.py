import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.commands import ProjectCommand, actor_of, add_actor
from annotation.exporting import files, lines
from annotation.exporting.tally import Tally
from annotation.exporting.wanted import Wanted
from annotation.models import Project
from annotation.models.items import Kind
from annotation.shapes.outgoing import SHAPES

COUNTED = {"items": "labelled item", "all": "row"}


class Command(ProjectCommand):
    help = (
        "Write a project's labelled data: each item with its prompt, answers and every live label as JSON Lines, or "
        "in another shape, people under pseudonyms. To standard output, or with --output to a file that appears only "
        "once it is whole."
    )
    epilogue = "shapes:\n" + "\n".join(f"  {name:<18} {shape.title}: {shape.about}" for name, shape in SHAPES.items())

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--shape", choices=list(SHAPES), default="touchstone", metavar="SHAPE", help="one of those below"
        )
        parser.add_argument("--kind", choices=Kind.values, default="", help="only items of this kind")
        parser.add_argument("--split", choices=["train", "heldout"], default="", help="only prompts of this split")
        parser.add_argument("--tag", action="append", default=[], help="only prompts with this tag, or one of several")
        parser.add_argument("--language", action="append", default=[], help="only prompts in this language, or several")
        parser.add_argument("--names", action="store_true", help="user names in place of pseudonyms, put on record")
        parser.add_argument("--output", "-o", metavar="FILE", help="the file to write, instead of standard output")
        add_actor(parser)

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        shape, actor = options["shape"], actor_of(options)
        same = {name: options[name] for name in ("kind", "split", "names")}
        wanted = Wanted(**same, tags=options["tag"], languages=options["language"])
        files.check(shape=shape, wanted=wanted)
        output, tally = options["output"], Tally()
        to_file = output not in (None, "-")
        if not SHAPES[shape].streams and not to_file:
            raise CommandError(f"{SHAPES[shape].title} is a whole file: name it with --output.")
        lines.put_on_record(project, shape, wanted, actor)
        if to_file:
            with _whole(Path(output)) as half:
                files.write(half, project=project, shape=shape, wanted=wanted, tally=tally)
        else:
            for chunk in lines.chunks(project=project, shape=shape, wanted=wanted, tally=tally):
                self.stdout.write(chunk.decode(), ending="")
        what = COUNTED.get(SHAPES[shape].of, "row")
        left_out = f" {tally.left_out} left out: this shape cannot carry them." if tally.left_out else ""
        self.tell(f"{tally.rows} {what}{'' if tally.rows == 1 else 's'} exported.{left_out}")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file that takes its place when all of it is written, and never before."""
    with tempfile.TemporaryDirectory(prefix=".half-", dir=path.parent) as made:
        half = Path(made) / path.name
        yield half
        with half.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(half, path)
