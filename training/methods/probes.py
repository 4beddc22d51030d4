"""Settings of what is learned on top of a model that stays as it is."""

from pydantic import Field

from training.methods.shared import Settings


class ReadingSettings(Settings):
    """What is read of a model, and how it is checked."""

    batch_size: int = Field(
        16,
        ge=1,
        le=1024,
        title="Texts at once",
        description="How many texts are read side by side. It changes the speed and not the result.",
    )
    max_length: int = Field(
        1024,
        ge=16,
        le=131072,
        title="Longest conversation (tokens)",
        description="Of a longer one only the end is read; nothing is left out for it.",
    )
    depth: float = Field(
        0.5,
        gt=0.0,
        le=1.0,
        title="How deep to look",
        description="At which share of the model's layers its inner state is read: 1 is the last, which is about the "
        "next word already; the middle says more about the text as a whole.",
    )
    folds: int = Field(
        5,
        ge=2,
        le=20,
        title="Parts for checking",
        description="The prompts are divided into so many parts, and each is predicted from the others, which says "
        "how far the scores can be trusted. Five is usual.",
    )


class ProbeSettings(ReadingSettings):
    pass
