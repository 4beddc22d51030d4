"""What the data desk keeps to find rows again: words to search in, views people saved, changes of many rows."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from annotation.models.people import User
from annotation.models.projects import Project
from annotation.models.prompts import Prompt, Response

FURTHEST_PRIORITY = 100


class SearchText(models.Model):
    """The words of a prompt, or of one answer to it; filled in behind the imports (annotation/searching.py), since an
    index over words takes longer to keep than all the rest of a row. `facts` are a prompt's metadata, "key=value"."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="search_texts")
    response = models.OneToOneField(
        Response, on_delete=models.CASCADE, null=True, blank=True, related_name="search_text"
    )
    words = SearchVectorField()
    facts = ArrayField(models.TextField(), default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt"], condition=Q(response__isnull=True), name="prompt_searched_once")
        ]
        indexes = [
            GinIndex(fields=["words"], name="search_words"),
            GinIndex(fields=["facts"], condition=Q(response__isnull=True), name="search_facts"),
        ]

    def __str__(self) -> str:
        return f"words of {self.response or self.prompt}"


class SearchMark(models.Model):
    """How far the words of prompts and of answers are filled in, by id. Behind `upto` none is missing; a row that was
    given its id early and is committed late lies between there and `reached`."""

    name = models.CharField(max_length=16, primary_key=True)
    upto = models.BigIntegerField(default=0)
    reached = models.BigIntegerField(default=0)
    mark = models.BigIntegerField(default=0, help_text="Where `upto` moves once all transactions of then have ended.")
    transaction = models.BigIntegerField(null=True, help_text="The first that had not begun when the mark was set.")

    def __str__(self) -> str:
        return f"{self.name} up to {self.upto}"


class SavedView(models.Model):
    """A question to the data that somebody will ask again; colleagues see it if it is shared."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="saved_views")
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=80)
    query = models.JSONField(help_text="What the page's address says: rows, filters, order.")
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "owner", "name"], name="view_named_once_per_person"),
            models.CheckConstraint(condition=~Q(name=""), name="view_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class BulkChangeQuerySet(models.QuerySet["BulkChange"]):
    def unfinished(self) -> "BulkChangeQuerySet":
        return self.filter(finished_at__isnull=True)


class BulkChange(models.Model):
    """One change of many prompts at once: tags put on and taken off, or how soon their items are asked.

    It goes on batch by batch; what each batch changed is in its events, from which `undoes` takes it back exactly.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="bulk_changes")
    actor = models.ForeignKey(User, on_delete=models.PROTECT, related_name="bulk_changes")
    query = models.JSONField(default=dict, blank=True, help_text="Which rows: what the page's address says.")
    prompts = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="Or these, by id.")
    add_tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    remove_tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    priority = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(-FURTHEST_PRIORITY), MaxValueValidator(FURTHEST_PRIORITY)],
    )
    undoes: "models.OneToOneField[BulkChange | None, BulkChange | None]" = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by"
    )
    place: Any = models.JSONField(null=True, blank=True, editable=False, help_text="Where the next batch begins.")
    looked_at = models.PositiveIntegerField(default=0, help_text="Prompts so far.")
    changed = models.PositiveIntegerField(default=0, help_text="Prompts or items that were not so already.")
    problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = BulkChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="bulk_unfinished"),
        ]

    def __str__(self) -> str:
        return f"bulk change {self.pk}"

    @property
    def in_words(self) -> str:
        """What it does, for a list of them."""
        said = [f"Tag “{tag}” put on" for tag in self.add_tags] + [f"Tag “{tag}” taken off" for tag in self.remove_tags]
        if self.priority is not None:
            when = "first" if self.priority > 0 else "last" if self.priority < 0 else "as usual"
            said.append(f"Asked {when}")
        return ", ".join(said)
