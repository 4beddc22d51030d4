"""A classifier of texts whose weights are set by hand, so that it is known what it says: for tests, built offline.

A BERT of one layer and eight numbers. Each of its words lights up one of them; its one layer looks at all words
alike and keeps what lights up "nasty" and "fool"; the head asks for these two. Words that it does not know say nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "nasty", "fool", "good", "tea"]
LONGEST = 32  # tokens, with the two that stand around a text
WIDTH = 8
NASTY, FOOL, OTHER = 0, 1, 2  # which number lights up
RESTING = -1 / (WIDTH - 1) ** 0.5  # what those say that do not, once the layer's norm is taken


def build(
    folder: Path | str,
    *,
    labels: Sequence[str] = ("toxic", "insult", "praise"),
    several: bool = True,
    asks: Mapping[int, int] | None = None,
) -> str:
    """Writes the model in Hugging Face layout into `folder` and returns its path. A text that holds a word of `asks`
    (by default the first label's is "nasty", the second's "fool") has that label: by 0.9997, and with 0.0003 without.

    Labels exclude each other unless a text may have `several`; then the last is what nothing speaks against.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    asks = {0: NASTY, 1: FOOL} if asks is None else asks
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=LONGEST,
        pad_token_id=0,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        problem_type="multi_label_classification" if several else "single_label_classification",
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if name.endswith("LayerNorm.weight") else 0.0)
        bert = model.bert
        for number, word in enumerate(WORDS):
            place = {"nasty": NASTY, "fool": FOOL}.get(word, OTHER)
            bert.embeddings.word_embeddings.weight[number, place] = 1.0
        attention = bert.encoder.layer[0].attention
        for place in (NASTY, FOOL):  # queries and keys are nothing, so that every word is looked at alike
            attention.self.value.weight[place, place] = 1000.0
            attention.self.value.bias[place] = -1000.0 * RESTING
        attention.output.dense.weight.copy_(torch.eye(WIDTH))
        bert.pooler.dense.weight.copy_(4 * torch.eye(WIDTH))
        bert.pooler.dense.bias.fill_(-4.0)
        for label, place in asks.items():
            model.classifier.weight[label, place] = 8.0 if several else 16.0
        if several:
            for label in set(range(len(labels))) - set(asks):
                model.classifier.bias[label] = -8.0
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return str(folder)


def _tokenizer():  # type: ignore[no-untyped-def]  # of a library that costs a second to import
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=LONGEST,
    )
