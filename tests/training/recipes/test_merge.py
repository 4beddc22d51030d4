"""An adapter merged into the weights that it lies on answers as both did together."""

from tests.training.recipes.runs import says


def test_the_whole_model_says_what_the_adapter_said(new_run, demonstrations, model):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    settings = {"epochs": 0.2, "learning_rate": 1e-2, "warmup": 0.0}
    adapter = str(new_run("sft", data={"train": demonstrations}, **settings).here().folder / "model")
    merged = new_run("merge", data={}, adapter=adapter).here()
    assert merged.result["format"] == "full", merged.result
    tokenizer = AutoTokenizer.from_pretrained(merged.folder / "model")
    ids = tokenizer.apply_chat_template(says("user", "Why?"), return_tensors="pt", return_dict=True)["input_ids"]
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    whole = AutoModelForCausalLM.from_pretrained(merged.folder / "model", dtype=torch.float32)
    with torch.inference_mode():
        before = base(ids).logits
        together = PeftModel.from_pretrained(base, adapter)(ids).logits
        after = whole(ids).logits
    assert after.allclose(together, atol=1e-4)
    assert not after.allclose(before, atol=1e-2)


def test_what_is_whole_already_is_refused(new_run):
    assert new_run("merge", data={}).here().result["reason"] == "bad_data"
