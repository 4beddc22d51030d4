"""Agreement and people's ways, worked out at once where that is quick and kept by the queue where it is not.

Over a hundred thousand labels both take a second or two. So from `AT_ONCE` labels on, the pages show what a queue
process worked out last, with the time and what was said since.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.utils import timezone
from pydantic import TypeAdapter

from annotation import agreement, raters
from annotation.agreement import Report
from annotation.models import Label, Project, QualityReport
from annotation.raters import Figures, Ways

AT_ONCE = 10_000  # labels; over so many it takes a fifth of a second
REPORTS = TypeAdapter(dict[str, Report])
WAYS = TypeAdapter(dict[int, Figures])


@dataclass(frozen=True)
class AsOf:
    """When what is shown was worked out, and how many labels came since."""

    made_at: datetime
    since: int


def reports(project: Project, *, simulated: bool = False) -> tuple[dict[str, Report], AsOf | None]:
    """As `agreement.reports`; and when it was worked out, unless that was just now."""
    row = None if simulated else _row(project)
    if row is None:
        return agreement.reports(project, simulated=simulated), None
    return REPORTS.validate_python(row.agreement), _as_of(row)


def ways(project: Project, *, simulated: bool = False) -> tuple[list[Ways], AsOf | None]:
    """As `raters.of_project`; and when it was worked out, unless that was just now. Who is paused or excluded is told
    as it is now."""
    row = None if simulated else _row(project)
    if row is None:
        return raters.of_project(project, simulated=simulated), None
    figures = WAYS.validate_python(row.ways)
    members = project.memberships.filter(person__in=figures).select_related("person")
    found = [Ways(membership=member, **_plain(figures[member.person_id])) for member in members]
    return sorted(found, key=lambda one: (-len(one.findings), one.person)), _as_of(row)


def keep(project: Project) -> bool:
    """Work both out and keep them, if the project is big enough for that."""
    if not is_big(project):
        QualityReport.objects.filter(project=project).delete()
        return False
    seen = Label.objects.filter(project=project).order_by("-id").values_list("pk", flat=True)[0]
    people = {one.membership.person_id: Figures(**_plain(one)) for one in raters.of_project(project)}
    values = {
        "agreement": REPORTS.dump_python(agreement.reports(project), mode="json"),
        "ways": WAYS.dump_python(people, mode="json"),
        "seen": seen,
        "made_at": timezone.now(),
    }
    QualityReport.objects.update_or_create(project=project, defaults=values)
    return True


def is_big(project: Project) -> bool:
    return Label.objects.filter(project=project).order_by("-id")[AT_ONCE : AT_ONCE + 1].exists()


def _row(project: Project) -> QualityReport | None:
    """What is kept of a big project; None if it is not big, or nothing is kept yet."""
    row = QualityReport.objects.filter(project=project).first()
    return row if row is not None and is_big(project) else None


def _as_of(row: QualityReport) -> AsOf:
    return AsOf(row.made_at, Label.objects.filter(project=row.project_id, pk__gt=row.seen).count())


def _plain(one: Figures) -> dict[str, Any]:
    return {part.name: getattr(one, part.name) for part in fields(Figures)}
