"""Snorkel's label model: accuracies of the labelling functions from their agreements alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int8
from scipy.special import softmax

from harness.data import ABSTAIN, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.strategies import Tools
from harness.strategies.weak.votes import check_rule, give, settle, tally
from harness.streams import child_seed


def label_model(
    train: TrainSet, tools: Tools, *, n_epochs: int, lr: float, l2: float, labels: str, ties: str
) -> TrainSet:
    """Rows with a vote take the label model's posterior; rows without one stay as they are.

    The model (Ratner et al. 2019, "Training complex models with multi-task weak supervision") is Snorkel's. It is
    fitted on the rows that have a vote: among the others are gold rows, which were never put to the functions. The
    class prior is uniform: any other would be labels that someone paid for. `labels` and `ties`: see `weak.votes`.
    BadInput with fewer than three functions that vote at all, or where Snorkel is not installed.
    """
    check_rule(labels, ties)
    voted = tally(train).sum(1) > 0
    heard = (train.votes != ABSTAIN).any(0)
    if heard.sum() < 3:
        raise BadInput(f"the label model needs three labelling functions that vote; this task has {heard.sum()}")
    votes = train.votes[voted][:, heard]
    table = _fitted(votes, train.k, child_seed(tools.rng), n_epochs=n_epochs, lr=lr, l2=l2)
    return give(train, voted, settle(_posterior(votes, table), tools.rng, labels=labels, ties=ties))


def _fitted(
    votes: Int8[np.ndarray, "n m"], k: int, seed: int, *, n_epochs: int, lr: float, l2: float
) -> Float64[np.ndarray, "m k k"]:
    """`[j, v, c]`: the probability that function j votes v where the class is c."""
    with _global_generators_kept():
        model = _label_model_class()(cardinality=k, verbose=False)
        wide, prior = votes.astype(np.int64), [1 / k] * k  # Snorkel adds one to each vote: int8 may overflow.
        try:
            model.fit(wide, class_balance=prior, progress_bar=False, n_epochs=n_epochs, lr=lr, l2=l2, seed=seed)
        except Exception as error:
            # Snorkel raises a bare Exception for this one.
            if "NaN" in str(error):
                raise TrialFailed(f"the label model's loss became NaN; lower its lr ({lr})") from error
            raise
        return model.get_conditional_probs()[:, 1:, :].astype(np.float64)


def _posterior(votes: Int8[np.ndarray, "n m"], table: Float64[np.ndarray, "m k k"]) -> Float64[np.ndarray, "n k"]:
    """The classes' probabilities under a uniform prior, abstentions left out, as in Snorkel's `predict_proba`.

    Summed in logarithms: Snorkel multiplies the probabilities, which underflows beyond some hundred functions.
    """
    logs = np.log(table)
    return softmax(sum((votes == v).astype(np.float64) @ logs[:, v] for v in range(table.shape[1])), axis=1)


def _label_model_class() -> Any:
    """Snorkel's class, imported here because importing it takes seconds and draws from numpy's global generator."""
    try:
        from snorkel.labeling.model import LabelModel
    except ImportError as error:
        raise BadInput('weak=label_model needs Snorkel: pip install "gains-harness[weak]"') from error
    return LabelModel


@contextmanager
def _global_generators_kept() -> Iterator[None]:
    """Leaves the global generators of Python, numpy and torch as they were; Snorkel seeds all three."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - saved, never drawn from
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002 - see above
