"""How long label models take on simulated crowds, and how much memory: against crowd-kit, and on a million rows.

    OMP_NUM_THREADS=1 python tests/benchmarks/label_models.py            # prints JSON, one object per row
    OMP_NUM_THREADS=1 python tests/benchmarks/label_models.py crowd_kit  # one row alone

Every fit runs in a process of its own, with the values of `conf/weak/dawid_skene.yaml`; what is measured begins with
the votes as a dense array and ends with the labels. Seconds are of the processor; the peak of memory is that of the
whole process, imports and votes included. crowd-kit is given as many steps of EM as ours took.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from harness.streams import stream
from harness.vote_triples import sort_triples

EM = {"coins": "many", "smoothing": 0.0, "tolerance": 1e-5, "iterations": 1000, "estimated": True}
REPEATS = 3


def crowd(n: int, m: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Votes (n, m) of independent voters, right in 40 to 90 % of 30 % of the rows, and the true classes."""
    rng = stream(0, "benchmark", "crowd")
    gold, accuracy = rng.integers(k, size=n).astype(np.int8), rng.uniform(0.4, 0.9, m)
    votes = np.full((n, m), -1, dtype=np.int8)
    for j in range(m):
        wrong = (gold + rng.integers(1, k, size=n, dtype=np.int8)) % k
        vote = np.where(rng.random(n) < accuracy[j], gold, wrong)
        votes[:, j] = np.where(rng.random(n) < 0.3, vote, -1)
    return votes, gold


def ours(n: int, m: int, k: int, abstain: str) -> dict[str, float]:
    """Fits Dawid-Skene and labels every row."""
    from harness.strategies.weak.voter_tables import fit_dawid_skene

    votes, gold = crowd(n, m, k)
    begun = time.process_time()
    probs = fit_dawid_skene(votes, np.full(k, 1 / k), abstain=abstain, **EM)(votes)
    return {"cpu_s": time.process_time() - begun, "right": float((probs.argmax(1) == gold).mean())}


def crowd_kit(n: int, m: int, k: int, steps: int) -> dict[str, float]:
    """Fits crowd-kit's Dawid-Skene on the same votes; its table of votes is made outside the measured time."""
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    votes, gold = crowd(n, m, k)
    row, voter = np.nonzero(votes >= 0)
    table = pd.DataFrame({"task": row, "worker": voter, "label": votes[row, voter]})
    begun = time.process_time()
    model = DawidSkene(n_iter=steps, tol=1e-5).fit(table)
    seconds = time.process_time() - begun
    probs = model.probas_.sort_index().reindex(columns=range(k))
    rows = probs.index.to_numpy()
    return {
        "cpu_s": seconds,
        "right": float((probs.to_numpy().argmax(1) == gold[rows]).mean()),
        "steps": len(model.loss_history_),
    }


def many_voters(n: int, m: int, each: int, k: int, name: str) -> dict[str, float]:
    """Fits a model on a crowd of which each row has a few voters; as a dense array the votes take n m bytes."""
    from harness.strategies.weak.annotators import fit_glad, fit_mace
    from harness.strategies.weak.voter_tables import fit_dawid_skene
    from harness.strategies.weak.weighted_votes import fit_weighted_vote

    rng = stream(0, "benchmark", "many")
    gold, accuracy = rng.integers(k, size=n), rng.uniform(0.4, 0.9, m)
    rows = np.repeat(np.arange(n), each)
    voters = np.concatenate([rng.choice(m, size=each, replace=False) for _ in range(n)])
    wrong = (gold[rows] + rng.integers(1, k, size=len(rows))) % k
    labels = np.where(rng.random(len(rows)) < accuracy[voters], gold[rows], wrong)
    votes, prior = sort_triples(rows, voters, labels, (n, m)), np.full(k, 1 / k)
    begun = time.process_time()
    fits: Mapping[str, Callable] = {
        "one_coin": lambda: fit_dawid_skene(votes, prior, abstain="ignore", **{**EM, "coins": "one"}),
        "dawid_skene": lambda: fit_dawid_skene(votes, prior, abstain="ignore", **EM),
        "weighted_vote": lambda: fit_weighted_vote(votes, prior, voters="agreement"),
        "mace": lambda: fit_mace(votes, prior, rng=rng, n_restarts=1, n_iter=50),
        "glad": lambda: fit_glad(votes, prior, n_iter=10, tol=1e-5),
    }
    probs = fits[name]()(votes)
    return {"cpu_s": time.process_time() - begun, "right": float((probs.argmax(1) == gold).mean())}


ROWS: Mapping[str, tuple[Callable[..., dict[str, float]], tuple, int]] = {
    "1,000,000 x 50, 2 classes": (ours, (1_000_000, 50, 2, "symbol"), REPEATS),
    "1,000,000 x 50, 10 classes": (ours, (1_000_000, 50, 10, "symbol"), REPEATS),
    "100,000 x 50, 2 classes": (ours, (100_000, 50, 2, "ignore"), REPEATS),
    "100,000 x 50, 2 classes, crowd_kit": (crowd_kit, (100_000, 50, 2, 30), REPEATS),
    **{
        f"10,000 voters, 100,000 x 10, 20 classes, {name}": (many_voters, (100_000, 10_000, 10, 20, name), 1)
        for name in ("weighted_vote", "one_coin", "mace", "glad")
    },
}


def measured(what: str) -> dict[str, object]:
    """Runs a row in fresh processes; returns the median of its seconds, their spread, and the highest peak of memory."""
    function, said, repeats = ROWS[what]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = [pool.apply(_run, (function, said)) for _ in range(repeats)]
    seconds = sorted(one["cpu_s"] for one in found)
    return {
        "row": what, "cpu_s": round(seconds[len(seconds) // 2], 2),
        "spread_s": [round(seconds[0], 2), round(seconds[-1], 2)],
        "peak_mb": round(max(one["peak_mb"] for one in found)),
        **{name: round(value, 4) for name, value in found[0].items() if name not in ("cpu_s", "peak_mb")},
    }  # fmt: skip


def _run(function: Callable[..., dict[str, float]], said: tuple) -> dict[str, float]:
    found = function(*said)
    return {**found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    sought = sys.argv[1] if len(sys.argv) > 1 else ""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    for row in [row for row in ROWS if sought in row]:
        print(json.dumps(measured(row)), flush=True)
