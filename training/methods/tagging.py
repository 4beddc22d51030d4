"""Settings of a classifier over tags, and which tags one can be made of."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pydantic import Field

from training.methods.probes import ReadingSettings
from training.methods.shared import Settings

MOST_SUGGESTED = 10_000  # prompts that one run looks at
MOST_TAGS = 200


class ClassifySettings(ReadingSettings):
    tags: str = Field(
        "",
        max_length=2000,
        title="Tags to learn",
        description="With commas between. Empty: all that enough prompts carry. Name those that belong to one question "
        "(topics, say) if others, such as where a prompt came from, are on prompts nobody sorted by topic: a prompt "
        "with one of these tags and without another counts as one that the other does not fit.",
    )
    fewest: int = Field(
        10,
        ge=5,
        le=10_000,
        title="Fewest prompts with a tag",
        description="A tag is learned if so many training prompts carry it and so many tagged ones do not. With ten "
        "only what is plain is found, and from some fifty on finer things.",
    )
    suggest: int = Field(
        1000,
        ge=0,
        le=MOST_SUGGESTED,
        title="Prompts to suggest tags for",
        description="So many of the newest prompts without any of these tags are given suggestions at once, which you "
        "accept or dismiss. 0 leaves it at learning; the model's page asks for suggestions at any time.",
    )

    @property
    def wanted(self) -> list[str]:
        """The tags that were named; empty is all."""
        return [tag.strip() for tag in self.tags.split(",") if tag.strip()]


class SuggestSettings(Settings):
    batch_size: int = Field(
        16,
        ge=1,
        le=1024,
        title="Texts at once",
        description="How many texts are read side by side. It changes the speed and not the result.",
    )
    suggest: int = Field(
        1000,
        ge=1,
        le=MOST_SUGGESTED,
        title="Prompts to suggest tags for",
        description="So many of the newest prompts that have none of the model's tags and that it has not read yet.",
    )


@dataclass(frozen=True)
class Learnable:
    """`tags`: how many prompts carry each that can be learned, of `prompts` that carry any of them. `rare` and `common`
    are tags that too few prompts carry, or too few do not."""

    tags: dict[str, int] = field(default_factory=dict)
    prompts: int = 0
    rare: dict[str, int] = field(default_factory=dict)
    common: dict[str, int] = field(default_factory=dict)
    further: int = 0  # beyond the most that one model learns

    @property
    def problem(self) -> str:
        """Why nothing can be learned, and what to do; empty if something can."""
        if self.tags:
            return ""
        if self.common:
            listed = _listed(self.common)
            return (
                f"Nearly all prompts with tags carry {listed}, so there is nothing to tell apart: put other tags on "
                "those that it does not fit."
            )
        if self.rare:
            return (
                f"No tag is on enough training prompts yet ({_listed(self.rare)}): tag more in Browse, or lower the "
                "fewest prompts with a tag."
            )
        return "No training prompt has such a tag yet: put tags on prompts in Browse first."


def learnable(tagged: Mapping[tuple[str, ...], int], wanted: Collection[str], fewest: int) -> Learnable:
    """`tagged`: how many training prompts have just these tags. A prompt speaks of a tag if it carries one of those to
    be learned.

    >>> found = learnable({("all", "tea"): 4, ("all", "bus"): 5, ("all", "odd"): 1}, [], 4)
    >>> found.tags, found.prompts, found.rare, found.common
    ({'bus': 5, 'tea': 4}, 9, {'odd': 1}, {'all': 10})
    """
    known = set(wanted)
    each = [({tag for tag in tags if not known or tag in known}, count) for tags, count in tagged.items()]
    counts: Counter[str] = Counter()
    for tags, count in each:
        counts.update(dict.fromkeys(tags, count))
    counts.update(dict.fromkeys(sorted(known - set(counts)), 0))  # what was named is told of, too
    rare = {tag: count for tag, count in counts.most_common() if count < fewest}
    chosen = {tag for tag in counts if tag not in rare}
    common: dict[str, int] = {}
    while True:  # without a tag that nearly all carry, fewer prompts speak of the others
        speaking = sum(count for tags, count in each if tags & chosen)
        everywhere = {tag: counts[tag] for tag in chosen if speaking - counts[tag] < fewest}
        if not everywhere:
            break
        common |= everywhere
        chosen -= set(everywhere)
    ordered = sorted(chosen, key=lambda tag: (-counts[tag], tag))
    kept = set(ordered[:MOST_TAGS])
    return Learnable(
        {tag: counts[tag] for tag in ordered[:MOST_TAGS]},
        sum(count for tags, count in each if tags & kept),
        rare,
        common,
        max(0, len(ordered) - MOST_TAGS),
    )


def _listed(counts: dict[str, int]) -> str:
    """
    >>> _listed({"tea": 3, "bus": 2, "a": 1, "b": 1})
    '“tea” on 3, “bus” on 2, “a” on 1 and 1 more'
    """
    named = [f"“{tag}” on {count}" for tag, count in list(counts.items())[:3]]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
