"""Every door of the product, gone through by everybody: each is let in, or kept out, as its rule says.

The doors are found in the URL configuration, so that a new one is tried too, and fails if it has no rule.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.handlers.base import BaseHandler
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.urls import path, reverse
from drf_spectacular.generators import SchemaGenerator

from annotation import labelling
from annotation.doors import ANYBODY, SIGNED_IN, STAFF, Rule, door
from annotation.gold import Right, mark
from annotation.models import Membership, Project, User
from annotation.models.people import Role
from annotation.reviewing import next_case
from config import permissions
from config.limits import Everybody, Limit
from config.permissions import SUPERUSER, Door
from tests.annotation.making import a_demonstration, a_disagreement, asked

DOORS = list(permissions.doors())
API = "/api/v1/"
ROUTES = [(one.method.lower(), one.route.removeprefix(API)) for one in DOORS if one.route.startswith(API)]
OWN = ("assignments/", "notices/<", "labels/")  # not even a superuser reads them for somebody else
ASKED = {  # what must stand in the query
    "projects/<slug:slug>/models/compare/": "?first={base_id}&second={model_id}",
    "projects/<slug:slug>/runs/advice/": "?goal=manner&subject=known&means=one",
}
REFRESH = "manage.py permissions > docs/permissions.md"
KEPT = Path(__file__).parents[2] / "docs" / "permissions.md"
IN, SIGN_IN, FORBIDDEN, MISSING = "let in", "sent to sign in", "forbidden", "not there"
LEVEL = {"nobody": ANYBODY, "charlie": SIGNED_IN, "olga": SIGNED_IN, "root": SUPERUSER}
LEVEL |= {"dana": Role.ANNOTATOR, "rita": Role.REVIEWER, "alice": Role.LEAD}


def address(route: str, ids: dict[str, Any]) -> str:
    path = re.sub(r"<\w+:(\w+)>", lambda found: str(ids[found[1]]), route)
    return f"{API}{path}{ASKED.get(route, '').format(**ids)}"


def outcome(answer: Any) -> str:
    if answer.status_code == 302 and answer["Location"].startswith(
        (f"{reverse('login')}?", f"{reverse('admin:login')}?")
    ):
        return SIGN_IN
    return {401: SIGN_IN, 403: FORBIDDEN, 404: MISSING}.get(answer.status_code, IN)


class Walk:
    """People who ask for things, each time of the world as it was: some thousands of times, and so without Django's
    test client, which copies what each template was given."""

    def __init__(self, people: dict[str, User], ids: dict[str, Any], special: dict[str, dict[str, Any]]) -> None:
        self.ids, self.special = ids, special
        self.handler = BaseHandler()
        self.handler.load_middleware()
        self.cookies = {}
        for name, person in people.items():
            client = Client()
            client.force_login(person)
            session = client.session
            record = {"method": "password", "at": time.time(), "username": name}  # as one who need not confirm it
            session["account_authentication_methods"] = [record]
            session["account_authentication_methods_user"] = str(person.pk)
            session.save()
            self.cookies[name] = client.cookies.output(attrs=[], header="", sep=";")

    def ask(self, who: str, method: str, where: str, *, checked: bool = False) -> str:
        """What comes of it. Whoever is kept out has written nothing. `checked`: as a browser, for a token of ours."""
        return outcome(self.answer(who, method, where, checked=checked))

    def answer(self, who: str, method: str, where: str, *, checked: bool = False) -> Any:
        asked = RequestFactory(headers={"cookie": self.cookies.get(who, "")})
        json = {"data": BODY, "content_type": "application/json"} if where.startswith(API) and method != "GET" else {}
        request = getattr(asked, method.lower())(where, **json)
        request._dont_enforce_csrf_checks = not checked
        writes: list[str] = []

        def watch(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            writes.extend([sql] * sql.startswith(("INSERT", "UPDATE", "DELETE")))
            return execute(sql, *rest)

        with transaction.atomic():
            with connection.execute_wrapper(watch):
                answer = self.handler.get_response(request)
            transaction.set_rollback(True)
        assert answer.status_code not in (405, 500), (who, method, where)
        assert outcome(answer) == IN or not writes, (who, method, where, writes)
        return answer

    def where(self, one: Door, **other: Any) -> str:
        """The address with the desk's ids in it: those of a page stand behind the word for what they are."""
        ids = {**self.ids, **self.special.get(one.route.removeprefix(API).lstrip("/"), {}), **other}
        if one.route.startswith(API):
            return address(one.route.removeprefix(API), ids)
        route = re.sub(r"\(\?P(<)(\w+>).+?\)(?=[-/])", r"\1str:\2", one.route).replace("^", "").replace("$", "")
        route = re.sub(r"([\w-]+)/<int:pk>", lambda found: f"{found[1]}/{ids[found[1]]}", route)
        return re.sub(r"<\w+:(\w+)>", lambda found: str(ids[found[1]]), route)


BODY = '{"kind": "comparison"}'  # where it is asked for; elsewhere it is as good as nothing
OWNERS = {"decide": "ruth", "pass": "ruth", "access-keys": "alice", "notices": "alice", "views": "alice"}


@pytest.fixture
def walk(world: Any, member: Any, charlie: User, alice: Any, bob: Any, bea: Any, monkeypatch: Any) -> Walk:
    monkeypatch.setattr(Everybody, "strangers", Limit(6000))
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda self, **asked: {})  # seconds, each time
    project = world.prompt.project
    dana, rita, ruth = member("dana"), member("rita", "reviewer"), member("ruth", "reviewer")
    olga, root = User.objects.create_user("olga"), User.objects.create_superuser("root")
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(person=olga, project=other, role=Role.LEAD)
    people = {one.person.username: one.person for one in (alice, bob, dana, rita, ruth)}
    people |= {"charlie": charlie, "olga": olga, "root": root}

    Project.objects.filter(pk=project.pk).update(gold_feedback=True)
    known = mark(item=a_demonstration(project), right=Right(verdicts=["accept"]))
    told = labelling.submit(assignment=asked(known, bob), said=labelling.Said(verdict="accept"))
    a_disagreement(project, bob, bea)
    case = next_case(membership=ruth)
    passkey = Authenticator.objects.create(user=bob.person, type="webauthn", data={"name": "Key", "credential": {}})
    ended = UserSession.objects.create(user=bob.person, ip="127.0.0.1", session_key="of-bob")
    ids = world.ids
    pages = {
        **{"import": ids["import_id"], "prompts": world.prompt.pk, "views": ids["view_id"]},
        **{"changes": ids["change_id"], "export": ids["export_id"], "access-keys": ids["key_id"]},
        **{"people": ids["person_id"], "invitations": ids["invitation_id"], "teams": ids["team_id"]},
        **{"gold": ids["gold_id"], "labels": ids["label_id"], "assignments": ids["assignment_id"]},
        **{"comments": ids["comment_id"], "webhooks": ids["webhook_id"], "notices": ids["notice_id"]},
        **{"runs": ids["run_id"], "models": ids["model_id"], "head-to-heads": ids["match_id"]},
        **{"snapshots": ids["snapshot_id"], "asked": ids["freezing_id"], "recipes": ids["recipe_id"]},
        **{"sessions": ended.pk, "passkeys": passkey.pk, "person": ids["person_id"], "delivery": ids["delivery_id"]},
        **{"kind": "comparison", "token": world.invitation.token, "provider_id": "company"},
        **{"uidb36": "x", "key": "y", "paraphrases": ids["paraphrase_id"]},
    }
    special = {
        **{f"labels/<int:{name}>/gold/": {"labels": told.pk, "label_id": told.pk} for name in ("pk", "label_id")},
        "projects/<slug:slug>/data/snapshots/<int:pk>/rows/<int:number>/": {"number": 0},
        **{f"assignments/<int:pk>/{verb}/": {"assignments": case.assignment_id} for verb in ("decide", "pass")},
    }
    return Walk(people, {**ids, **pages}, special)


def owner(one: Door) -> str:
    """Whose the object of the world at this address is."""
    said = set(one.route.split("/")) & set(OWNERS)
    return OWNERS[said.pop()] if said else "bob"


PROJECT = "projects/<slug:slug>/"
MEMBERS_ALONE = {  # who labels is a member
    *(f"POST {API}{PROJECT}{name}/" for name in ("next", "review", "labels", "guidelines/<int:number>/read")),
    f"POST /{PROJECT}label/<slug:kind>/ahead/",
}
LACKING = {  # what people who may are told, of what there is not
    **{f"/sign-in/with/<slug:provider_id>/{more}": {MISSING} for more in ("", "back/")},
    **{f"/account/second-factor/{more}/": {MISSING} for more in ("app/remove", "codes", "codes/file")},
    f"{API}{PROJECT}exports/<int:export_id>/file/": {IN, MISSING},  # a file once deleted stays away
    f"/{PROJECT}data/export/<int:pk>/file/": {IN, MISSING},
    "/sign-in/with/failed/": {SIGN_IN},
    "/admin/login/": {SIGN_IN, FORBIDDEN},  # whoever gets as far as here is no member of staff
}


def expected(one: Door, who: str) -> set[str]:
    rule, level = one.rule, LEVEL.get(who, Role.ANNOTATOR if who == "bob" else Role.REVIEWER)
    assert rule is not None
    may = permissions.opens(rule, level)
    if who == "root" and f"{one.method} {one.route}" in MEMBERS_ALONE:
        return {FORBIDDEN}
    if may == "yes" or (may == "own" and who == owner(one)):
        return LACKING.get(one.route, {IN})
    if who == "nobody":
        return {SIGN_IN}
    if level == SIGNED_IN or rule.who == STAFF:
        return {MISSING}
    if may == "own":  # somebody else's: a label may be seen by a reviewer who may not withdraw it
        return {FORBIDDEN} if rule.others == Role.LEAD and level == Role.REVIEWER else {MISSING}
    return (
        {FORBIDDEN} if "<slug:slug>" in one.route else {FORBIDDEN, MISSING}
    )  # without one, perhaps they cannot see it


def test_every_door_has_a_rule() -> None:
    assert [f"{one.method} {one.route}" for one in DOORS if one.rule is None] == []
    assert len(DOORS) > 350


def test_a_door_without_a_rule_is_noticed() -> None:
    @door(Role.LEAD, "GET", "HEAD")
    def ruled(request: Any) -> None: ...

    def unruled(request: Any) -> None: ...

    found = list(permissions.doors([path("a/", ruled), path("b/", unruled)]))
    assert [(one.route, one.rule) for one in found] == [("/a/", Rule(Role.LEAD)), ("/b/", None)]


def test_the_table_is_the_one_kept() -> None:
    assert permissions.page() == KEPT.read_text(), f"read the difference, then run {REFRESH}"


@pytest.mark.filterwarnings("ignore")
def test_everybody_is_let_in_or_kept_out_as_the_rules_say(walk: Walk) -> None:
    wrong = []
    for one in DOORS:
        for who in (*LEVEL, *({owner(one)} - set(LEVEL) if one.rule and one.rule.own else ())):
            found = walk.ask(who, one.method, walk.where(one))
            if found not in expected(one, who):
                wrong.append(f"{who}: {one.method} {one.route}: {found}, not {expected(one, who)}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_an_id_of_another_project_is_not_there(walk: Walk) -> None:
    """A lead asks below a project of theirs for what is in another."""
    tried = [
        one for one in DOORS if "<slug:slug>" in one.route and one.route.count("<") > 1 and "kind" not in one.route
    ]
    assert len(tried) > 100
    for one in tried:
        assert walk.ask("olga", one.method, walk.where(one, slug="other")) == MISSING, (one.method, one.route)


def test_no_form_of_another_site_gets_in(walk: Walk) -> None:
    """With the person's session, and without the token that only our own pages know."""
    for one in DOORS:
        if one.method != "GET" and not one.route.startswith(f"{API}token"):
            found = walk.ask("alice", one.method, walk.where(one), checked=True)
            assert found == FORBIDDEN, (one.method, one.route)
