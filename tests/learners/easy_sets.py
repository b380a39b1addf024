"""Small easy sets of each modality, options as their YAML files make them, and a BERT of random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from conftest import ROOT
from omegaconf import OmegaConf

from harness.conformance.easy_sets import COLOURS
from harness.run.config import plain
from harness.run.options import build, lacks_of
from harness.streams import stream

MODEL_OPTIONS = ROOT / "conf" / "model"
SMALL = {"image": "lenet", "text": "bag_of_embeddings", "table": "mlp"}
"""A model of each modality for what is an effort on a model."""


def option(name: str, modality: str = "table") -> dict[str, Any]:
    """The YAML of an option of conf/model as plain containers; an effort on a model has a small one of that modality.

    What such a model lacks, the effort on it lacks as well.
    """
    files = {"model": name, "baseline": SMALL[modality]}
    nodes = {place: OmegaConf.load(MODEL_OPTIONS / f"{file}.yaml") for place, file in files.items()}
    cfg = OmegaConf.create({"model": nodes["model"], "baseline": {"model": nodes["baseline"]}})
    node = plain(cfg.model)
    return {**node, "lacks": sorted(lacks_of(node))} if "wraps" in node else node


def learner(node: dict[str, Any]) -> Callable[..., Any]:
    """The learner that an option makes, without what the option only declares."""
    return build(node)


def write_vectors(folder: Path) -> Path:
    """Writes a vector of 16 numbers for each of the telling words and gives the file back, in GloVe's text format."""
    rng, place = stream(1, "easy", "vectors"), folder / "vectors.txt"
    words = ["the", "and", "thing", *(word for colour in COLOURS for word in colour)]
    place.write_text("".join(f"{word} {' '.join(f'{x:.3f}' for x in rng.normal(size=16))}\n" for word in words))
    return place


def write_bert(folder: Path, layers: int = 1) -> Path:
    """Writes a BERT of random weights with a vocabulary of its own, and gives its folder back."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, "the", "and", "thing", "no", ".", *(word for colour in COLOURS for word in colour)]
    vocabulary = folder / "words.txt"
    vocabulary.write_text("\n".join(words))
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(folder)
    return folder
