"""Work that makes millions of small objects and lets each go soon, while another thread waits for the database."""

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 100_000  # new ones, before Python looks among them for rings that nothing else refers to; usually 700
HAND_OVER = 0.0005  # seconds that a thread which computes keeps one waiting that has its answer; usually 0.005

_lock = threading.Lock()
_inside = 0
_usual: tuple[tuple[int, int, int], float] = (0, 0, 0), 0.0


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have Python look for garbage seldom meanwhile, which halves the time that rows of an import take, and hand over
    soon between threads. That is so for the whole process; the last to leave puts back what was before."""
    global _inside, _usual
    with _lock:
        if not _inside:
            _usual = gc.get_threshold(), sys.getswitchinterval()
            gc.set_threshold(OBJECTS, *_usual[0][1:])
            sys.setswitchinterval(HAND_OVER)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                gc.set_threshold(*_usual[0])
                sys.setswitchinterval(_usual[1])
