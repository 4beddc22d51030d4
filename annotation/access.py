"""The only way from a request to a row: by person, project and role.

Every view, API endpoint and admin page gets its objects here. What a person may not know about is "not found";
what they may see but not do is "not permitted".
"""

from django.core.exceptions import PermissionDenied
from django.http import Http404

from annotation.models import Assignment, Membership, Project, User
from annotation.models.people import Role


def membership(user: User, slug: str, role: str = Role.ANNOTATOR) -> Membership:
    """The person's membership of the project, if it has at least `role`.

    A superuser is a lead everywhere (the membership returned is not saved). Raises Http404 for outsiders and
    PermissionDenied for members whose role is too low.
    """
    found = Membership.objects.select_related("project").filter(person_id=user.pk, project__slug=slug).first()
    if found is None and user.is_superuser:
        wanted = Project.objects.filter(slug=slug).first()
        if wanted is not None:
            return Membership(person=user, project=wanted, role=Role.LEAD)
    if found is None:
        raise Http404("No such project")
    if not found.at_least(role):
        raise PermissionDenied(f"This needs the role of {role} in the project.")
    return found


def project(user: User, slug: str, role: str = Role.ANNOTATOR) -> Project:
    """The project, if the person has at least `role` in it; raises as `membership` does."""
    return membership(user, slug, role).project


def is_lead(user: User, project: Project) -> bool:
    if user.is_superuser:
        return True
    return Membership.objects.leads().filter(person_id=user.pk, project=project).exists()


def own_assignment(user: User, pk: int) -> Assignment:
    """One of the person's own assignments, in a project they still belong to; Http404 otherwise."""
    found = (
        Assignment.objects.select_related("item__project", "item__prompt")
        .filter(pk=pk, person_id=user.pk, item__project__memberships__person_id=user.pk)
        .first()
    )
    if found is None:
        raise Http404("No such assignment")
    return found
