"""What text augmentations draw their words from, small and written by the tests: lexicons, WordNet, two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

SYNONYMS = {"alpha": ["first", "leading"], "beta": ["second"], "gamma": ["third", "ray"]}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LIKELY = ["gamma", "beta", "alpha", "three", "two", "one", "four"]
"""Words from the likeliest on, for the masked language model, which gives them in this order in every place."""


def write_lexicon(path: Path) -> Path:
    path.write_text("".join(f"{word}\t{', '.join(others)}\n" for word, others in SYNONYMS.items()))
    return path


def write_wordnet(folder: Path) -> Path:
    """A WordNet of those synonyms alone, in the format of version 3.0, below a folder that nltk may search."""
    inside = folder / "corpora" / "wordnet"
    inside.mkdir(parents=True)
    for part in ("noun", "verb", "adj", "adv"):
        data, index = _senses(SYNONYMS if part == "noun" else {})
        (inside / f"data.{part}").write_text(data)
        (inside / f"index.{part}").write_text(index)
        (inside / f"{part}.exc").write_text("")
    (inside / "lexnames").write_text("00\tnoun.Tops\t1\n")
    for name in ("cntlist.rev", "index.sense"):
        (inside / name).write_text("")
    return folder


def _senses(synonyms: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """The lines of a data file, which begin with their own byte offset, and of the index to it."""
    data, index = "  1 WordNet 3.0 Copyright 2006 by Princeton University.\n", ""
    for word, others in synonyms.items():
        names = [word, *others]
        offset = f"{len(data):08d}"
        data += f"{offset} 00 n {len(names):02x} {' '.join(f'{name} 0' for name in names)} 000 | a test\n"
        index += f"{word} n 1 0 1 0 {offset}\n"
    return data, index


def write_masked_lm(folder: Path) -> Path:
    """A BERT that reads nothing: in every place `LIKELY`, in that order."""
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    words = [*SPECIAL, *LIKELY, "##ing", "!", "."]
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=16,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        model = BertForMaskedLM(config)
    bias = torch.zeros(len(words))
    bias[: len(SPECIAL)], bias[-3:] = 200.0, 200.0  # The likeliest of all are no words.
    bias[len(SPECIAL) : -3] = torch.arange(len(LIKELY), 0, -1) * 10.0
    model.cls.predictions.bias.data = bias
    model.cls.predictions.decoder.bias.data = bias
    return _saved(folder, model, BertTokenizer(vocab={word: index for index, word in enumerate(words)}))


def write_seq2seq(folder: Path, seed: int) -> Path:
    """A BART of random weights: what it says of a text is noise, but always the same noise."""
    from transformers import BartConfig, BartForConditionalGeneration, BertTokenizer

    words = [*SPECIAL, *LIKELY, "first", "second"]
    config = BartConfig(
        vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=64, init_std=1.0,
        pad_token_id=0, bos_token_id=2, eos_token_id=3, decoder_start_token_id=2, forced_eos_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BartForConditionalGeneration(config)
    return _saved(folder, model, BertTokenizer(vocab={word: index for index, word in enumerate(words)}))


def _saved(folder: Path, model: torch.nn.Module, tokenizer: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)  # type: ignore[operator]
    tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder
