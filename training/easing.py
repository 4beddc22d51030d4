"""Settings that need less memory and give the same steps."""

from typing import Any


def halved(settings: dict[str, Any]) -> dict[str, Any]:
    """What to change so that half as much is in memory at once, with as many examples behind each step.

    Where the batch is no even number, its largest divisor up to the half is taken. Empty where there is nothing to
    halve.

    >>> halved({"batch_size": 4, "gradient_accumulation": 3})
    {'batch_size': 2, 'gradient_accumulation': 6}
    >>> halved({"batch_size": 9, "gradient_accumulation": 1}), halved({"batch_size": 32}), halved({"batch_size": 1})
    ({'batch_size': 3, 'gradient_accumulation': 3}, {'batch_size': 16}, {})
    """
    batch = settings.get("batch_size", 1)
    if batch < 2:
        return {}
    if "gradient_accumulation" not in settings:  # nothing is learned, so nothing is added up
        return {"batch_size": batch // 2}
    smaller = next(size for size in range(batch // 2, 0, -1) if batch % size == 0)
    return {"batch_size": smaller, "gradient_accumulation": settings["gradient_accumulation"] * (batch // smaller)}
