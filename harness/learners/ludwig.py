"""Fits a model that Ludwig builds from a declaration of columns.

Written against the calls of Ludwig 0.17; it has not been run with Ludwig itself, whose current release needs Python
3.12 or later and a torchvision that was built for the torch at hand.
"""

from __future__ import annotations

import logging
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Run
from harness.learners.automl import table_of
from harness.learners.batches import modality
from harness.learners.growth import grow
from harness.learners.torch import reproducible
from harness.storage.places import install_command
from harness.streams import child_seed

LABEL_COLUMN = "label"


def ludwig(train: TrainSet, valid: EvalSet, run: Run, *, encoder: str) -> Fit:
    """Fits Ludwig's encoder for each column, its combiner and a classifier (Molino et al., Ludwig, 2019).

    Trained for the run's steps with the protocol's batch size, optimiser and rate; the last weights are kept. Texts
    go to `encoder`, columns are numbers. BadInput if Ludwig cannot be imported; TrialFailed if no row is labelled.
    """
    make, rows = _ludwig(), grow(train, run)
    if not len(rows):
        raise TrialFailed("there is no labelled row to train on")
    frame = table_of(rows.x)
    declared = {
        "input_features": [_feature(str(name), encoder, modality(rows.x) == "text") for name in frame],
        "output_features": [{"name": LABEL_COLUMN, "type": "category"}],
        "trainer": _trainer(run),
    }
    frame[LABEL_COLUMN] = [f"c{label}" for label in rows.classes]
    model = make(declared, logging_level=logging.ERROR, backend="local")
    seed = child_seed(run.stream("init"))
    with _apart(run) as folder:
        model.train(
            training_set=frame, output_directory=folder, random_seed=seed, skip_save_training_description=True,
            skip_save_training_statistics=True, skip_save_model=True, skip_save_progress=True, skip_save_log=True,
            skip_save_processed_input=True,
        )  # fmt: skip

    def predict(x: Rows) -> Float32[np.ndarray, "n k"]:
        with _apart(run) as folder:
            table, _ = model.predict(dataset=table_of(x), skip_save_predictions=True, output_directory=folder)
        found = np.zeros((len(x), train.k), dtype=np.float32)
        for label in np.unique(rows.classes):
            found[:, label] = table[f"{LABEL_COLUMN}_probabilities_c{label}"]
        return found / found.sum(1, keepdims=True)

    parameters = sum(part.numel() for part in model.model.parameters())
    return Fit(predict, parameters, examples=run.steps * min(len(rows), run.protocol.batch_size))


def _trainer(run: Run) -> dict[str, Any]:
    """Returns the protocol as Ludwig's trainer; without a length, its cosine would restart at every checkpoint."""
    protocol = run.protocol
    return {
        "train_steps": run.steps, "batch_size": protocol.batch_size, "learning_rate": protocol.lr, "early_stop": -1,
        "optimizer": {"type": protocol.optimiser, "weight_decay": protocol.weight_decay},
        "learning_rate_scheduler": {"decay": "cosine", "warmup_fraction": protocol.warmup, "t_0": run.steps},
        "skip_all_evaluation": True,
    }  # fmt: skip


def _feature(name: str, encoder: str, text: bool) -> dict[str, Any]:
    """Declares a column to Ludwig; numbers are standardised, missing ones become the mean."""
    if text:
        return {"name": name, "type": "text", "encoder": {"type": encoder}}
    filled = {"normalization": "zscore", "missing_value_strategy": "fill_with_mean"}
    return {"name": name, "type": "number", "preprocessing": filled}


@contextmanager
def _apart(run: Run) -> Iterator[str]:
    """Lends a temporary folder for what Ludwig writes, and restores all generators, which Ludwig seeds."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - saved, never drawn from
    with tempfile.TemporaryDirectory(prefix="harness-ludwig-") as folder:
        try:
            with reproducible(torch.device(run.device), run.stream("ludwig")):
                yield folder
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002 - see above


def _ludwig() -> Any:
    """Returns Ludwig's model class; BadInput if the package is absent or does not load."""
    try:
        from ludwig.api import LudwigModel
    except (ImportError, RuntimeError) as error:
        here = f"this is Python {sys.version_info.major}.{sys.version_info.minor}"
        raise BadInput(
            f"model=ludwig cannot import Ludwig ({str(error).splitlines()[0]}; {here}): {install_command('ludwig')}, "
            "under Python 3.12 or later"
        ) from error
    return LudwigModel
