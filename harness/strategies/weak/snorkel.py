"""Snorkel's label model: accuracies of the labelling functions from their agreements alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from scipy.special import softmax

from harness.data import ABSTAIN, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.storage.places import install_command
from harness.strategies import Tools
from harness.strategies.weak.models import Prior, Probs, VoteModel, Votes, label_by_model
from harness.streams import child_seed


def label_model(
    train: TrainSet, tools: Tools, *, n_epochs: int, lr: float, l2: float, rows: str, labels: str, ties: str
) -> TrainSet:
    """Labels rows with a vote by the label model's posterior; rows without one stay unchanged.

    The model (Ratner et al. 2019, "Training complex models with multi-task weak supervision") is Snorkel's. Its loss
    has no minimum at the best labels: more epochs than Snorkel's own 100 made them worse on published votes (see
    conf/weak/label_model.yaml). The class prior is uniform: any other would need labels that someone paid for. `rows`:
    see `weak.models.label_by_model`; `labels` and `ties`: see `weak.votes`.
    BadInput with fewer than three functions that vote at all, or if Snorkel is not installed.
    """
    fit = partial(fit_label_model, seed=child_seed(tools.rng), n_epochs=n_epochs, lr=lr, l2=l2)
    return label_by_model(train, tools, fit, prior="uniform", labels=labels, ties=ties, rows=rows)


def label_model_prior(
    train: TrainSet,
    tools: Tools,
    *,
    n_epochs: int,
    lr: float,
    l2: float,
    rows: str,
    prior: str | list[float],
    labels: str,
    ties: str,
) -> TrainSet:
    """Labels like `label_model`, but with a class prior (see `weak.models.class_prior`)."""
    fit = partial(fit_label_model, seed=child_seed(tools.rng), n_epochs=n_epochs, lr=lr, l2=l2)
    return label_by_model(train, tools, fit, prior=prior, labels=labels, ties=ties, rows=rows)


def fit_label_model(votes: Votes, prior: Prior, *, seed: int, n_epochs: int, lr: float, l2: float) -> VoteModel:
    """Fits Snorkel's model on the functions that vote at all; the others are ignored later as well."""
    heard = (votes != ABSTAIN).any(0)
    if heard.sum() < 3:
        raise BadInput(f"the label model needs three labelling functions that vote; this task has {heard.sum()}")
    table = _fitted(votes[:, heard], prior.tolist(), seed, n_epochs=n_epochs, lr=lr, l2=l2)
    even = np.ptp(prior) == 0
    return lambda new: _posterior(new[:, heard], table, None if even else prior)


def _fitted(
    votes: Votes, prior: list[float], seed: int, *, n_epochs: int, lr: float, l2: float
) -> Float64[np.ndarray, "m k k"]:
    """Returns `[j, v, c]`, the probability that function j votes v if the class is c."""
    with keep_global_generators():
        model = _label_model_class()(cardinality=len(prior), verbose=False)
        wide = votes.astype(np.int64)  # Snorkel adds one to each vote: int8 may overflow.
        try:
            model.fit(wide, class_balance=prior, progress_bar=False, n_epochs=n_epochs, lr=lr, l2=l2, seed=seed)
        except Exception as error:
            # Snorkel raises a bare Exception for this one.
            if "NaN" in str(error):
                raise TrialFailed(f"the label model's loss became NaN; lower its lr ({lr})") from error
            raise
        return model.get_conditional_probs()[:, 1:, :].astype(np.float64)


def _posterior(votes: Votes, table: Float64[np.ndarray, "m k k"], prior: Prior | None) -> Probs:
    """Returns class probabilities under a prior (None: uniform) without abstentions, as Snorkel's `predict_proba`.

    Summed in logarithms: Snorkel multiplies the probabilities, which underflows beyond some hundred functions.
    """
    logs = np.log(table)
    evidence = sum((votes == v).astype(np.float64) @ logs[:, v] for v in range(table.shape[1]))
    return softmax(evidence if prior is None else evidence + np.log(prior), axis=1)


def _label_model_class() -> Any:
    """Imports Snorkel's class here, because the import takes seconds and draws from numpy's global generator."""
    try:
        from snorkel.labeling.model import LabelModel
    except ImportError as error:
        raise BadInput(f"weak=label_model needs Snorkel: {install_command('weak')}") from error
    return LabelModel


@contextmanager
def keep_global_generators() -> Iterator[None]:
    """Restores the global generators of Python, numpy and torch; Snorkel seeds all three."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - saved, never drawn from
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002 - see above
