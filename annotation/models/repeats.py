"""What was answered to requests that carry an Idempotency-Key."""

from django.db import models

from annotation.models.people import User


class KeptAnswer(models.Model):
    """Stored in the transaction that did the work: it is there exactly if the work is."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    request = models.CharField(max_length=64, help_text="sha256 of method, address, content type and body.")
    status = models.PositiveSmallIntegerField()
    body = models.TextField(help_text="JSON; empty for an answer without a body.")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "key"], name="answer_kept_once_per_key")]

    def __str__(self) -> str:
        return f"{self.key} of {self.person}: {self.status}"
