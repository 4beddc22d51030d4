"""Forms for what programs use: access keys and webhooks."""

from typing import Any

from django import forms

from annotation import accesskeys
from annotation.models import Project, User, Webhook
from annotation.models.accesskeys import OPENS, Scope
from annotation.models.webhooks import Group


class AccessKeyForm(forms.Form):
    name = forms.CharField(max_length=80, label="What is it for?", help_text="Such as: nightly export.")
    scopes = forms.MultipleChoiceField(
        label="What does it open?",
        choices=[(scope.value, f"{scope.label}: {OPENS[scope]}") for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what the key opens."},
        initial=[Scope.READ.value],
    )
    project = forms.ModelChoiceField(
        queryset=Project.objects.none(), required=False, empty_label="All of my projects", label="Where?"
    )
    days = forms.TypedChoiceField(
        label="For how long?",
        choices=[(days, f"{days} days") for days in accesskeys.DAYS[:-1]] + [(accesskeys.MOST_DAYS, "A year")],
        coerce=int,
        initial=accesskeys.DAYS[2],
    )

    def __init__(self, data: Any = None, *, person: User) -> None:
        super().__init__(data)
        own = Project.objects.visible_to(person).active().order_by("name")
        self.fields["project"].queryset = own  # type: ignore[attr-defined]


class WebhookForm(forms.Form):
    url = forms.CharField(
        max_length=500,
        label="Address",
        error_messages={"required": "Give the address of the other server."},
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
        help_text="Another server's, beginning with https://. Private addresses only if your operator allows them.",
    )
    groups = forms.MultipleChoiceField(
        label="What is it told of?",
        choices=Group.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what it is told of."},
        initial=[Group.RUNS.value, Group.ROUNDS.value, Group.MODELS.value],
    )


class ChangeWebhookForm(WebhookForm):
    active = forms.BooleanField(
        required=False, label="On", help_text="While it is off, messages wait and are sent once it is on again."
    )

    def __init__(self, data: Any = None, *, webhook: Webhook) -> None:
        super().__init__(data, initial={"url": webhook.url, "groups": webhook.groups, "active": webhook.active})
