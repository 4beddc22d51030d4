"""How long a conversation is for the project's model, counted without torch."""

import json
import shutil
import subprocess
import sys

import pytest

from training.models import ModelVersion
from training.tokens import MARKS, count

HELLO = [{"role": "user", "content": "Which tea is good?"}, {"role": "assistant", "content": "Green tea."}]


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A copy of the tiny model's files, which a test may spoil."""
    return shutil.copytree(tiny_model, tmp_path / "model")


@pytest.fixture
def base(project, folder):
    return ModelVersion.objects.create(
        project=project, name="base", kind="policy", format="full", stage="production", location=str(folder)
    )


def test_without_a_model_nothing_is_known(project):
    assert count(project=project, messages=HELLO) == (None, None)


def test_it_is_about_what_the_model_itself_reads(project, base, folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    exact = len(tokenizer.apply_chat_template(HELLO, return_dict=True)["input_ids"])
    contents = sum(len(tokenizer(message["content"])["input_ids"]) for message in HELLO)
    tokens, limit = count(project=project, messages=HELLO)
    assert tokens == contents + 2 * MARKS
    assert abs(tokens - exact) <= 20, "its words for the roles are letters to so small a vocabulary"
    assert limit == 512


def test_an_adapter_counts_as_the_model_it_lies_on(project, base):
    ModelVersion.objects.filter(pk=base.pk).update(stage="retired")
    ModelVersion.objects.create(
        project=project, name="tuned", kind="policy", format="adapter", stage="production", parent=base, location="none"
    )
    assert count(project=project, messages=HELLO)[1] == 512


def test_only_the_production_model_counts(project, base):
    ModelVersion.objects.filter(pk=base.pk).update(stage="candidate")
    assert count(project=project, messages=HELLO) == (None, None)


def test_a_folder_without_a_tokenizer_still_tells_the_limit(project, base, folder):
    (folder / "tokenizer.json").unlink()
    assert count(project=project, messages=HELLO) == (None, 512)


def test_a_tokenizer_that_cannot_be_read_counts_nothing(project, base, folder):
    (folder / "tokenizer.json").write_text("no JSON")
    assert count(project=project, messages=HELLO) == (None, 512)


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 4096}}, 4096),
        ({"max_position_embeddings": 10**30}, None),
        ({"max_position_embeddings": "many"}, None),
        ({}, None),
        ([], None),
    ],
)
def test_the_limit_is_the_configurations(project, base, folder, config, limit):
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    assert count(project=project, messages=HELLO)[1] == limit


def test_the_tokenizers_own_limit_holds_if_it_is_less(project, base, folder):
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 100}))
    assert count(project=project, messages=HELLO)[1] == 100


def test_a_file_that_changed_is_read_again(project, base, folder):
    before = count(project=project, messages=HELLO)[0]
    written = json.loads((folder / "tokenizer.json").read_text())
    written["model"]["merges"] = []  # now every byte is a token
    (folder / "tokenizer.json").write_text(json.dumps(written))
    assert count(project=project, messages=HELLO)[0] > before


def test_counting_imports_no_torch():
    program = "import sys, tokenizers; sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
