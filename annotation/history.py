"""What a person has said so far: finding one's own labels again."""

from django.db.models import Exists, Func, OuterRef, Q, QuerySet, TextField

from annotation.models import Judgement, Label, Membership
from annotation.models.items import Kind

VERDICTS = {
    "accept": "Accepted as it is",
    "edit": "Edited",
    "reject": "Rejected",
    "tie": "All equal",
    "unacceptable": "With an unacceptable answer",
}
STATES = {"live": "Counts", "revised": "Revised since", "withdrawn": "Withdrawn"}


class Spoken(Func):
    """The texts of a conversation's turns, without the names of roles."""

    template = "jsonb_path_query_array(%(expressions)s, '$[*].content')::text"
    output_field = TextField()


def own_labels(
    *, member: Membership, kind: str = "", verdict: str = "", state: str = "", q: str = ""
) -> QuerySet[Label]:
    """The member's own labels in the project, newest first; `q` is looked for in the conversation."""
    labels = Label.objects.filter(project_id=member.project_id, person_id=member.person_id)
    if kind:
        labels = labels.filter(item__kind=kind)
    if verdict:
        labels = labels.filter(_said(verdict))
    if state == "live":
        labels = labels.live()  # type: ignore[attr-defined]
    elif state == "revised":
        labels = labels.filter(superseded_by__isnull=False)
    elif state == "withdrawn":
        labels = labels.filter(retracted_at__isnull=False)
    if q.strip():
        labels = labels.annotate(spoken=Spoken("item__prompt__messages")).filter(spoken__icontains=_as_json(q.strip()))
    labels = labels.select_related("item__prompt", "project", "response", "superseded_by", "assignment")
    return labels.prefetch_related("judgements").order_by("-id")


def _said(verdict: str) -> Q:
    judgements = Judgement.objects.filter(label=OuterRef("pk"))
    if verdict == "tie":
        return Q(~Exists(judgements.filter(rank__gt=1)), item__kind=Kind.COMPARISON)
    if verdict == "unacceptable":
        return Q(Exists(judgements.filter(unacceptable=True)))
    if verdict == "edit":
        return Q(verdict=verdict) | Q(item__kind=Kind.COMPARISON, response__isnull=False)
    return Q(verdict=verdict)


def _as_json(text: str) -> str:
    """As JSON spells it inside a string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
