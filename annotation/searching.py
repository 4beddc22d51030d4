"""Words to search in: filled in behind the imports, asked as people write, and shown where they stand.

An index over words costs an import more than all its other rows, so `fill` brings them in afterwards, in batches, by
the clock. It looks for what is missing from `SearchMark.upto` on, and moves that only as far as no row can still come:
an id is drawn before its row is committed, and a long import commits late.

Words are kept as they are written, in small letters, for a project may hold any language; a word that ends with * finds
all that begin so. Chinese, Japanese and Korean are written without spaces: there each character counts as a word, and
what is searched for is a row of them.
"""

# ruff: noqa: S608  # statements are put together of constants; every value is a parameter

import re
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.contrib.postgres.search import CombinedSearchQuery, SearchQuery
from django.db import connection, transaction

from annotation.models import Project, SearchMark
from annotation.text import storable

AT_ONCE = 1_000  # rows of one transaction
SECONDS = 15.0  # of one visit; the queue has other work
LONGEST = 200_000  # characters of a text that are searched: PostgreSQL keeps at most 1 MB of words for a row
MOST_FACTS = 100
LONGEST_FACT = 200
COUNTED = 10_000
PROMPTS, ANSWERS = "prompts", "answers"
CONFIG = "simple"
SPACELESS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af"

ONE_BY_ONE = f"([{SPACELESS}])"
# What stands in angle brackets is a tag to PostgreSQL, and left out; to people it is a word.
PLAIN = "lower(translate(left({text}, %(longest)s), '<>', '  '))"
WORDS = f"to_tsvector('simple', regexp_replace({PLAIN}, %(spaceless)s, ' \\1 ', 'g'))"
MISSING = "NOT EXISTS (SELECT 1 FROM annotation_searchtext known WHERE {same})"
FILL = {
    PROMPTS: f"""
WITH part AS MATERIALIZED (SELECT id FROM annotation_prompt WHERE id > %(start)s ORDER BY id LIMIT %(most)s),
added AS (
    INSERT INTO annotation_searchtext (project_id, prompt_id, words, facts)
    SELECT prompt.project_id, prompt.id, {WORDS.format(text="said.text")}, ARRAY(
        SELECT fact.key || '=' || fact.value FROM jsonb_each_text(
            CASE jsonb_typeof(prompt.metadata) WHEN 'object' THEN prompt.metadata ELSE '{{}}' END) fact
        WHERE length(fact.value) <= %(longest_fact)s LIMIT %(most_facts)s)
    FROM part JOIN annotation_prompt prompt ON prompt.id = part.id CROSS JOIN LATERAL (
        SELECT coalesce(string_agg(turn ->> 'content', E'\\n'), '') AS text FROM jsonb_array_elements(
            CASE jsonb_typeof(prompt.messages) WHEN 'array' THEN prompt.messages ELSE '[]' END) turn) said
    WHERE {MISSING.format(same="known.prompt_id = prompt.id AND known.response_id IS NULL")}
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT max(id) FROM part), (SELECT count(*) FROM added)""",
    ANSWERS: f"""
WITH part AS MATERIALIZED (SELECT id FROM annotation_response WHERE id > %(start)s ORDER BY id LIMIT %(most)s),
added AS (
    INSERT INTO annotation_searchtext (project_id, prompt_id, response_id, words, facts)
    SELECT prompt.project_id, prompt.id, answer.id, {WORDS.format(text="answer.text")}, '{{}}'
    FROM part JOIN annotation_response answer ON answer.id = part.id
    JOIN annotation_prompt prompt ON prompt.id = answer.prompt_id
    WHERE {MISSING.format(same="known.response_id = answer.id")}
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT max(id) FROM part), (SELECT count(*) FROM added)""",
}


def fill(*, seconds: float = SECONDS) -> int:
    """Bring in words that are missing, for so long at most; how many rows that were. Safe to call at any time, by
    several at once."""
    until = monotonic() + seconds
    return sum(_fill(name, until) for name in (PROMPTS, ANSWERS))


def _fill(name: str, until: float) -> int:
    SearchMark.objects.get_or_create(name=name)
    start, safe = _begin(name)
    added = 0
    asked: dict[str, Any] = {"most": AT_ONCE, "longest": LONGEST, "spaceless": ONE_BY_ONE}
    asked |= {"most_facts": MOST_FACTS, "longest_fact": LONGEST_FACT}
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('search_text'))")
            if not cursor.fetchone()[0]:
                return added  # another is at it
            cursor.execute(FILL[name], {**asked, "start": start})
            last, new = cursor.fetchone()
            if last is not None:
                start, added = last, added + new
                SearchMark.objects.filter(name=name, reached__lt=last).update(reached=last)
        if last is None or monotonic() > until:
            break
    _end(name, start, safe)
    return added


def _begin(name: str) -> tuple[int, int | None]:
    """From where on rows may be missing; and up to where none will be once it has been looked through from here on,
    since every transaction of the time the mark was set has ended. None while one has not."""
    row = SearchMark.objects.get(name=name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        oldest = cursor.fetchone()[0]
    return row.upto, row.mark if row.transaction is not None and oldest >= row.transaction else None


def _end(name: str, reached: int, safe: int | None) -> None:
    """Move on if what is safe was looked through, and set the next mark: how far we came, and which transactions might
    still add a row before there. A mark that is waited for stays, or one import after another would keep it from ever
    being passed."""
    rows = SearchMark.objects.filter(name=name)
    if safe is not None and reached >= safe:
        rows.filter(upto__lte=safe, mark=safe).update(upto=safe, transaction=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        rows.filter(transaction=None).update(mark=reached, transaction=cursor.fetchone()[0])


WAITING = """
SELECT count(*) FROM (
    (SELECT 1 FROM annotation_prompt WHERE id > %(prompts)s AND project_id = %(project)s LIMIT %(most)s)
    UNION ALL
    (SELECT 1 FROM annotation_response answer JOIN annotation_prompt prompt ON prompt.id = answer.prompt_id
     WHERE answer.id > %(answers)s AND prompt.project_id = %(project)s LIMIT %(most)s)
) waiting
"""


def not_yet(project: Project) -> int:
    """How many prompts and answers of the project cannot be found by their words yet; counted to `COUNTED` of each."""
    reached = {**dict.fromkeys((PROMPTS, ANSWERS), 0), **dict(SearchMark.objects.values_list("name", "reached"))}
    with connection.cursor() as cursor:
        cursor.execute(WAITING, {**reached, "project": project.pk, "most": COUNTED})
        return int(cursor.fetchone()[0])


# Asking

TERM = re.compile(r'-?"[^"]*"?|\S+')
BEGINS = re.compile(r"(-?)(\w+)\*")
NO_TAGS = str.maketrans("<>", "  ")
SPACELESS_ONE = re.compile(ONE_BY_ONE)


def terms(text: str) -> list[str]:
    """What a person wrote, taken apart: words, and what stands in quotation marks.

    >>> terms('parcel -"green tea" or deliver*')
    ['parcel', '-"green tea"', 'or', 'deliver*']
    """
    return TERM.findall(storable(text))


def question(text: str) -> SearchQuery | CombinedSearchQuery:
    """As PostgreSQL asks it: all words, `or` between two, `-` before one that must not be there, "in this order"."""
    plain, beginnings = [], []
    for term in terms(text.lower().translate(NO_TAGS)):
        if found := BEGINS.fullmatch(term):
            beginnings.append(SearchQuery(f"{'!' if found[1] else ''}'{found[2]}':*", config=CONFIG, search_type="raw"))
        elif SPACELESS_ONE.search(term):
            minus, words = ("-", term[1:]) if term.startswith("-") else ("", term)
            spaced = SPACELESS_ONE.sub(r" \1 ", words.strip('"'))
            plain.append(f'{minus}"{spaced}"')
        else:
            plain.append(term)
    query: Any = SearchQuery(" ".join(plain), config=CONFIG, search_type="websearch") if plain else None
    for one in beginnings:
        query = one if query is None else query & one
    return query or SearchQuery("", config=CONFIG, search_type="websearch")


# Showing

AROUND = 60  # characters before the first word that was found
LOOKED_THROUGH = 20_000


@dataclass(frozen=True)
class Part:
    text: str
    found: bool = False


def pattern(text: str) -> re.Pattern[str] | None:
    """What to mark in the texts that were found; None if nothing that is looked for can be marked."""
    wanted = []
    for term in terms(text):
        if term.startswith("-") or term.lower() == "or":
            continue
        words = re.findall(r"\w+", term)
        if not words:
            continue
        joined = r"\W+".join(re.escape(word) for word in words)
        if SPACELESS_ONE.search(term):
            wanted.append(joined)
        else:
            wanted.append(rf"\b{joined}" + (r"\w*" if term.endswith("*") else r"\b"))
    return re.compile("|".join(wanted), re.IGNORECASE) if wanted else None


def excerpt(text: str, looked_for: re.Pattern[str] | None, length: int = 240) -> list[Part]:
    """The text around the first word that was found, in parts that a template escapes: nothing here is markup.

    >>> [(one.text, one.found) for one in excerpt("Where is my parcel?", pattern("parcel"))]
    [('Where is my ', False), ('parcel', True), ('?', False)]
    """
    text = " ".join(text[:LOOKED_THROUGH].split())
    first = looked_for.search(text) if looked_for else None
    start = max(0, first.start() - AROUND) if first and first.end() > length else 0
    end = start + length
    parts = [Part("… ")] if start else []
    parts += _marked(text[start:end], looked_for)
    return [*parts, Part(" …")] if end < len(text) else parts


def _marked(text: str, looked_for: re.Pattern[str] | None) -> Iterator[Part]:
    place = 0
    for found in looked_for.finditer(text) if looked_for else ():
        if found.start() > place:
            yield Part(text[place : found.start()])
        yield Part(found[0], found=True)
        place = found.end()
    if place < len(text):
        yield Part(text[place:])
