"""The only way from a request to a row: by person, project and role.

Every view, API endpoint and admin page gets its objects here. What a person may not know about is "not found";
what they may see but not do is "not permitted".
"""

from collections.abc import Iterable

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404

from annotation import at_hand
from annotation.models import (
    AccessKey,
    Assignment,
    BulkChange,
    Comment,
    Delivery,
    Export,
    Finding,
    Gold,
    Import,
    Invitation,
    Item,
    Label,
    Membership,
    Notice,
    Project,
    Prompt,
    SavedView,
    Team,
    User,
    Webhook,
)
from annotation.models.items import Purpose, State
from annotation.models.people import RANK, Role


def membership(user: User, slug: str, role: str | None = None) -> Membership:
    """The person's membership of the project, if it has at least `role`, and what the door asks by which they came.

    Where neither says, they must be a lead. A superuser is a lead everywhere (the membership returned is not saved).
    Raises Http404 for outsiders and PermissionDenied for members whose role is too low. By an access key of one
    project, there is no other.
    """
    return _at_least(_membership(user, slug), role)


def _membership(user: User, slug: str) -> Membership:
    """Whatever the role."""
    own = Membership.objects.select_related("project").filter(person_id=user.pk, project__slug=slug)
    found = own.filter(**_within(user, "project")).first()
    if found is None and user.is_superuser:
        wanted = Project.objects.filter(slug=slug, **_within(user, "pk")).first()
        if wanted is not None:
            return Membership(person=user, project=wanted, role=Role.LEAD)
    if found is None:
        raise Http404("No such project")
    found.person = user
    return found


def _at_least(member: Membership, role: str | None) -> Membership:
    asked = [Role(one) for one in (role, member.person.least) if one] or [Role.LEAD]
    least = max(asked, key=lambda one: RANK[one])
    if not member.at_least(least):
        raise PermissionDenied(f"This needs the role of {least} in the project.")
    return member


def _within(user: User, lookup: str) -> dict[str, int]:
    """Holds rows to the one project of the access key by which the person came, if it opens one."""
    return {lookup: user.within} if user.within else {}


def project(user: User, slug: str, role: str | None = None) -> Project:
    """The project, if the person has at least `role` in it; raises as `membership` does."""
    return membership(user, slug, role).project


def projects(user: User) -> QuerySet[Project]:
    """The projects the person belongs to, less those put away."""
    return Project.objects.visible_to(user).active()


def memberships(user: User, projects: Iterable[Project]) -> list[Membership]:
    """The person's membership of each of these projects of theirs, as `membership` gives one."""
    wanted = list(projects)
    own = user.memberships.filter(project__in=wanted).select_related("project").prefetch_related("teams")
    found = {one.project_id: one for one in own}
    return [found.get(one.pk) or Membership(person=user, project=one, role=Role.LEAD) for one in wanted]


def is_lead(user: User, project: Project) -> bool:
    if user.is_superuser:
        return True
    return Membership.objects.leads().filter(person_id=user.pk, project=project).exists()


def own_assignment(user: User, pk: int) -> Assignment:
    """One of the person's own assignments, in a project they still belong to; Http404 otherwise."""
    return own_work(user, pk)[0]


def own_work(user: User, pk: int) -> tuple[Assignment, Membership]:
    """One of the person's own assignments with their membership of its project; Http404 as in `own_assignment`."""
    assignment, member = at_hand.read(pk) or (None, None)
    if assignment is None or member is None or assignment.person_id != user.pk:
        raise Http404("No such assignment")
    if user.within and member.project_id != user.within:
        raise Http404("No such assignment")
    assignment.person = member.person = user
    return assignment, member


def last_judged(user: User, project: Project, kind: str) -> Assignment | None:
    """The assignment on which the person said their last word of this kind, if they said any."""
    last = Label.objects.live().filter(person_id=user.pk, project=project, item__kind=kind, decision=False)
    found = last.select_related("assignment__item__project", "assignment__item__prompt").order_by("-id").first()
    return found.assignment if found else None


def own_review(user: User, pk: int) -> Assignment:
    """One of the person's own claims on a case, while they may review in its project; raises as `membership` does."""
    found = own_assignment(user, pk)
    if not found.review:
        raise Http404("No such case")
    membership(user, found.item.project.slug, Role.REVIEWER)
    return found


def labels(user: User, slug: str) -> QuerySet[Label]:
    """The labels a member may see: all of them for reviewers and leads, their own for annotators."""
    member = membership(user, slug, Role.ANNOTATOR)
    rows = Label.objects.filter(project=member.project)
    return rows if member.at_least(Role.REVIEWER) else rows.filter(person_id=user.pk)


def label_to_withdraw(user: User, pk: int) -> tuple[Label, Membership]:
    """A label the person may withdraw, their own or as a lead, with their membership of its project.

    Http404 if they may not see it; PermissionDenied if they may see it and no more, as a reviewer.
    """
    visible = Project.objects.visible_to(user)
    found = Label.objects.select_related("project").filter(pk=pk, project__in=visible).first()
    if found is None:
        raise Http404("No such label")
    member = membership(user, found.project.slug, Role.ANNOTATOR)
    if found.person_id != user.pk and not member.at_least(Role.LEAD):
        if member.at_least(Role.REVIEWER):
            raise PermissionDenied("Only its author or a lead can withdraw a label.")
        raise Http404("No such label")
    return found, member


def member_of(lead: Membership, person_id: int) -> Membership:
    """Another's membership of the project that `lead` leads; Http404 if they are not in it."""
    found = lead.project.memberships.select_related("person", "project").filter(person_id=person_id).first()
    if found is None:
        raise Http404("No such member")
    return found


def person_of(lead: Membership, person_id: int) -> User:
    """Somebody who is in the project that `lead` leads, or said something in it; Http404 otherwise."""
    said = Label.objects.filter(project=lead.project_id, person=person_id)
    found = User.objects.filter(pk=person_id).first()
    if found is None or not (lead.project.memberships.filter(person=found).exists() or said.exists()):
        raise Http404("No such person")
    return found


def team_of(lead: Membership, pk: int) -> Team:
    found = lead.project.teams.filter(pk=pk).first()
    if found is None:
        raise Http404("No such team")
    return found


def invitation_of(lead: Membership, pk: int) -> Invitation:
    found = lead.project.invitations.select_related("project").filter(pk=pk).first()
    if found is None:
        raise Http404("No such invitation")
    return found


def import_of(user: User, slug: str, pk: int) -> tuple[Membership, Import]:
    """One import of a project that the person leads, with their membership; Http404 if it has no such one."""
    lead = membership(user, slug, Role.LEAD)
    found = lead.project.imports.select_related("project", "actor").filter(pk=pk).first()
    if found is None:
        raise Http404("No such import")
    return lead, found


def invitation(token: str) -> Invitation:
    """What a link stands for: whoever has it may know the project's name. Http404 if nobody made it."""
    found = Invitation.objects.select_related("project", "team", "author").filter(token=token).first()
    if found is None:
        raise Http404("No such invitation")
    return found


def own_label(user: User, pk: int) -> Label:
    """One of the person's own labels, in a project they still belong to; Http404 otherwise."""
    found = (
        Label.objects.select_related("assignment__item__project", "assignment__item__prompt", "response")
        .filter(pk=pk, person_id=user.pk, project__memberships__person_id=user.pk, **_within(user, "project"))
        .first()
    )
    if found is None:
        raise Http404("No such label")
    return found


def thread(member: Membership, item: Item) -> list[Comment]:
    """What the member may read of what is said about an item, oldest first: all of it from reviewers upwards.

    An annotator reads others once they have judged the item, so that opinions do not travel ahead of labels. Before,
    and on gold for ever, they see what they wrote themselves and what mentions them, on gold by reviewers and leads.
    """
    comments = list(item.comments.select_related("author", "settled_by"))
    if not comments or member.at_least(Role.REVIEWER):
        return comments
    gold = item.purpose == Purpose.GOLD
    if not gold and item.assignments.filter(person_id=member.person_id, state=State.SUBMITTED).exists():
        return comments
    names = item.project.member_names()
    to_them = [one for one in comments if member.person.username in names.mentioned(one.text)]
    if gold:
        annotators = item.project.memberships.filter(role=Role.ANNOTATOR).values_list("person_id", flat=True)
        fellows = set(annotators.filter(person__in=[one.author_id for one in to_them]))
        to_them = [one for one in to_them if one.author_id not in fellows]
    return [one for one in comments if one.author_id == member.person_id or one in to_them]


def comment(user: User, pk: int) -> tuple[Comment, Membership]:
    """A comment that the person may read, with their membership; Http404 otherwise.

    PermissionDenied if they may read it, but their role is too low.
    """
    related = Comment.objects.select_related("item__project", "item__prompt", "author")
    found = related.filter(pk=pk, item__project__in=Project.objects.visible_to(user)).first()
    if found is None:
        raise Http404("No such comment")
    member = _membership(user, found.item.project.slug)
    if found not in thread(member, found.item):
        raise Http404("No such comment")
    return found, _at_least(member, Role.ANNOTATOR)


def flags(user: User, slug: str) -> QuerySet[Comment]:
    """The flags of a project that wait for its leads."""
    wanted = Comment.objects.open_flags().filter(item__project=project(user, slug, Role.LEAD))
    return wanted.select_related("item__prompt", "author")


def findings(user: User, slug: str) -> QuerySet[Finding]:
    """What the checks found in a project that the person leads; raises as `membership` does."""
    return Finding.objects.filter(project=project(user, slug, Role.LEAD)).select_related("prompt", "response")


def item_to_review(user: User, pk: int) -> tuple[Item, Membership]:
    """An item that the person may send to the reviewers, as a lead of its project."""
    found = Item.objects.select_related("project").filter(pk=pk, project__in=Project.objects.visible_to(user)).first()
    if found is None:
        raise Http404("No such item")
    return found, membership(user, found.project.slug, Role.LEAD)


def notices(user: User) -> QuerySet[Notice]:
    """The person's own notices, of projects they still belong to."""
    return Notice.objects.filter(person_id=user.pk, project__in=Project.objects.visible_to(user))


def notice(user: User, pk: int) -> QuerySet[Notice]:
    """One of the person's own notices; Http404 if there is no such one."""
    found = notices(user).filter(pk=pk)
    if not found.exists():
        raise Http404("No such notice")
    return found


def item(user: User, slug: str, pk: int) -> Item:
    """An item of a project the person leads; raises as `membership` does."""
    leads = membership(user, slug, Role.LEAD)
    found = Item.objects.select_related("prompt", "project").filter(pk=pk, project=leads.project).first()
    if found is None:
        raise Http404("No such item")
    return found


def gold(user: User, slug: str, pk: int) -> Gold:
    """A gold item of a project the person leads; raises as `membership` does."""
    leads = membership(user, slug, Role.LEAD)
    rows = Gold.objects.select_related("item__prompt", "item__project", "author")
    found = rows.filter(pk=pk, item__project=leads.project).first()
    if found is None:
        raise Http404("No such gold")
    return found


def gold_answer(user: User, pk: int) -> Label:
    """The person's own label on gold, in a project that tells them what was right; Http404 otherwise."""
    found = (
        Label.objects.select_related("item__gold", "item__project", "item__prompt", "assignment__item", "response")
        .filter(pk=pk, person_id=user.pk, gold_correct__isnull=False, item__gold__isnull=False)
        .filter(project__gold_feedback=True, project__memberships__person_id=user.pk, **_within(user, "project"))
        .first()
    )
    if found is None:
        raise Http404("No such answer")
    return found


def prompt(user: User, slug: str, pk: int) -> tuple[Prompt, Membership]:
    """A prompt of a project in which the person reviews or leads; raises as `membership` does."""
    member = membership(user, slug, Role.REVIEWER)
    found = Prompt.objects.filter(pk=pk, project=member.project).first()
    if found is None:
        raise Http404("No such prompt")
    return found, member


def saved_view(user: User, slug: str, pk: int) -> tuple[SavedView, Membership]:
    """A view of the person's own, or one that a colleague shares; raises as `membership` does."""
    member = membership(user, slug, Role.REVIEWER)
    found = SavedView.objects.filter(Q(owner=user) | Q(shared=True), pk=pk, project=member.project).first()
    if found is None:
        raise Http404("No such view")
    return found, member


def bulk_change(user: User, slug: str, pk: int) -> BulkChange:
    """A change of many rows in a project the person leads; raises as `membership` does."""
    leads = membership(user, slug, Role.LEAD)
    found = BulkChange.objects.filter(pk=pk, project=leads.project).first()
    if found is None:
        raise Http404("No such change")
    return found


def export(user: User, slug: str, pk: int) -> Export:
    """A file of data of a project the person leads; raises as `membership` does."""
    leads = membership(user, slug, Role.LEAD)
    found = Export.objects.select_related("project").filter(pk=pk, project=leads.project).first()
    if found is None:
        raise Http404("No such export")
    return found


def access_key(user: User, pk: int) -> AccessKey:
    """One of the person's own access keys; Http404 otherwise."""
    found = AccessKey.objects.select_related("project", "owner").filter(pk=pk, owner_id=user.pk).first()
    if found is None:
        raise Http404("No such access key")
    return found


def webhook(user: User, slug: str, pk: int) -> tuple[Webhook, Membership]:
    """A webhook of a project the person leads, with their membership; raises as `membership` does."""
    lead = membership(user, slug, Role.LEAD)
    found = Webhook.objects.select_related("project", "author").filter(pk=pk, project=lead.project).first()
    if found is None:
        raise Http404("No such webhook")
    return found, lead


def delivery(user: User, slug: str, webhook_id: int, pk: int) -> Delivery:
    """A message to a webhook of a project the person leads; raises as `membership` does."""
    hook, _ = webhook(user, slug, webhook_id)
    found = hook.deliveries.select_related("webhook__project").filter(pk=pk).first()
    if found is None:
        raise Http404("No such delivery")
    return found
