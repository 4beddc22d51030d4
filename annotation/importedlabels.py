"""Labels that come with imported rows, kept as those of imported raters: people on record who cannot sign in.

They are held to what is asked of everybody's labels, count towards what their item wants, and raise that where the file
brings more. A label is known by its content: imported again, it is the same one.
"""

import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.text import slugify

from annotation import copying, exporting, labelling, mending, ranking, reviewing
from annotation.asking import add_response
from annotation.models import Assignment, Gold, Item, Judgement, Label, Membership, Project, Prompt, Response, User
from annotation.models.items import Kind, State
from annotation.models.labels import Verdict
from annotation.models.people import Role
from annotation.models.prompts import Origin
from annotation.preparing import Ready, Rejected
from annotation.shapes.rows import Said
from annotation.text import canonical, sha256, why_unstorable

NAMESPACE = uuid.UUID("5d0f9c0e-3a5b-4d0c-9d0e-6f6a7c1b2e11")
UNNAMED = "unnamed"
ASSIGNMENT = (
    *("id", "item_id", "person_id", "state", "review", "leased_at", "lease_until", "ended_at", "order"),
    *("skip_reason", "draft"),
)
LABEL = (
    *("id", "project_id", "item_id", "assignment_id", "person_id", "client_uuid", "verdict", "response_id", "flags"),
    *("strength", "criteria", "comment", "seconds", "simulated", "decision", "gold_correct", "created_at"),
)
JUDGEMENT = ("label_id", "response_id", "position", "rank", "unacceptable")


@dataclass
class Asked:
    """An item of the batch: enough of it to put a label there."""

    pk: int
    kind: str
    purpose: str


@dataclass
class Brought:
    """One label on its way in: what was said of which item, by whom, known by what."""

    line: int
    raw: str
    item: Asked
    rater: str
    said: Said
    answers: list[Response]  # in the order of the item
    messages: list[dict[str, str]]
    prompt: int
    uuid: uuid.UUID


def store(
    *,
    project: Project,
    rows: Sequence[Ready],
    prompts: Mapping[str, int],
    responses: Mapping[tuple[str, str], int],
    items: Mapping[str, Asked],
) -> tuple[Counter[int], list[Rejected]]:
    """Store what was said of a batch's items; returns how many labels each line brought, and what does not fit.

    Call it inside the transaction that holds the project, so that no other import brings the same.
    """
    brought = list(_brought(project, rows, prompts, responses, items))
    known = set(
        Label.objects.filter(client_uuid__in=[one.uuid for one in brought]).values_list("client_uuid", flat=True)
    )
    here = _here_already(project, {one.item.pk for one in brought})
    first: dict[uuid.UUID, Brought] = {}
    for one in brought:
        if one.uuid not in known and (one.item.pk, one.rater) not in here:
            first.setdefault(one.uuid, one)
    brought = list(first.values())
    raters = {
        name: _rater(project, name, simulated)
        for name, simulated in {o.rater: o.said.simulated for o in brought}.items()
    }
    spoken = set(
        Assignment.objects.filter(
            item_id__in={one.item.pk for one in brought}, person_id__in=raters.values()
        ).values_list("item_id", "person_id")
    )
    gold = {one.item_id: one for one in Gold.objects.filter(item_id__in={one.item.pk for one in brought})}
    rejected: list[Rejected] = []
    fitting: list[tuple[Brought, labelling.Said, list[Response], Response | None]] = []
    for one in brought:
        who = f"The label of {one.rater!r}"
        if (one.item.pk, raters[one.rater]) in spoken:
            rejected.append(Rejected(one.line, f"{who} says otherwise than the one that is here already.", one.raw))
            continue
        shown, said = _as_shown(one)
        asked = Item(pk=one.item.pk, project=project, kind=one.item.kind, prompt=Prompt(messages=one.messages))
        problems = labelling.problems_of(said, asked, shown)
        if problems:
            rejected.append(Rejected(one.line, f"{who} was left out: {' '.join(problems)}", one.raw))
            continue
        spoken.add((one.item.pk, raters[one.rater]))
        fitting.append((one, said, shown, _kept(one, said, shown)))
    _write(project, fitting, raters, gold)
    return Counter(one.line for one, *_ in fitting), rejected


def _brought(
    project: Project,
    rows: Sequence[Ready],
    prompts: Mapping[str, int],
    responses: Mapping[tuple[str, str], int],
    items: Mapping[str, Asked],
) -> Iterator[Brought]:
    for ready in rows:
        row, prompt = ready.row, prompts[ready.row.sha256]
        for print_, places in ready.items:
            answers = [
                Response(pk=responses[row.sha256, ready.digests[at]], prompt_id=prompt, text=row.answers[at])
                for at in places
            ]
            unnamed = 0
            for said in row.said:
                here = said.among(places)
                unnamed += not said.rater
                rater = said.rater.strip() or (UNNAMED if unnamed < 2 else f"{UNNAMED} {unnamed}")
                if why_unstorable(rater):
                    rater = UNNAMED
                # Raters and contents of other files may be the same, and then they are the same label.
                content = canonical({**vars(here), "created_at": None, "rater": rater, "positions": None})
                made = uuid.uuid5(NAMESPACE, f"{project.pk}:{print_}:{content}")
                yield Brought(row.line, ready.raw, items[print_], rater, here, answers, row.messages, prompt, made)


def _here_already(project: Project, items: Collection[int]) -> set[tuple[int, str]]:
    """Who has judged these items in this project, by the names that an export of it gives them: what went out and
    comes in again is not said twice."""
    said = Label.objects.filter(item_id__in=items).values_list("item_id", "person_id", "person__username").distinct()
    people = {pk: (name, exporting.pseudonym(project=project, person_id=pk)) for _, pk, name in said}
    return {(item, name) for item, pk, _ in said for name in people[pk]}


def _as_shown(one: Brought) -> tuple[list[Response], labelling.Said]:
    """The label in terms of a page. Where its answers stood the file may say; else it is drawn by the label's own lot,
    so that no rater seems to lean to one side for the order in which a file has answers."""
    said = one.said
    order = list(range(len(one.answers)))
    if said.positions and sorted(said.positions) == order:
        order.sort(key=said.positions.__getitem__)
    else:
        random.Random(one.uuid.int).shuffle(order)
    shown = [one.answers[at] for at in order]
    told = in_order(said, order, kind=one.item.kind, messages=one.messages, client_uuid=one.uuid)
    if said.verdict == Verdict.EDIT and shown and told.text.strip() == shown[0].text.strip() and not told.turns:
        told = replace(told, verdict=Verdict.ACCEPT.value, text="")  # kept as it was
    return shown, told


def in_order(
    said: Said, order: Sequence[int], *, kind: str, messages: list[dict[str, str]], client_uuid: uuid.UUID
) -> labelling.Said:
    """What a file says of answers, in terms of a page that shows them in this `order` (places in the file)."""
    turns: dict[int, str] = {}
    if said.messages and len(said.messages) == len(messages):
        turns = mending.differences(messages, said.messages)
    ranks = [said.ranks[at] for at in order] if said.ranks else []
    return labelling.Said(
        client_uuid=client_uuid,
        verdict=said.verdict,
        text=(said.text or "") if kind == Kind.COMPARISON or said.verdict == Verdict.EDIT else "",
        turns=turns,
        flags=said.flags,
        ranks=ranks,
        unacceptable=[said.unacceptable[at] for at in order] if said.unacceptable else [],
        strength=said.strength if ranking.best(ranks) is not None else None,
        criteria={name: None if at is None else order.index(at) for name, at in said.criteria.items()},
        comment=said.comment,
        seconds=said.seconds,
    )


def _kept(one: Brought, said: labelling.Said, shown: Sequence[Response]) -> Response | None:
    """The answer that the label stands for, as labelling.submit keeps it."""
    item = Item(pk=one.item.pk, kind=one.item.kind, prompt_id=one.prompt)
    if one.item.kind == Kind.COMPARISON:
        if not said.text.strip():
            return None
        item.prompt = Prompt(pk=one.prompt, messages=one.messages)
        return ranking.edit(item, shown, said)
    if said.verdict == Verdict.REJECT:
        return None
    if said.verdict == Verdict.ACCEPT:
        return shown[0]
    prompt = Prompt.objects.get(pk=one.prompt) if said.turns else Prompt(pk=one.prompt, messages=one.messages)
    origin = Origin.EDIT if shown else Origin.HUMAN
    return add_response(
        prompt=mending.mended_prompt(prompt=prompt, turns=said.turns),
        text=said.text.strip(),
        origin=origin,
        edited_from=shown[0] if shown else None,
    )[0]


def _write(
    project: Project,
    fitting: Sequence[tuple[Brought, labelling.Said, list[Response], Response | None]],
    raters: Mapping[str, int],
    gold: Mapping[int, Gold],
) -> None:
    if not fitting:
        return
    now = timezone.now()
    # An item is asked for as many labels as it now has, at least, before it has them.
    taken = Counter(one.item.pk for one, *_ in fitting if not one.said.decision)
    by_number = defaultdict(list)
    for item, number in taken.items():
        by_number[number].append(item)
    for number, some in by_number.items():
        Item.objects.filter(pk__in=sorted(some)).update(
            wanted=Greatest(F("wanted"), F("taken") + number), taken=F("taken") + number
        )
    assignments, labels, judgements = [], [], []
    assignment_ids = copying.draw_ids(Assignment, len(fitting))
    label_ids = copying.draw_ids(Label, len(fitting))
    for (one, said, shown, kept), assignment, label in zip(fitting, assignment_ids, label_ids, strict=True):
        at = one.said.created_at or now
        person, order = raters[one.rater], [response.pk for response in shown]
        decision = one.said.decision
        assignments.append(
            copying.line(
                *(assignment, one.item.pk, person, State.SUBMITTED.value, decision, at, at, at, order, ""),
                copying.Field("{}"),
            )
        )
        correct = labelling.correctness(gold.get(one.item.pk), shown, said)
        flags = copying.Field(copying.whole(list(dict.fromkeys(said.flags))))
        criteria = ranking.by_response(said.criteria, shown)
        labels.append(
            copying.line(
                *(label, project.pk, one.item.pk, assignment, person, one.uuid, said.verdict, kept and kept.pk, flags),
                *(said.strength, criteria, said.comment, said.seconds, one.said.simulated, decision, correct, at),
            )
        )
        for position, response in enumerate(shown if one.item.kind == Kind.COMPARISON else ()):
            bad = bool(said.unacceptable and said.unacceptable[position])
            judgements.append(copying.line(label, response.pk, position, said.ranks[position], bad))
    copying.copy(Assignment, ASSIGNMENT, assignments)
    copying.copy(Label, LABEL, labels)
    copying.copy(Judgement, JUDGEMENT, judgements)
    _reconsider(project, list(taken))


def _reconsider(project: Project, items: Sequence[int]) -> None:
    """Open cases where raters disagree, as after everybody's labels."""
    if not project.review_disagreement:
        return
    several = Item.objects.work().filter(pk__in=items, wanted__gte=2).select_related("project")
    labels = Label.objects.live().filter(item__in=several, decision=False).order_by("id")
    by_item: dict[int, list[Label]] = defaultdict(list)
    for label in labels.select_related("response").prefetch_related("judgements"):
        by_item[label.item_id].append(label)
    for item in several:
        said = by_item[item.pk]
        if len(said) >= item.wanted and reviewing.disagree(item.kind, said):
            reviewing.reconsider(item)


def _rater(project: Project, name: str, simulated: bool) -> int:
    """The person on record for a rater's name in a project's files; one who cannot sign in."""
    key = sha256(f"{project.pk}:{name}")[:10]
    person, created = User.objects.get_or_create(
        username=f"{slugify(name)[:60] or 'rater'}-{key}", defaults={"first_name": name[:150], "is_active": False}
    )
    if created:
        person.set_unusable_password()
        person.save(update_fields=["password"])
    Membership.objects.get_or_create(
        person=person,
        project=project,
        defaults={"role": Role.ANNOTATOR, "imported": True, "simulated": simulated},
    )
    return person.pk
