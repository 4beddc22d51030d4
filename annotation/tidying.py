"""Deciding about what the checks found, one at a time or a thousand: it is fine, mend it, leave it out, ask people, or
take such a decision back.

A finding that a verb does not fit (there is nothing to mend, it is decided already) is passed over and counted. Each
decision is an event.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from annotation import leaving_out, reviewing
from annotation.asking import add_response, ask
from annotation.mending import mended_prompt
from annotation.mends import MENDABLE, mended
from annotation.models import Finding, Item, ItemResponse, Project, Prompt, Response, User
from annotation.models.cleaning import Check, Decision
from annotation.models.events import record
from annotation.models.items import Kind, Purpose
from annotation.models.prompts import Origin

MOST = 1_000  # findings that are decided in one go
SENT_PRIORITY = 3.0  # before what is in the queue, and out of reach of what steers it
MENDED = "Mended: another text stands in for it."
UNMENDED = "The text that it was mended from is back."


@dataclass(frozen=True)
class Outcome:
    """How many findings were decided, how many the verb does not fit, and how many are left for another time."""

    done: int
    passed_over: int = 0
    left: int = 0


@dataclass
class Repair:
    """A prompt or an answer with what is to be mended in it. `after` is like `before` where nothing can be."""

    prompt: Prompt
    response: Response | None
    findings: list[Finding] = field(default_factory=list)

    @property
    def before(self) -> str:
        if self.response is not None:
            return self.response.text
        return "\n\n".join(message["content"] for message in self.prompt.messages)

    @property
    def after(self) -> str:
        if self.response is not None:
            return mended(self.response.text, _places(self.findings)).strip()
        turns = self.turns
        return "\n\n".join(turns.get(place, one["content"]) for place, one in enumerate(self.prompt.messages))

    @property
    def turns(self) -> dict[int, str]:
        """The turns that are mended, in their new words."""
        by_turn: dict[int, list[Finding]] = defaultdict(list)
        for finding in self.findings:
            if finding.turn is not None:
                by_turn[finding.turn].append(finding)
        new = {turn: mended(self.prompt.messages[turn]["content"], _places(held)) for turn, held in by_turn.items()}
        return {
            turn: text for turn, text in new.items() if text.strip() != self.prompt.messages[turn]["content"].strip()
        }

    @property
    def language(self) -> str:
        """The language that the prompt is to have; empty if it stays."""
        return next((one.data["language"] for one in self.findings if one.kind == Check.LANGUAGE), "")

    @property
    def changes(self) -> bool:
        return bool(self.language) or (bool(self.after) and self.after != self.before.strip())


def _places(findings: Iterable[Finding]) -> list[tuple[str, int, int, str]]:
    return [(one.kind, one.start or 0, one.end or 0, one.sentence) for one in findings if one.kind in MENDABLE]


def matching(
    findings: QuerySet[Finding], *, kind: str = "", state: str = "", language: str = "", tag: str = "", text: str = ""
) -> QuerySet[Finding]:
    """Those of a kind and a state, of prompts in a language or with a tag, about prompts or about answers."""
    if kind:
        findings = findings.filter(kind=kind)
    if state:
        findings = findings.filter(state=state)
    if language:
        findings = findings.filter(prompt__language=language)
    if tag:
        findings = findings.filter(prompt__tags__contains=[tag])
    if text:
        findings = findings.filter(response__isnull=text == "prompt")
    return findings


def repairs(findings: Iterable[Finding]) -> list[Repair]:
    """What mending these would change, by the text, in the order of the findings."""
    found: dict[tuple[int, int | None], Repair] = {}
    for one in findings:
        by_itself = one.kind in MENDABLE or (one.kind == Check.LANGUAGE and one.response_id is None)
        if one.state == Decision.OPEN and by_itself:
            key = (one.prompt_id, one.response_id)
            found.setdefault(key, Repair(one.prompt, one.response)).findings.append(one)
    return [repair for repair in found.values() if repair.changes]


@transaction.atomic
def accept(*, project: Project, findings: QuerySet[Finding], actor: User | None = None) -> Outcome:
    """It is fine: nothing is changed, and the finding is not told again."""
    chosen, left = _chosen(project, findings)
    fitting = [one for one in chosen if one.state == Decision.OPEN]
    _decide(project, fitting, Decision.ACCEPTED, actor)
    return Outcome(len(fitting), len(chosen) - len(fitting), left)


@transaction.atomic
def exclude(*, project: Project, findings: QuerySet[Finding], because: str, actor: User | None = None) -> Outcome:
    """Leave the answers out of everything, and of findings about prompts the prompts. Raises ValidationError without
    a reason."""
    chosen, left = _chosen(project, findings)
    undecided = (Decision.OPEN, Decision.ACCEPTED, Decision.SENT)
    fitting = [one for one in chosen if one.state in undecided and one.kind != Check.LABEL_ERROR]
    _decide(project, fitting, Decision.EXCLUDED, actor)
    leaving_out.exclude(project=project, **_targets(fitting), because=because, actor=actor)
    return Outcome(len(fitting), len(chosen) - len(fitting), left)


@transaction.atomic
def mend(*, project: Project, findings: QuerySet[Finding], actor: User | None = None) -> Outcome:
    """Put other texts in the place of these, as edits of them; the originals are excluded.

    What was asked about an original and is not fully judged yet is asked about the edit instead. With a prompt its
    answers go along.
    """
    chosen, left = _chosen(project, findings)
    fitting = repairs(chosen)
    by_prompt: dict[int, list[Repair]] = defaultdict(list)
    for repair in fitting:
        by_prompt[repair.prompt.pk].append(repair)
    gone: dict[str, list[int]] = {"prompts": [], "responses": []}
    decided: list[Finding] = []
    for held in by_prompt.values():
        decided += _mend(project, held, gone, actor)
    _decide(project, decided, Decision.MENDED, actor)
    leaving_out.exclude(project=project, **gone, because=MENDED, actor=actor)
    return Outcome(len(decided), len(chosen) - len(decided), left)


def _mend(project: Project, held: list[Repair], gone: dict[str, list[int]], actor: User | None) -> list[Finding]:
    """Mend one prompt and answers to it; what is to be excluded is added to `gone`."""
    prompt = held[0].prompt
    of_prompt = next((one for one in held if one.response is None), None)
    of_answers = {one.response.pk: one for one in held if one.response is not None}
    if of_prompt is not None and of_prompt.language:
        before, prompt.language = prompt.language, of_prompt.language
        prompt.save(update_fields=["language"])
        for finding in of_prompt.findings:
            finding.data = {**finding.data, "before": before}
    turns = of_prompt.turns if of_prompt else {}
    new_prompt = mended_prompt(prompt=prompt, turns=turns) if turns else prompt
    made: dict[str, int] = {}
    if new_prompt != prompt:
        if new_prompt.excluded_at is not None:
            leaving_out.bring_back(project=project, prompts=[new_prompt.pk], actor=actor)
        made["prompt"] = new_prompt.pk
        gone["prompts"].append(prompt.pk)
        responses = list(prompt.responses.filter(excluded_at__isnull=True).order_by("pk"))
    else:
        responses = [one.response for one in held if one.response is not None]
    instead: dict[int, Response] = {}
    for response in responses:
        repair = of_answers.get(response.pk)
        text = repair.after if repair else response.text
        edit, new = add_response(prompt=new_prompt, text=text, origin=Origin.EDIT, edited_from=response)
        if edit.excluded_at is not None:
            leaving_out.bring_back(project=project, responses=[edit.pk], actor=actor)
        instead[response.pk] = edit
        if repair:
            gone["responses"].append(response.pk)
            for finding in repair.findings:
                finding.data = {**finding.data, **({"made": {"response": edit.pk}} if new else {})}
    if of_prompt is not None:
        for finding in of_prompt.findings:
            finding.data = {**finding.data, **({"made": made} if made else {})}
    _ask_instead(project, prompt, new_prompt, instead)
    return [finding for repair in held for finding in repair.findings]


def _ask_instead(project: Project, prompt: Prompt, new_prompt: Prompt, instead: Mapping[int, Response]) -> None:
    """Ask about the new texts what was still to be asked about the old ones. Gold and head to head stay as they are:
    what is right there was said of the old ones."""
    touched = Exists(ItemResponse.objects.filter(item=OuterRef("pk"), response__in=instead))
    waiting = Item.objects.open().filter(prompt=prompt, purpose__in=[Purpose.TRAIN, Purpose.AUDIT])
    waiting = waiting if new_prompt != prompt else waiting.filter(touched)
    for item in waiting.prefetch_related("answers__response"):
        shown = [instead.get(one.response_id, one.response) for one in item.answers.all()]
        try:
            with transaction.atomic():
                ask(
                    project=project,
                    prompt=new_prompt,
                    kind=item.kind,
                    responses=shown,
                    purpose=item.purpose,
                    priority=item.priority,
                    wanted=item.wanted - item.taken,
                    selection={**item.selection, "instead_of": item.pk},
                )
        except ValueError:  # two of its answers look the same now: there is nothing to compare
            continue


@transaction.atomic
def send(*, project: Project, findings: QuerySet[Finding], actor: User | None = None) -> Outcome:
    """Ask annotators to clean the answers, as demonstrations before all others; of prompts the newest answer, or for
    one. Likely label errors go to the reviewers."""
    chosen, left = _chosen(project, findings)
    fitting = []
    for finding in chosen:
        answerable = finding.state in (Decision.OPEN, Decision.ACCEPTED) and finding.prompt.excluded_at is None
        if answerable and _sent(project, finding, actor):
            fitting.append(finding)
    _decide(project, fitting, Decision.SENT, actor)
    return Outcome(len(fitting), len(chosen) - len(fitting), left)


def _sent(project: Project, finding: Finding, actor: User | None) -> bool:
    if finding.kind == Check.LABEL_ERROR:
        item = Item.objects.filter(project=project, pk=finding.data["item"]).first()
        try:
            return bool(item and reviewing.open_case(item=item, reason=reviewing.Reason.ASKED, actor=actor))
        except ValidationError:
            return False
    response = finding.response or finding.prompt.responses.kept().order_by("-pk").first()
    item, new = ask(
        project=project,
        prompt=finding.prompt,
        kind=Kind.DEMONSTRATION,
        responses=[response] if response else [],
        priority=SENT_PRIORITY,
        wanted=1,
        selection={"selector": "cleaning", "finding": finding.pk},
    )
    if not new:
        if item.purpose != Purpose.TRAIN or item.dropped:
            return False
        # Once more, if it was judged already.
        again = {"priority": SENT_PRIORITY, "wanted": max(item.wanted, item.taken + 1)}
        Item.objects.filter(pk=item.pk).update(**again)
    return True


@transaction.atomic
def bring_back(*, project: Project, findings: QuerySet[Finding], actor: User | None = None) -> Outcome:
    """Take decisions back: the findings are open again, what was excluded returns, and what a mend made is excluded."""
    chosen, left = _chosen(project, findings)
    fitting = [one for one in chosen if one.state != Decision.OPEN]
    out = [one for one in fitting if one.state in (Decision.EXCLUDED, Decision.MENDED)]
    made: dict[str, list[int]] = {"prompts": [], "responses": []}
    for one in fitting:
        for kind, pk in one.data.pop("made", {}).items():
            made[f"{kind}s"].append(pk)
        if (before := one.data.pop("before", None)) is not None:
            Prompt.objects.filter(pk=one.prompt_id).update(language=before)
    leaving_out.exclude(project=project, **made, because=UNMENDED, actor=actor)
    targets = _targets(out)
    targets["prompts"] += [one.prompt_id for one in out if one.prompt.excluded_at is not None]
    leaving_out.bring_back(project=project, **targets, actor=actor)
    _decide(project, fitting, Decision.OPEN, actor)
    return Outcome(len(fitting), len(chosen) - len(fitting), left)


VERBS: dict[str, Callable[..., Outcome]] = {
    "accept": accept,
    "mend": mend,
    "exclude": exclude,
    "send": send,
    "bring_back": bring_back,
}


def _chosen(project: Project, findings: QuerySet[Finding]) -> tuple[list[Finding], int]:
    """The first of these findings, locked, and how many are left."""
    leaving_out.lock(project)
    rows = findings.filter(project=project)
    ids = list(rows.order_by("-pk").values_list("pk", flat=True)[: MOST + 1])
    left = rows.count() - MOST if len(ids) > MOST else 0
    held = Finding.objects.filter(pk__in=ids[:MOST]).select_related("prompt", "response__prompt")
    return list(held.select_for_update(no_key=True, of=["self"]).order_by("-pk")), left


def _targets(findings: Iterable[Finding]) -> dict[str, list[int]]:
    prompts, responses = set(), set()
    for one in findings:
        if one.response_id is None:
            prompts.add(one.prompt_id)
        else:
            responses.add(one.response_id)
    return {"prompts": sorted(prompts), "responses": sorted(responses)}


def _decide(project: Project, findings: list[Finding], state: str, actor: User | None) -> None:
    undone = state == Decision.OPEN
    for one in findings:
        one.state, one.decided_by, one.decided_at = state, None if undone else actor, None if undone else timezone.now()
    Finding.objects.bulk_update(findings, ["state", "decided_by", "decided_at", "data"], batch_size=200)
    if findings:
        name = "opened again" if undone else Decision(state).name.lower()
        record(f"findings {name}", project, project=project, actor=actor, findings=[one.pk for one in findings])
