"""Ludwig: what is said where it is absent, the protocol in its words, and a real fit where it is installed."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
from easy_sets import option

from harness.conformance.easy_sets import easy
from harness.conformance.learners import check_probabilities
from harness.errors import BadInput, TrialFailed
from harness.learners import Run
from harness.learners.adapt import adapt_to_limits
from harness.learners.ludwig import _trainer, ludwig
from harness.run.fitting import missing_packages
from harness.storage.places import install_command

absent = pytest.mark.skipif(importlib.util.find_spec("ludwig") is not None, reason="Ludwig is installed")


@absent
def test_its_absence_is_told_with_the_python_that_it_needs(run: Run) -> None:
    here = f"this is Python {sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(
        BadInput, match=f"cannot import Ludwig .*{here}.*pip install -e '.*ludwig]', under Python 3.12 or later"
    ):
        ludwig(*easy("text"), run, encoder="parallel_cnn")


@absent
def test_its_absence_is_told_before_anything_runs() -> None:
    assert list(missing_packages("model (ludwig)", option("ludwig"))) == [
        f"model (ludwig) needs ludwig, which is not installed: {install_command('ludwig')}"
    ]


def test_weights_are_refused_and_soft_labels_made_hard() -> None:
    lacks = option("ludwig")["lacks"]
    train, _ = easy("table")
    soft = replace(train, y=0.8 * train.y + 0.2 / 3)
    hard, told = adapt_to_limits(soft, lacks, np.random.Generator(np.random.PCG64(0)))
    assert np.array_equal(hard.y, train.y)
    assert told == ["48 soft labels became hard ones, which is all that the model takes"]
    w = np.where(np.arange(48) % 2, 1, 2).astype(np.float32)
    with pytest.raises(TrialFailed, match="takes no weights"):
        adapt_to_limits(replace(train, w=w), lacks, np.random.Generator(np.random.PCG64(0)))


def test_the_protocol_in_its_words(run: Run) -> None:
    assert _trainer(run) == {
        "train_steps": 20, "batch_size": 16, "learning_rate": 0.01, "early_stop": -1, "skip_all_evaluation": True,
        "optimizer": {"type": "adamw", "weight_decay": 1e-4},
        "learning_rate_scheduler": {"decay": "cosine", "warmup_fraction": 0.1, "t_0": 20},
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["text", "table"])
def test_it_learns_an_easy_set(run: Run, modality: str) -> None:
    pytest.importorskip("ludwig", reason="Ludwig is not installed: it needs Python 3.12 or later")
    train, valid = easy(modality)
    found = ludwig(train, valid, replace(run, steps=60), encoder="parallel_cnn").predict(valid.x)
    check_probabilities(found, len(valid), 3)
    assert (found.argmax(1) == valid.y).mean() > 0.8
