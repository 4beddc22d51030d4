"""Settings of what is done with models besides training them: writing answers, scoring them, importing."""

from pydantic import Field, model_validator

from training.methods.shared import Settings


class GenerateSettings(Settings):
    samples_per_prompt: int = Field(
        4,
        ge=1,
        le=64,
        title="Answers per prompt",
        description="How many answers are drawn for each prompt. Four gives people a ranking to make "
        "without tiring them (InstructGPT, Ouyang et al. 2022, showed 4 to 9).",
    )
    max_new_tokens: int = Field(
        128,
        ge=1,
        le=8192,
        title="Longest answer (tokens)",
        description="Where an answer is cut off if it has not ended by itself. Time grows with it.",
    )
    temperature: float = Field(
        0.8,
        ge=0.0,
        le=2.0,
        title="Temperature",
        description="How adventurous the answers are. 0.8 gives answers different enough to be worth "
        "ranking and still sensible (SimPO, Meng et al. 2024, samples its pairs so); 0 always "
        "takes the likeliest word.",
    )
    top_p: float = Field(
        0.95,
        gt=0.0,
        le=1.0,
        title="Top-p",
        description="Draws only from the likeliest words that together have this probability, which keeps "
        "nonsense from the long tail out (Holtzman et al. 2020). 1 draws from all words.",
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=1024,
        title="Answers at once",
        description="How many answers are written side by side. More is faster until memory runs out.",
    )

    few_shot: int = Field(
        0,
        ge=0,
        le=16,
        title="Examples before the question",
        description="So many good answers, with their questions, stand before each prompt, so that the model answers "
        "likewise without being trained (Brown et al. 2020). They are drawn for each prompt from the "
        "frozen examples. 0 shows none.",
    )

    @model_validator(mode="after")
    def _one_answer_when_nothing_is_drawn(self) -> "GenerateSettings":
        if self.temperature == 0 and self.samples_per_prompt > 1:
            raise ValueError("at temperature 0 all answers to a prompt are the same: ask for one answer per prompt")
        return self


class ParaphraseSettings(Settings):
    instruction: str = Field(
        "Rewrite the message between the lines in other words, in the same language. Ask for exactly the same, keep "
        "every name, number and detail, add nothing, and do not answer it. Reply with the rewritten message alone.",
        min_length=10,
        max_length=2000,
        title="Instruction",
        description="What the model is told before the text that it is to rewrite. The text follows by itself. Put "
        "it as plainly as the model needs it; what comes of it is checked, and read on the run's page.",
    )
    samples_per_prompt: int = Field(
        2,
        ge=1,
        le=16,
        title="Paraphrases per prompt",
        description="How many wordings are drawn for each prompt. Those that are the same as the prompt, or as each "
        "other, are refused, so that many draws bring few new ones.",
    )
    max_new_tokens: int = Field(
        192,
        ge=1,
        le=8192,
        title="Longest paraphrase (tokens)",
        description="Where one is cut off if it has not ended by itself. What was cut off is not kept.",
    )
    temperature: float = Field(
        0.8,
        ge=0.0,
        le=2.0,
        title="Temperature",
        description="How far the words are to be from the likeliest. Lower copies more of the prompt, higher changes "
        "more of what it asks.",
    )
    top_p: float = Field(
        0.95,
        gt=0.0,
        le=1.0,
        title="Top-p",
        description="Draws only from the likeliest words that together have this probability (Holtzman et al. 2020). "
        "1 draws from all words.",
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=1024,
        title="Paraphrases at once",
        description="How many are written side by side. More is faster until memory runs out.",
    )

    @model_validator(mode="after")
    def _one_when_nothing_is_drawn(self) -> "ParaphraseSettings":
        if self.temperature == 0 and self.samples_per_prompt > 1:
            raise ValueError("at temperature 0 all paraphrases of a prompt are the same: ask for one per prompt")
        return self


class ScoreSettings(Settings):
    batch_size: int = Field(
        16,
        ge=1,
        le=1024,
        title="Answers at once",
        description="How many answers are scored side by side. It changes the speed and not the scores.",
    )
    max_length: int = Field(
        2048,
        ge=16,
        le=131072,
        title="Longest conversation (tokens)",
        description="Of a longer one only the end is read, where the answer stands; the run's page says "
        "how many were longer.",
    )


class MeasureSettings(Settings):
    batch_size: int = Field(
        8,
        ge=1,
        le=1024,
        title="Texts at once",
        description="How many texts are read side by side. It changes the speed and not the figures.",
    )
    max_length: int = Field(
        1024,
        ge=16,
        le=131072,
        title="Longest text (tokens)",
        description="Of a longer one only the end is read, where the answer stands; the run's page says "
        "how many were longer.",
    )
    max_new_tokens: int = Field(
        128,
        ge=1,
        le=8192,
        title="Longest answer (tokens)",
        description="Where an answer to a held-out prompt is cut off if it has not ended by itself.",
    )
    temperature: float = Field(
        0.8,
        ge=0.0,
        le=2.0,
        title="Temperature",
        description="How adventurous these answers are. Measure as the model is used: 0.8 is what new "
        "answers are sampled with.",
    )
    top_p: float = Field(
        0.95,
        gt=0.0,
        le=1.0,
        title="Top-p",
        description="Draws only from the likeliest words that together have this probability (Holtzman et "
        "al. 2020), as new answers are.",
    )


FEATURES_WIDTH = 256  # numbers for each answer; stored, so that to change it is a migration


class FeaturesSettings(Settings):
    batch_size: int = Field(
        16,
        ge=1,
        le=1024,
        title="Answers at once",
        description="How many answers are read side by side. It changes the speed and not what is found.",
    )
    max_length: int = Field(
        1024,
        ge=16,
        le=131072,
        title="Longest conversation (tokens)",
        description="Of a longer one only the end is read, where the answer stands; the run's page says "
        "how many were longer.",
    )


TOXICITY_CHARACTERS = 50_000  # of one text that are read


class ToxicitySettings(Settings):
    batch_size: int = Field(
        16,
        ge=1,
        le=1024,
        title="Texts at once",
        description="How many texts are read side by side. It changes the speed and not what is found.",
    )
    max_length: int = Field(
        512,
        ge=16,
        le=131072,
        title="Longest window (tokens)",
        description="A longer text is read in windows of so many tokens that overlap by an eighth, or of as many as "
        "the model can read; the worst window counts.",
    )


class JudgeSettings(Settings):
    max_new_tokens: int = Field(
        1024,
        ge=1,
        le=32768,
        title="Longest verdict (tokens)",
        description="Where a reply is cut off that has not come to its verdict. Models that think first need more.",
    )
    batch_size: int = Field(
        8,
        ge=2,
        le=64,
        title="Questions at once",
        description="How many questions the endpoint is asked side by side; two for each pair.",
    )
    most_tokens: int = Field(
        1_000_000,
        ge=1,
        le=1_000_000_000,
        title="Budget (tokens)",
        description="No more questions are asked once so many tokens were read and written, as the endpoint counts.",
    )


class SuiteSettings(Settings):
    tasks: str = Field(
        "arc_easy, hellaswag",
        min_length=1,
        max_length=500,
        title="Suites",
        description="Names that EleutherAI's evaluation harness knows, with commas. Their questions are fetched from a "
        "hub, unless they are suites of your own (TOUCHSTONE_SUITES).",
    )
    most: int = Field(
        200,
        ge=1,
        le=1_000_000,
        title="Questions of each task",
        description="At most so many, drawn by lot. A suite such as mmlu has dozens of tasks. 200 tell a difference of "
        "ten points, 10,000 one of one and a half.",
    )
    chat: bool = Field(
        False,
        title="Ask as in a conversation",
        description="Puts each question into the model's chat template. Published figures are mostly without.",
    )
    batch_size: int = Field(
        8,
        ge=1,
        le=1024,
        title="Questions at once",
        description="How many are read side by side. It changes the speed.",
    )

    @property
    def suites(self) -> list[str]:
        """
        >>> SuiteSettings(tasks=" arc_easy,hellaswag , arc_easy").suites
        ['arc_easy', 'hellaswag']
        """
        return list(dict.fromkeys(part.strip() for part in self.tasks.split(",") if part.strip()))

    @model_validator(mode="after")
    def _some_suite(self) -> "SuiteSettings":
        if not self.suites:
            raise ValueError("name one suite at least")
        if any(len(name) > 80 for name in self.suites):
            raise ValueError("a suite's name has at most 80 characters here")
        return self


class ConvertSettings(Settings):
    """Nothing to choose: the model is brought into one layout, and its weights stay as they are."""
