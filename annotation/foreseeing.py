"""What an import would do: the same rows, looked up and not stored."""

from collections.abc import Iterable

from annotation.models import Project
from annotation.models.items import Kind
from annotation.preparing import Batch
from annotation.storing import Summary, found


class Foresight:
    """Remembers what earlier rows of the file would have brought, so that a second one brings nothing."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.prompts: set[bytes] = set()
        self.items: set[bytes] = set()

    def look(self, batch: Batch) -> Summary:
        summary = Summary()
        digests = list({ready.row.sha256 for ready in batch.ready})
        prints = list({print_ for ready in batch.ready for print_, _ in ready.items})
        known = _short(
            found(
                "SELECT sha256 FROM annotation_prompt WHERE project_id = %s AND sha256 = ANY(%s)",
                self.project.pk,
                digests,
            )
        )
        asked = _short(
            found(
                "SELECT fingerprint FROM annotation_item WHERE project_id = %s AND fingerprint = ANY(%s)",
                self.project.pk,
                prints,
            )
        )
        self.prompts |= known
        self.items |= asked
        for ready in batch.ready:
            prompt = bytes.fromhex(ready.row.sha256)[:16]
            fresh = {bytes.fromhex(print_)[:16] for print_, _ in ready.items} - self.items
            new = prompt not in self.prompts
            summary.prompts += new
            if ready.row.kind == Kind.DEMONSTRATION:
                summary.demonstrations += len(fresh)
            else:
                summary.comparisons += len(fresh)
            summary.labels += len(fresh) * len(ready.row.said)
            summary.added += bool(new or fresh)
            summary.known += not (new or fresh)
            self.prompts.add(prompt)
            self.items |= fresh
        return summary


def _short(rows: Iterable[tuple]) -> set[bytes]:
    return {bytes.fromhex(digest)[:16] for (digest,) in rows}
