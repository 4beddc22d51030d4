"""Why a run ended without a result, and what to do about it: one table for the pages, the API and docs/methods.md.

Recipes use it too, so it imports nothing of Django.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass

DISK_FULL_CODE = 28  # a recipe's exit code when even its result could not be written


@dataclass(frozen=True)
class Cause:
    title: str
    advice: str


CAUSES: dict[str, Cause] = {
    "out_of_memory": Cause(
        "Memory ran out",
        "The run was tried once more with half the batch, where that was possible. Shorten the longest example, turn "
        "on saving memory, or start from a smaller model.",
    ),
    "bad_data": Cause(
        "The data or the settings cannot be used",
        "Correct what is named here and start a new run; trying this one again changes nothing.",
    ),
    "missing_base": Cause(
        "The model it starts from is not there",
        "Put its folder back, or import or train it again, then retry.",
    ),
    "endpoint": Cause(
        "The endpoint could not be asked",
        "Mend what is named here, for which it may take whoever runs this server, then retry: it goes on with what is "
        "left to ask.",
    ),
    "disk_full": Cause(
        "The disk is full",
        "Free some space where models and runs are stored, then retry: it goes on from its last checkpoint.",
    ),
    "timed_out": Cause(
        "It took too long",
        "Retry goes on from its last checkpoint, for as long again. If it never gets far, give a new run more time or "
        "less to do.",
    ),
    "lost_worker": Cause(
        "Its worker was lost",
        "See whether the gpu workers run, and whether their machine has memory left, then retry.",
    ),
    "killed": Cause(
        "Its process was killed from outside",
        "See who ends processes on the worker's machine, and whether it has memory left, then retry.",
    ),
    "dependency": Cause(
        "A run that it waited for did not succeed",
        "Retry that one first, then this one.",
    ),
    "cancelled": Cause("It was cancelled", "Retry goes on from its last checkpoint."),
    "crashed": Cause(
        "It crashed",
        "The end of its log says more. If a retry ends in the same way, it is a fault of the program.",
    ),
}

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_WORDS = (
    "no space left",
    "disk quota exceeded",
    "file too large",
    "pytorchstreamwriter failed",
    "unexpected pos ",
)


def is_disk_full(error: BaseException) -> bool:
    """Whether this error, or one that it came from, says that nothing more can be written.

    >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device")), is_disk_full(ValueError("no"))
    (True, False)
    """
    return any(
        (isinstance(one, OSError) and one.errno in _FULL) or any(words in str(one).lower() for words in _FULL_WORDS)
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
