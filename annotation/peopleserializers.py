"""What the API takes and gives about people, teams and invitations. Serializers validate and never write."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation import invitations
from annotation.exportserializers import ExportedLabelSerializer
from annotation.models import Invitation, Membership, Team
from annotation.models.items import Kind
from annotation.models.people import INVITATION_DAYS, Role
from annotation.peopleforms import MOST_DAYS, MOST_USES
from annotation.serializers import MessageSerializer
from annotation.workload import Workload


class PersonSerializer(serializers.Serializer):
    """A member of the project, and how much they do."""

    person_id = serializers.IntegerField(source="member.person_id")
    person = serializers.CharField(source="member.person.username", help_text="Their user name.")
    role = serializers.ChoiceField(source="member.role", choices=Role.choices)
    teams = serializers.SerializerMethodField(help_text="Ids; none for the whole project.")
    simulated = serializers.BooleanField(source="member.simulated")
    paused_at = serializers.DateTimeField(source="member.paused_at", allow_null=True)
    paused_because = serializers.CharField(source="member.paused_because")
    excluded_at = serializers.DateTimeField(source="member.excluded_at", allow_null=True)
    leases = serializers.IntegerField(help_text="Items they hold now.")
    recent = serializers.IntegerField(help_text="Live labels of the last 7 days.")
    labels = serializers.IntegerField(help_text="Live labels in all.")
    median_seconds = serializers.FloatField(allow_null=True)
    last_active = serializers.DateTimeField(allow_null=True, help_text="Their last label or lease.")

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_teams(self, row: Workload) -> list[int]:
        return [team.pk for team in row.member.teams.all()]


class OwnTeamsField(serializers.PrimaryKeyRelatedField):
    """Teams of the project that the address names, by id."""

    def get_queryset(self) -> Any:
        return Team.objects.filter(project=self.context["project"])


class MemberChangeSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    teams = OwnTeamsField(many=True, required=False, queryset=Team.objects.none(), help_text="Ids: exactly these.")


class PeopleOfTeamField(serializers.PrimaryKeyRelatedField):
    """Members of the project, by their person's id."""

    def get_queryset(self) -> Any:
        return Membership.objects.filter(project=self.context["project"])

    def to_internal_value(self, data: Any) -> Any:
        found = self.get_queryset().filter(person_id=data).first() if isinstance(data, int) else None
        if found is None:
            self.fail("does_not_exist", pk_value=data)
        return found


class TeamSerializer(serializers.ModelSerializer):
    tags = serializers.ListField(child=serializers.CharField())
    languages = serializers.ListField(child=serializers.CharField())
    people = serializers.SerializerMethodField(help_text="Ids of the persons in it.")

    class Meta:
        model = Team
        fields = ("id", "name", "tags", "languages", "people")

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_people(self, team: Team) -> list[int]:
        return sorted(member.person_id for member in team.members.all())


class TeamChangeSerializer(serializers.Serializer):
    """A team as it is to be. In a change, what is left out stays."""

    name = serializers.CharField(max_length=80)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=64), default=list, help_text="Any of these; none for all."
    )
    languages = serializers.ListField(
        child=serializers.CharField(max_length=16), default=list, help_text="Any of these; none for all."
    )
    people = PeopleOfTeamField(
        many=True, default=list, queryset=Membership.objects.none(), help_text="Ids of persons: exactly these."
    )


class InvitationSerializer(serializers.ModelSerializer):
    url = serializers.SerializerMethodField(help_text="The link; send it to those you invite.")
    author = serializers.CharField(source="author.username")
    open = serializers.SerializerMethodField()
    why_closed = serializers.SerializerMethodField(help_text="In a sentence; empty while it is open.")
    came_by_it = serializers.SerializerMethodField(help_text="User names, in their order.")

    class Meta:
        model = Invitation
        fields = (
            *("id", "url", "token", "role", "team", "uses", "used", "expires_at", "revoked_at", "created_at"),
            *("author", "open", "why_closed", "came_by_it"),
        )

    def get_url(self, invitation: Invitation) -> str:
        return str(self.context["request"].build_absolute_uri(reverse("join", args=[invitation.token])))

    def get_open(self, invitation: Invitation) -> bool:
        return not invitations.why_closed(invitation)

    def get_why_closed(self, invitation: Invitation) -> str:
        return invitations.why_closed(invitation)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_came_by_it(self, invitation: Invitation) -> list[str]:
        return self.context["came"].get(invitation.pk, [])


class InviteSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=Role.choices, default=Role.ANNOTATOR)
    team = OwnTeamsField(required=False, allow_null=True, default=None, queryset=Team.objects.none())
    uses = serializers.IntegerField(min_value=1, max_value=MOST_USES, default=1, help_text="How many people.")
    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=INVITATION_DAYS)


class JoinSerializer(serializers.Serializer):
    """With a name and a password by somebody who has no account yet; with the token alone by who is signed in."""

    token = serializers.CharField(max_length=64, help_text="The last part of the link.")
    username = serializers.CharField(required=False)
    password = serializers.CharField(required=False, trim_whitespace=False, write_only=True)
    email = serializers.EmailField(required=False, allow_blank=True, default="")


class JoinedSerializer(serializers.Serializer):
    project = serializers.CharField(help_text="Its address.")
    role = serializers.ChoiceField(choices=Role.choices)
    new = serializers.BooleanField(help_text="False if they were in it already, in this role or a higher one.")


class WorkFilterSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    live = serializers.BooleanField(required=False, help_text="Neither withdrawn nor replaced, or the others.")
    since = serializers.DateField(required=False)
    until = serializers.DateField(required=False, help_text="This day included.")


class WorkExportSerializer(WorkFilterSerializer):
    names = serializers.BooleanField(default=False, help_text="Their user name in place of a pseudonym.")
    file = serializers.ChoiceField(choices=["jsonl", "csv"], default="jsonl")


class WorkAnswerSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    text = serializers.CharField()


class WorkRowSerializer(ExportedLabelSerializer):
    """One line: a label, and the item it is about."""

    id = None  # type: ignore[assignment]
    label = serializers.IntegerField()  # type: ignore[assignment]
    live = serializers.BooleanField()
    item = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    language = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    prompt = MessageSerializer(many=True)
    answers = WorkAnswerSerializer(many=True, help_text="Of a comparison, as they stood on the screen.")
