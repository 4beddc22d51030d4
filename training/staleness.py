"""What was made of the labels of people whose labels count for nothing by now. Derived from the rows each time."""

from collections import defaultdict
from collections.abc import Mapping

from django.db.models import Exists, OuterRef

from annotation.models import Membership, Project
from training.models import ModelVersion, Run, Snapshot, SnapshotLabel

Behind = Mapping[str, set[int]]  # the labels of each excluded person


def of_snapshots(project: Project) -> dict[int, Behind]:
    """The labels of excluded people in each snapshot of the project that has any."""
    excluded = Membership.objects.filter(
        project=OuterRef("label__project"), person=OuterRef("label__person"), excluded_at__isnull=False
    )
    rows = SnapshotLabel.objects.filter(Exists(excluded), snapshot__project=project)
    found: defaultdict[int, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for snapshot, person, label in rows.values_list("snapshot_id", "label__person__username", "label_id"):
        found[snapshot][person].add(label)
    return dict(found)


def of_models(project: Project) -> dict[int, str]:
    """Why each stale model version of the project is stale, in a sentence; those that are not are left out.

    A version is stale if a snapshot is that it was trained on, or any of the models that it was made of: its ancestors,
    the models they learnt from, and those that made rows of their data.
    """
    by_snapshot = of_snapshots(project)
    if not by_snapshot:
        return {}
    rows = ModelVersion.objects.filter(project=project).select_related("run__snapshot").defer("run__inputs")
    versions = {one.pk: one for one in rows.prefetch_related("run__sources__snapshot")}
    found = {}
    for version in versions.values():
        behind: defaultdict[str, set[int]] = defaultdict(set)
        waiting: list[int | None] = [version.pk]
        seen: set[int] = set()
        while waiting:
            one = versions.get(waiting.pop() or 0)
            if one is None or one.pk in seen:
                continue
            seen.add(one.pk)
            waiting.append(one.parent_id)
            if one.run:
                waiting.append(one.run.teacher_id)
                for snapshot in _data_of(one.run):
                    waiting += [int(pk) for pk in snapshot.counts.get("made_by", {})]
                    for person, labels in by_snapshot.get(snapshot.pk, {}).items():
                        behind[person] |= labels
        if behind:
            found[version.pk] = words(behind)
    return found


def _data_of(run: Run) -> list[Snapshot]:
    """The snapshots it was trained on, those mixed in too; all fetched before."""
    own = [run.snapshot] if run.snapshot else []
    return own + [source.snapshot for source in run.sources.all()]


def of_model(version: ModelVersion) -> str:
    """Why a version is stale, in a sentence; empty if it is not."""
    return of_models(version.project).get(version.pk, "")


def of_snapshot(snapshot: Snapshot) -> str:
    behind = of_snapshots(snapshot.project).get(snapshot.pk)
    return words(behind) if behind else ""


def words(behind: Behind) -> str:
    people = [f"{person} ({len(labels)})" for person, labels in sorted(behind.items(), key=lambda one: -len(one[1]))]
    listed = ", ".join(people[:5]) + (f" and {len(people) - 5} more" if len(people) > 5 else "")
    return (
        f"Made of labels that count for nothing by now, as their people were excluded: {listed}. "
        "Freeze the labels and train again to do without them; a round does both."
    )
