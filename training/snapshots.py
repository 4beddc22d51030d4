"""Freezing labels into data sets that never change.

A snapshot is a folder in the artifact store: `train.parquet`, which `datasets.load_dataset(folder)` reads, and
`manifest.json`. Its sha256 is of the rows, each written as canonical JSON on a line, so the same labels and rule
give the same hash wherever and however the file is written. Every row names the labels behind it.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from pydantic import BaseModel, ConfigDict, Field

from annotation.models import Judgement, Label, Project, Prompt, Response, User
from annotation.models.events import record
from annotation.models.items import Kind
from annotation.models.labels import Verdict
from annotation.text import canonical
from training import artifacts, made
from training.models import Snapshot, SnapshotLabel
from training.models.snapshots import SnapshotKind

Row = dict[str, Any]

NOTHING = {
    SnapshotKind.DEMONSTRATIONS: "No accepted or edited demonstration on a training prompt yet.",
    SnapshotKind.PREFERENCES: "No comparison on a training prompt has a preferred answer yet.",
    SnapshotKind.UNPAIRED: "No answer to a training prompt was found good or bad yet.",
}


class NoRows(Exception):
    """The rule leaves nothing to train on; the message says what is missing."""


class Rule(BaseModel):
    """Which labels enter a snapshot, and how several on one item become one row.

    Demonstrations: every accepted or edited text, edits of a comparison's best answer too. Preferences: each pair of
    answers by majority of the people who judged it; ties, pairs with as many votes either way, and votes that call
    both unacceptable are left out. Unpaired: each answer by majority, good if accepted, written or ranked best above
    another, bad if rejected or marked unacceptable. Where a reviewer has decided an item, the decision counts alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    simulated: bool = Field(False, description="Include the labels of simulated annotators.")
    edits_as_preferences: bool = Field(True, description="An edited answer is preferred over its original.")
    minimum_agreement: float = Field(
        0.5, ge=0.5, le=1.0, description="Share of the votes that the preferred answer must have."
    )
    taught_by: list[int] = Field([], description="Demonstrations: ids of models to learn from where nobody judged.")
    guessed_by: list[int] = Field([], description="Preferences: ids of reward models that guess where nobody compared.")
    confidence: float = Field(
        0.9, ge=0.5, le=1.0, description="How sure a reward model must be of a preference that it guesses."
    )
    most_made: float = Field(
        0.3, ge=0.0, le=1.0, description="Largest share of all rows that models may have made; 1 is no limit."
    )


@transaction.atomic
def freeze(*, project: Project, kind: str, rule: Rule | None = None, actor: User | None = None) -> Snapshot:
    """Freeze the project's labels; the same rows are the snapshot that is there already.

    That one keeps the rule that made it, and another rule which gave the same rows is put on record beside it.
    Should its file have been damaged, it is written again. Raises NoRows when no label fits the rule.
    """
    rule = rule or Rule()
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # two at once would write one folder
    rows = collect(project=project, kind=kind, rule=rule)
    if not rows:
        raise NoRows(NOTHING[SnapshotKind(kind)])
    digest = content_hash(rows)
    counts = _counts(rows)
    found = Snapshot.objects.filter(project=project, kind=kind, sha256=digest).first()
    if found is not None:
        if not is_intact(found):
            _write(found.path, rows, {"kind": kind, "rule": found.rule, "counts": counts})
            artifacts.keep(found.folder)
        if rule not in [Rule.model_validate(one) for one in (found.rule, *found.other_rules)]:
            found.other_rules.append(rule.model_dump())
            found.save(update_fields=["other_rules"])
            record("snapshot found by another rule", found, project=project, actor=actor, rule=rule.model_dump())
        return found
    folder = f"{project.slug}/snapshots/{kind}-{digest[:16]}"
    _write(Path(settings.ARTIFACTS) / folder, rows, {"kind": kind, "rule": rule.model_dump(), "counts": counts})
    artifacts.keep(folder)
    snapshot = Snapshot.objects.create(
        project=project,
        kind=kind,
        rule=rule.model_dump(),
        sha256=digest,
        folder=folder,
        counts=counts,
        created_by=actor,
    )
    labels = sorted({label for row in rows for label in row["labels"]})
    SnapshotLabel.objects.bulk_create(SnapshotLabel(snapshot=snapshot, label_id=pk) for pk in labels)
    record("snapshot frozen", snapshot, project=project, actor=actor, sha256=digest, rows=len(rows))
    return snapshot


def in_words(snapshot: Snapshot, rule: Rule | None = None) -> str:
    """What freezing by this rule came to."""
    rows = f"{snapshot.counts['rows']} rows"
    if (rule or Rule()) == Rule.model_validate(snapshot.rule):
        return f"{rows}."
    return f"{rows}: the very rows that another rule gave before, so its snapshot serves. Both rules are on record."


def collect(*, project: Project, kind: str, rule: Rule) -> list[Row]:
    """The rows a snapshot would have, in a fixed order: by prompt, then by answer."""
    collected = {
        SnapshotKind.DEMONSTRATIONS: _demonstrations,
        SnapshotKind.PREFERENCES: _preferences,
        SnapshotKind.UNPAIRED: _unpaired,
    }
    rows = collected[SnapshotKind(kind)](project, rule)
    if kind == SnapshotKind.DEMONSTRATIONS and rule.taught_by:
        rows = made.with_models(rows, list(_taught(project, rule)), share=rule.most_made)
    elif kind == SnapshotKind.PREFERENCES and rule.guessed_by:
        rows = made.with_models(rows, list(_guessed(project, rule)), share=rule.most_made)
    return sorted(rows, key=lambda row: (row["prompt_sha256"], canonical(row)))


def content_hash(rows: Iterable[Row]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical(row).encode("utf-8"))
        digest.update(b"\n")
    return digest.hexdigest()


def read(snapshot: Snapshot) -> list[Row]:
    """The rows of a snapshot as they lie on disk."""
    bring(snapshot)
    return _read(snapshot.path)


def _read(folder: Path) -> list[Row]:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(folder / "train.parquet").to_pylist()


def hash_of(folder: Path) -> str:
    """The hash of the rows that a snapshot's folder holds; empty if it holds none that can be read."""
    try:
        return content_hash(_read(folder))
    except (OSError, TypeError, ValueError):
        return ""


def is_intact(snapshot: Snapshot) -> bool:
    """Whether the file still holds what was frozen."""
    try:
        bring(snapshot)
    except OSError:
        return False
    return hash_of(snapshot.path) == snapshot.sha256


def _demonstrations(project: Project, rule: Rule) -> list[Row]:
    labels = (
        Label.objects.trainable(simulated=rule.simulated)
        .filter(project=project, response__isnull=False)  # of comparisons too: the best answer, edited
        .select_related("response__prompt")
        .order_by("id")
    )
    rows: dict[tuple[int, int], Row] = {}
    for label in labels:
        assert label.response is not None
        prompt = label.response.prompt  # the item's, unless earlier turns were mended
        row = rows.setdefault(
            (prompt.pk, label.response.pk),
            {**_prompt_columns(prompt), "completion": _answer(label.response.text), "labels": []},
        )
        row["labels"].append(label.pk)
    return list(rows.values())


@dataclass
class Votes:
    """What people said about one pair of answers."""

    prompt: Prompt
    texts: dict[int, str]
    wins: Counter[int] = field(default_factory=Counter)
    strengths: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    labels: list[int] = field(default_factory=list)

    def vote(self, winner: int | None, strength: float, label: int) -> None:
        self.labels.append(label)
        self.wins[winner or 0] += 1
        if winner is not None:
            self.strengths[winner].append(strength)

    def row(self, minimum_agreement: float) -> Row | None:
        """The preference row of the majority, or None if there is no majority."""
        first, second = sorted(self.texts)
        if self.wins[first] == self.wins[second]:
            return None
        chosen, rejected = (first, second) if self.wins[first] > self.wins[second] else (second, first)
        agreement = self.wins[chosen] / self.wins.total()
        if agreement < minimum_agreement:
            return None
        margin = (sum(self.strengths[chosen]) - sum(self.strengths[rejected])) / self.wins.total()
        return {
            **_prompt_columns(self.prompt),
            "chosen": _answer(self.texts[chosen]),
            "rejected": _answer(self.texts[rejected]),
            "margin": round(max(0.0, margin), 6),
            "agreement": round(agreement, 6),
            "labels": sorted(self.labels),
        }


def _preferences(project: Project, rule: Rule) -> list[Row]:
    pairs: dict[tuple[int, int], Votes] = {}
    labels = (
        Label.objects.trainable(simulated=rule.simulated)
        .filter(project=project, item__kind=Kind.COMPARISON)
        .select_related("item__prompt")
        .prefetch_related("judgements__response")
        .order_by("id")
    )
    levels = max(1, len(project.strength_levels))
    for label in labels:
        count_votes(label, levels, pairs)
    if rule.edits_as_preferences:
        edits = (
            Label.objects.trainable(simulated=rule.simulated)
            .filter(project=project, response__prompt=F("item__prompt"))  # and not in a mended conversation
            .exclude(verdict=Verdict.ACCEPT)
            .select_related("item__prompt", "response")
            .prefetch_related("item__responses", "judgements__response")
            .order_by("id")
        )
        for label in edits:
            assert label.response is not None
            for original in _edited(label):
                texts = {response.pk: response.text for response in (label.response, original)}
                votes = pairs.setdefault(_key(texts), Votes(label.item.prompt, texts))
                votes.vote(label.response.pk, 1.0, label.pk)
    rows = (votes.row(rule.minimum_agreement) for votes in pairs.values())
    return [row for row in rows if row is not None]


def _unpaired(project: Project, rule: Rule) -> list[Row]:
    """Answers by themselves, with `label`: true for good ones, false for bad ones."""
    labels = (
        Label.objects.trainable(simulated=rule.simulated)
        .filter(project=project)
        .select_related("item__prompt", "response__prompt")
        .prefetch_related("item__responses", "judgements__response")
        .order_by("id")
    )
    found: dict[tuple[int, int], Row] = {}
    votes: defaultdict[tuple[int, int], list[bool]] = defaultdict(list)
    for label in labels:
        for prompt, response, good in _verdicts(label):
            key = (prompt.pk, response.pk)
            columns = {**_prompt_columns(prompt), "completion": _answer(response.text), "labels": []}
            found.setdefault(key, columns)["labels"].append(label.pk)
            votes[key].append(good)
    rows = []
    for key, row in found.items():
        share = sum(votes[key]) / len(votes[key])
        agreement = max(share, 1 - share)
        if share != 0.5 and agreement >= rule.minimum_agreement:
            rows.append({**row, "label": share > 0.5, "agreement": round(agreement, 6)})
    return rows


def _verdicts(label: Label) -> Iterator[tuple[Prompt, Response, bool]]:
    """The answers that this label calls good (True) or bad, each with the conversation it answers.

    An answer that somebody edited is neither: it was worth the work, and not good as it stood. Nor is one that is best
    only because all are tied.
    """
    if label.response is not None:
        yield label.response.prompt, label.response, True
    elif label.verdict == Verdict.REJECT:
        for response in label.item.responses.all():
            if response.excluded_at is None:
                yield label.item.prompt, response, False
    judged = _kept(label)
    last = max((one.rank for one in judged), default=1)
    for one in judged:
        if one.unacceptable:
            yield label.item.prompt, one.response, False
        elif one.rank == 1 < last and label.response is None:
            yield label.item.prompt, one.response, True


def _taught(project: Project, rule: Rule) -> Iterator[Row]:
    for response, version in made.taught(project, rule.taught_by, simulated=rule.simulated):
        columns = {**_prompt_columns(response.prompt), "completion": _answer(response.text)}
        yield {**columns, "labels": [], "made_by": version}


def _guessed(project: Project, rule: Rule) -> Iterator[Row]:
    guesses = made.guessed(project, rule.guessed_by, confidence=rule.confidence, simulated=rule.simulated)
    for chosen, rejected, sure, version in guesses:
        columns = {
            **_prompt_columns(chosen.prompt),
            "chosen": _answer(chosen.text),
            "rejected": _answer(rejected.text),
        }
        yield {**columns, "margin": 0.0, "agreement": round(sure, 6), "labels": [], "made_by": version}


def _edited(label: Label) -> list[Response]:
    """What this person made better: the draft they saw, or the answer they ranked best. (`response.edited_from` is
    what the first to write this text saw.)"""
    if label.item.kind == Kind.DEMONSTRATION:
        return [response for response in label.item.responses.all() if response.excluded_at is None]
    return [
        judged.response for judged in label.judgements.all() if judged.rank == 1 and not judged.response.excluded_at
    ]


def _kept(label: Label) -> list[Judgement]:
    """What a label says of answers that are not excluded."""
    return [judged for judged in label.judgements.all() if judged.response.excluded_at is None]


def count_votes(label: Label, levels: int, pairs: dict[tuple[int, int], Votes]) -> None:
    """Add one comparison label to the votes of each pair of its answers."""
    judged = _kept(label)
    for place, one in enumerate(judged):
        for other in judged[place + 1 :]:
            if one.unacceptable and other.unacceptable:
                continue
            texts = {one.response_id: one.response.text, other.response_id: other.response.text}
            votes = pairs.setdefault(_key(texts), Votes(label.item.prompt, texts))
            if one.rank == other.rank:
                votes.vote(None, 0.0, label.pk)
            else:
                winner = one if one.rank < other.rank else other
                votes.vote(winner.response_id, (label.strength or levels) / levels, label.pk)


def _key(texts: dict[int, str]) -> tuple[int, int]:
    first, second = sorted(texts)
    return first, second


def _prompt_columns(prompt: Prompt) -> Row:
    messages = [{"role": m["role"], "content": m["content"]} for m in prompt.messages]
    return {
        "prompt": messages,
        "prompt_sha256": prompt.sha256,
        "language": prompt.language,
        "tags": sorted(prompt.tags),
    }


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _counts(rows: list[Row]) -> dict[str, Any]:
    made_by = Counter(row["made_by"] for row in rows if row.get("made_by") is not None)
    return {
        **({"made_by": {str(version): count for version, count in sorted(made_by.items())}} if made_by else {}),
        "rows": len(rows),
        "prompts": len({row["prompt_sha256"] for row in rows}),
        "labels": len({label for row in rows for label in row["labels"]}),
        "languages": dict(Counter(row["language"] for row in rows)),
        "tags": dict(Counter(tag for row in rows for tag in row["tags"])),
    }


def bring(snapshot: Snapshot) -> None:
    """Have its file on this machine, if several share a store."""
    artifacts.bring(snapshot.folder, lambda folder: hash_of(folder) == snapshot.sha256)


def _write(folder: Path, rows: list[Row], manifest: dict[str, Any]) -> None:
    """The whole folder appears at once, or not at all."""
    import pyarrow
    import pyarrow.parquet

    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=folder.parent))
    try:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), half / "train.parquet")
        manifest |= {
            "sha256": content_hash(rows),
            "labels": sorted({label for row in rows for label in row["labels"]}),
            "columns": sorted(rows[0]),
        }
        (half / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))
        half.chmod(0o755)
        if folder.exists():  # damaged, or left by a transaction that was rolled back
            shutil.rmtree(folder)
        os.replace(half, folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def heldout_pairs(*, project: Project, simulated: bool = False) -> list[Row]:
    """Judged pairs on held-out prompts, aggregated as preferences are, for evaluation only."""
    rows = [votes.row(Rule().minimum_agreement) for votes in heldout_votes(project=project, simulated=simulated)]
    return sorted((row for row in rows if row is not None), key=canonical)


def heldout_votes(*, project: Project, simulated: bool = False) -> list[Votes]:
    """What people said about each pair of answers to a held-out prompt."""
    labels = (
        Label.objects.counted()
        .decisive()
        .kept()
        .filter(project=project, item__kind=Kind.COMPARISON, item__prompt__split="heldout")
        .select_related("item__prompt")
        .prefetch_related("judgements__response")
        .order_by("id")
    )
    if not simulated:
        labels = labels.filter(simulated=False)
    pairs: dict[tuple[int, int], Votes] = {}
    for label in labels:
        count_votes(label, max(1, len(project.strength_levels)), pairs)
    return list(pairs.values())
