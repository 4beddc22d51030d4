"""What people say to each other about the work."""

from django.db import models
from django.urls import reverse

from annotation.models.items import Item
from annotation.models.people import User
from annotation.models.projects import Project


class CommentQuerySet(models.QuerySet["Comment"]):
    def open_flags(self) -> "CommentQuerySet":
        return self.filter(flag=True, settled_at__isnull=True)


class Comment(models.Model):
    """One contribution to the thread on an item; a `flag` asks the lead to do something about the item."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="comments")
    text = models.TextField()
    flag = models.BooleanField(default=False)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CommentQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["item", "id"], name="comment_thread")]

    def __str__(self) -> str:
        return self.text[:80]

    def get_absolute_url(self) -> str:
        return reverse("comment", args=[self.pk])


class Notice(models.Model):
    """Word to one person that something wants their eye: a mention, a flag, somebody paused."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="notices")
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    text = models.CharField(max_length=300)
    address = models.CharField(max_length=300, blank=True, help_text="The page that shows it, within the site.")
    read_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["person", "-id"], condition=models.Q(read_at__isnull=True), name="notice_unread")
        ]

    def __str__(self) -> str:
        return self.text
