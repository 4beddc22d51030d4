"""Cases for reviewers, and what comes of them."""

from annotation import labelling
from annotation.labelling import Said
from annotation.reviewing import next_case
from tests.annotation.making import a_demonstration, lease

LONG = "Your parcel left us this morning and will be with you by Friday at the latest."


def case_for(member):
    """The member's next case, which must exist."""
    case = next_case(membership=member)
    assert case is not None
    assert case.assignment is not None
    return case


def decide(member, **said):
    said = said or {"ranks": (1, 2)}
    return labelling.submit(assignment=case_for(member).assignment, said=Said(**said))


def cleaned(project, *said, people):
    """A demonstration on which each person says one of these."""
    item = a_demonstration(project, wanted=len(said))
    for member, one in zip(people, said, strict=True):
        labelling.submit(assignment=lease(member, "demonstration"), said=Said(**one))
    return item
