"""Recomputes cells of WRENCH's table 3: majority vote, weighted majority vote and Dawid-Skene on three tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int8, Int64

from harness.errors import BadInput
from harness.metrics import score
from harness.strategies.weak.models import Prior, VoteModel
from harness.strategies.weak.voter_tables import fit_dawid_skene
from harness.strategies.weak.votes import TIED
from harness.strategies.weak.weighted_votes import fit_weighted_vote
from harness.verify import Cell

SOURCE = "Zhang et al. 2021, WRENCH, table 3"
PUBLISHED = {
    "youtube": {"MV": 84.00, "WMV": 78.00, "DS": 83.20},
    "sms": {"MV": 23.97, "WMV": 23.97, "DS": 4.94},
    "trec": {"MV": 60.80, "WMV": 57.20, "DS": 50.00},
}
"""Accuracy in per cent; of sms, binary F1."""
FIRST, DRAWN = 77.6, 81.6
"""Majority vote on youtube with ties to the lowest class, and the mean with ties drawn at random."""


class VotedPart(NamedTuple):
    """Holds one part's votes (n, m) and true classes (n,)."""

    votes: Int8[np.ndarray, "n m"]
    gold: Int64[np.ndarray, " n"]


def cells(golden: Path) -> Iterator[Cell]:
    """Yields the nine cells, to two decimals, and one of them under two other tie rules."""
    for name, published in PUBLISHED.items():
        folder = golden / "wrench" / name
        k, parts = _read(folder)
        test = parts["test"]
        metric = "f1" if name == "sms" else "accuracy"
        for method, model in _models(parts, k).items():
            found = 100 * score(metric, test.gold, hash_ties(model(test.votes)), k)
            yield Cell("WRENCH label models", f"{name} {method}", found, published[method], 0.005, SOURCE)
        if name == "youtube":
            yield from _other_rules(test, k)


def hash_ties(probs: Float64[np.ndarray, "n k"]) -> Int64[np.ndarray, " n"]:
    """Returns the most probable class of each row; of t tied ones, the one at place sha1(row number) mod t.

    Snorkel's `probs_to_preds` breaks ties like this. The result depends on the row's position, so no strategy of ours
    offers it.
    """
    best = np.abs(probs - probs.max(1, keepdims=True)) < TIED
    tops = [np.flatnonzero(row) for row in best]
    return np.array([top[int(sha1(str(i).encode()).hexdigest(), 16) % len(top)] for i, top in enumerate(tops)])


def _models(parts: dict[str, VotedPart], k: int) -> dict[str, VoteModel]:
    """Returns the label models as WRENCH fits them: Dawid-Skene on the training votes, an abstention as a symbol."""
    train, even = parts["train"].votes, np.full(k, 1 / k)
    counts = np.bincount(parts["valid"].gold, minlength=k) + 1
    prior: Prior = counts / counts.sum()
    em = fit_dawid_skene(
        train, even, coins="many", abstain="symbol", smoothing=0.0, tolerance=1e-5, iterations=1000, estimated=True
    )
    majority, weighted = (fit_weighted_vote(train, shares, voters="equal") for shares in (even, prior))
    return {"MV": majority, "WMV": weighted, "DS": em}


def _other_rules(test: VotedPart, k: int) -> Iterator[Cell]:
    """Yields majority vote with ties to the lowest class, and with ties drawn at random (the exact mean)."""
    shares = fit_weighted_vote(test.votes, np.full(k, 1 / k), voters="equal")(test.votes)
    lowest = 100 * score("accuracy", test.gold, shares.argmax(1), k)
    tied = shares >= shares.max(1, keepdims=True) - TIED
    chance = (tied / tied.sum(1, keepdims=True))[np.arange(len(test.gold)), test.gold]
    section, source = "WRENCH label models", "the same votes under another tie rule"
    yield Cell(section, "youtube MV, ties to the lowest class", lowest, FIRST, 0.005, source)
    yield Cell(section, "youtube MV, ties drawn", 100 * float(chance.mean()), DRAWN, 0.05, source)


def _read(folder: Path) -> tuple[int, dict[str, VotedPart]]:
    """Returns the number of classes and the three parts of a folder in WRENCH format."""
    lacking = [name for name in ("label", "train", "valid", "test") if not (folder / f"{name}.json").is_file()]
    if lacking:
        raise BadInput(f"{folder} has no {lacking[0]}.json: harness verify needs the published votes there")
    return len(_json(folder, "label")), {part: _part(folder, part) for part in ("train", "valid", "test")}


def _part(folder: Path, part: str) -> VotedPart:
    rows = list(_json(folder, part).values())
    votes = np.array([row["weak_labels"] for row in rows], dtype=np.int8)
    return VotedPart(votes, np.array([row["label"] for row in rows], dtype=np.int64))


def _json(folder: Path, name: str) -> dict:
    return dict(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
