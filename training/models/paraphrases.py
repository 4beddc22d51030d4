"""What people asked, in the words of a model."""

from collections.abc import Iterable

from django.db import models
from django.db.models import Q

from annotation.models import Prompt, User
from training.models.runs import Run


class Refusal(models.TextChoices):
    """Why a paraphrase is not learnt from."""

    EMPTY = "empty", "Nothing was written"
    SAME = "same", "The same as the original"
    HELDOUT = "heldout", "Nearly a held-out prompt"
    NEARER = "nearer", "Nearer to a held-out prompt than the original"
    SHORTER = "shorter", "Much shorter"
    LONGER = "longer", "Much longer"
    LANGUAGE = "language", "In another language"
    QUESTION = "question", "A question no more"
    DETAIL = "detail", "A number, a name or a place to fill in is not the same"
    REPEATED = "repeated", "The same as another paraphrase"


FINAL = (Refusal.EMPTY, Refusal.SAME, Refusal.HELDOUT, Refusal.NEARER)  # what nobody takes back


class Decision(models.TextChoices):
    KEPT = "kept", "Taken back"
    REFUSED = "refused", "Refused by a person"


class ParaphraseQuerySet(models.QuerySet["Paraphrase"]):
    def kept(self) -> "ParaphraseQuerySet":
        return self.filter(Q(decision=Decision.KEPT) | Q(decision="", refused_because=""))

    def refused(self) -> "ParaphraseQuerySet":
        return self.exclude(Q(decision=Decision.KEPT) | Q(decision="", refused_because=""))

    def by(self, models: Iterable[int]) -> "ParaphraseQuerySet":
        """Of these model versions."""
        return self.filter(run__base__in=models)


class Paraphrase(models.Model):
    """The last turn of a training prompt in other words, and whether it may be learnt from. Nobody is ever asked about
    it; `refused_because` is what was found when it came, which a person's decision overrules."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="paraphrases", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="paraphrases")
    index = models.PositiveSmallIntegerField(help_text="Which of the paraphrases of one prompt.")
    text = models.TextField()
    refused_because = models.CharField(max_length=16, choices=Refusal, blank=True)
    about = models.CharField(max_length=200, blank=True, help_text="What the refusal is about: the detail, say.")
    nearness = models.FloatField(help_text="Share of its words with the nearest held-out prompt, by their rarity.")
    decision = models.CharField(max_length=8, choices=Decision, blank=True)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ParaphraseQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "prompt", "index"], name="paraphrase_once_per_run"),
            models.CheckConstraint(
                condition=Q(refused_because__in=["", *Refusal.values]), name="paraphrase_refusal_known"
            ),
            models.CheckConstraint(condition=Q(decision__in=["", *Decision.values]), name="paraphrase_decision_known"),
            models.CheckConstraint(
                condition=Q(decision="", decided_at=None) | (~Q(decision="") & Q(decided_at__isnull=False)),
                name="paraphrase_decided_when",
            ),
            models.CheckConstraint(
                condition=~Q(decision=Decision.KEPT, refused_because__in=FINAL), name="paraphrase_refused_for_good"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]

    @property
    def is_kept(self) -> bool:
        return self.decision == Decision.KEPT or not (self.decision or self.refused_because)

    @property
    def can_change(self) -> bool:
        """Whether a person may decide the other way."""
        return self.is_kept or self.refused_because not in FINAL

    @property
    def why(self) -> str:
        """Why it is refused, in words; empty if it is kept."""
        if self.is_kept:
            return ""
        if self.decision == Decision.REFUSED:
            return self.get_decision_display()
        return f"{self.get_refused_because_display()}{f': {self.about}' if self.about else ''}"
