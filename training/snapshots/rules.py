"""What a snapshot is made of: which labels, how several become one row, and what each row weighs."""

from datetime import date
from math import prod
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from annotation.aggregating import Aggregation, Terms
from annotation.models.items import Kind
from annotation.models.prompts import Origin
from annotation.statistics import percent
from annotation.text import why_unstorable

MOST_LISTED = 500  # names in one list of a rule
HEAVIEST = 20.0
MADE = "made"
# What a row may be weighed by: where its (better) answer comes from, what was asked, who said so.
WEIGHTS = {
    "import": "answers that were imported",
    "human": "answers that a person wrote",
    "edit": "answers that a person edited",
    "model": "answers of a model",
    "demonstration": "what was said of single answers",
    "comparison": "what was said in rankings",
    "decision": "decisions of reviewers",
    "simulated": "labels of simulated annotators",
    "imported": "labels that came with imported files",
    MADE: "rows that models made",
}
NARROWS_NOTHING = {
    "simulated",
    "edits_as_preferences",
    "taught_by",
    "guessed_by",
    "paraphrased_by",
    "confidence",
    "most_made",
}
Wanted = Literal["train", "head_to_head", "audit"]  # gold is no purpose that data are made of
Name = Annotated[str, StringConstraints(max_length=200)]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Known = Annotated[str, StringConstraints(max_length=1000)] | int | float | bool


class Rule(BaseModel):
    """Which labels enter a snapshot, and how several on one item become one row.

    Demonstrations: every accepted or edited text, edits of a comparison's best answer too. Preferences: each pair of
    answers by majority of the people who judged it; ties, pairs with as many votes either way, and votes that call
    both unacceptable are left out. Unpaired: each answer by majority, good if accepted, written or ranked best above
    another, bad if rejected or marked unacceptable. Where a reviewer has decided an item, the decision counts alone;
    a filter that leaves the decision out leaves the item out, and brings back no vote that it overruled.

    `weighted` counts each vote by how often its person is right by what the others say of the same answers. `all_votes`
    makes a row of every vote. A rule that says nothing of the fields below `most_made` gives the rows it always gave.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    simulated: bool = Field(False, description="Include the labels of simulated annotators.")
    edits_as_preferences: bool = Field(True, description="An edited answer is preferred over its original.")
    minimum_agreement: float = Field(
        0.5, ge=0.5, le=1.0, description="Share of the votes that the preferred answer must have."
    )
    taught_by: list[Id] = Field([], description="Demonstrations: ids of models to learn from where nobody judged.")
    guessed_by: list[Id] = Field([], description="Preferences: ids of reward models that guess where nobody compared.")
    paraphrased_by: list[Id] = Field(
        [], description="Ids of models in whose words people's prompts are asked once more, with people's own answers."
    )
    confidence: float = Field(
        0.9, ge=0.5, le=1.0, description="How sure a reward model must be of a preference that it guesses."
    )
    most_made: float = Field(
        0.3, ge=0.0, le=1.0, description="Largest share of all rows that models may have made; 1 is no limit."
    )
    aggregation: Aggregation = Field(
        "majority", description="How votes become a row: majority, weighted by reliability, or a row for each vote."
    )
    minimum_votes: int = Field(
        1, ge=1, le=100, description="Votes that must stand behind a row; a reviewer's decision is enough by itself."
    )
    purposes: list[Wanted] = Field([], description="Only items asked for these purposes; empty is all but gold.")
    languages: list[Name] = Field([], max_length=MOST_LISTED, description="Only prompts in these; empty text: unknown.")
    tags: list[Name] = Field([], max_length=MOST_LISTED, description="Only prompts with one of these tags.")
    without_tags: list[Name] = Field([], max_length=MOST_LISTED, description="No prompts with one of these tags.")
    metadata: dict[str, Known] = Field({}, description="Only prompts whose metadata have all of these values.")
    people: list[Name] = Field([], max_length=MOST_LISTED, description="Only labels of these people, by user name.")
    without_people: list[Name] = Field([], max_length=MOST_LISTED, description="No labels of these people.")
    answered_by: list[Id] = Field([], max_length=MOST_LISTED, description="Only items with an answer of these models.")
    since: date | None = Field(None, description="Only labels from this day on.")
    until: date | None = Field(None, description="Only labels up to this day, which is included.")
    flags: list[Name] = Field([], max_length=MOST_LISTED, description="Only labels with one of these flags.")
    without_flags: list[Name] = Field([], max_length=MOST_LISTED, description="No labels with one of these flags.")
    weights: dict[str, float] = Field(
        {}, description=f"How much rows weigh by kind and source, 1 if not named, 0 for none: {', '.join(WEIGHTS)}."
    )

    @field_validator("weights")
    @classmethod
    def _known_weights(cls, weights: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(weights) - set(WEIGHTS)):
            raise ValueError(f"There is no weight of {', '.join(unknown)}; there are {', '.join(WEIGHTS)}.")
        if any(not 0 <= weight <= HEAVIEST for weight in weights.values()):  # which no NaN is
            raise ValueError(f"A weight is a number from 0 to {HEAVIEST:g}.")
        return weights

    @model_validator(mode="after")
    def _makes_sense(self) -> "Rule":
        if self.since and self.until and self.until < self.since:
            raise ValueError("The last day is before the first.")
        if why := why_unstorable(self.model_dump()):
            raise ValueError(f"Something in the rule {why}.")
        return self

    def stored(self) -> dict[str, Any]:
        """As JSON, every field named."""
        return self.model_dump(mode="json")

    def told(self) -> dict[str, Any]:
        """As JSON, only what is not as it is by default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def terms(self) -> Terms:
        """What is asked of votes before they are a row."""
        return Terms(self.aggregation, self.minimum_agreement, self.minimum_votes)

    @property
    def narrows(self) -> bool:
        """Whether it leaves out what another rule would let in."""
        return bool(set(self.told()) - NARROWS_NOTHING)

    def weight(self, origin: str, behind: list[list[str]]) -> float:
        """What a row weighs whose answer is of this origin; `behind` it are labels, each with all that it is.

        >>> rule = Rule(weights={"import": 0.5, "comparison": 2.0, "simulated": 0.0})
        >>> rule.weight("import", [["comparison"]])
        1.0
        >>> rule.weight("model", [["comparison"], ["demonstration", "simulated"]])
        1.0
        """
        of = self.weights.get
        each = [prod(of(name, 1.0) for name in names) for names in behind]
        said = sum(each) / len(each) if each else of(MADE, 1.0)
        return round(of(origin, 1.0) * said, 6)


assert set(WEIGHTS) >= {*Origin.values, *Kind.values}


def words(rule: Rule, kind: str) -> list[str]:
    """The rule in sentences, for people: what is as always is said once and shortly."""
    said = [_aggregated(rule, kind)]
    if rule.minimum_agreement > 0.5 and kind != "demonstrations":
        said.append(f"At least {percent(rule.minimum_agreement)} of the votes agree.")
    if rule.minimum_votes > 1:
        said.append(f"At least {rule.minimum_votes} votes stand behind a row, or a reviewer's decision.")
    if kind == "preferences":
        edits = "is preferred over its original" if rule.edits_as_preferences else "is no preference"
        said.append(f"An edited answer {edits}.")
    said += _filtered(rule)
    if rule.simulated:
        said.append("Labels of simulated annotators count, too.")
    said += _made(rule, kind)
    if rule.weights:
        listed = ", ".join(f"{WEIGHTS[name]} {weight:g}" for name, weight in rule.weights.items())
        said.append(f"Weights: {listed}; all else 1.")
    return said


def _aggregated(rule: Rule, kind: str) -> str:
    if rule.aggregation == "all_votes":
        return "A row for every vote." if kind != "demonstrations" else "A row for everybody who kept or wrote a text."
    if kind == "demonstrations":
        return "Every text that somebody kept, edited or wrote."
    what = "Each pair of answers" if kind == "preferences" else "Each answer"
    by = "by majority" if rule.aggregation == "majority" else "by votes weighted by reliability"
    return f"{what}, {by}."


def _made(rule: Rule, kind: str) -> list[str]:
    said = []
    if made := {"demonstrations": rule.taught_by, "preferences": rule.guessed_by}.get(kind):
        does = "answers" if kind == "demonstrations" else "guesses"
        said.append(f"{does} of {_models(made)} where nobody judged")
    if rule.paraphrased_by:
        said.append(f"what people judged in the words of {_models(rule.paraphrased_by)}")
    return [f"With {', and with '.join(said)}, at most {percent(rule.most_made)} of all rows."] if said else []


def _filtered(rule: Rule) -> list[str]:
    purposes = {"train": "training", "head_to_head": "head to head", "audit": "audit"}
    spoken = [one or "unknown" for one in rule.languages]
    filters = [
        ("Only items for", [purposes[one] for one in rule.purposes]),
        ("Only prompts in", spoken),
        ("Only prompts tagged", rule.tags),
        ("No prompts tagged", rule.without_tags),
        ("Only prompts whose metadata say", [f"{name} = {value}" for name, value in rule.metadata.items()]),
        ("Only labels by", rule.people),
        ("No labels by", rule.without_people),
        ("Only items with an answer of", [_models(rule.answered_by)] if rule.answered_by else []),
        ("Only labels from", [f"{rule.since} on"] if rule.since else []),
        ("Only labels up to", [str(rule.until)] if rule.until else []),
        ("Only labels flagged", rule.flags),
        ("No labels flagged", rule.without_flags),
    ]
    return [f"{start} {', '.join(what)}." for start, what in filters if what]


def _models(ids: list[int]) -> str:
    return f"model{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}"
