"""The worked examples in docstrings of pure modules are true."""

import doctest
from importlib import import_module

import pytest

MODULES = [
    *("annotation.competence", "annotation.copying", "annotation.duplicates", "annotation.importing"),
    *("annotation.languages", "annotation.mends", "annotation.outliers", "annotation.previewing"),
    *("annotation.refusals", "annotation.statistics", "annotation.text"),
    *("annotation.shapes.columns", "annotation.shapes.native", "annotation.shapes.records"),
    *("training.filerows", "training.hosted", "training.made", "training.recipes.endpoint", "training.recipes.rlhf"),
    *("training.recipes.streaming", "touchstone_client.errors"),
    *("config.database", "evaluation.bradley_terry", "evaluation.calibration", "evaluation.length_control"),
    *("evaluation.sequential", "evaluation.shift", "evaluation.statistics"),
    *("evaluation.posterior", "evaluation.represent", "evaluation.surface"),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_a_module_are_true(name):
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0, "there are no examples"
    assert result.failed == 0
