"""What the server gives, as plain dictionaries with types. The reference is on your own server, at /api/docs/."""

from typing import Any, Literal, TypedDict

Kind = Literal["comparison", "demonstration"]
SnapshotKind = Literal["demonstrations", "preferences", "unpaired"]


class Message(TypedDict):
    role: str
    content: str


class ProjectRow(TypedDict):
    slug: str
    name: str
    description: str
    role: str
    waiting: dict[str, int]


class ProjectDetail(ProjectRow):
    guidelines: str
    guidelines_number: int | None
    guidelines_unread: bool
    ties_allowed: bool
    strength_levels: list[str]
    criteria: list[str]
    flags: list[str]
    progress: dict[str, Any]
    own_labels: int


class Prompt(TypedDict):
    id: int
    messages: list[Message]
    split: str
    language: str
    tags: list[str]
    metadata: dict[str, Any]
    sha256: str
    created_at: str


class Rejected(TypedDict):
    line: int
    reason: str


class Summary(TypedDict):
    """What an import did; lines are counted over all that was sent."""

    added: int
    known: int
    prompts: int
    responses: int
    demonstrations: int
    comparisons: int
    gold: int
    rejected: list[Rejected]


class Answer(TypedDict):
    position: int
    text: str


class AssignmentRow(TypedDict):
    id: int
    kind: Kind
    leased_at: str
    lease_until: str
    prompt: list[Message]
    answers: list[Answer]
    ties_allowed: bool
    strength_levels: list[str]
    criteria: list[str]
    flags: list[str]
    draft: dict[str, Any]


class Judgement(TypedDict):
    position: int
    rank: int
    unacceptable: bool
    response: int | None


class Label(TypedDict):
    id: int
    kind: Kind
    assignment: int
    person: str
    simulated: bool
    client_uuid: str
    live: bool
    created_at: str
    retracted_at: str | None
    decision: bool
    verdict: str
    text: str | None
    flags: list[str]
    strength: int | None
    judgements: list[Judgement]
    criteria: dict[str, int | None]
    comment: str
    seconds: float | None
    guidelines: int | None
    item: int | None
    prompt: int | None
    response: int | None


class Exported(TypedDict):
    """One labelled item, people under pseudonyms: see docs/data-formats.md."""

    kind: Kind
    prompt: list[Message]
    answers: list[dict[str, Any]]
    labels: list[dict[str, Any]]


class Snapshot(TypedDict):
    id: int
    kind: SnapshotKind
    rule: dict[str, Any]
    other_rules: list[dict[str, Any]]
    source: dict[str, Any]
    sha256: str
    counts: dict[str, Any]
    created_at: str


class Named(TypedDict):
    id: int
    name: str


class Run(TypedDict):
    id: int
    method: str
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    base: Named | None
    snapshot: int | None
    teacher: Named | None
    model: Named | None
    seed: int
    attempt: int
    cancel_requested: bool
    step: int
    total: int
    percent: int
    seconds: float | None
    reason: str
    error: str
    advice: str
    created_by: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None


class RunDetail(Run):
    settings: dict[str, Any]
    metrics: dict[str, Any]
    rows: dict[str, Any]
    log: str


class Model(TypedDict):
    id: int
    name: str
    kind: Literal["policy", "reward", "classifier"]
    format: str
    stage: Literal["candidate", "production", "retired"]
    parent: Named | None
    run: int | None
    sha256: str
    stale: str
    created_at: str


class Round(TypedDict):
    number: int
    status: str
    step: str
    champion: Named | None
    challenger: Named | None
    reward_model: Named | None
    error: str
    started_by: str | None
    created_at: str
    finished_at: str | None
