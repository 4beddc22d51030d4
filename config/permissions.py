"""Who may do what, read from the doors themselves: docs/permissions.md, and what the tests walk through."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver
from django.views.defaults import page_not_found

from annotation.doors import ANYBODY, SIGNED_IN, STAFF, Rule
from annotation.models.accesskeys import Scope
from annotation.models.people import Role
from config.urls import nowhere, urlpatterns

SUPERUSER = "superuser"
LEVELS = (ANYBODY, SIGNED_IN, *Role.values, SUPERUSER)  # each may what the ones before it may
NOTHING_THERE = (nowhere, page_not_found)  # they answer 404 to all
VERBS = ("view", "add", "change", "delete")

ABOUT = """# Who may do what

Made by `manage.py permissions` from what each page and each endpoint says of itself (`annotation/doors.py`), which is
also what it is held to. A test goes through every one of these doors as nobody, as somebody of no project, as
annotator, reviewer and lead, as another project's lead and as a superuser, and is let in or kept out as it stands here.

- **Anybody** is who is not signed in; **signed in**, who is, in whatever project or in none. The roles are those in the
  project that the address names, or that its object is of. A higher role may what a lower one may; superusers are leads
  everywhere, but label and review only where they are members.
- **own**: what is theirs, and nobody else's. A view that is shared is deleted by leads too; a comment is read by
  annotators who wrote it, are named in it, or have judged its item.
- Who may not is sent to sign in, or answered 401; who is in the project, 403. What is in another project, or is
  somebody else's, is not there: 404.
- **Key**: what an access key must open, over the API. "–" is for a page, which no key opens, or where none is
  asked for.
- `/is-everything-well/` is for staff of the installation, superusers or not, and for nobody else.
- `/health/live`, `/health/ready` and `/static/` answer anybody; `/metrics`, whoever has its token. There is no switch
  for `trust_remote_code`, not even for superusers.

"""
ADMIN = """
## The admin

Below `/admin/`, for those whom a superuser gave the mark of staff; everybody else is sent to sign in. Leads see and do
what is said here in the projects they lead, and rows of others are not there: 404. Staff who lead nothing see nothing.

"""


@dataclass(frozen=True)
class Door:
    """A way in: a method at a route of the URL configuration. `scopes` is None for pages."""

    method: str
    route: str
    view: Any
    rule: Rule | None
    scopes: frozenset[str] | None = None

    @property
    def address(self) -> str:
        """As people read it.

        >>> Door("GET", "/projects/<slug:slug>/gold/<int:pk>/", None, None).address
        '/projects/<project>/gold/<id>/'
        """
        plain = re.sub(r"\(\?P(<\w+>).+?\)(?=[-/])", r"\1", self.route).replace("^", "").replace("$", "")
        return re.sub(r"<\w+:(\w+)>", r"<\1>", plain).replace("<slug>", "<project>").replace("<pk>", "<id>")

    @property
    def object(self) -> str:
        """What it is about: the first word of the address that says so."""
        said = re.sub(r"^/(api/v1/)?(projects/<project>/)?(data/|openai/v1/)?", "", self.address)
        return said.split("/")[0].replace("-", " ") or ("projects" if self.address.count("/") < 2 else "project")


def doors(patterns: list[Any] = urlpatterns, prefix: str = "/") -> Iterator[Door]:
    """Every method of every address but the admin's; `rule` is None where nothing is said."""
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLPattern):
            if one.callback not in NOTHING_THERE:
                yield from _methods(route, one.callback)
        elif isinstance(one, URLResolver) and one.namespace != "admin":
            yield from doors(one.url_patterns, route)


def _methods(route: str, view: Any) -> Iterator[Door]:
    rule = getattr(view, "rule", None)
    endpoint: Any = getattr(view, "view_class", None)
    if rule is not None or not hasattr(endpoint, "rule"):
        for method in getattr(view, "methods", ["GET"]):
            if method != "HEAD":
                yield Door(method, route, view, rule)
        return
    for method in endpoint.http_method_names:
        if method not in ("options", "head") and hasattr(endpoint, method):
            named = method.upper()
            yield Door(named, route, view, _said(endpoint, named), frozenset(endpoint.needs(named)))


def _said(endpoint: Any, method: str) -> Rule | None:
    try:
        found: Rule = endpoint.rule(method)
    except AttributeError:  # it says nothing
        return None
    return found


def opens(rule: Rule, level: str) -> str:
    """What a level may by a rule: "yes", "own" or ""."""
    if LEVELS.index(level) < LEVELS.index(SUPERUSER if rule.who == STAFF else rule.who):
        return ""
    anyone = rule.others and LEVELS.index(level) >= LEVELS.index(rule.others)
    return "own" if rule.own and not anyone else "yes"


@dataclass(frozen=True)
class Desk:
    """What may be done in the admin: a verb of Django's, or a button, on a model."""

    model: Any
    verb: str
    staff: bool
    lead: bool
    superuser: bool

    @property
    def name(self) -> str:
        return str(self.model._meta.verbose_name)


def desks() -> Iterator[Desk]:
    """As each admin's own `has_…_permission` has it, which is what holds."""
    for model, held in admin.site._registry.items():
        for verb in (*VERBS, *getattr(held, "actions_list", ()), *getattr(held, "actions_detail", ())):
            names = [verb] if verb in VERBS else getattr(held, verb).allowed_permissions
            asked = [getattr(held, f"has_{name}_permission") for name in names]
            may = {who: all(ask(_request(who)) for ask in asked) for who in ("staff", "lead", "superuser")}
            yield Desk(model, verb, **may)


def _request(who: str) -> Any:
    """Just as much of a request as the admin's permissions look at."""
    superuser = who == "superuser"
    user = SimpleNamespace(is_active=True, is_staff=True, is_superuser=superuser, has_perm=lambda *_: superuser, pk=0)
    return SimpleNamespace(user=user, _is_lead=who == "lead")


def page() -> str:
    """docs/permissions.md."""
    heads = ["Object", "Verb", "Address", "Anybody", "Signed in", "Annotator", "Reviewer", "Lead", "Superuser", "Key"]
    rows = [
        [one.object, one.method, f"`{one.address}`", *(opens(one.rule, level) for level in LEVELS), _key(one)]
        for one in sorted({(one.method, one.route): one for one in doors()}.values(), key=_order)
        if one.rule
    ]
    in_admin = [
        [
            str(one.model._meta.verbose_name),
            one.verb.replace("_", " "),
            *("yes" * may for may in (one.lead, one.superuser)),
        ]
        for one in sorted(desks(), key=lambda one: str(one.model._meta.verbose_name))
        if one.superuser
    ]
    return ABOUT + _table(heads, rows) + ADMIN + _table(["Object", "Verb", "Lead", "Superuser"], in_admin)


def _order(one: Door) -> tuple[str, str, str]:
    return one.object, one.address, one.method


def _key(one: Door) -> str:
    scopes = one.scopes
    if scopes is None or (one.rule and one.rule.who == ANYBODY):
        return "–"
    return "all" if scopes == set(Scope) else ", ".join(sorted(scopes)) or "any"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
