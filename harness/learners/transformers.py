"""Pretrained transformers by folder, package or hub name: fine-tuned by the training loop, or frozen."""

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
from harness.learners.pretrained import kept, linear_head
from harness.learners.torch import Network
from harness.storage.cache import Cache
from harness.storage.places import PACKAGE, content_of, located

ENCODED = 64
"""Texts that are encoded at once."""


@dataclass(frozen=True)
class Checkpoint:
    """Pretrained weights: what to load them by, and what they are.

    `revision` is a hub's commit, None for a folder; `identity` is the hash of the folder's files, or name and commit.
    """

    name: str
    revision: str | None
    identity: str


def checkpoint(path: str) -> Checkpoint:
    """Where a model lies: a folder, else what the hub's local cache holds, else the hub.

    `package:NAME` is an installed package: its first folder that holds a model. BadInput where there is no such folder
    or package, and neither the cache nor the hub has a model of that name.
    """
    folder = _model_folder(path)
    if folder.is_dir():
        return Checkpoint(str(folder), None, content_of(str(folder)))
    if path.startswith(PACKAGE):
        raise BadInput(f"no model '{path}': the package is there, and holds no such folder")
    for cached_only in (True, False):
        try:
            config = hf_hub_download(path, "config.json", local_files_only=cached_only)
        except (OSError, ValueError):
            continue
        commit = Path(config).parent.name
        return Checkpoint(path, commit, f"{path}@{commit}")
    raise BadInput(
        f"no model '{path}': it is no folder, and neither the hub nor its local cache gives a model of that name"
    )


def _model_folder(path: str) -> Path:
    """The folder that a path leads to; in a package, the one nearest to its top that holds a model's config.json."""
    place = located(path)
    if not path.startswith(PACKAGE) or (place / "config.json").is_file():
        return place
    found = sorted(place.rglob("config.json"), key=lambda file: (len(file.parts), str(file)))
    return found[0].parent if found else place


def sequence_classifier(rows: Rows, k: int, *, path: str, layers: int | None, max_length: int) -> Network:
    """Any sequence classifier of `transformers`, or its first `layers`; texts are cut at `max_length` tokens.

    The head is new unless the checkpoint brings one for as many classes.
    """
    make = partial(AutoModelForSequenceClassification.from_pretrained, ignore_mismatched_sizes=True)
    tokenizer, model = load(checkpoint(path), make, layers, k)
    return Network(Logits(model), partial(tokenise, tokenizer, max_length), pretrained=True, bf16=True)


def encoder_classifier(rows: Rows, k: int, *, path: str, layers: int | None, pooling: str, max_length: int) -> Network:
    """A new linear layer on the pooled tokens of an encoder, or of its first `layers`, all trained.

    For encoders that were trained to put a text's meaning there: the head of `sequence_classifier` reads another place,
    which a truncated model has never used. `pooling` as in `frozen_encoder`.
    """
    tokenizer, model = load(checkpoint(path), AutoModel.from_pretrained, layers)
    head = nn.Linear(model.config.hidden_size, k)
    return Network(
        Pooled(model, _pooling(pooling), head), partial(tokenise, tokenizer, max_length), pretrained=True, bf16=True
    )


def frozen_encoder(
    train: TrainSet, valid: EvalSet, run: Run, *, path: str, layers: int | None, pooling: str, max_length: int
) -> Fit:
    """A linear head on the embeddings of a frozen encoder, or of its first `layers` (see pretrained.py).

    `pooling` is `mean` (over a text's tokens) or `first` (its first token's).
    """
    encode = partial(embeddings, path=path, layers=layers, pooling=pooling, max_length=max_length)
    return linear_head(train, valid, run, lambda texts: encode(texts, run.cache, run.device))


def embeddings(
    texts: Rows, cache: Cache, device: str, *, path: str, layers: int | None, pooling: str, max_length: int
) -> Float32[np.ndarray, "n d"]:
    """The L2-normalised embeddings of a frozen encoder in float32, kept by the content of texts and weights."""
    pool, source = _pooling(pooling), checkpoint(path)
    what = {"model": source.identity, "layers": layers, "pooling": pooling, "max_length": max_length}
    return kept(texts, cache, what, partial(_embeddings, source, layers, pool, max_length, device))


class Logits(nn.Module):
    """A model of `transformers` as a module from stacked token ids and mask to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, encoded: Int64[Tensor, "2 b t"]) -> Float[Tensor, "b k"]:
        """Logits from stacked token ids and mask."""
        return self.model(input_ids=encoded[0], attention_mask=encoded[1]).logits


class Pooled(nn.Module):
    """An encoder of `transformers` with a linear head on its pooled tokens."""

    def __init__(self, encoder: nn.Module, pool: Callable[[Tensor, Tensor], Tensor], head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.pool, self.head = encoder, pool, head

    def forward(self, encoded: Int64[Tensor, "2 b t"]) -> Float[Tensor, "b k"]:
        """Logits from stacked token ids and mask."""
        hidden = self.encoder(input_ids=encoded[0], attention_mask=encoded[1]).last_hidden_state
        return self.head(self.pool(hidden, encoded[1]))


def tokenise(tokenizer: Any, max_length: int, texts: Sequence[str]) -> Int64[Tensor, "2 b t"]:
    """Token ids and mask, one above the other, padded to the longest text of the batch."""
    found = tokenizer(list(texts), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return torch.stack([found["input_ids"], found["attention_mask"]])


def mean_over_tokens(hidden: Float[Tensor, "b t d"], mask: Int64[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    """The mean of a text's token vectors, padding left out."""
    weight = mask.unsqueeze(2).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


def first_token(hidden: Float[Tensor, "b t d"], mask: Int64[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    """The vector of the first token, which BERT and its kin train to stand for the text."""
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
    """Texts of like length are encoded together, because a batch costs what its longest text costs."""
    with torch.random.fork_rng(devices=[]):  # Loading draws for weights that a checkpoint lacks, the pooler's say.
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
    """Tokenizer and model in float32, the model's first `layers`, with a head for that many `labels`.

    BadInput where the files are not those of a model, or it has fewer layers.
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
    if tokenizer.pad_token is None:  # GPT-2 and its kin have none; the mask hides what stands there.
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.float()


def _shorten(config: Any, layers: int | None) -> None:
    """Keeps the first layers in a model's plan, so that the weights of the others are not loaded; None keeps all."""
    if layers is None:
        return
    if not 1 <= layers <= config.num_hidden_layers:
        raise BadInput(f"layers is {layers}, and it has {config.num_hidden_layers}: say a number up to that, or null")
    config.num_hidden_layers = layers


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar, and no report that a classifier's new head is new; both settings are put back."""
    level, bars = hub_logging.get_verbosity(), hub_logging.is_progress_bar_enabled()
    hub_logging.set_verbosity(logging.ERROR)
    hub_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hub_logging.set_verbosity(level)
        if bars:
            hub_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
