"""Recomputes confident learning's published results: which labels are wrong, and how many.

Sources: Northcutt, Jiang & Chuang 2021, "Confident learning" (CIFAR-10 with planted noise, five pruning methods), and
Northcutt, Athalye & Mueller 2021, "Pervasive label errors in test sets" (label issues of four test sets).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.strategies.clean.confident_learning import flag_label_errors
from harness.verify import Cell

CIFAR = "confident_learning_cifar10.npz"
TESTS = "label_errors_testsets.npz"
RULES = (
    ("argmax", "predicted_neq_given", 0.99),
    ("cl_pbc", "prune_by_class", 0.99),
    ("cl_pbnr", "prune_by_noise_rate", 0.99),
    ("cl_both", "both", 0.99),
    ("conf_joint_only", "confident_joint", 0.99),
    ("conf_joint_only", "confident_learning", 0.94),
)
"""A published mask, our name for its rule, and the least Jaccard index of the pruned rows.

Cleanlab's `confident_learning` keeps the rows whose most probable class is the given one, which the paper did not: its
bound is what it reaches at every level of noise.
"""
ISSUES = {"mnist": 15, "cifar10": 284, "imdb": 1309, "20news": 95}
"""Label issues found in each test set, as published."""
WITHIN = 0.0005
"""Tolerance of precision and recall: the published masks were made from probabilities in higher precision."""
MASKS = "masks of cgnorthcutt/confidentlearning-reproduce"
SPARES = f"{MASKS}; cleanlab's rule spares more, its bound is measured"
COUNTS = "cleanlab/label-errors, by prune_by_noise_rate"


@dataclass(frozen=True)
class Pruned:
    """Holds the rows of CIFAR-10 that a published mask prunes and those that our rule flags, for one case."""

    what: str
    bound: float
    wrong: Bool[np.ndarray, " n"]
    theirs: Bool[np.ndarray, " n"]
    ours: Bool[np.ndarray, " n"]


def cells(golden: Path) -> Iterator[Cell]:
    """Yields the four counts of label issues, agreement with every mask, and recall and precision on planted errors.

    `golden` is the folder of published inputs; BadInput if a file is missing.
    """
    yield from issue_cells(golden)
    pruned = [one for case in cases(golden) for one in pruned_in(golden, case)]
    for one in pruned:
        source = MASKS if one.bound >= 0.99 else SPARES
        yield Cell("pruned rows, Jaccard", one.what, jaccard(one.theirs, one.ours), one.bound, 0.0, source, bound=True)
    for name, measure in (("recall", recall), ("precision", precision)):
        for one in (one for one in pruned if one.wrong.any() and one.bound >= 0.99):
            ours, theirs = measure(one.ours, one.wrong), measure(one.theirs, one.wrong)
            yield Cell(f"planted errors found, {name}", one.what, ours, theirs, WITHIN, MASKS)


def issue_cells(golden: Path) -> Iterator[Cell]:
    """Yields the number of label issues in the test sets of MNIST, CIFAR-10, IMDb and 20 Newsgroups."""
    for name, published in ISSUES.items():
        given, probs = _read(golden / TESTS, f"{name}_y", f"{name}_pyx")
        found = flag_label_errors(_labelled(given, probs), probs, "prune_by_noise_rate").sum()
        yield Cell("label issues of test sets", name, float(found), float(published), 0.0, COUNTS)


def cases(golden: Path) -> list[str]:
    """Returns the available cases of noise and sparsity, such as n0.2_s0.4."""
    with _opened(golden / CIFAR) as file:
        return sorted(name.removesuffix("_pyx") for name in file.files if name.endswith("_pyx"))


def pruned_in(golden: Path, case: str) -> Iterator[Pruned]:
    """Yields, for every rule, the rows that it prunes in that case and those of its published mask."""
    path = golden / CIFAR
    true, given, probs = _read(path, "true", f"{case}_noisy", f"{case}_pyx")
    train = _labelled(given, probs)
    for mask, rule, bound in RULES:
        (kept,) = _read(path, f"{case}_keep_train_pruned_{mask}")
        theirs = ~np.unpackbits(kept)[: len(given)].astype(bool)
        yield Pruned(f"{case} {mask}: {rule}", bound, given != true, theirs, flag_label_errors(train, probs, rule))


def jaccard(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> float:
    """Returns the share of the rows in either set that are in both; nan if both are empty."""
    return recall(first & second, first | second)


def recall(found: Bool[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"]) -> float:
    """Returns the share of the wrong rows that are found; nan if none is wrong."""
    return float(found[wrong].mean()) if wrong.any() else np.nan


def precision(found: Bool[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"]) -> float:
    """Returns the share of the found rows that are wrong; nan if none is found."""
    return recall(wrong, found)


def _labelled(given: np.ndarray, probs: Float[np.ndarray, "n k"]) -> TrainSet:
    """Returns rows without content that have those labels."""
    n, k = probs.shape
    y, w = one_hot(given.astype(np.int64), k), np.ones(n, dtype=np.float32)
    return TrainSet(np.arange(n), np.zeros((n, 0), dtype=np.float32), y, w, np.zeros((n, 0), dtype=np.int8))


def _read(path: Path, *names: str) -> list[np.ndarray]:
    with _opened(path) as file:
        return [file[name] for name in names]


def _opened(path: Path) -> np.lib.npyio.NpzFile:
    """Opens a file of arrays; BadInput if it is missing."""
    if not path.is_file():
        raise BadInput(f"{path} does not exist: name the folder that holds golden/{path.name}")
    return np.load(path, allow_pickle=False)
