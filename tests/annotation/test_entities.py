"""Names of people are found where presidio is installed with a model, and nothing is asked of it where it is not."""

import pytest

from annotation import entities, mends, textchecks

LETTER = "Dear Maria Lopez, your parcel left us on Monday."


def test_without_presidio_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(entities, "analyzer", lambda: None)
    assert entities.names_in(LETTER) == []


@pytest.mark.skipif(entities.analyzer() is None, reason="presidio-analyzer and a model for it are not installed")
def test_a_name_is_personal_data_and_gives_way_to_a_mask():
    (found,) = [one for one in textchecks.of_answer(LETTER) if one.kind == "personal"]
    assert LETTER[found.start : found.end] == "Maria Lopez"
    assert mends.mask_of(found.kind, found.sentence) == "(name removed)"
