"""Parts of the data: which items the people of a team are given, and where the queue finds them quickly.

`fitting` counts them, `Part.sql` claims them (leasing.py); a test holds the two together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import Q

from annotation.models import Membership
from annotation.text import sha256

# The whole queue in its order, for whoever is in no team.
QUEUE = ("annotation_item item", "item")

# For a part we look at the head of the queue first, where an item of it nearly always is.
HEAD = 1000
AT_THE_HEAD = """(
    SELECT id, priority, prompt_id FROM annotation_item
    WHERE project_id = %(project)s AND kind = %(kind)s AND NOT dropped AND taken < wanted
    ORDER BY priority DESC, id LIMIT %(head)s
) place
JOIN LATERAL (
    SELECT FROM annotation_prompt prompt WHERE prompt.id = place.prompt_id AND {fits} OFFSET 0
) fitting ON true
JOIN annotation_item item ON item.id = place.id"""

# If there is none, the first ones behind it are searched for, starting from the prompts that fit, and are known to all
# of the team for a while: when the part is the second half of the queue, the search takes some 100 ms. What is claimed
# is checked as ever; an item that is new and not at the head, or whose prompt is given other tags, is noticed after
# that while. OFFSET 0 holds PostgreSQL to these plans, which it would leave as if what fits were spread evenly.
AMONG_KNOWN = """(SELECT id, priority FROM annotation_item WHERE id = ANY(%(known)s) OFFSET 0) place
JOIN annotation_item item ON item.id = place.id"""
SEARCH = """
SELECT id FROM (
    SELECT item.id, item.priority FROM annotation_prompt prompt
    JOIN annotation_item item ON item.prompt_id = prompt.id
    WHERE prompt.project_id = %(project)s AND {fits}
      AND item.kind = %(kind)s AND NOT item.dropped AND item.taken < item.wanted
      AND NOT EXISTS (
        SELECT 1 FROM annotation_assignment mine
        WHERE mine.item_id = item.id AND mine.person_id = %(person)s AND mine.state = ANY(%(spent)s))
    OFFSET 0
) found
ORDER BY priority DESC, id LIMIT %(most_known)s
"""
MOST_KNOWN = 500
SECONDS_KNOWN = 30


@dataclass(frozen=True)
class Part:
    """One team's share of the prompts: with any of these tags, in any of these languages; an empty list is all."""

    tags: Sequence[str]
    languages: Sequence[str]

    @property
    def condition(self) -> Q:
        tags = Q(prompt__tags__overlap=list(self.tags)) if self.tags else Q()
        return tags & Q(prompt__language__in=list(self.languages)) if self.languages else tags

    def sql(self, number: int) -> tuple[str, dict[str, Any]]:
        """The same in SQL over `prompt`, with its parameters, which this number tells from those of others."""
        both = {
            f"prompt.tags && %(tags_{number})s::varchar[]": (f"tags_{number}", self.tags),
            f"prompt.language = ANY(%(languages_{number})s)": (f"languages_{number}", self.languages),
        }
        named = {sql: one for sql, one in both.items() if one[1]}
        return f"({' AND '.join(named)})", {name: list(values) for name, values in named.values()}


def of(membership: Membership) -> list[Part]:
    """What the person's teams share out; empty if they may be given everything."""
    teams = membership.teams.all() if membership.pk else []
    found = [Part(tags=one.tags, languages=one.languages) for one in teams]
    return found if all(one.tags or one.languages for one in found) else []


def fitting(own: Sequence[Part]) -> Q:
    """Items that lie in one of these parts; all of them if there is none."""
    together = Q()
    for one in own:
        together |= one.condition
    return together


def claims(own: Sequence[Part]) -> tuple[str, dict[str, Any]]:
    """The same as a condition in SQL over `prompt`, with its parameters."""
    sides = [one.sql(number) for number, one in enumerate(own)]
    parameters = {name: value for _, more in sides for name, value in more.items()}
    return f"({' OR '.join(sql for sql, _ in sides)})", parameters


def table(own: Sequence[Part], item: str = "item") -> str:
    """Items under this name, those that lie in one of the parts alone; its parameters are those of `claims`."""
    if not own:
        return f"annotation_item {item}"
    return f"annotation_item {item} JOIN annotation_prompt prompt ON prompt.id = {item}.prompt_id AND {claims(own)[0]}"


def directly(own: Sequence[Part], asked: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Where to claim an item from when few come into question, such as gold."""
    return table(own), "item", {**asked, **(claims(own)[1] if own else {})}


def sources(own: Sequence[Part], asked: dict[str, Any], *, thorough: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where to claim an item from, one place after another until one has it: a FROM clause of `item`, the table whose
    priority and id give the order, and its parameters. `thorough` searches at once, and anew."""
    if not own:
        yield *QUEUE, asked
        return
    fits, more = claims(own)
    asked = {**asked, **more}
    team = sha256(sorted([list(one.tags), list(one.languages)] for one in own))
    key = f"part:{asked['project']}:{asked['kind']}:{team}"
    if not thorough:
        yield AT_THE_HEAD.format(fits=fits), "place", {**asked, "head": HEAD}
        if known := cache.get(key):
            yield AMONG_KNOWN, "place", {**asked, "known": known}
    with connection.cursor() as cursor:
        cursor.execute(SEARCH.format(fits=fits), {**asked, "most_known": MOST_KNOWN})
        known = [row[0] for row in cursor.fetchall()]
    cache.set(key, known, SECONDS_KNOWN)
    yield AMONG_KNOWN, "place", {**asked, "known": known}
