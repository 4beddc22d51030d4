"""The settings a person may choose: every one explained, bounded, and none unknown."""

import pytest
from pydantic import ValidationError

from training.methods import CONVERT, METHODS, GenerateSettings, ParaphraseSettings, RlhfSettings

EVERY_FIELD = [
    pytest.param(method, name, id=f"{method.name}-{name}")
    for method in METHODS.values()
    for name in method.settings.model_fields
]


def test_the_methods_and_what_they_make():
    made = {name: (method.produces, method.snapshot_kind) for name, method in METHODS.items()}
    assert made == {
        "sft": ("policy", "demonstrations"),
        "reward": ("reward", "preferences"),
        "dpo": ("policy", "preferences"),
        "probe": ("reward", "preferences"),
        "kto": ("policy", "unpaired"),
        "orpo": ("policy", "preferences"),
        "rlhf": ("policy", None),
        "distill": ("policy", None),
        "classify": ("classifier", None),
        "suggest": (None, None),
        "generate": (None, None),
        "paraphrase": (None, None),
        "score": (None, None),
        "measure": (None, None),
        "features": (None, None),
    }


@pytest.mark.parametrize("method", [*METHODS.values(), CONVERT], ids=lambda method: method.name)
def test_the_defaults_are_valid_and_unknown_settings_are_refused(method):
    method.settings.model_validate(method.settings().model_dump())
    with pytest.raises(ValidationError):
        method.settings(no_such_setting=1)


@pytest.mark.parametrize(("method", "name"), EVERY_FIELD)
def test_every_setting_is_explained_and_bounded(method, name):
    schema = method.settings.model_json_schema()["properties"][name]
    assert schema["title"] != name
    assert len(schema["description"]) > 40
    assert schema["description"].endswith((".", "!"))
    if schema["type"] == "string" and "enum" not in schema:
        assert schema["maxLength"]
    elif schema["type"] in ("integer", "number"):
        assert {"minimum", "exclusiveMinimum"} & schema.keys()
        assert "maximum" in schema
        with pytest.raises(ValidationError):
            method.settings(**{name: schema["maximum"] + 1})
        with pytest.raises(ValidationError):
            method.settings(**{name: -1})
    else:
        assert schema["type"] == "boolean" or schema["enum"]


def test_all_answers_to_a_prompt_are_in_one_step():
    assert RlhfSettings(batch_size=2, gradient_accumulation=4, answers_per_prompt=4).answers_per_prompt == 4
    with pytest.raises(ValidationError, match="multiple of the answers per prompt"):
        RlhfSettings(batch_size=6, answers_per_prompt=4)


@pytest.mark.parametrize("chosen", [GenerateSettings, ParaphraseSettings])
def test_four_answers_at_temperature_0_are_refused(chosen):
    assert chosen(temperature=0, samples_per_prompt=1).samples_per_prompt == 1
    with pytest.raises(ValidationError, match="are the same"):
        chosen(temperature=0, samples_per_prompt=4)
