"""What only shows when all texts of a project are laid side by side: duplicates, overlap with what is held out, and
unusual lengths. What is excluded is left out, so that the last of several copies is no duplicate any more."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from annotation.duplicates import SHORTEST, Sketches, closest
from annotation.models import Finding, Project, Prompt, Response
from annotation.models.cleaning import Check
from annotation.models.prompts import Split
from annotation.outliers import outliers

BATCH = 2_000
KINDS = (Check.DUPLICATE, Check.NEAR_DUPLICATE, Check.OVERLAP, Check.LENGTH)
Tell = Callable[[int, int], None]
Pairs = Iterable[tuple[int, int, float]]


@dataclass
class Texts:
    """One kind of texts, in the order of their ids. `group` is what two must share, or must not share, to be compared:
    of prompts what comes before the first question, of answers the prompt."""

    sketches: Sketches = field(default_factory=Sketches)
    ids: list[int] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)  # what each was edited from; 0 for nothing
    heldout: list[bool] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def edited(self, one: int, other: int) -> bool:
        return self.origins[one] == self.ids[other] or self.origins[other] == self.ids[one]


def compare(*, project: Project, tell: Tell = lambda done, total: None) -> int:
    """Find them all anew; what was decided stays, and open findings that hold no more go. Returns how many hold."""
    prompts = Prompt.objects.kept().filter(project=project)
    answers = Response.objects.kept().filter(prompt__project=project)
    total = prompts.count() + answers.count()
    asked = _read_prompts(project, lambda done: tell(done, total))
    given = _read_answers(project, lambda done: tell(len(asked.ids) + done, total))
    found = [*_of_prompts(project, asked), *_of_answers(project, given)]
    Finding.objects.bulk_create(found, batch_size=BATCH, ignore_conflicts=True)
    hold = {(one.kind, one.prompt_id, one.response_id, one.key) for one in found}
    open_ones = Finding.objects.filter(project=project, kind__in=KINDS).open()
    rows = open_ones.values_list("pk", "kind", "prompt_id", "response_id", "key")
    gone = [pk for pk, *what in rows.iterator(BATCH) if tuple(what) not in hold]
    for start in range(0, len(gone), BATCH):
        open_ones.filter(pk__in=gone[start : start + BATCH]).delete()
    return len(found)


def _read_prompts(project: Project, tell: Callable[[int], None]) -> Texts:
    rows = Prompt.objects.kept().filter(project=project).order_by("pk")
    read = Texts()
    fields = rows.values_list("pk", "messages", "split", "edited_from_id")
    for batch in _batches(fields.iterator(BATCH)):
        texts = []
        for pk, messages, split, origin in batch:
            turns = [one["content"] for one in messages if one["role"] != "system"]
            texts.append("\n".join(turns))
            read.ids.append(pk)
            read.prompts.append(pk)
            read.groups.append(hash(tuple(one["content"] for one in messages if one["role"] == "system")))
            read.origins.append(origin or 0)
            read.heldout.append(split == Split.HELDOUT)
            read.lengths.append(len(texts[-1]))
        read.sketches.add(texts)
        tell(len(read.ids))
    return read


def _read_answers(project: Project, tell: Callable[[int], None]) -> Texts:
    rows = Response.objects.kept().filter(prompt__project=project).order_by("pk")
    read = Texts()
    fields = rows.values_list("pk", "text", "prompt_id", "edited_from_id")
    for batch in _batches(fields.iterator(BATCH)):
        for pk, text, prompt, origin in batch:
            read.ids.append(pk)
            read.prompts.append(prompt)
            read.groups.append(prompt)
            read.origins.append(origin or 0)
            read.lengths.append(len(text))
        read.sketches.add([row[1] for row in batch], shortest=SHORTEST)
        tell(len(read.ids))
    return read


def _batches(rows: Iterable[tuple]) -> Iterator[list[tuple]]:
    batch: list[tuple] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _of_prompts(project: Project, read: Texts) -> Iterator[Finding]:
    def comparable(pairs: Pairs) -> Pairs:
        return (
            (older, younger, share)
            for older, younger, share in pairs
            if read.heldout[older] == read.heldout[younger]
            and read.groups[older] == read.groups[younger]
            and not read.edited(older, younger)
        )

    same = closest(comparable(read.sketches.same()))
    near = closest(comparable(read.sketches.alike()))
    for place, (older, _) in same.items():
        yield _twin(project, read, Check.DUPLICATE, place, older, 1.0, "It asks the same as an older prompt.")
    for place, (older, share) in near.items():
        if place not in same:
            words = f"{share * 100:.0f} % of it is in an older prompt."
            yield _twin(project, read, Check.NEAR_DUPLICATE, place, older, share, words)
    sides = np.array(read.heldout, bool)
    leaks = closest([*read.sketches.alike(sides), *read.sketches.same(sides)])
    for place, (other, share) in leaks.items():
        words = "It asks the same as" if share == 1 else f"{share * 100:.0f} % of it is in"
        words = f"{words} a held-out prompt: what is trained on would be measured."
        yield _twin(project, read, Check.OVERLAP, place, other, share, words)
    yield from _lengths(project, read, "prompt")


def _of_answers(project: Project, read: Texts) -> Iterator[Finding]:
    def comparable(pairs: Pairs) -> Pairs:
        return (
            (older, younger, share)
            for older, younger, share in pairs
            if read.groups[older] != read.groups[younger] and not read.edited(older, younger)
        )

    same = closest(comparable(read.sketches.same()))
    near = closest(comparable(read.sketches.alike()))
    for place, (older, _) in same.items():
        words = "An older prompt has the same answer."
        yield _twin(project, read, Check.DUPLICATE, place, older, 1.0, words, answer=True)
    for place, (older, share) in near.items():
        if place not in same:
            words = f"{share * 100:.0f} % of it is in an answer to an older prompt."
            yield _twin(project, read, Check.NEAR_DUPLICATE, place, older, share, words, answer=True)
    yield from _lengths(project, read, "answer", answer=True)


def _twin(
    project: Project,
    read: Texts,
    kind: Check,
    place: int,
    other: int,
    share: float,
    sentence: str,
    *,
    answer: bool = False,
) -> Finding:
    return Finding(
        project=project,
        kind=kind,
        prompt_id=read.prompts[place],
        response_id=read.ids[place] if answer else None,
        key=str(read.ids[other]),
        sentence=sentence,
        score=round(share, 3),
        data={"other": read.ids[other]},
    )


def _lengths(project: Project, read: Texts, what: str, *, answer: bool = False) -> Iterator[Finding]:
    lengths = np.array(read.lengths, np.int64)
    usual = int(np.median(lengths)) if len(lengths) else 0
    for place, far in outliers(lengths):
        kind = "long" if far > 0 else "short"
        length = f"{lengths[place]:,} character{'' if lengths[place] == 1 else 's'}"
        yield Finding(
            project=project,
            kind=Check.LENGTH,
            prompt_id=read.prompts[place],
            response_id=read.ids[place] if answer else None,
            key="",
            sentence=f"Very {kind} for {'an answer' if answer else 'a prompt'} here: {length}; "
            f"half of the {what}s have more than {usual:,}.",
            score=round(min(1.0, abs(far) / 20), 3),
        )
