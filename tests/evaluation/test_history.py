"""The drawing of a project's rounds: where they stand, and which are named."""

from itertools import pairwise

import pytest

from annotation.statistics import Interval
from evaluation import history
from evaluation.models import Round


def turns(count: int) -> list[history.Turn]:
    share = Interval(0.7, 0.6, 0.8, 50)
    return [
        history.Turn(Round(number=number), 10, None, share, None, None, share, True, None, None, "passed", False)
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [1, 3, 8, 9, 40])
def test_every_round_is_within_the_drawing_and_names_do_not_touch(count):
    chart = history.chart(turns(count))
    assert chart is not None
    (won, accuracy), named = chart["series"], [one["x"] for one in chart["rounds"]]
    assert len(won.marks) == len(accuracy.marks) == count
    assert all(chart["left"] < mark.x < chart["right"] for mark in won.marks + accuracy.marks)
    assert all(later - earlier > 60 for earlier, later in pairwise(named))
    assert chart["rounds"][0]["label"] == "Round 1"


def test_the_first_rounds_stand_where_a_phone_shows_them():
    chart = history.chart(turns(3))
    assert chart is not None
    assert max(one["x"] for one in chart["rounds"]) < 0.4 * chart["width"]
