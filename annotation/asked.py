"""What an address of Browse asks for: read, and written again in one spelling, for saved views and changes of many."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from annotation import filters
from annotation.browseforms import BrowseForm
from annotation.filters import Wanted
from annotation.models import Project

LONGEST = 300  # characters of one value


def form(project: Project, query: Mapping[str, Any], *, lead: bool) -> BrowseForm:
    return BrowseForm(dict(query.items()), project=project, lead=lead)


def wanted(project: Project, query: Mapping[str, Any], *, lead: bool) -> Wanted:
    """Raises ValidationError for a value that fits no filter, and for a filter of leads from somebody else."""
    filled = form(project, query, lead=lead)
    if query.get("view", filters.PROMPTS) not in filters.VIEWS:
        raise ValidationError("Rows are prompts, answers or labels.")
    strange = sorted(set(query) - set(filled.fields))
    if strange:
        raise ValidationError(f'There is no filter "{strange[0]}".')
    if not filled.is_valid():
        raise ValidationError(
            [f"{filled.fields[name].label}: {' '.join(map(str, said))}" for name, said in filled.errors.items()]
        )
    return Wanted(project, filled.rows_of, filled.values)


def plain(project: Project, query: Mapping[str, Any], *, lead: bool) -> dict[str, str]:
    """The parts of an address that say something, without what does not belong to the question."""
    known = form(project, query, lead=lead).fields
    return {name: str(value)[:LONGEST] for name, value in query.items() if name in known and str(value).strip()}
