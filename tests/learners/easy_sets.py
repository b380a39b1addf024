"""Small easy sets of each modality, options as their YAML files make them, and a BERT of random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conftest import ROOT, train_set
from omegaconf import OmegaConf

from harness.data import EvalSet, TrainSet
from harness.run.config import plain
from harness.run.options import build, lacks_of
from harness.streams import stream

MODEL_OPTIONS = ROOT / "conf" / "model"
SMALL = {"image": "lenet", "text": "bag_of_embeddings", "table": "mlp"}
"""A model of each modality for what is an effort on a model."""
WORDS = (("red", "crimson", "scarlet"), ("green", "olive", "lime"), ("blue", "navy", "azure"))


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


def easy(modality: str, n: int = 48) -> tuple[TrainSet, EvalSet]:
    """A training and a validation set of three classes that anything should tell apart."""
    rng = stream(1, "easy", modality)
    classes = rng.permutation(np.arange(2 * n) % 3)
    x = {"image": _images, "text": _texts, "table": _table}[modality](classes, rng)
    train = train_set(x[:n], classes[:n].tolist(), 3)
    return train, EvalSet(np.array([f"v{i}" for i in range(n)]), x[n:], classes[n:])


def _images(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """8 x 8 x 1: a bright band whose place is the class, in noise."""
    x = rng.integers(0, 60, (len(classes), 8, 8, 1))
    for band in range(3):
        x[classes == band, 1 + 2 * band : 3 + 2 * band] += 150
    return x.astype(np.uint8)


def _texts(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two words of the class's colour among words that tell nothing."""
    pairs = [rng.choice(WORDS[label], 2) for label in classes]
    return np.array([f"the {first} and {second} thing no. {rng.integers(9)}" for first, second in pairs])


def _table(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Five columns: three that tell the class, one on a wild scale, one constant."""
    told = 3 * np.eye(3)[classes] + rng.normal(size=(len(classes), 3))
    other = np.stack([1e4 * rng.normal(size=len(classes)), np.full(len(classes), 0.1)], 1)
    return np.concatenate([told, other], 1).astype(np.float32)


def write_vectors(folder: Path) -> Path:
    """Writes a vector of 16 numbers for each of the telling words and gives the file back, in GloVe's text format."""
    rng, place = stream(1, "easy", "vectors"), folder / "vectors.txt"
    words = ["the", "and", "thing", *(word for colour in WORDS for word in colour)]
    place.write_text("".join(f"{word} {' '.join(f'{x:.3f}' for x in rng.normal(size=16))}\n" for word in words))
    return place


def write_bert(folder: Path, layers: int = 1) -> Path:
    """Writes a BERT of random weights with a vocabulary of its own, and gives its folder back."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, "the", "and", "thing", "no", ".", *(word for colour in WORDS for word in colour)]
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
