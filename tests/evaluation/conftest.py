"""A project that could have a round."""

import pytest

from annotation.models import Project, Prompt
from tests.annotation.making import a_prompt
from tests.training.making import a_model, a_preference, an_edit


@pytest.fixture
def base(project):
    return a_model(project, stage="production")


@pytest.fixture
def heldout(project) -> list[Prompt]:
    return [a_prompt(project, f"Held out {n}?", split="heldout") for n in range(3)]


@pytest.fixture
def ready(project, bob, base, heldout) -> Project:
    """Enough was said for a round: four pairs, two edits, and three pairs on held-out prompts."""
    for _ in range(4):
        a_preference(bob)
    for _ in range(2):
        an_edit(bob)
    for prompt in heldout:
        a_preference(bob, prompt=prompt, purpose="head_to_head")
    return project
