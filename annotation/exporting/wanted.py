"""What of a project is taken out: which items, and which of the things that people said about them."""

from typing import Literal

from django.db.models import Exists, OuterRef, QuerySet
from pydantic import BaseModel, ConfigDict, Field

from annotation.aggregating import Terms
from annotation.models import Item, Label, Project
from annotation.models.labels import LabelQuerySet


class Wanted(BaseModel):
    """Everything by default. Gold never goes out, nor does a label that was withdrawn or replaced."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["", "demonstration", "comparison"] = Field("", description="Items of this kind alone.")
    split: Literal["", "train", "heldout"] = Field(
        "",
        description="Prompts to train on, or those held out. Rows to train on are of one or the other, and of `train` "
        "if this is empty; everything else is of both.",
    )
    tags: list[str] = Field([], description="Prompts with any of these tags.")
    languages: list[str] = Field([], description="Prompts in any of these languages.")
    decisions: Literal["", "only", "none"] = Field(
        "", description="Reviewers' decisions alone, or everybody's labels but those. Both, if this is empty."
    )
    simulated: bool | None = Field(
        None,
        description="With the labels of simulated annotators, or without. Left open, rows to train on are without, and "
        "everything else has them, marked.",
    )
    minimum_agreement: float = Field(
        0.5, ge=0.5, le=1.0, description="Rows to train on: share of the votes that the majority must have."
    )
    names: bool = Field(False, description="People's real user names in place of pseudonyms; this is put on record.")

    @property
    def terms(self) -> Terms:
        """What is asked of votes before they are a row to train on."""
        return Terms(minimum_agreement=self.minimum_agreement)

    def items(self, project: Project) -> QuerySet[Item]:
        """The items about which something was said that is wanted."""
        found = Item.objects.work().filter(project=project)
        if self.kind:
            found = found.filter(kind=self.kind)
        if self.split:
            found = found.filter(prompt__split=self.split)
        if self.tags:
            found = found.filter(prompt__tags__overlap=self.tags)
        if self.languages:
            found = found.filter(prompt__language__in=self.languages)
        return found.filter(Exists(self.said(Label.objects.live().filter(item=OuterRef("pk")))))

    def said(self, labels: LabelQuerySet) -> LabelQuerySet:
        if self.decisions:
            labels = labels.filter(decision=self.decisions == "only")
        if self.simulated is False:
            labels = labels.filter(simulated=False)
        return labels

    def learnable(self, project: Project) -> LabelQuerySet:
        """The labels of which rows to train on are made: those that a snapshot of the same split would take. Where a
        reviewer has decided an item, the decision counts alone."""
        split, other = ("heldout", "train") if self.split == "heldout" else ("train", "heldout")
        labels = Label.objects.filter(project=project, item__prompt__split=split).counted().kept()
        labels = labels.exclude(response__prompt__split=other)  # of a mended conversation that was there before
        labels = labels.filter(decision=False) if self.decisions == "none" else labels.decisive()
        if self.decisions == "only":
            labels = labels.filter(decision=True)
        if self.kind:
            labels = labels.filter(item__kind=self.kind)
        if self.tags:
            labels = labels.filter(item__prompt__tags__overlap=self.tags)
        if self.languages:
            labels = labels.filter(item__prompt__language__in=self.languages)
        return labels if self.simulated else labels.filter(simulated=False)
