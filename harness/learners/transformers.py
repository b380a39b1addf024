"""Pretrained transformers by folder or hub name: fine-tuned in the training loop, or frozen under a linear head."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from jaxtyping import Float, Float32, Int64
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as hub_logging

from harness.config import content_of, nearest
from harness.data import EvalSet, Rows, TrainSet, digest
from harness.errors import BadInput
from harness.learners import Fit, Run
from harness.learners.batches import chunks
from harness.learners.grown import grown
from harness.learners.nets import linear
from harness.learners.torch import Network, fit_network

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

    BadInput where there is no such folder and neither the cache nor the hub has a model of that name.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return Checkpoint(str(folder), None, content_of(path))
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


def sequence_classifier(rows: Rows, k: int, *, path: str, max_length: int) -> Network:
    """Any sequence classifier of `transformers`; texts are cut at `max_length` tokens.

    The head is new unless the checkpoint brings one for as many classes.
    """
    make = AutoModelForSequenceClassification.from_pretrained
    tokenizer, model = _load(checkpoint(path), partial(make, num_labels=k, ignore_mismatched_sizes=True))
    return Network(Logits(model), partial(tokenise, tokenizer, max_length), pretrained=True)


def frozen_encoder(train: TrainSet, valid: EvalSet, run: Run, *, path: str, pooling: str, max_length: int) -> Fit:
    """A linear head on the L2-normalised embeddings of a frozen encoder, trained by the loop that all networks share.

    `pooling` is `mean` (over a text's tokens) or `first` (its first token's). Embeddings are computed in float32 and
    kept in `run.cache` by the content of texts and weights. The encoder cannot be trained through, so augmentation
    grows the rows (see grown.py); `parameters` counts the head.
    """
    if pooling not in POOLINGS:
        raise BadInput(f"model.pooling is '{pooling}': {nearest(pooling, POOLINGS)}")
    source = checkpoint(path)

    def embed(texts: Rows) -> Float32[np.ndarray, "n d"]:
        parts = {"texts": digest(texts), "model": source.identity, "pooling": pooling, "max_length": max_length}
        compute = partial(_embeddings, texts, source, POOLINGS[pooling], max_length, torch.device(run.device))
        return run.cache.array("embeddings", parts, compute)

    rows = grown(train, run)
    embedded = replace(rows, x=embed(rows.x), augment=None)
    fit = fit_network(embedded, replace(valid, x=embed(valid.x)), run, network=linear)
    return replace(fit, predict=lambda x: fit.predict(embed(x)))


class Logits(nn.Module):
    """A model of `transformers` as a module from stacked token ids and mask to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, encoded: Int64[Tensor, "2 b t"]) -> Float[Tensor, "b k"]:
        """Logits from stacked token ids and mask."""
        return self.model(input_ids=encoded[0], attention_mask=encoded[1]).logits


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


def _embeddings(
    texts: Rows, source: Checkpoint, pool: Pooling, max_length: int, device: torch.device
) -> Float32[np.ndarray, "n d"]:
    """Texts of like length are encoded together, because a batch costs what its longest text costs."""
    with torch.random.fork_rng(devices=[]):  # Loading draws for weights that a checkpoint lacks, the pooler's say.
        tokenizer, model = _load(source, AutoModel.from_pretrained)
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


def _load(source: Checkpoint, from_pretrained: Callable[..., Any]) -> tuple[Any, Any]:
    """Tokenizer and model in float32; BadInput where the files are not those of a model."""
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source.name, revision=source.revision)
            model = from_pretrained(source.name, revision=source.revision)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"cannot load the model '{source.name}': {str(error).strip().splitlines()[0]}") from error
    if tokenizer.pad_token is None:  # GPT-2 and its kin have none; the mask hides what stands there.
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.float()


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
