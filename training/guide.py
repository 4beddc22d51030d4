"""Which method? What a project has, what its lead wants, and the recipe that follows; the rules are of thumb.

The limits are those of the papers named in `docs/methods.md`, rounded, and meant for models of up to some billions of
weights. A recipe is a start: what people prefer afterwards decides.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from django.db.models import Count

from annotation.models import Label, Project
from annotation.models.items import Kind
from training import tagged
from training.methods import METHODS, ClassifySettings
from training.methods.tagging import Learnable
from training.models import ModelVersion

Goal = Literal["manner", "preference", "unacceptable", "knowledge", "language", "scoring", "sorting"]
Means = Literal["processor", "one", "many"]
BILLION = 1_000_000_000
FEW_ANSWERS = 200


@dataclass(frozen=True)
class Needs:
    goal: Goal
    subject: Literal["known", "new"]
    means: Means


@dataclass(frozen=True)
class Holdings:
    """What there is to learn from, on training prompts and by people alone."""

    demonstrations: int = 0
    comparisons: int = 0
    unacceptable: int = 0
    languages: dict[str, int] = field(default_factory=dict)  # demonstrations of each
    parameters: int | None = None  # weights of the production model, if known
    tuned: bool = False  # the production model was trained here before
    tags: Learnable = field(default_factory=Learnable)


@dataclass(frozen=True)
class Step:
    title: str
    why: tuple[str, ...]
    method: str = ""  # empty where nothing is to be trained yet
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """Opens the form for a run with these settings filled in."""
        return urlencode({"method": self.method, **self.settings})

    @property
    def chosen(self) -> list[tuple[str, Any]]:
        """The settings with their titles."""
        fields = METHODS[self.method].settings.model_fields
        return [(fields[name].title or name, value) for name, value in self.settings.items()]


def holdings(project: Project) -> Holdings:
    labels = Label.objects.trainable().filter(project=project)
    answers = labels.filter(response__isnull=False)
    by_language = answers.values("response__prompt__language").annotate(n=Count("response", distinct=True)).order_by()
    languages = Counter({row["response__prompt__language"]: row["n"] for row in by_language})
    compared = labels.filter(item__kind=Kind.COMPARISON)
    production = ModelVersion.objects.filter(project=project).production().first()
    base = production.full_weights() if production else None
    return Holdings(
        demonstrations=languages.total(),
        comparisons=compared.values("item").distinct().count(),
        unacceptable=compared.filter(judgements__unacceptable=True).values("judgements__response").distinct().count(),
        languages={name: n for name, n in languages.most_common() if name},
        parameters=base.card.get("metrics", {}).get("parameters") if base else None,
        tuned=bool(production and production.run and production.run.method != "convert"),
        tags=tagged.teaches(project, ClassifySettings()),
    )


def propose(needs: Needs, have: Holdings) -> list[Step]:
    """What to do, in order."""
    if needs.goal == "scoring":
        return _scoring(have)
    if needs.goal == "sorting":
        return [_sorting(have)]
    if needs.goal in ("preference", "unacceptable"):
        return _preferring(needs, have)
    return [_answering(needs, have)]


def _answering(needs: Needs, have: Holdings) -> Step:
    """Learning from good answers."""
    count = have.demonstrations
    enough = {"manner": 30, "language": 200, "knowledge": 1000}.get(needs.goal, 30)
    if count < enough:
        why = [f"There are {count} good answers, and about {enough} are needed before this can be learned."]
        if needs.goal == "knowledge":
            why.append(
                "Training teaches a manner far more readily than facts, and facts taught so make a model invent others "
                "(Gekhman et al. 2024). Put the facts into the prompt if you can."
            )
        if count > 0:
            why.append(
                "Until then let the model see some of them before each question: sample answers with “Examples before "
                "the question”, which trains nothing."
            )
        return Step("Collect more good answers first", tuple(why))
    settings: dict[str, Any] = {**_how_much(needs, have, count)}
    why = [f"There are {count} good answers to learn from.", _why_so_much(settings)]
    settings["epochs"] = 3 if count < 2000 else 2 if count < 20_000 else 1
    if count >= 200:
        settings |= {"validation_share": 0.1, "patience": 3}
        why.append("That is enough to keep a tenth back and stop when it gets no better on it.")
    if needs.goal == "knowledge" or (needs.goal == "language" and needs.subject == "new"):
        settings["loss_on"] = "conversation"
        why.append("The questions are in words the model must learn too, so it learns from whole conversations.")
    if count < FEW_ANSWERS and needs.goal != "knowledge":
        why.append(
            "They are few: a model that rewrites well can ask the same in other words (“Paraphrases”, on the page that "
            "starts a run), so that they are learnt for more than one wording. Read what it wrote first."
        )
    spread = sorted(have.languages.values())
    if len(spread) > 1 and (needs.goal == "language" or spread[-1] >= 3 * spread[0]):
        settings |= {"mix_by": "language", "mix_alpha": 0.3}
        why.append(
            f"There are {len(spread)} languages, the smallest with {spread[0]} answers: it is drawn more often, so "
            "that it is not drowned."
        )
    if have.tuned:
        settings["replay_share"] = 0.2
        why.append("The model was tuned before: mix in the earlier data, so that it is not undone.")
    return Step("Learn from good answers", tuple(why), "sft", settings)


def _preferring(needs: Needs, have: Holdings) -> list[Step]:
    """Learning what people prefer, after their good answers if there are some."""
    steps = []
    pairs = have.comparisons
    if have.demonstrations >= 30:
        steps.append(_answering(Needs("manner", needs.subject, needs.means), have))
    if needs.goal == "unacceptable" and have.unacceptable < 20:
        why = f"{have.unacceptable} answers are marked unacceptable; mark them while comparing, until there are 20."
        return [*steps, Step("Mark what is unacceptable", (why,))]
    if pairs < 30:
        why = f"There are {pairs} judged comparisons; about 30 are enough to measure a model, 200 to tune one."
        return [*steps, Step("Compare more answers first", (why,))]
    if pairs < 200:
        why = (
            f"{pairs} comparisons are few for a reward model of its own; a linear one over what the model sees already "
            "is there in a minute and says how far it can be trusted."
        )
        steps.append(Step("An instant reward model", (why,), "probe"))
    else:
        passes = {"epochs": 2 if pairs < 1000 else 1}
        why = f"{pairs} comparisons are enough for a reward model, which measures the next one on held-out pairs."
        steps.append(Step("A reward model to measure with", (why,), "reward", passes))
    way = _how_much(needs, have, pairs)
    why_not = [
        "DPO learns from pairs without a reward model in between. Start it from the model that the step before made."
        if steps and steps[0].method == "sft"
        else "DPO learns from pairs without a reward model in between.",
        _why_so_much(way),
    ]
    if needs.goal == "unacceptable":
        why_not.append("A pair in which one answer was marked and the other not teaches most: see that there are such.")
    if pairs < 200:
        why_not.append("With so few pairs expect little; a higher beta keeps the model from drifting.")
    settings = {**way, "epochs": 2 if pairs < 1000 else 1, "beta": 0.3 if pairs < 200 else 0.1}
    return [*steps, Step("Prefer what people chose", tuple(why_not), "dpo", settings)]


def _scoring(have: Holdings) -> list[Step]:
    steps = []
    if have.comparisons >= 30:
        why = (
            f"{have.comparisons} comparisons: a linear model over what the language model sees tells better from worse."
        )
        steps.append(Step("Score answers at once", (why,), "probe"))
    if not steps:
        steps.append(Step("Collect first", ("It takes 30 comparisons to learn to score.",)))
    return steps


def _sorting(have: Holdings) -> Step:
    known = have.tags
    if known.problem:
        return Step("Put tags on prompts first", (known.problem,))
    some = "one tag" if len(known.tags) == 1 else f"{len(known.tags)} tags"
    why = (
        f"{known.prompts} tagged prompts are enough for {some}. The model stays as it is: linear heads over what it "
        "sees already learn the tags, say how far they can be trusted, and suggest tags for prompts that have none.",
        "You accept or dismiss what it suggests, in Browse; no suggestion is a tag before.",
    )
    return Step("Learn to tag", why, "classify")


def _how_much(needs: Needs, have: Holdings, examples: int) -> dict[str, Any]:
    """Of the model is trained: as little as does the work."""
    size = have.parameters or 0
    if needs.means == "one" and size > 3 * BILLION:
        return {"tuning": "qlora", "lora_rank": 64, "gradient_checkpointing": True}
    if needs.means == "many" and examples >= 5000 and needs.subject == "new":
        return {"tuning": "full", "layer_decay": 0.9, "gradient_checkpointing": True}
    if needs.subject == "new" and examples >= 1000:
        return {"tuning": "rslora", "lora_rank": 64}
    if needs.means == "processor" and size > BILLION:
        return {"tuning": "ia3"}
    return {"tuning": "lora"}


def _why_so_much(settings: dict[str, Any]) -> str:
    return {
        "qlora": "The model is large for one GPU, so it is held in 4 bits under its adapter.",
        "full": "Much that is new, many examples and large machines: all weights are trained, the lower layers slower.",
        "rslora": "Much that is new to the model: an adapter that holds more.",
        "ia3": "A large model without a GPU: only scales are trained, which is the least work.",
        "lora": "A small adapter is enough for this, quick to train and easy to undo.",
    }[settings["tuning"]]
