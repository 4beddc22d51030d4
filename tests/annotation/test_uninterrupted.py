"""Python's own housekeeping waits while rows are made by the thousand, and goes on as before after that."""

import gc
import sys

import pytest

from annotation.uninterrupted import uninterrupted


def usual() -> tuple[object, float]:
    return gc.get_threshold(), sys.getswitchinterval()


def test_housekeeping_waits_and_goes_on_as_it_was():
    before = usual()
    with uninterrupted():
        assert gc.isenabled()
        assert gc.get_threshold()[0] > before[0][0]
        assert sys.getswitchinterval() < before[1]
    assert usual() == before


def test_the_last_to_leave_puts_it_back_even_after_an_error():
    before = usual()
    with uninterrupted():
        inside = usual()
        with pytest.raises(ValueError, match="a bad line"), uninterrupted():
            raise ValueError("a bad line")
        assert usual() == inside
    assert usual() == before
