"""More like this: prompts, or answers, that resemble one.

Where the project's model has read an answer, those nearest to it by that are found (settings.ALIKE, for what a model
makes of answers is not known here). Of prompts, and of other answers, the shared words decide.
"""

from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from annotation.browsing import PAGE
from annotation.filters import ANSWERS, Wanted
from annotation.models import Prompt, Response, SearchText

MOST = 100
CANDIDATES = 3_000
TELLING = 8  # words asked for
COMMON = 0.005  # of all texts; a word in more of them tells nothing
SHORTEST = 3  # letters

KNOWN_COMMON = """
SELECT word FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) AS known (word, share)
WHERE schemaname = current_schema() AND tablename = 'annotation_searchtext' AND attname = 'words' AND share > %s
"""
OWN_WORDS = """
SELECT word.lexeme FROM annotation_searchtext text CROSS JOIN LATERAL unnest(text.words) word
WHERE text.id = %s AND length(word.lexeme) >= %s ORDER BY length(word.lexeme) DESC, word.lexeme LIMIT 200
"""
SHARED = """
SELECT found.row_id FROM (
    SELECT coalesce(response_id, prompt_id) AS row_id, words FROM annotation_searchtext
    WHERE project_id = %(project)s AND (response_id IS NULL) = %(of_prompts)s AND id <> %(own)s
      AND words @@ %(asked)s::tsquery LIMIT %(candidates)s
) found ORDER BY ts_rank(found.words, %(asked)s::tsquery, 1) DESC, found.row_id DESC LIMIT %(most)s
"""


def fitting(wanted: Wanted, pk: int) -> tuple[Prompt | Response | None, list[int]]:
    """The row with this id, and what is like it of all that is wanted (ids), the most alike first."""
    about: Prompt | Response | None
    if wanted.view == ANSWERS:
        about = Response.objects.filter(pk=pk, prompt__project=wanted.project).select_related("prompt").first()
        ids = of_answer(about) if about else []
    else:
        about = Prompt.objects.filter(pk=pk, project=wanted.project).first()
        ids = of_prompt(about) if about else []
    fit = set(wanted.rows().filter(pk__in=ids).values_list("pk", flat=True))
    return about, [one for one in ids if one in fit][:PAGE]


def of_prompt(prompt: Prompt) -> list[int]:
    """Ids of prompts that share telling words with this one, the most alike first."""
    return _by_words(prompt.project_id, SearchText.objects.filter(prompt=prompt, response=None).first())


def of_answer(response: Response) -> list[int]:
    """Ids of answers like this one, the most alike first."""
    nearest = import_string(settings.ALIKE)(response, MOST)
    if nearest is not None:
        return nearest
    return _by_words(response.prompt.project_id, SearchText.objects.filter(response=response).first())


def _by_words(project: int, own: SearchText | None) -> list[int]:
    """None while the row's own words are not filled in, or it has no telling one."""
    if own is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(KNOWN_COMMON, [COMMON])
        common = {row[0] for row in cursor.fetchall()}
        cursor.execute(OWN_WORDS, [own.pk, SHORTEST])
        telling = [row[0] for row in cursor.fetchall() if row[0] not in common][:TELLING]
        if not telling:
            return []
        asked = " | ".join("'{}'".format(word.replace("\\", "\\\\").replace("'", "''")) for word in telling)
        of_prompts = own.response_id is None
        values: dict[str, Any] = {"project": project, "of_prompts": of_prompts, "own": own.pk, "asked": asked}
        cursor.execute(SHARED, {**values, "candidates": CANDIDATES, "most": MOST})
        return [row[0] for row in cursor.fetchall()]
