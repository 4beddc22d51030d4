"""How much of the model is trained: the right weights move, and no others, and what is stored is what was trained."""

import math
import re

import pytest
from pydantic import ValidationError

from tests.training.recipes.runs import GOOD, Run, questions, says, weights, write_lines
from training.methods import DpoSettings, RewardSettings, SftSettings
from training.methods.weights import MERGEABLE, SOFT_PROMPTS, WAYS, WHOLE

ADAPTERS = {  # what is stored of each, and nothing else
    "lora": r"\.lora_[AB]\.weight$",
    "rslora": r"\.lora_[AB]\.weight$",
    "dora": r"\.lora_([AB]\.weight|magnitude_vector.*)$",
    "ia3": r"\.ia3_l$",
    "loha": r"\.hada_w[12]_[ab]$",
    "lokr": r"\.lokr_w[12](_[ab])?$",
    "llama_adapter": r"layers\.1\.self_attn\.adaption_(prompt|gate)$",
    "prompt": r"^prompt_embeddings$",
    "prefix": r"^prompt_embeddings$",
    "ptuning": r"^prompt_embeddings$",
}
STEPS = {"epochs": 0.2, "warmup": 0.0, "virtual_tokens": 4, "layers": 1, "lora_rank": 4}  # two steps of four rows


class Trained:
    """A run in this process, and the model it had in memory just before it stored it."""

    def __init__(self, run, trainer):
        self.run = run
        self.model = trainer.model.eval()
        self.folder = str(run.folder / "model")

    def logits(self, ids):
        import torch

        with torch.inference_mode():
            read = self.model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
        return read.logits[0, -len(ids) :] if read.logits.ndim == 3 else read.logits[0]


@pytest.fixture(scope="module")
def train(new_run):
    """Trains in two steps, once for each method and way."""
    from training.recipes import models

    known = {}

    def do(method, data, *, adapter=None, **settings):
        key = (method, adapter, *sorted(settings.items()))
        if key not in known:
            held = []
            run = new_run(method, data={"train": data}, adapter=adapter, **{**STEPS, **settings})
            with pytest.MonkeyPatch.context() as patch:
                save = models.save
                patch.setattr(models, "save", lambda trainer, folder: (held.append(trainer), save(trainer, folder)))
                run.here()
            assert run.result["status"] == "ok", run.result
            known[key] = Trained(run, held[0])
        return known[key]

    return do


@pytest.fixture(scope="module")
def tokenizer(model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def ids_of(tokenizer, question, *, answer=None):
    from training.recipes.rows import tokens

    turns = says("user", question) + (says("assistant", answer) if answer else [])
    return tokens(tokenizer, turns, answer_next=answer is None)


@pytest.mark.parametrize("way", ADAPTERS)
def test_only_the_adapter_is_trained_and_it_moved(train, demonstrations, way):
    trained = train("sft", demonstrations, tuning=way)
    assert trained.run.result["format"] == "adapter"
    stored = weights(trained.folder)
    assert stored
    assert all(re.search(ADAPTERS[way], name) for name in stored)
    assert len(set(trained.run.losses)) > 1
    inside = dict(trained.model.named_parameters())
    moved = [name for name, one in inside.items() if one.requires_grad]
    kept = [name for name in inside if name not in moved]
    assert any("embed_tokens" in name for name in kept)
    assert all(inside[name].grad is None for name in kept)


@pytest.mark.parametrize(("way", "moves"), [("full", r"."), ("top_layers", r"layers\.1\.|^model\.norm\.")])
def test_of_the_model_itself_these_weights_move(train, demonstrations, model, way, moves):
    trained = train("sft", demonstrations, tuning=way, learning_rate=1e-3)
    assert trained.run.result["format"] == "full"
    before, after = weights(model), weights(trained.folder)
    assert before.keys() == after.keys()
    assert {name for name in before if not before[name].equal(after[name])} == {
        name for name in before if re.search(moves, name)
    }


@pytest.mark.parametrize("way", [*ADAPTERS, *sorted(WHOLE)])
def test_what_is_stored_answers_as_what_was_trained(train, demonstrations, model, tokenizer, way):
    """The same logits, read at once and with a cache beside a longer prompt: both answers are the greedy ones."""
    import torch

    from training.recipes import models
    from training.recipes.contract import ModelSpec
    from training.recipes.sampling import Drawing, draw_answers

    trained = train("sft", demonstrations, tuning=way, **({"learning_rate": 1e-3} if way in WHOLE else {}))
    spec = {"base": trained.folder} if way in WHOLE else {"base": model, "adapter": trained.folder}
    loaded = models.load_policy(ModelSpec(**spec), torch.float32).to("cpu").eval()
    ids = ids_of(tokenizer, questions(1)[0], answer=GOOD)
    with torch.inference_mode():
        again = loaded(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    assert again.logits[0].sub(trained.logits(ids)).abs().max() < 1e-4

    prompts = [ids_of(tokenizer, questions(1)[0]), ids_of(tokenizer, questions(4)[3] * 2)]
    drawn = draw_answers(loaded, prompts, each=2, longest=4, ends=[0], pad=0, drawing=Drawing(0.0, 1.0, 1))
    for prompt, answers in zip(prompts, drawn, strict=True):
        greedy = list(prompt)
        for _ in range(4):
            greedy.append(int(trained.logits(greedy)[-1].argmax()))
        assert [answer.tokens for answer in answers] == [greedy[len(prompt) :]] * 2


@pytest.mark.parametrize("way", ["dora", "ia3", "loha", "lokr", "prefix", "top_layers", "full"])
def test_a_reward_model_scores_as_it_was_trained(train, new_run, preferences, model, tmp_path, tokenizer, way):
    trained = train("reward", preferences, tuning=way)
    assert trained.run.result["metrics"]["reload_difference"] < 1e-4
    rows = [{"id": n, "messages": says("user", q), "text": GOOD * (1 + n)} for n, q in enumerate(questions(3))]
    data = {"answers": write_lines(tmp_path / "answers.jsonl", rows)}
    where = {"base": trained.folder} if way in WHOLE else {"base": model, "adapter": trained.folder}
    scored = new_run("score", data=data, **where).here()
    assert scored.result["status"] == "ok", scored.result
    for line in scored.lines("scores.jsonl"):
        row = rows[line["id"]]
        one_alone = trained.logits(ids_of(tokenizer, row["messages"][0]["content"], answer=row["text"]))[0].item()
        assert line["score"] == pytest.approx(one_alone, abs=1e-4)


@pytest.mark.parametrize("way", sorted(MERGEABLE - {"qlora"}))
def test_dpo_goes_on_from_where_sft_stopped(train, demonstrations, preferences, way):
    """The reference is the model that SFT left, so the first loss is ln 2, and what the model is held to on its own
    texts is that model too; the result is the same kind of adapter."""
    before = train("sft", demonstrations, tuning=way)
    trained = train("dpo", preferences, tuning=way, adapter=before.folder, rehearsal=0.3)
    _starts_at_its_reference(trained.run)
    old, new = weights(before.folder), weights(trained.folder)
    assert old.keys() == new.keys()
    assert any(not old[name].equal(new[name]) for name in old)


@pytest.mark.parametrize("way", ["full", "top_layers", "llama_adapter", "ia3"])
def test_dpo_starts_at_its_reference(train, preferences, way):
    _starts_at_its_reference(train("dpo", preferences, tuning=way, rehearsal=0.3).run)


@pytest.mark.parametrize("way", sorted(SOFT_PROMPTS))
def test_words_in_front_are_held_to_the_model_without_them(train, preferences, way):
    run = train("dpo", preferences, tuning=way, rehearsal=0.3).run
    assert run.steps[0]["distance"] > 0


def _starts_at_its_reference(run: Run) -> None:
    assert run.losses[0] == pytest.approx(math.log(2), abs=1e-4)
    assert run.steps[0]["distance"] == pytest.approx(0, abs=1e-4)
    assert run.steps[-1]["distance"] > 0


def test_all_weights_of_a_merged_adapter_go_on(train, demonstrations, preferences):
    before = train("sft", demonstrations, tuning="lokr")
    trained = train("dpo", preferences, tuning="full", adapter=before.folder)
    assert trained.run.result["format"] == "full"
    assert trained.run.losses[0] == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("prompt", "prompt", "goes no further"),
        ("llama_adapter", "full", "goes no further"),
        ("ia3", "lora", "it goes on that way"),
        ("lora", "dora", "it goes on that way"),
    ],
)
def test_what_cannot_go_on_is_refused(train, new_run, demonstrations, before, after, why):
    adapter = train("sft", demonstrations, tuning=before).folder
    run = new_run("sft", data={"train": demonstrations}, adapter=adapter, tuning=after).here()
    assert (run.result["reason"], why in run.result["error"]) == ("bad_data", True)


def test_qlora_without_a_gpu_is_refused(new_run, demonstrations):
    run = new_run("sft", data={"train": demonstrations}, tuning="qlora").here()
    assert run.result["reason"] == "bad_data"
    assert "needs a GPU" in run.result["error"]


def test_a_family_of_models_without_llama_adapter_is_refused(model):
    from transformers import AutoModelForCausalLM

    from training.recipes import ways
    from training.recipes.contract import BadData

    other = AutoModelForCausalLM.from_pretrained(model)
    other.config.model_type = "olmo"
    for way in ("ia3", "llama_adapter"):
        with pytest.raises(BadData, match="not made for models of the family olmo"):
            ways.prepared(SftSettings(tuning=way), "CAUSAL_LM", other)


def test_lower_layers_learn_more_slowly(model):
    """Layer 1 (the last) at 1, layer 0 at a half, the words' vectors at a quarter; resumed, it is the same."""
    from transformers import AutoModelForCausalLM

    from training.recipes import ways

    groups = ways.by_layer(AutoModelForCausalLM.from_pretrained(model), 0.5, 3.0)
    found = {name: times for times, members in groups for name, _ in members}
    assert groups[0][0] == 1.0
    assert {times for name, times in found.items() if ".layers.1." in name} == {1.0}
    assert {times for name, times in found.items() if ".layers.0." in name} == {0.5}
    assert found["model.embed_tokens.weight"] == 0.25
    assert found["model.norm.weight"] == 1.0


def test_the_rates_are_those_of_the_optimiser(train, demonstrations, model):
    """One step of AdamW from rest moves every weight by its rate, whatever the gradient."""
    run = train("sft", demonstrations, tuning="full", layer_decay=0.5, epochs=0.1, learning_rate=1e-3, batch_size=8)
    before, after = weights(model), weights(run.folder)

    def step(name):
        return (after[name] - before[name]).abs().max().item()

    assert step("model.layers.1.mlp.up_proj.weight") == pytest.approx(1e-3, rel=0.01)
    assert step("model.layers.0.mlp.up_proj.weight") == pytest.approx(5e-4, rel=0.01)
    assert step("model.embed_tokens.weight") == pytest.approx(2.5e-4, rel=0.01)


def test_settings_that_cannot_work_together_are_refused():
    with pytest.raises(ValidationError, match="cannot save memory"):
        SftSettings(tuning="prompt", gradient_checkpointing=True)
    with pytest.raises(ValidationError, match="do not pack"):
        SftSettings(tuning="prefix", packing=True)
    with pytest.raises(ValidationError, match="kept back to watch"):
        DpoSettings(patience=2)
    for way in ("prompt", "ptuning", "llama_adapter"):
        with pytest.raises(ValidationError, match="Input should be"):
            RewardSettings(tuning=way)


@pytest.mark.parametrize(
    ("chosen", "rate"),
    [
        (SftSettings(), 2e-4),
        (SftSettings(tuning="full"), 2e-5),
        (SftSettings(tuning="full", learning_rate=1e-3), 1e-3),
        (SftSettings(tuning="ia3"), 3e-3),
        (DpoSettings(tuning="full"), 1e-6),
        (RewardSettings(tuning="top_layers"), 2.5e-5),
    ],
)
def test_the_learning_rate_left_out_suits_what_is_trained(chosen, rate):
    assert chosen.learning_rate == pytest.approx(rate)


def test_every_way_has_a_name():
    assert set(WAYS) == set(SftSettings.model_json_schema()["properties"]["tuning"]["enum"])
