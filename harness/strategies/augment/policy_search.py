"""Augments by a policy that is searched on the training rows, read from a file, or drawn at random.

A policy is a list of sub-policies, each a list of `[operation, probability, level]`: every row of a batch draws one of
them, and each of its operations then acts with its probability at its level in [0, 1].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harness.checks import choices, within
from harness.data import Augment, Rows, TrainSet, take
from harness.errors import BadInput
from harness.learners import Predict
from harness.learners.batches import modality
from harness.strategies import Tools, compose
from harness.strategies.augment.lexicons import replace_words
from harness.strategies.augment.operations import STANDARD, Images, apply, strengths
from harness.strategies.augment.rows import jitter
from harness.strategies.augment.texts import aeda, char_noise, swap, word_dropout

Policy = Sequence[Sequence[tuple[str, float, float]]]
Operate = Callable[[Any, np.ndarray, np.ndarray, np.random.Generator], Any]
"""`(x, names (b,), levels (b,), rng) -> x`: the operation of each row, "" for none, at its level."""
ROWS = 256
"""Held-out rows of a fold on which a sub-policy is judged."""
LEAST = 1e-6
"""Replaces smaller probabilities, whose logarithm would decide alone."""
TEXTS: Mapping[str, Callable[[TrainSet, Tools, float], TrainSet]] = {
    "aeda": lambda train, tools, level: aeda(train, tools, punc_ratio=0.6 * level),
    "char_noise": lambda train, tools, level: char_noise(
        train, tools, p=0.2 * level, kinds=("swap", "delete", "insert", "keyboard")
    ),
    "swap": lambda train, tools, level: swap(train, tools, alpha=0.5 * level),
    "unigrams": lambda train, tools, level: replace_words(
        train, tools, alpha=0.5 * level, lexicon="unigrams", path=None
    ),
    "word_dropout": lambda train, tools, level: word_dropout(train, tools, p=0.5 * level),
}
"""Operations on texts, with what level 1 means."""
TABLES: Mapping[str, Callable[[TrainSet, Tools, float], TrainSet]] = {
    "jitter": lambda train, tools, level: jitter(train, tools, sigma=level)
}
OPERATIONS: Mapping[str, Sequence[str]] = {
    "image": [name for name in STANDARD if name != "identity"], "text": list(TEXTS), "table": list(TABLES),
}  # fmt: skip
"""What a policy may do, by modality."""


def search_policy(train: TrainSet, tools: Tools, *, candidates: int, best: int, length: int) -> TrainSet:
    """Augments by the sub-policies under which held-out training rows stay likeliest (density matching).

    For each fold of the training rows a probe trains on the others without any augmentation. `candidates` sub-policies
    of `length` operations are drawn; each augments the held-out rows (256 at most), and the `best` ones by the mean
    log-probability of the rows' labels stay, of all folds together. Lim et al. 2019, "Fast AutoAugment", with a random
    search in place of the Bayesian one. No validation label is used. The policy is noted in the record's facts, from
    which `policy` reads it.
    """
    within("augment.candidates", candidates, 1, np.inf)
    within("augment.best", best, 1, candidates)
    found: list[Any] = []
    for held_out, predict in tools.fold_probes(replace(train, augment=None)):
        rows = train.rows(held_out[:ROWS])
        drawn = [_drawn(modality(train.x), length, tools.rng) for _ in range(candidates)]
        scores = [likelihood(rows, predict, batch_function(train, tools, [one]), tools.rng) for one in drawn]
        found += [drawn[place] for place in np.argsort(-np.array(scores), kind="stable")[:best]]
    return _with_policy(train, tools, found)


def random_policy(train: TrainSet, tools: Tools, *, subpolicies: int, length: int) -> TrainSet:
    """Augments by as many sub-policies as a search keeps, but drawn blindly."""
    within("augment.subpolicies", subpolicies, 1, np.inf)
    drawn = [_drawn(modality(train.x), length, tools.rng) for _ in range(subpolicies)]
    return _with_policy(train, tools, drawn)


def policy(train: TrainSet, tools: Tools, *, path: str) -> TrainSet:
    """Augments by the policy in a file: a trial's record that has one, or a JSON list of sub-policies.

    BadInput if the file holds none, or an operation that does not fit the rows.
    """
    return _with_policy(train, tools, read_policy(path, modality(train.x)))


def _with_policy(train: TrainSet, tools: Tools, found: Policy) -> TrainSet:
    tools.note("policy", json.dumps(found))
    return replace(train, augment=compose(train.augment, batch_function(train, tools, found)))


def _drawn(kind: str, length: int, rng: np.random.Generator) -> list[tuple[str, float, float]]:
    """Returns a sub-policy of different operations where there are enough; probabilities and levels from 0.1 to 1."""
    within("augment.length", length, 1, 10)
    names = rng.permutation(OPERATIONS[kind])
    return [
        (str(names[place % len(names)]), *(float(one) for one in rng.integers(1, 11, size=2) / 10))  # type: ignore[misc]
        for place in range(length)
    ]


def likelihood(rows: TrainSet, predict: Predict, augment: Augment, rng: np.random.Generator) -> float:
    """Returns the mean log-probability, in nats, of the rows' labels once they are augmented."""
    probs = predict(augmented_rows(rows, augment, rng)).astype(np.float64)
    return float((rows.y * np.log(np.maximum(probs, LEAST))).sum(1).mean())


def augmented_rows(rows: TrainSet, augment: Augment, rng: np.random.Generator) -> Rows:
    """Returns the rows after the batch function, in the form in which they are predicted."""
    kind, y = modality(rows.x), torch.from_numpy(rows.y.copy())
    content = np.asarray(take(rows.x, np.arange(len(rows))))
    if kind == "text":
        return np.array(augment([str(text) for text in content.tolist()], y, rng)[0], dtype=np.str_)
    x = torch.from_numpy(content.astype(np.float32))
    if kind == "table":
        return augment(x, y, rng)[0].numpy()
    new, _ = augment(x.permute(0, 3, 1, 2) / 255, y, rng)
    return (new.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()


def batch_function(train: TrainSet, tools: Tools, found: Policy) -> Augment:
    """Returns the policy as a batch function."""
    kind, bare = modality(train.x), replace(train, augment=None)
    if kind == "image":
        return partial(_by_policy, policy=found, operate=_on_images)
    makers = {**TEXTS, **TABLES}
    made = {(name, level): makers[name](bare, tools, level).augment for one in found for name, _, level in one}
    steps = {key: step for key, step in made.items() if step is not None}
    return partial(_by_policy, policy=found, operate=partial(_on_rows, steps=steps))


def _by_policy(x: Any, y: Tensor, rng: np.random.Generator, *, policy: Policy, operate: Operate) -> tuple[Any, Tensor]:
    """Draws a sub-policy for each row, and applies its operations one after the other."""
    chosen = rng.integers(len(policy), size=len(y))
    for place in range(max(map(len, policy))):
        at = [one[place] if place < len(one) else ("", 0.0, 0.0) for one in policy]
        names, p, level = (np.array(part)[chosen] for part in zip(*at, strict=True))
        x = operate(x, np.where(rng.random(len(y)) < p, names, ""), level, rng)
    return x, y


def _on_images(x: Images, names: np.ndarray, level: np.ndarray, rng: np.random.Generator) -> Images:
    return apply(x, names, strengths(STANDARD, names, level, rng))


def _on_rows(
    x: list[str] | Float[Tensor, "b d"], names: np.ndarray, level: np.ndarray, rng: np.random.Generator,
    *, steps: Mapping[tuple[str, float], Augment],
) -> list[str] | Float[Tensor, "b d"]:  # fmt: skip
    """Applies batch functions of texts or tables to the rows that drew them."""
    new = list(x) if isinstance(x, list) else x.clone()
    for name, strength in sorted({key for key in zip(names.tolist(), level.tolist(), strict=True) if key[0]}):
        rows = np.flatnonzero((names == name) & (level == strength)).tolist()
        part = [x[row] for row in rows] if isinstance(x, list) else x[rows]
        changed, _ = steps[name, strength](part, torch.zeros(len(rows), 1), rng)
        for row, value in zip(rows, changed, strict=True):
            new[row] = value
    return new


def read_policy(path: str, kind: str) -> Policy:
    """Returns the policy in a record or a list; BadInput if it is none for that modality."""
    try:
        content = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is not readable as JSON: name a trial's record, or a list of sub-policies") from error
    said = content.get("facts", {}).get("policy") if isinstance(content, dict) else content
    found = json.loads(said) if isinstance(said, str) else said
    if not isinstance(found, list) or not found or not all(isinstance(one, list) and one for one in found):
        raise BadInput(f"{path} holds no policy: a list of lists of [operation, probability, level]")
    return [[_checked(step, path, kind) for step in one] for one in found]


def _checked(step: Any, path: str, kind: str) -> tuple[str, float, float]:
    """Returns one step of a sub-policy; BadInput for an operation of another modality, or a number out of range."""
    if not isinstance(step, list) or len(step) != 3 or not all(isinstance(one, int | float) for one in step[1:]):
        raise BadInput(f"{path}: {step} is not [operation, probability, level]")
    if step[0] not in OPERATIONS[kind]:
        raise BadInput(
            f"{path}: '{step[0]}' is not an operation on {kind} rows{choices(str(step[0]), OPERATIONS[kind])}"
        )
    within(f"{path}: the probability of {step[0]}", step[1], 0, 1)
    within(f"{path}: the level of {step[0]}", step[2], 0, 1)
    return str(step[0]), float(step[1]), float(step[2])
