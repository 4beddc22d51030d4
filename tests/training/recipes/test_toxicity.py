"""A classifier's probability for each text: by several labels or by one, in windows, whatever the text is."""

import json
import time
from collections.abc import Callable

import pytest

from tests.tiny_classifier import LONGEST, build
from tests.training.recipes.runs import Run, write_lines
from training.recipes.contract import Stop

TEXTS = {
    "plain": "A good tea",
    "nasty": "What a NASTY tea",
    "both": "nasty fool",
    "fool": "you fool",
    "unknown": "Шалом 😀",
    "emoji": "😀🎉" * 20,
    "blank": "  \n ",
    "empty": "",
}
LIKELY, UNLIKELY = 0.9997, 0.0003


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def one_of_three(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("one"), labels=("hate", "offensive", "neutral"), several=False)


@pytest.fixture
def reads(new_run: Callable[..., Run], tmp_path) -> Callable[..., Run]:
    """A run that is to read these texts: `reads({"name": "text"}, base=…, labels=[…])`."""

    def make(texts: dict[str, str], *, base: str, labels: list[str], **settings: int) -> Run:
        rows = [{"id": name, "text": text} for name, text in texts.items()]
        data = {"texts": write_lines(tmp_path / "texts.jsonl", rows)}
        (tmp_path / "labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
        data["labels"] = str(tmp_path / "labels.jsonl")
        return new_run("toxicity", data=data, base=base, **settings)

    return make


def said(run: Run) -> dict[str, tuple[float, str]]:
    return {row["id"]: (pytest.approx(row["score"], abs=2e-4), row["label"]) for row in run.lines("toxicity.jsonl")}


def test_where_a_text_may_have_several_labels_the_likeliest_counts(reads, several):
    run = reads(TEXTS, base=several, labels=["toxic", "insult"]).here()
    assert run.result["status"] == "ok", run.result
    found = said(run)
    assert found["nasty"] == (LIKELY, "toxic")
    assert found["fool"] == (LIKELY, "insult")
    assert found["both"][0] == LIKELY - 1e-4
    for name in ("plain", "unknown", "emoji"):
        assert found[name][0] == UNLIKELY
    assert run.result["metrics"]["texts"] == len(TEXTS)
    assert run.result["rows"] == {"read": 8, "kept": 8, "dropped": 0, "cut": 0}


def test_what_holds_nothing_to_read_is_not_toxic(reads, several):
    found = said(reads({name: TEXTS[name] for name in ("blank", "empty")}, base=several, labels=["toxic"]).here())
    assert found == {"blank": (0.0, "toxic"), "empty": (0.0, "toxic")}


def test_only_the_labels_that_are_asked_for_count(reads, several):
    found = said(reads(TEXTS, base=several, labels=["insult"]).here())
    assert (found["nasty"], found["fool"]) == ((UNLIKELY, "insult"), (LIKELY, "insult"))


def test_where_labels_exclude_each_other_theirs_are_added_up(reads, one_of_three):
    found = said(reads(TEXTS, base=one_of_three, labels=["hate", "offensive"]).here())
    assert found["nasty"] == (1.0, "hate")
    assert found["fool"] == (1.0, "offensive")
    assert found["both"][0] == 1.0  # one half each
    assert found["plain"] == (0.0, found["plain"][1])
    alone = said(reads(TEXTS, base=one_of_three, labels=["hate"]).here())
    assert alone["both"] == (0.5, "hate")


def test_a_long_text_is_read_in_windows_and_the_worst_one_counts(reads, several):
    before, after = "good " * 100, "tea " * 300
    texts = {"long": f"{before}nasty {after}", "cut in two": "good " * 29 + "nasty " + "tea " * 40, "plain": after}
    run = reads(texts, base=several, labels=["toxic", "insult"], batch_size=2).here()
    lines = {row["id"]: row for row in run.lines("toxicity.jsonl")}
    place = lines["long"]
    assert place["score"] == pytest.approx(LIKELY, abs=2e-4)
    assert "nasty" in texts["long"][place["start"] : place["end"]]
    assert place["end"] - place["start"] < 6 * LONGEST
    assert lines["cut in two"]["score"] == pytest.approx(LIKELY, abs=2e-4)
    assert lines["plain"]["score"] == pytest.approx(UNLIKELY, abs=2e-4)


def test_a_megabyte_is_read_up_to_where_the_other_checks_read(reads, several):
    texts = {"early": "nasty " + "good " * 200_000, "late": "good " * 200_000 + "nasty", "one word": "x" * 1_000_000}
    run = reads(texts, base=several, labels=["toxic"], batch_size=64).here()
    found = said(run)
    assert [found[name][0] for name in texts] == [LIKELY, UNLIKELY, UNLIKELY]
    assert run.result["rows"]["cut"] == 3


def test_a_text_is_the_same_beside_others_and_alone(reads, several):
    texts = {**TEXTS, "long": "good tea " * 80 + "fool"}
    together = reads(texts, base=several, labels=["toxic", "insult"], batch_size=8).here()
    alone = reads(texts, base=several, labels=["toxic", "insult"], batch_size=1).here()
    assert said(together) == said(alone)


def test_it_goes_on_where_it_was(reads, several):
    whole = reads(TEXTS, base=several, labels=["toxic", "insult"], batch_size=2).here()
    lines = (whole.folder / "toxicity.jsonl").read_text().splitlines(keepends=True)
    again = reads(TEXTS, base=several, labels=["toxic", "insult"], batch_size=2)
    (again.folder / "toxicity.jsonl").write_text("".join(lines[:5]) + lines[5][:9])  # killed while it wrote
    again.here()
    assert [line["total"] for line in again.steps] == [2, 2]
    assert said(again) == said(whole)
    assert len(again.lines("toxicity.jsonl")) == len(TEXTS)


def test_a_stop_is_heeded_between_batches(reads, several):
    class AtTheFifth(Stop):
        asked_for = 0

        def check(self) -> None:
            self.asked_for += 1
            if self.asked_for == 5:  # it is asked for before each batch is read, and before it is written
                self.asked_at = time.monotonic()
            super().check()

    run = reads({str(n): "good tea" for n in range(9)}, base=several, labels=["toxic"], batch_size=1)
    run.here(AtTheFifth())
    assert run.result["reason"] == "cancelled"
    assert len(run.lines("toxicity.jsonl")) == len(run.steps) == 2


def test_nothing_left_to_read_is_no_failure(reads, several):
    run = reads({}, base=several, labels=["toxic"]).here()
    assert (run.result["status"], run.result["metrics"]) == ("ok", {"texts": 0})
    assert (run.folder / run.result["output"]).read_text() == ""


def test_labels_that_the_model_does_not_have_are_refused(reads, several):
    run = reads(TEXTS, base=several, labels=["hateful"]).here()
    assert run.result["reason"] == "bad_data"
    assert "it knows toxic, insult, praise" in run.result["error"]


def test_weights_that_are_no_numbers_are_told(reads, tmp_path):
    from safetensors.torch import load_file, save_file

    base = build(tmp_path / "base")
    weights = load_file(tmp_path / "base" / "model.safetensors")
    weights["classifier.bias"][:] = float("nan")
    save_file(weights, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    run = reads(TEXTS, base=base, labels=["toxic"]).here()
    assert run.result["reason"] == "crashed"
    assert "no probability" in run.result["error"]


def test_a_model_that_is_gone_is_named_as_the_cause(reads, tmp_path):
    run = reads(TEXTS, base=str(tmp_path), labels=["toxic"]).here()
    assert run.result["reason"] == "missing_base"


def test_positions_behind_that_of_padding_are_not_counted(several):
    """As RoBERTa numbers them: of 32 the first two are never a word's."""
    from transformers import AutoTokenizer, RobertaConfig, RobertaForSequenceClassification

    from training.recipes import reading

    tokenizer = AutoTokenizer.from_pretrained(several)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    model = RobertaForSequenceClassification(
        RobertaConfig(vocab_size=8, max_position_embeddings=20, pad_token_id=1, **sizes)
    )
    assert reading.longest(model, tokenizer) == 18
    tokenizer.model_max_length = 16
    assert reading.longest(model, tokenizer) == 16
