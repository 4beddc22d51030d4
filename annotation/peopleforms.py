"""Forms about people: roles, teams, invitations, joining, and what somebody has done."""

from typing import Any

from allauth.account.adapter import get_adapter
from django import forms
from django.contrib.auth.forms import AuthenticationForm, UserCreationForm

from annotation import teams
from annotation.models import Membership, Project, Team, User
from annotation.models.items import Kind
from annotation.models.people import INVITATION_DAYS, Role

OF_EMAIL = "To sign in with, and for a link when the password is forgotten. You may leave it empty."
MOST_USES = 500
MOST_DAYS = 90


class MemberForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)
    teams = forms.ModelMultipleChoiceField(
        queryset=Team.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, data: Any = None, *, member: Membership) -> None:
        super().__init__(data, initial={"role": member.role, "teams": member.teams.all()})
        self.fields["teams"].queryset = member.project.teams.all()  # type: ignore[attr-defined]


class InvitationForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, initial=Role.ANNOTATOR, label="Role")
    team = forms.ModelChoiceField(queryset=Team.objects.none(), required=False, empty_label="No team: everything")
    uses = forms.IntegerField(min_value=1, max_value=MOST_USES, initial=1, label="How many people")
    days = forms.IntegerField(min_value=1, max_value=MOST_DAYS, initial=INVITATION_DAYS, label="Open for, in days")

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data)
        self.fields["team"].queryset = project.teams.all()  # type: ignore[attr-defined]


class TeamForm(forms.Form):
    name = forms.CharField(max_length=80, error_messages={"required": "Give the team a name."})
    tags = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    languages = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    members = forms.ModelMultipleChoiceField(
        queryset=Membership.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, label="People"
    )

    def __init__(self, data: Any = None, *, project: Project, team: Team | None = None) -> None:
        initial = {"name": team.name, "tags": team.tags, "languages": team.languages} if team else {}
        super().__init__(data, initial={**initial, "members": team.members.all()} if team else {})
        self.fields["tags"].choices = _offered(teams.tags_of(project), team.tags if team else [])  # type: ignore[attr-defined]
        self.fields["languages"].choices = _offered(  # type: ignore[attr-defined]
            teams.languages_of(project), team.languages if team else []
        )
        people: Any = self.fields["members"]
        people.queryset = (
            project.memberships.filter(imported=False).select_related("person").order_by("person__username")
        )
        people.label_from_instance = lambda member: str(member.person)


def _offered(found: list[tuple[str, int]], chosen: list[str]) -> list[tuple[str, str]]:
    """What the data has, with how many prompts, and what was chosen when the data still had it."""
    gone = [(one, 0) for one in chosen if one not in dict(found)]
    return [(name, f"{name} · {count:,}") for name, count in [*found, *gone]]


class DoneForm(forms.Form):
    """Which of somebody's labels are shown or taken out."""

    kind = forms.ChoiceField(choices=[("", "Both kinds"), *Kind.choices], required=False)
    standing = forms.ChoiceField(
        choices=[("", "Any state"), ("live", "Counts"), ("ended", "Withdrawn or revised since")],
        required=False,
        label="State",
    )
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def filters(self) -> dict[str, Any]:
        """In the words of `work_done.chosen`; what was not understood filters nothing."""
        asked = {name: value for name, value in self.cleaned_data.items() if value} if self.is_valid() else {}
        standing = asked.pop("standing", "")
        return {**asked, "live": standing == "live"} if standing else asked


class ExportForm(forms.Form):
    names = forms.BooleanField(required=False)
    format = forms.ChoiceField(choices=[("jsonl", "JSON Lines"), ("csv", "CSV")])


class SignInForm(AuthenticationForm):
    """Signing in by name or e-mail. Too many wrong passwords for one name have to wait, wherever they come from."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "The name and the password do not fit together.",
        "inactive": "This account was closed. Ask a lead of your project whether it was meant.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name or e-mail"
        self.fields["username"].widget.attrs["maxlength"] = 254  # an e-mail is longer than a name
        if self.prefix:  # beside another form, neither takes the focus
            self.fields["username"].widget.attrs.pop("autofocus", None)

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name and password:
            by = "email" if "@" in name and not User.objects.filter(username=name).exists() else "username"
            self.user_cache = get_adapter().authenticate(self.request, **{by: name, "password": password})
            if self.user_cache is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data


class NameForm(forms.ModelForm):
    """How somebody is called, and where letters reach them."""

    class Meta:
        model = User
        fields = ("first_name", "last_name", "email")
        labels = {"first_name": "First name", "last_name": "Last name", "email": "E-mail"}
        help_texts = {"email": OF_EMAIL}

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email and User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("Another account has this address.")
        return email


class AccountForm(UserCreationForm):
    """A new account, for whoever comes by an invitation; Django's rules for names and passwords."""

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "email")
        labels = {"username": "User name", "email": "E-mail"}
        help_texts = {"email": OF_EMAIL}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[
            "password1"
        ].help_text = "At least 12 characters, not only digits, no word that many people use, and unlike your name."
        self.fields["password2"].label = "Password, once more"
        self.fields["password2"].help_text = ""
        self.fields["username"].help_text = "Letters, digits and @ . + - _; others see it."
        self.fields["username"].widget.attrs.pop("autofocus", None)
