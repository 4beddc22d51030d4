"""Which devices a gpu worker uses.

A machine's are divided by `TOUCHSTONE_DEVICES`: `0,1,2+3` are three workers, of which the last has two devices. Each
worker process takes a free part by a file lock, which the kernel lets go of however the process ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

Part = tuple[str, ...]


class NoneFree(Exception):
    """Every part of this machine has its worker."""


@contextmanager
def taken() -> Iterator[Part]:
    """A part of this machine's devices that no other worker has, for as long as it is worked with.

    Raises NoneFree if there is none.
    """
    folder = Path(settings.DEVICE_LOCKS)
    folder.mkdir(parents=True, exist_ok=True)
    for part in settings.DEVICES or [visible()]:
        with (folder / f"{'+'.join(part) or 'all'}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield part
            return
    raise NoneFree


def visible() -> Part:
    """What a process here would see: what `CUDA_VISIBLE_DEVICES` names, or all of NVIDIA's; empty if unknown."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(one.strip() for one in named.split(",") if one.strip()) or ("cpu",)
    return tuple(str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))


def environment(part: Part, count: int) -> dict[str, str]:
    """Lets a process see the first `count` devices of a part and no others. A trainer that sees more takes them all, or
    stops; where they are not known it is left to see what it sees.

    >>> environment(("2", "3"), 1), environment(("cpu", "cpu"), 2), environment((), 1)
    ({'CUDA_VISIBLE_DEVICES': '2'}, {'CUDA_VISIBLE_DEVICES': '', 'ACCELERATE_USE_CPU': 'true'}, {})
    """
    if not part:
        return {}
    if part[0] == "cpu":
        return {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
    return {"CUDA_VISIBLE_DEVICES": ",".join(part[:count])}
