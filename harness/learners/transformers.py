"""Loads pretrained transformers by folder, package or hub name, to be fine-tuned in the training loop or frozen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from jaxtyping import Float, Float32, Int64
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as hub_logging

from harness.checks import choices
from harness.data import EvalSet, Rows, TrainSet
from harness.errors import BadInput
from harness.learners import Fit, Run
from harness.learners.batches import chunks
from harness.learners.pretrained import cached_features, linear_head
from harness.learners.torch import Network
from harness.storage.cache import Cache
from harness.storage.places import PACKAGE, content_of, locate

ENCODED = 64
"""Texts encoded at a time."""


@dataclass(frozen=True)
class Checkpoint:
    """Names pretrained weights: where to load them from, and what they are.

    `revision` is a hub's commit, None for a folder; `identity` is the hash of the folder's files, or name and commit.
    """

    name: str
    revision: str | None
    identity: str


def checkpoint(path: str) -> Checkpoint:
    """Finds a model: a folder, else the hub's local cache, else the hub.

    `package:NAME` is an installed package: its first folder that holds a model. BadInput if there is no such folder
    or package, and neither the cache nor the hub has a model of that name.
    """
    folder = _model_folder(path)
    if folder.is_dir():
        return Checkpoint(str(folder), None, content_of(str(folder)))
    if path.startswith(PACKAGE):
        raise BadInput(f"no model '{path}': the package is installed but holds no such folder")
    for cached_only in (True, False):
        try:
            config = hf_hub_download(path, "config.json", local_files_only=cached_only)
        except (OSError, ValueError):
            continue
        commit = Path(config).parent.name
        return Checkpoint(path, commit, f"{path}@{commit}")
    raise BadInput(
        f"no model '{path}': there is no such folder, and neither the hub nor its local cache has a model of that name"
    )


def _model_folder(path: str) -> Path:
    """Returns the folder at a path; in a package, the topmost folder that holds a model's config.json."""
    place = locate(path)
    if not path.startswith(PACKAGE) or (place / "config.json").is_file():
        return place
    found = sorted(place.rglob("config.json"), key=lambda file: (len(file.parts), str(file)))
    return found[0].parent if found else place


def sequence_classifier(rows: Rows, k: int, *, path: str, layers: int | None, max_length: int) -> Network:
    """Builds any sequence classifier of `transformers`, or its first `layers`; texts are cut at `max_length` tokens.

    The head is new unless the checkpoint has one with the same number of classes.
    """
    make = partial(AutoModelForSequenceClassification.from_pretrained, ignore_mismatched_sizes=True)
    tokenizer, model = load(checkpoint(path), make, layers, k)
    return Network(Logits(model), partial(tokenise, tokenizer, max_length), pretrained=True, bf16=True)


def encoder_classifier(rows: Rows, k: int, *, path: str, layers: int | None, pooling: str, max_length: int) -> Network:
    """Builds a new linear layer on the pooled tokens of an encoder, or of its first `layers`; everything is trained.

    For encoders that were trained to represent a text by its pooled tokens; the head of `sequence_classifier` reads
    another output, which a truncated model has never used. `pooling` as in `frozen_encoder`.
    """
    tokenizer, model = load(checkpoint(path), AutoModel.from_pretrained, layers)
    head = nn.Linear(model.config.hidden_size, k)
    return Network(
        Pooled(model, _pooling(pooling), head), partial(tokenise, tokenizer, max_length), pretrained=True, bf16=True
    )


def frozen_encoder(
    train: TrainSet, valid: EvalSet, run: Run, *, path: str, layers: int | None, pooling: str, max_length: int
) -> Fit:
    """Trains a linear head on the embeddings of a frozen encoder, or of its first `layers` (see pretrained.py).

    `pooling` is `mean` (over a text's tokens) or `first` (its first token's).
    """
    encode = partial(embeddings, path=path, layers=layers, pooling=pooling, max_length=max_length)
    return linear_head(train, valid, run, lambda texts: encode(texts, run.cache, run.device))


def embeddings(
    texts: Rows, cache: Cache, device: str, *, path: str, layers: int | None, pooling: str, max_length: int
) -> Float32[np.ndarray, "n d"]:
    """Returns L2-normalised embeddings of a frozen encoder in float32, cached by the content of texts and weights."""
    pool, source = _pooling(pooling), checkpoint(path)
    what = {"model": source.identity, "layers": layers, "pooling": pooling, "max_length": max_length}
    return cached_features(texts, cache, what, partial(_embeddings, source, layers, pool, max_length, device))


class Logits(nn.Module):
    """Wraps a `transformers` model as a module from stacked token ids and mask to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, encoded: Int64[Tensor, "2 b t"]) -> Float[Tensor, "b k"]:
        """Returns logits for stacked token ids and mask."""
        return self.model(input_ids=encoded[0], attention_mask=encoded[1]).logits


class Pooled(nn.Module):
    """Adds a linear head to the pooled tokens of a `transformers` encoder."""

    def __init__(self, encoder: nn.Module, pool: Callable[[Tensor, Tensor], Tensor], head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.pool, self.head = encoder, pool, head

    def forward(self, encoded: Int64[Tensor, "2 b t"]) -> Float[Tensor, "b k"]:
        """Returns logits for stacked token ids and mask."""
        hidden = self.encoder(input_ids=encoded[0], attention_mask=encoded[1]).last_hidden_state
        return self.head(self.pool(hidden, encoded[1]))


def tokenise(tokenizer: Any, max_length: int, texts: Sequence[str]) -> Int64[Tensor, "2 b t"]:
    """Returns token ids and mask, stacked, padded to the longest text of the batch."""
    found = tokenizer(list(texts), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return torch.stack([found["input_ids"], found["attention_mask"]])


def mean_over_tokens(hidden: Float[Tensor, "b t d"], mask: Int64[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    """Returns the mean of a text's token vectors without padding."""
    weight = mask.unsqueeze(2).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


def first_token(hidden: Float[Tensor, "b t d"], mask: Int64[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    """Returns the vector of the first token, which BERT-like models train to represent the text."""
    return hidden[:, 0]


Pooling = Callable[[Tensor, Tensor], Tensor]
POOLINGS: Mapping[str, Pooling] = {"mean": mean_over_tokens, "first": first_token}


def _pooling(name: str) -> Pooling:
    if name not in POOLINGS:
        raise BadInput(f"model.pooling is '{name}'{choices(name, POOLINGS)}")
    return POOLINGS[name]


def _embeddings(
    source: Checkpoint, layers: int | None, pool: Pooling, max_length: int, device: str, texts: Rows
) -> Float32[np.ndarray, "n d"]:
    """Encodes texts of similar length together, because a batch costs what its longest text costs."""
    with torch.random.fork_rng(devices=[]):  # Loading draws weights that a checkpoint lacks, such as the pooler's.
        tokenizer, model = load(source, AutoModel.from_pretrained, layers)
    model.to(device).eval()
    order = np.argsort([len(str(text)) for text in np.asarray(texts)], kind="stable")
    found = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for part in chunks(len(texts), ENCODED):
        index = order[part]
        encoded = tokenise(tokenizer, max_length, [str(text) for text in texts[index]]).to(device)
        with torch.inference_mode():
            hidden = model(input_ids=encoded[0], attention_mask=encoded[1]).last_hidden_state
            found[index] = nn.functional.normalize(pool(hidden, encoded[1]), dim=1).cpu().numpy()
    return found


def load(
    source: Checkpoint, from_pretrained: Callable[..., Any], layers: int | None = None, labels: int | None = None
) -> tuple[Any, Any]:
    """Loads tokenizer and model in float32: the first `layers`, with a head for that many `labels`.

    BadInput if the files do not hold a model, or it has fewer layers.
    """
    settings = {} if labels is None else {"num_labels": labels}
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source.name, revision=source.revision)
            config = AutoConfig.from_pretrained(source.name, revision=source.revision, **settings)
            _shorten(config, layers)
            model = from_pretrained(source.name, revision=source.revision, config=config)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"cannot load the model '{source.name}': {str(error).strip().splitlines()[0]}") from error
    if tokenizer.pad_token is None:  # GPT-2-like models have no padding token; the mask hides these positions.
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.float()


def _shorten(config: Any, layers: int | None) -> None:
    """Cuts a model's configuration to its first layers, so that other weights are not loaded; None keeps all."""
    if layers is None:
        return
    if not 1 <= layers <= config.num_hidden_layers:
        raise BadInput(
            f"layers is {layers}, but the model has {config.num_hidden_layers}: choose at most that number, or null"
        )
    config.num_hidden_layers = layers


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences progress bars and the report about a new head within a block; restores both settings."""
    level, bars = hub_logging.get_verbosity(), hub_logging.is_progress_bar_enabled()
    hub_logging.set_verbosity(logging.ERROR)
    hub_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hub_logging.set_verbosity(level)
        if bars:
            hub_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
