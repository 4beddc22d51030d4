"""Which devices a gpu worker uses.

A machine's are divided by `TOUCHSTONE_DEVICES`: `0,1,2+3` are three workers, of which the last has two devices. Each
worker process takes a free part by a file lock, which the kernel lets go of however the process ends.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA's, AMD's, and Windows' for its guests


def may_be_used(environment: Mapping[str, str]) -> bool:
    """Whether a process of this environment may find a device, though none is known by name."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    return bool(named) if named is not None else any(Path(driver).exists() for driver in DRIVERS)


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


ASKED = ["nvidia-smi", "--query-gpu=index,name,memory.used,memory.total", "--format=csv,noheader,nounits"]


def memory() -> list[dict[str, Any]]:
    """The devices of this machine's gpu workers: number, name, bytes used (by anybody) and in all.

    NVIDIA's driver is asked, since whoever asks torch holds memory of each device; nothing where it does not answer.
    """
    ours = sorted({one for part in settings.DEVICES or [visible()] for one in part})
    if "cpu" in ours:
        return []
    command = [*ASKED, *([f"--id={','.join(ours)}"] if ours else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return parsed(done.stdout)


def parsed(answer: str) -> list[dict[str, Any]]:
    """
    >>> parsed("0, NVIDIA H200, 1024, 143771\\n1, NVIDIA H200, [N/A], [N/A]\\n")
    [{'number': '0', 'name': 'NVIDIA H200', 'used': 1073741824, 'total': 150754820096}]
    """
    rows = [[part.strip() for part in line.split(",")] for line in answer.splitlines()]
    return [
        {"number": row[0], "name": row[1], "used": int(row[2]) * 2**20, "total": int(row[3]) * 2**20}
        for row in rows
        if len(row) == 4 and row[2].isdigit() and row[3].isdigit()
    ]
