"""A project with a model to begin from."""

import pytest

from tests.training.making import a_model
from training.models import ModelVersion, Run


@pytest.fixture
def base(project) -> ModelVersion:
    return a_model(project, stage="production")


@pytest.fixture
def queued(project, base):
    """Makes a queued run."""

    def make(**more) -> Run:
        return Run.objects.create(project=project, method="generate", base=base, **more)

    return make


@pytest.fixture
def robot(member):
    """A simulated annotator."""
    return member("robot", simulated=True)
