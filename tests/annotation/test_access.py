"""Nobody reads or writes a row of a project they do not belong to, or beyond their role, through any page."""

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import Http404
from django.test import Client
from django.urls import reverse

from annotation import access, accesskeys, labelling, savedviews, talk, urls, webhooks
from annotation.exporting import files
from annotation.exporting.wanted import Wanted
from annotation.gold import Right, mark
from annotation.models import (
    AccessKey,
    Assignment,
    BulkChange,
    Event,
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
from tests.annotation.making import a_comparison, a_demonstration, asked, first_is_better, lease

PASSWORD = "a-secret-of-nobody"

# Each page: how it is asked for, and what an outsider, an annotator, a reviewer and a lead get. On an assignment
# they are all strangers: it is bob's.
PAGES = {
    "projects": ("get", [200, 200, 200, 200]),
    "keys": ("get", [200, 200, 200, 200]),
    "access_keys": ("get", [200, 200, 200, 200]),
    "revoke_access_key": ("post", [404, 404, 404, 302]),  # alice's
    "webhooks": ("get", [404, 403, 403, 200]),
    "webhook": ("get", [404, 403, 403, 200]),
    "ping_webhook": ("post", [404, 403, 403, 302]),
    "renew_webhook_secret": ("post", [404, 403, 403, 200]),
    "delete_webhook": ("post", [404, 403, 403, 302]),
    "send_again": ("post", [404, 403, 403, 302]),
    "project": ("get", [404, 200, 200, 200]),
    "guidelines": ("get", [404, 200, 200, 200]),
    "guidelines_versions": ("get", [404, 200, 200, 200]),
    "guidelines_version": ("get", [404, 200, 200, 200]),
    "my_work": ("get", [404, 200, 200, 200]),
    "work": ("get", [404, 200, 200, 200]),
    "edit_guidelines": ("get", [404, 403, 403, 200]),
    "browse": ("get", [404, 403, 200, 200]),
    "browse_prompt": ("get", [404, 403, 200, 200]),
    "save_view": ("post", [404, 403, 302, 302]),
    "change_view": ("post", [404, 403, 404, 302]),  # alice's own
    "bulk_change": ("post", [404, 403, 403, 302]),
    "bulk_changes": ("get", [404, 403, 403, 200]),
    "undo_change": ("post", [404, 403, 403, 302]),
    "import": ("get", [404, 403, 403, 200]),
    "import_file": ("get", [404, 403, 403, 200]),
    "import_state": ("get", [404, 403, 403, 200]),
    "cancel_import": ("post", [404, 403, 403, 302]),
    "retry_import": ("post", [404, 403, 403, 302]),
    "import_rejected": ("get", [404, 403, 403, 200]),
    "cleaning": ("get", [404, 403, 403, 200]),
    "cleaning_progress": ("get", [404, 403, 403, 200]),
    "decide_findings": ("post", [404, 403, 403, 302]),
    "check_data": ("post", [404, 403, 403, 302]),
    "export_page": ("get", [404, 403, 403, 200]),
    "export_state": ("get", [404, 403, 403, 200]),
    "export_file": ("get", [404, 403, 403, 200]),
    "delete_export": ("post", [404, 403, 403, 302]),
    "ahead": ("post", [404, 302, 302, 302]),
    "undo": ("post", [404, 302, 302, 302]),
    "quality": ("get", [404, 403, 200, 200]),
    "raters": ("get", [404, 403, 200, 200]),
    "rate_person": ("post", [404, 403, 403, 302]),
    "recompute": ("post", [404, 403, 403, 302]),
    "people": ("get", [404, 403, 403, 200]),
    "person": ("get", [404, 403, 403, 200]),
    "remove_person": ("post", [404, 403, 403, 302]),
    "export_work": ("get", [404, 403, 403, 200]),
    "revoke_invitation": ("post", [404, 403, 403, 302]),
    "new_team": ("get", [404, 403, 403, 200]),
    "team": ("get", [404, 403, 403, 200]),
    "delete_team": ("post", [404, 403, 403, 302]),
    "join": ("get", [200, 200, 200, 200]),
    "check": ("post", [404, 200, 200, 200]),
    "read_guidelines": ("post", [404, 302, 302, 302]),
    "gold": ("get", [404, 403, 403, 200]),
    "gold_candidates": ("get", [404, 403, 403, 200]),
    "make_gold": ("get", [404, 403, 403, 200]),
    "gold_item": ("get", [404, 403, 403, 200]),
    "pause": ("post", [404, 403, 403, 302]),
    "unpause": ("post", [404, 403, 403, 302]),
    "gold_answer": ("get", [404, 404, 404, 404]),
    "submit": ("post", [404, 404, 404, 404]),
    "skip": ("post", [404, 404, 404, 404]),
    "draft": ("post", [404, 404, 404, 404]),
    "release": ("post", [404, 404, 404, 404]),
    "thread": ("get", [404, 404, 404, 404]),
    "review": ("get", [404, 403, 200, 200]),
    "decide": ("post", [404, 404, 404, 404]),
    "pass_on": ("post", [404, 404, 404, 404]),
    "revise": ("get", [404, 404, 404, 404]),
    "my_labels": ("get", [404, 200, 200, 200]),
    "withdraw": ("post", [404, 404, 404, 404]),
    "flags": ("get", [404, 403, 403, 200]),
    "comment": ("get", [404, 404, 200, 200]),  # bob has flagged the item
    "settle": ("post", [404, 404, 403, 302]),
    "notices": ("get", [200, 200, 200, 200]),
    "read_notices": ("post", [302, 302, 302, 302]),
    "notice": ("get", [404, 404, 404, 302]),  # alice is told of the flag
}
IMPORTS = ["import_file", "import_state", "cancel_import", "retry_import", "import_rejected"]
ONLY_TO_READ = [
    *("projects", "project", "guidelines", "guidelines_versions", "guidelines_version", "my_work", "work"),
    *("cleaning", "cleaning_progress"),
    *("quality", "raters", "export_work", "gold_candidates", "gold_answer"),
    *("my_labels", "flags", "notices", "notice", "review", "import_state", "import_rejected"),
    *("browse", "browse_prompt", "bulk_changes", "export_state", "export_file"),
]
ON_AN_ASSIGNMENT = ["submit", "skip", "draft", "release"]
OF_LEADS_TO_WRITE = [
    *("cancel_import", "retry_import", "delete_export"),
    *("ping_webhook", "renew_webhook_secret", "delete_webhook", "send_again"),
    *("remove_person", "revoke_invitation", "delete_team", "pause", "unpause"),
    *("decide_findings", "check_data"),
]
ONLY_TO_WRITE = [
    *("ahead", "undo", "rate_person", "recompute", "read_guidelines"),
    *("withdraw", "settle", "read_notices", "decide", "pass_on"),
    *("save_view", "change_view", "bulk_change", "undo_change", "revoke_access_key"),
    *ON_AN_ASSIGNMENT,
    *OF_LEADS_TO_WRITE,
]
NEVER_TO_READ = [*ONLY_TO_WRITE, "check"]  # the last writes nothing, and is no page either
OPEN_TO_ALL = ["join"]  # whoever has the link
OF_NOBODY = ["projects", "keys", "access_keys", "notices", "read_notices"]  # whose addresses name nothing


WEBHOOK = ["webhook", "ping_webhook", "renew_webhook_secret", "delete_webhook"]


def _a_key(member: Membership) -> AccessKey:
    return accesskeys.make(owner=member.person, name="A program", scopes=["read"], days=1)[0]


@pytest.fixture
def held(project, bob):
    """An assignment of bob's."""
    a_demonstration(project)
    return lease(bob, "demonstration")


@pytest.fixture
def address(project, held, bob, alice):
    known = mark(item=a_demonstration(project), right=Right(verdicts=["accept"]))
    project.gold_feedback = True
    project.save()
    team = Team.objects.create(project=project, name="Letters")
    invitation = Invitation.objects.create(project=project, author=alice.person)
    source = Import.objects.create(project=project, name="data.jsonl", status="failed")
    flag = talk.comment(item=held.item, author=bob, text="Is this a question?", flag=True)
    exported = files.ask(project=project, shape="csv", wanted=Wanted(), actor=alice.person)
    hook = webhooks.make(project=project, actor=alice.person, url="https://hooks.example/", groups=["runs"])
    theirs = {
        **{page: ["desk", held.person_id] for page in ("person", "remove_person", "export_work", "rate_person")},
        **{page: ["desk", team.pk] for page in ("team", "delete_team")},
        **{page: ["desk", source.pk] for page in IMPORTS},
        **{page: ["desk", exported.pk] for page in ("export_state", "export_file", "delete_export")},
        "revoke_invitation": ["desk", invitation.pk],
        "join": [invitation.token],
        **{page: ["desk", "demonstration"] for page in ("work", "ahead", "undo")},
        "read_guidelines": ["desk", 1],
        "guidelines_version": ["desk", 1],
        "make_gold": ["desk", held.item_id],
        "gold_item": ["desk", known.pk],
        "pause": ["desk", alice.person_id],
        "unpause": ["desk", alice.person_id],
        "gold_answer": [labelling.submit(assignment=asked(known, bob), said=labelling.Said(verdict="accept")).pk],
        **{page: [held.pk] for page in (*ON_AN_ASSIGNMENT, "thread", "decide", "pass_on")},
        **{page: [flag.pk] for page in ("comment", "settle")},
        **{page: [0] for page in ("withdraw", "revise")},
        "browse_prompt": ["desk", held.item.prompt_id],
        "change_view": ["desk", savedviews.save(member=alice, name="Mine", query={}).pk],
        "undo_change": ["desk", BulkChange.objects.create(project=project, actor=alice.person).pk],
        "revoke_access_key": [_a_key(alice).pk],
        **{page: ["desk", hook.pk] for page in WEBHOOK},
        "send_again": ["desk", hook.pk, webhooks.ping(webhook=hook, actor=alice.person).pk],
        "notice": [Notice.objects.get(person=alice.person).pk],
        **{page: [] for page in OF_NOBODY},
    }

    def find(page: str) -> str:
        return reverse(page, args=theirs.get(page, ["desk"]))

    return find


@pytest.fixture
def as_(client):
    def sign_in(person: User | Membership) -> Client:
        client.force_login(person.person if isinstance(person, Membership) else person)
        return client

    return sign_in


def anything():
    """All that a page could have changed."""
    models = (
        *(Project, Assignment, Item, Label, Event, Membership, Team, Invitation, Import, SavedView, BulkChange),
        *(AccessKey, Webhook),
    )
    return {model: list(model.objects.order_by("pk").values()) for model in models}


def test_the_table_above_has_every_page():
    assert {pattern.name for pattern in urls.urlpatterns} == set(PAGES)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", [page for page in PAGES if page not in OPEN_TO_ALL])
def test_whoever_is_not_signed_in_is_sent_to_sign_in(client, address, page, method):
    before = anything()
    answer = getattr(client, method)(address(page))
    wrong_method = page in (ONLY_TO_READ if method == "post" else NEVER_TO_READ)
    if wrong_method:
        assert answer.status_code == 405
    else:
        assert answer.status_code == 302
        assert answer.url == f"{reverse('login')}?next={address(page)}"
    assert anything() == before


@pytest.mark.parametrize("page", PAGES)
def test_each_role_gets_what_is_theirs(as_, address, charlie, member, alice, page):
    people = [charlie, member("ben"), member("rita", "reviewer"), alice]
    method, expected = PAGES[page]
    assert [getattr(as_(person), method)(address(page)).status_code for person in people] == expected


@pytest.mark.parametrize("page", ON_AN_ASSIGNMENT)
def test_a_member_reaches_their_own_assignment_until_they_leave_the_project(as_, address, bob, page):
    client = as_(bob)
    assert client.post(address(page)).status_code in (204, 302, 422)
    bob.delete()
    before = anything()
    assert client.post(address(page), {"verdict": "accept"}).status_code == 404
    assert anything() == before


@pytest.mark.parametrize("page", ON_AN_ASSIGNMENT)
def test_nobody_acts_on_an_assignment_of_somebody_else(as_, address, member, alice, charlie, page):
    said = {"client_uuid": "0190a6a2-0000-7000-8000-000000000001", "verdict": "accept", "text": "mine", "reason": "no"}
    people = (charlie, member("ben"), alice, User.objects.create_superuser("root"))
    before = anything()
    for person in people:
        assert as_(person).post(address(page), said).status_code == 404
    assert anything() == before


@pytest.mark.parametrize("role", [None, "annotator", "reviewer"])
@pytest.mark.parametrize(
    "page", ["import", "import_file", "edit_guidelines", "people", "person", "new_team", "team", *OF_LEADS_TO_WRITE]
)
def test_only_a_lead_changes_the_project(as_, address, member, charlie, page, role):
    client = as_(member("ben", role) if role else charlie)
    data = {"guidelines": "mine now", "file": SimpleUploadedFile("a.jsonl", b'{"prompt": "mine"}')}
    before = anything()
    assert client.post(address(page), data).status_code == (403 if role else 404)
    assert anything() == before
    assert not Prompt.objects.filter(messages__0__content="mine").exists()


@pytest.mark.parametrize("page", PAGES)
def test_only_the_ways_a_page_is_meant_for_are_open(as_, address, alice, page):
    client = as_(alice)
    assert client.delete(address(page)).status_code == 405
    if page in ONLY_TO_READ:
        assert client.post(address(page)).status_code == 405
    if page in NEVER_TO_READ:
        assert client.get(address(page)).status_code == 405


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ONLY_TO_READ])
def test_nothing_is_changed_by_a_form_of_another_site(address, bob, alice, page):
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob.person if page in ON_AN_ASSIGNMENT else alice.person)
    before = anything()
    assert client.post(address(page), {"verdict": "accept", "guidelines": "theirs"}).status_code == 403
    assert anything() == before


def test_an_outsider_cannot_tell_a_project_from_none(as_, charlie, project):
    client = as_(charlie)
    there, missing = (client.get(reverse("project", args=[slug])) for slug in ("desk", "none"))
    assert there.status_code == missing.status_code == 404
    token = rb'name="csrfmiddlewaretoken" value="\w+"'
    assert re.sub(token, b"", there.content) == re.sub(token, b"", missing.content)
    assert b"Desk" not in client.get(reverse("projects")).content


def test_the_list_has_only_ones_own_projects(as_, bob, project):
    other = Project.objects.create(slug="other", name="Secret project")
    old = Project.objects.create(slug="old", name="Archived project", archived=True)
    Membership.objects.create(person=bob.person, project=old)
    page = as_(bob).get(reverse("projects")).content.decode()
    assert "Desk" in page
    assert other.name not in page
    assert old.name not in page


def test_a_superuser_sees_every_project_and_labels_only_as_a_member(as_, address, project):
    client = as_(User.objects.create_superuser("root"))
    for page in ("projects", "project", "guidelines", "edit_guidelines", "import"):
        assert client.get(address(page)).status_code == 200
    answer = client.get(address("work"))
    assert (answer.status_code, answer.url) == (302, "/projects/desk/")
    assert Assignment.objects.count() == 2  # both are bob's


def test_somebody_who_was_shut_out_is_out_at_once(as_, address, bob):
    client = as_(bob)
    assert client.get(address("project")).status_code == 200
    User.objects.filter(pk=bob.person_id).update(is_active=False)
    assert client.get(address("project")).status_code == 302


@pytest.mark.parametrize("number", ["0", "999999999", "9" * 30, "-1", "1e3", "٣"])
def test_an_assignment_that_is_not_there_is_not_found(as_, bob, number):
    for verb in ON_AN_ASSIGNMENT:
        assert as_(bob).post(f"/assignments/{number}/{verb}/").status_code == 404


def test_an_unknown_kind_of_work_is_not_found(as_, bob):
    assert as_(bob).get("/projects/desk/label/nonsense/").status_code == 404


# The gate itself


def test_a_role_includes_the_lower_ones(project, member, alice):
    people = {"annotator": member("ben"), "reviewer": member("rita", "reviewer"), "lead": alice}
    roles = list(people)
    for role, member_ in people.items():
        for wanted in roles:
            if roles.index(role) >= roles.index(wanted):
                assert access.membership(member_.person, "desk", wanted) == member_
            else:
                with pytest.raises(PermissionDenied):
                    access.membership(member_.person, "desk", wanted)


def test_an_outsider_and_an_unknown_project_are_alike(project, charlie, bob):
    for person, slug in ((charlie, "desk"), (bob.person, "nothing")):
        with pytest.raises(Http404):
            access.membership(person, slug)


def test_a_superuser_is_a_lead_without_being_a_member(project):
    root = User.objects.create_superuser("root")
    member = access.membership(root, "desk", "lead")
    assert (member.pk, member.role, member.project) == (None, "lead", project)
    assert access.is_lead(root, project)
    assert not Membership.objects.filter(person=root).exists()


def test_only_leads_are_leads(project, bob, alice, charlie):
    assert [access.is_lead(person, project) for person in (charlie, bob.person, alice.person)] == [False, False, True]
    other = Project.objects.create(slug="other", name="Other")
    assert not access.is_lead(alice.person, other)
    assert list(Project.objects.led_by(alice.person)) == [project]
    assert not Project.objects.led_by(bob.person).exists()


def test_annotators_see_their_own_labels_and_reviewers_all(project, bob, bea, member, charlie):
    a_comparison(project, wanted=2)
    mine, theirs = (labelling.submit(assignment=lease(one), said=first_is_better()) for one in (bob, bea))
    assert list(access.labels(bob.person, "desk")) == [mine]
    assert set(access.labels(member("rita", "reviewer").person, "desk")) == {mine, theirs}
    with pytest.raises(Http404):
        access.labels(charlie, "desk")


def test_a_label_is_withdrawn_by_its_author_or_a_lead(project, bob, bea, alice, member, charlie):
    a_comparison(project)
    label = labelling.submit(assignment=lease(bob), said=first_is_better())
    for person in (bob, alice):
        assert access.label_to_withdraw(person.person, label.pk)[0] == label
    with pytest.raises(PermissionDenied):
        access.label_to_withdraw(member("rita", "reviewer").person, label.pk)
    for stranger in (bea.person, charlie):
        with pytest.raises(Http404):
            access.label_to_withdraw(stranger, label.pk)
    bob.delete()
    with pytest.raises(Http404):
        access.label_to_withdraw(User.objects.get(username="bob"), label.pk)
