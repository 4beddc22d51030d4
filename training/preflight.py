"""What a run would be, told before a device is taken: which rows it would learn from, what is odd about them, how long
it will take and how much memory, and whether it can work at all.

Nothing is frozen and nothing is started. Lengths are "about", as training/tokens.py explains; the run itself counts
exactly.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.models import Project, Prompt
from annotation.models.prompts import Split
from annotation.statistics import wilson
from annotation.text import as_seen
from training import estimating, runs, snapshots, tagged, tokens
from training.methods import ClassifySettings, Method
from training.models import ModelVersion, Snapshot
from training.models.registry import ModelKind
from training.snapshots import Row, Rule

MOST_ROWS = 20_000  # that are looked at; of more, so many spread evenly
MOST_SHOWN = 20  # rows under one finding
LONGER_IS_ODD = 0.6  # share of pairs in which the longer answer was preferred
FEW = {"sft": 30, "probe": 30, "reward": 200, "dpo": 200, "orpo": 200}  # rows that training/guide.py wants for each
NOISE_IS_ODD = 0.25  # share of pairs with several judges on which they were not of one mind


@dataclass(frozen=True)
class Example:
    """A row that a finding is about."""

    text: str
    label: int | None  # one that is behind it
    tokens: int | None = None


@dataclass(frozen=True)
class Finding:
    """`level`: "refused" where the run cannot work, "warning" where it may disappoint, "note" otherwise."""

    level: str
    title: str
    text: str
    examples: tuple[Example, ...] = ()
    more: int = 0  # examples that are not listed


@dataclass
class Report:
    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    sampled: bool = False
    tokens: int | None = None
    longest: int | None = None
    steps: int | None = None
    estimate: estimating.Estimate = field(default_factory=estimating.Estimate)
    findings: list[Finding] = field(default_factory=list)

    @property
    def can_start(self) -> bool:
        return not any(one.level == "refused" for one in self.findings)

    @property
    def refusals(self) -> list[str]:
        return [one.text for one in self.findings if one.level == "refused"]

    def add(self, level: str, title: str, text: str, rows: Sequence[tuple[Row, int | None]] = ()) -> None:
        examples = tuple(_example(row, length) for row, length in rows[:MOST_SHOWN])
        self.findings.append(Finding(level, title, text, examples, max(0, len(rows) - MOST_SHOWN)))


def check(
    *,
    project: Project,
    method: str,
    base: ModelVersion | None = None,
    snapshot: Snapshot | None = None,
    others: Iterable[Snapshot] = (),
    teacher: ModelVersion | None = None,
    rule: Rule | None = None,
    settings: dict[str, Any] | None = None,
    plan: runs.Plan = runs.Plan(),  # noqa: B008  (it cannot change)
) -> Report:
    """Look at what `tuning.tune` would start with the same arguments; what is mixed in is told and not looked into.

    Raises ValidationError if the settings do not fit the method; what cannot work otherwise is a finding of the report.
    """
    wanted = runs.method_of(method)
    chosen = runs.checked_settings(method, settings or {})
    base = base or ModelVersion.objects.filter(project=project).production().first()
    report = Report()
    if base is None:
        report.add("refused", "No model", "There is no production model yet: import a base model first.")
        return report
    if base.endpoint:
        report.add("refused", "No weights", f"{base} answers elsewhere, and its weights are not here.")
        return report
    _look_at_model(report, base, chosen)
    if wanted.produces == ModelKind.CLASSIFIER:
        _look_at_tags(report, project, ClassifySettings(**chosen))
        return report
    if wanted.snapshot_kind is None:
        _look_at_prompts(report, project, wanted, teacher, chosen)
        return report
    try:
        rows = _rows(project, wanted, snapshot, rule)
    except OSError:
        report.add("refused", "No file", "The snapshot's file is not there any more: freeze the labels again.")
        return report
    report.read = len(rows)
    if not rows:
        report.add("refused", "No rows", "There is nothing to learn from yet: no label of the kind that this needs.")
        return report
    if len(rows) > MOST_ROWS:
        rows = [rows[place * len(rows) // MOST_ROWS] for place in range(MOST_ROWS)]
        report.sampled = True
    kept, lengths = _look_at_lengths(report, rows, wanted, base, chosen)
    if not kept:
        why = ", ".join(f"{count} {reason}" for reason, count in report.dropped.most_common())
        report.add("refused", "No rows left", f"None of the {report.read} rows can be used ({why}).")
        return report
    _look_at_classes(report, kept)
    if len(kept) < (enough := FEW.get(wanted.name, 0)):
        said = f"There are {len(kept)}, and about {enough} are needed before much can be learned"
        report.add("note", "Few rows", f"{said}; “Which method?” says more.")
    _look_at_duplicates(report, kept)
    _look_at_leaks(report, kept, project)
    _look_at_pairs(report, kept)
    if mixed := [f"{other} ({other.counts.get('rows', 0)} rows)" for other in others]:
        report.add("note", "Other data is mixed in", f"{', '.join(mixed)}: the figures here are without it.")
    if lengths is not None:
        report.tokens, report.longest = round(sum(lengths) * report.read / len(rows)), max(lengths)
    weight = _look_at_weights(report, kept)
    report.steps = estimating.steps(round(report.kept * weight * report.read / len(rows)), chosen, plan.devices)
    report.estimate = estimating.estimate(method=wanted, base=base, settings=chosen, tokens=report.tokens)
    return report


def _look_at_prompts(
    report: Report,
    project: Project,
    method: Method,
    teacher: ModelVersion | None,
    settings: dict[str, Any],
) -> None:
    """A run that learns from another model's word on its own answers: there are prompts, and no rows."""
    if teacher is None:
        report.add("refused", "No model to learn from", f"{method.title} needs a model to learn from: choose one.")
    report.read = Prompt.objects.train().kept().originals().filter(project=project).count()
    if not report.read:
        report.add("refused", "No prompts", "There is no training prompt to answer: import some first.")
        return
    report.kept = min(report.read, settings["prompts"])
    said = f"{report.kept} of {report.read} training prompts are answered in each pass; no labels are needed."
    report.add("note", "Prompts", said)


def _look_at_tags(report: Report, project: Project, settings: ClassifySettings) -> None:
    """Which tags would be learned, and from how many prompts; the rest of what a run says is about rows of labels."""
    known = tagged.teaches(project, settings)
    report.read = tagged.prompts(project).filter(split=Split.TRAIN).count()
    if known.problem:
        report.add("refused", "No tag can be learned", known.problem)
        return
    report.kept = min(known.prompts, tagged.MOST_TAUGHT)
    report.add("note", "Tags to learn", f"{_counted(known.tags)}. The rest of the training prompts have none of them.")
    if known.rare:
        said = f"{_counted(known.rare)}: fewer than {settings.fewest} training prompts carry each."
        report.add("warning", "Tags that are too rare", said)
    if known.common:
        said = f"{_counted(known.common)}: fewer than {settings.fewest} prompts with other tags are without each."
        report.add("warning", "Tags that nearly all carry", said)
    if known.further:
        report.add("warning", "Very many tags", f"{known.further} rarer ones are left out.")
    without = tagged.prompts(project).exclude(tags__overlap=list(known.tags)).count()
    said = f"{min(without, settings.suggest)} of the {without} prompts without any of these tags are given suggestions."
    report.add("note", "Suggestions", said)


def _counted(tags: dict[str, int]) -> str:
    """
    >>> _counted({"tea": 12, "bus": 10})
    '“tea” on 12, “bus” on 10'
    """
    listed = [f"“{tag}” on {count}" for tag, count in list(tags.items())[:MOST_SHOWN]]
    return ", ".join(listed) + (f" and {len(tags) - MOST_SHOWN} more" if len(tags) > MOST_SHOWN else "")


def no_template(base: ModelVersion) -> str:
    """Why no conversation can be written out for this model; empty if one can, or if its files are elsewhere."""
    if base.missing() is not None or tokens.has_template(base):
        return ""
    return (
        f"{base.full_weights()} has no chat template, so it is not known how it reads a conversation: start from a "
        "chat model, or add a template to its tokenizer."
    )


def _rows(project: Project, method: Method, snapshot: Snapshot | None, rule: Rule | None) -> list[Row]:
    assert method.snapshot_kind is not None
    if snapshot is None:
        return snapshots.collect(project=project, kind=method.snapshot_kind, rule=rule or Rule())
    return snapshots.read(snapshot)


def _look_at_model(report: Report, base: ModelVersion, settings: dict[str, Any]) -> None:
    """The files may lie on another machine: what cannot be seen from here is no reason to refuse."""
    if base.missing() is not None:
        report.add(
            "note",
            "The model's files are not here",
            "They may be on another machine, so its template is not looked at.",
        )
        return
    if why := no_template(base):
        report.add("refused", "No chat template", why)
    limit, wanted = tokens.limit(base), settings.get("max_length", 0)
    if limit is not None and wanted > limit:
        report.add(
            "warning",
            "Longer than the model can read",
            f"The longest example is set to {wanted} tokens, and the model was made for {limit}.",
        )


def _look_at_lengths(
    report: Report, rows: list[Row], method: Method, base: ModelVersion, settings: dict[str, Any]
) -> tuple[list[Row], list[int] | None]:
    """The rows that the run would keep, and how long each is, cut ones at the limit; None where that cannot be told."""
    limit = settings.get("max_length")
    prompts = tokens.measure(base, [row["prompt"] for row in rows])
    answers = [tokens.measure(base, [row[name] for row in rows]) for name in _answers(rows[0])]
    dropped: defaultdict[str, list[tuple[Row, int | None]]] = defaultdict(list)
    cut: list[tuple[Row, int | None]] = []
    kept, lengths = [], []
    for place, row in enumerate(rows):
        texts = [_text(row, name) for name in _answers(row)]
        before = prompts[place] if prompts else None
        each = [before + one[place] for one in answers if one] if before is not None else []
        longest = max(each, default=None)
        if not all(texts):
            dropped["with an empty answer"].append((row, longest))
        elif len(texts) == 2 and texts[0] == texts[1]:
            dropped["with the same answer twice"].append((row, longest))
        elif limit and before is not None and before >= limit:
            dropped["with a prompt that fills the space"].append((row, longest))
        elif limit and longest is not None and longest > limit and method.name == "reward":
            dropped["longer than the longest example"].append((row, longest))
        else:
            if limit and longest is not None and longest > limit:
                cut.append((row, longest))
            kept.append(row)
            lengths.append(sum(min(one, limit) if limit else one for one in each))
    report.kept, report.cut = len(kept), len(cut)
    report.dropped = Counter({why: len(which) for why, which in dropped.items()})
    for why, which in dropped.items():
        report.add("warning", "Rows that are left out", f"{len(which)} of {len(rows)}: {why}.", which)
    if cut:
        said = f"{len(cut)} of {len(rows)} are longer than {limit} tokens: only their beginning is read."
        report.add("warning", "Rows that are cut", said, cut)
    return kept, lengths if prompts else None


def _look_at_classes(report: Report, rows: list[Row]) -> None:
    if "label" in rows[0] and len({str(row["label"]) for row in rows}) == 1:
        said = "All rows say the same, so there is nothing to tell apart: collect some of the others."
        report.add("refused", "One class", said)


def _look_at_weights(report: Report, rows: list[Row]) -> float:
    """How often a row comes, on average."""
    weights = [1.0 if row.get("weight") is None else row["weight"] for row in rows]
    mean = sum(weights) / len(weights)
    if any(weight != 1 for weight in weights):
        said = f"Each row comes as often as it weighs, which is {mean:.2f} times on average: from {min(weights):g} to "
        report.add("note", "Rows have weights", f"{said}{max(weights):g}.")
    return mean


def _look_at_duplicates(report: Report, rows: list[Row]) -> None:
    """Rows that are the same to a reader, and pairs that another row has the other way round."""
    seen: set[tuple[str, ...]] = set()
    again: list[tuple[Row, int | None]] = []
    against: list[tuple[Row, int | None]] = []
    for row in rows:
        prompt = as_seen(" ".join(message["content"] for message in row["prompt"])).lower()
        texts = tuple(as_seen(_text(row, name)).lower() for name in _answers(row))
        if (prompt, *texts) in seen:
            again.append((row, None))
        elif len(texts) == 2 and (prompt, *reversed(texts)) in seen:
            against.append((row, None))
        seen.add((prompt, *texts))
    if again:
        said = f"{len(again)} of {len(rows)} repeat another row but for case and spaces, and so count twice."
        report.add("warning", "Duplicates", said, again)
    if against:
        report.add("warning", "Contradictions", f"{len(against)} pairs say the opposite of another row.", against)


def _look_at_leaks(report: Report, rows: list[Row], project: Project) -> None:
    """Held-out prompts whose question is asked in a row too, with another system prompt or other turns before it."""
    kept_apart = Prompt.objects.filter(project=project, split=Split.HELDOUT).values_list("messages", flat=True)
    questions = {_question(messages) for messages in kept_apart.iterator(chunk_size=2000)} - {""}
    leaking: list[tuple[Row, int | None]] = [(row, None) for row in rows if _question(row["prompt"]) in questions]
    if leaking:
        report.add(
            "warning",
            "Questions of held-out prompts",
            f"{len(leaking)} of {len(rows)} ask the last question of a held-out prompt, so what is measured on that "
            "prompt afterwards is too good.",
            leaking,
        )


def _look_at_pairs(report: Report, rows: list[Row]) -> None:
    if "chosen" not in rows[0]:
        return
    longer = [len(_text(row, "chosen")) > len(_text(row, "rejected")) for row in rows]
    share = wilson(sum(longer), len(longer))
    said = f"In {share} of the pairs the longer answer was preferred."
    if share.lower > LONGER_IS_ODD:
        report.add("warning", "Longer is better", f"{said} The model may learn length instead of quality.")
    else:
        report.add("note", "Length", said)
    several = [row for row in rows if len(row["labels"]) > 1 and row.get("agreement") is not None]
    if several:
        split: list[tuple[Row, int | None]] = [(row, None) for row in several if row["agreement"] < 1]
        said = f"{len(split)} of {len(several)} pairs that several people judged were not judged by all alike."
        level = "warning" if len(split) > NOISE_IS_ODD * len(several) else "note"
        report.add(level, "Disagreement", said, split)
    else:
        report.add("note", "Disagreement", "No pair was judged by more than one person, so it cannot be told.")


def _answers(row: Row) -> list[str]:
    return [name for name in ("completion", "chosen", "rejected") if name in row]


def _text(row: Row, name: str) -> str:
    return "\n".join(message["content"] for message in row[name]).strip()


def _question(messages: Iterable[dict[str, str]]) -> str:
    """The last thing that was asked, as a reader sees it."""
    asked = [message["content"] for message in messages if message["role"] == "user"]
    return as_seen(asked[-1]).lower() if asked else ""


def _example(row: Row, length: int | None) -> Example:
    asked = [message["content"] for message in row["prompt"] if message["role"] == "user"]
    text = " ".join((asked[-1] if asked else _text(row, _answers(row)[0])).split())
    return Example(text[:117] + "…" if len(text) > 118 else text, next(iter(row["labels"]), None), length)


def in_words(report: Report) -> list[str]:
    """The report for a terminal, a line each."""
    lines = [f"{report.kept} of {report.read} rows kept, {report.dropped.total()} dropped, {report.cut} cut."]
    if report.sampled:
        lines[0] += f" Looked at: {MOST_ROWS:,} of them, spread evenly."
    if report.tokens is not None:
        lines.append(f"About {report.tokens:,} tokens in one pass, the longest row {report.longest}.")
    if report.steps is not None:
        lines.append(f"{report.steps} steps.")
    lines += [line for line in (report.estimate.time_in_words, report.estimate.memory_in_words) if line]
    lines += [f"{one.level.capitalize()}: {one.title}. {one.text}" for one in report.findings]
    return lines
