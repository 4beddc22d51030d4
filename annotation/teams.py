"""Teams: making, changing and ending them, and what a project's data offers to tell them apart by."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Count

from annotation.models import Membership, Project, Prompt, Team, User
from annotation.models.events import record

MOST_OFFERED = 200  # tags a page lists; the most frequent ones


@transaction.atomic
def save(
    *,
    project: Project,
    actor: User,
    name: str,
    tags: Sequence[str],
    languages: Sequence[str],
    members: Sequence[Membership],
    team: Team | None = None,
) -> Team:
    """Make a team, or change this one; raises ValidationError if another has the name."""
    made = team or Team(project=project)
    made.name, made.tags, made.languages = name, list(tags), list(languages)
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError as error:
        raise ValidationError({"name": ["Another team of this project has this name."]}) from error
    made.members.set([one for one in members if one.project_id == project.pk])
    people = list(made.members.order_by("person__username").values_list("person__username", flat=True))
    verb = "team changed" if team else "team made"
    record(verb, made, project=project, actor=actor, name=name, tags=made.tags, languages=made.languages, people=people)
    return made


@transaction.atomic
def delete(*, team: Team, actor: User) -> None:
    """End a team; who is in no other is given items of the whole project from now on."""
    record("team deleted", team, project=team.project, actor=actor, name=team.name)
    team.delete()


def languages_of(project: Project) -> list[tuple[str, int]]:
    """The languages of the project's prompts, and how many prompts each has; the most frequent first."""
    rows = Prompt.objects.filter(project=project).exclude(language="").values_list("language")
    return list(rows.annotate(n=Count("pk")).order_by("-n", "language"))


def tags_of(project: Project) -> list[tuple[str, int]]:
    """The tags of the project's prompts in the same way, as many as a page can list."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tag, count(*) FROM annotation_prompt, unnest(tags) AS tag WHERE project_id = %s "
            "GROUP BY tag ORDER BY count(*) DESC, tag LIMIT %s",
            [project.pk, MOST_OFFERED],
        )
        return cursor.fetchall()
