import sys
from pathlib import Path
from textwrap import fill
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from annotation import imports, receiving
from annotation.commands import ProjectCommand, actor_of, add_actor
from annotation.models import Import, Project, RejectedRow, User
from annotation.models.imports import Stage
from annotation.shapes import SHAPES
from annotation.storing import Summary

PIECE = 1024 * 1024
FIELDS = "\n".join(
    fill(f"{name}: {', '.join(shape.fields)}", 110, initial_indent="  ", subsequent_indent="      ")
    for name, shape in SHAPES.items()
)


class Command(ProjectCommand):
    help = "Import prompts, answers and labels from files; the same row twice adds nothing."
    epilogue = f"Shapes, and the parts that --map may give a column to:\n{FIELDS}"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("files", nargs="*", help="files, or folders of saved datasets; - reads standard input")
        parser.add_argument("--hub", metavar="DATASET", help="a dataset of the hub: owner/name[:configuration[:split]]")
        parser.add_argument("--shape", metavar="NAME", help="what the rows are; found by itself if left out")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="PART=COLUMN",
            help="which column plays a part, where it is not the usual one",
        )
        parser.add_argument("--dry-run", action="store_true", help="count what would be added, and store nothing")
        parser.add_argument("--rejected", metavar="FILE", help="add refused rows to this file, to be mended")
        add_actor(parser)

    def perform(self, project: Project, options: dict[str, Any]) -> None:
        if not options["files"] and not options["hub"]:
            raise CommandError("Name a file, or a dataset with --hub.")
        actor = actor_of(options)
        mapping = dict(_part(one) for one in options["map"])
        done = [
            self.bring_in(name, _received(project, name, actor), mapping, options, actor) for name in options["files"]
        ]
        if name := options["hub"]:
            source = imports.receive_from_hub(project=project, dataset=name, actor=actor, wake=False)
            imports.work(source.pk)
            source.refresh_from_db()
            done.append(self.bring_in(name, source, mapping, options, actor))
        if Stage.FAILED in done:
            raise CommandError("Not everything was imported.")

    def bring_in(
        self, name: str, source: Import, mapping: dict[str, str], options: dict[str, Any], actor: User | None
    ) -> str:
        """To the end, here and now; returns what came of it."""
        if source.status == Stage.UPLOADED:
            shape, dry_run = options["shape"] or source.shape, options["dry_run"]
            try:
                imports.start(source=source, shape=shape, mapping=mapping, dry_run=dry_run, actor=actor, wake=False)
            except ValidationError:
                imports.cancel(source=source, actor=actor)
                raise
            source.status = Stage.WAITING
        while source.status == Stage.WAITING:
            imports.work(source.pk)
            source.refresh_from_db()
        self.say(name, source)
        if options["rejected"]:
            with Path(options["rejected"]).open("a", encoding="utf-8") as file:
                file.writelines(imports.rejected_lines(source))
        if options["dry_run"]:
            imports.cancel(source=source, actor=actor)
        return source.status

    def say(self, name: str, source: Import) -> None:
        rows = RejectedRow.objects.filter(source=source)
        self.stdout.write(f"{name}: {Summary(**source.counts).told(source.rejected)}")
        for row in rows.iterator():
            self.stderr.write(f"{name}:{row.line}: {row.reason}")
        if source.rejected > (kept := rows.count()):
            self.tell(f"{name}: the first {kept:,} of {source.rejected:,} rejected rows are kept.")
        if source.error:
            self.stderr.write(f"{name}: {source.error}")


def _received(project: Project, name: str, actor: User | None) -> Import:
    if Path(name).is_dir():
        return receiving.receive_folder(project=project, folder=Path(name), actor=actor)
    with sys.stdin.buffer if name == "-" else open(name, "rb") as file:
        chunks = iter(lambda: file.read(PIECE), b"")
        return receiving.receive(project=project, name=name, chunks=chunks, actor=actor)


def _part(text: str) -> tuple[str, str]:
    part, equals, column = text.partition("=")
    if not equals:
        raise CommandError(f"--map takes PART=COLUMN, not {text!r}.")
    return part, column
