"""Makes small sets of every modality, a learner that fits them in milliseconds, and tools from both.

No file is read and nothing is downloaded.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from harness.conformance.promises import BrokenPromise
from harness.data import EvalSet, TrainSet, one_hot
from harness.learners import Fit, Protocol, Run
from harness.learners.probe import dynamics, fold_probes, out_of_sample
from harness.storage.cache import Cache
from harness.strategies import Tools
from harness.strategies.clean.fingerprints import alike_rows
from harness.streams import stream
from harness.tables import cells_table

K = 3


WORDS = ("alpha", "beta", "gamma")


KINDS = ("grey", "colour", "text", "table")


MODALITY = {"grey": "image", "colour": "image", "text": "text", "table": "table", "raw": "table"}


def rows_of(kind: str, gold: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns rows from which the class can nearly always be predicted."""
    if kind == "text":
        noise = rng.choice(np.array(["one", "two", "three", "four"]), size=(len(gold), 5))
        return np.array([" ".join([WORDS[c], *line]) for c, line in zip(gold, noise, strict=True)])
    if kind == "raw":
        return cells_of(gold, rng)
    if kind == "table":
        return (3 * np.eye(K)[gold] + rng.normal(size=(len(gold), K))).astype(np.float32)
    shape = (len(gold), 8, 8, 1 if kind == "grey" else 3)
    return (rng.integers(0, 60, size=shape) + 90 * gold[:, None, None, None]).astype(np.uint8)


def cells_of(gold: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns raw cells with errors: units, two spellings of a word, missing cells, one outlier."""
    sizes = [f"{10 * (c + 1) + noise:.2f}" for c, noise in zip(gold, rng.normal(size=len(gold)), strict=True)]
    written = rng.choice(np.array(["{} cm", "{}cm", "{} CM."]), size=len(gold))
    weights = np.array([f"{c + noise:.3f}" for c, noise in zip(gold, rng.normal(size=len(gold)), strict=True)])
    weights[rng.choice(len(gold), size=len(gold) // 9, replace=False)] = ""
    weights[rng.choice(len(gold), size=1)] = "900"
    return cells_table({
        "size": np.array([form.format(size) for form, size in zip(written, sizes, strict=True)]),
        "colour": np.array([word.upper() if rng.random() < 0.1 else word for word in np.array(WORDS)[gold].tolist()]),
        "weight": weights,
    })  # fmt: skip


def weak_set(kind: str) -> tuple[TrainSet, np.ndarray]:
    """Returns 90 rows and their true classes: 60 labelled (10 wrong, 5 soft), 30 not; four voters vote on 80 rows."""
    rng = stream(7, "small", kind)
    gold = np.arange(90) % K
    given = np.where(np.arange(90) < 60, gold, -1)
    wrong = rng.choice(60, size=10, replace=False)
    given[wrong] = (gold[wrong] + 1) % K
    votes = np.where(rng.random((90, 4)) < 0.7, gold[:, None], rng.integers(0, K, size=(90, 4)))
    votes[rng.random((90, 4)) < 0.3] = -1
    votes[50:60] = -1
    y = one_hot(given, K)
    soft = np.setdiff1d(np.arange(60), wrong)[:5]
    y[soft] = 0.8 * y[soft] + 0.2 / K
    w = np.where(given >= 0, 1, 0).astype(np.float32)
    w[soft] = 0.5
    ids = np.array([f"{kind}/{i}" for i in range(90)])
    return TrainSet(ids=ids, x=rows_of(kind, gold, rng), y=y, w=w, votes=votes.astype(np.int8)), gold


def features(x: Any) -> np.ndarray:
    """Returns one float vector per row, for rows of any kind."""
    x = np.asarray(x)
    if x.dtype.kind == "U":
        return HashingVectorizer(n_features=64).transform(x.tolist()).toarray()
    return x.reshape(len(x), -1).astype(np.float64) / (255 if x.dtype == np.uint8 else 1)


def logistic(train: TrainSet, valid: EvalSet, run: Run, max_iter: int = 200) -> Fit:
    """Fits logistic regression to the most probable classes; probability 0 for an absent class."""
    model = LogisticRegression(max_iter=max_iter).fit(features(train.x), train.classes, sample_weight=train.w)

    def predict(x: Any) -> np.ndarray:
        probs = np.zeros((len(x), train.k), dtype=np.float32)
        probs[:, model.classes_] = model.predict_proba(features(x))
        return probs

    return Fit(predict=predict, parameters=model.coef_.size, examples=len(train))


def refused(*_: Any) -> Any:
    """Raises BrokenPromise; replaces each tool that is not lent."""
    raise BrokenPromise("a tool was used that the test does not lend")


def tools_with(
    rng: np.random.Generator,
    cache: Cache | None = None,
    classes: tuple[str, ...] = ("a", "b", "c"),
    **lent: Callable[..., Any],
) -> Tools:
    """Returns tools of which only `lent` may be used; counting and noting are always allowed and have no effect."""
    names = ("pred_probs", "dynamics", "fold_probes", "ask", "valid", "in_test")
    if not set(lent) <= {*names, "count", "note"}:
        raise ValueError(f"unknown tools {set(lent) - set(names)}")
    closed: dict[str, Any] = dict.fromkeys(names, refused)
    closed |= {"count": lambda what, number: None, "note": lambda name, text: None}
    kept = cache or Cache(Path(tempfile.mkdtemp(prefix="harness-test-")))
    return Tools(rng=rng, classes=classes, cache=kept, device="cpu", **{**closed, **lent})


def tools_of(train: TrainSet, gold: Sequence[int] | np.ndarray, run: Run, *, seed: int = 0) -> Tools:
    """Returns tools with the small learner as the probe and an oracle over `gold`."""
    known = dict(zip(train.ids.tolist(), gold, strict=True))
    true = np.asarray(gold)
    return tools_with(
        stream(seed, "strategy"),
        run.cache,
        pred_probs=lambda rows: out_of_sample(rows, learner=logistic, run=run, identity="logistic"),
        dynamics=lambda rows: dynamics(rows, learner=stepwise, run=run, identity="stepwise"),
        fold_probes=lambda rows: fold_probes(rows, learner=logistic, run=run),
        ask=lambda ids: np.array([known[name] for name in ids.tolist()], dtype=np.int64),
        valid=lambda: held_out(train, true),
        in_test=partial(rows_in_test, train),
    )


def held_out(train: TrainSet, gold: np.ndarray) -> EvalSet:
    """Returns the first half of the set's rows with their true classes."""
    x = np.array(train.x[: len(train) // 2])
    return EvalSet(np.array([f"held/{i}" for i in range(len(x))]), x, np.asarray(gold[: len(x)], dtype=np.int64))


def rows_in_test(train: TrainSet, ids: np.ndarray, way: str, parameters: Mapping[str, Any]) -> np.ndarray:
    """Returns True for those rows of the set that are like one of its first six."""
    place = {name: row for row, name in enumerate(train.ids.tolist())}
    rows = train.x[[place[name] for name in ids.tolist()]]
    return alike_rows(rows, np.array(train.x[:6]), way, parameters)


def stepwise(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    """Fits the small learner and reports it four times: after a quarter of its iterations, a half, …"""
    for iterations in (1, 2, 4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            run.watch(logistic(train, valid, run, max_iter=iterations).predict)
    fit = logistic(train, valid, run)
    run.watch(fit.predict)
    return fit


def tied_tools(train: TrainSet, gold: Sequence[int] | np.ndarray, *, seed: int = 0) -> Tools:
    """Returns tools whose probabilities follow the ids and are equal for all rows of a class, wrong labels included."""
    known = dict(zip(train.ids.tolist(), gold, strict=True))
    sure = 0.7 * np.eye(train.k, dtype=np.float32) + 0.3 / train.k

    def true(ids: np.ndarray) -> np.ndarray:
        return np.array([known[name] for name in ids.tolist()], dtype=np.int64)

    return tools_with(
        stream(seed, "strategy"),
        pred_probs=lambda rows: sure[true(rows.ids)],
        dynamics=lambda rows: np.stack(3 * [sure[true(rows.ids)]]),
        ask=true,
        valid=lambda: held_out(train, np.asarray(gold)),
        in_test=partial(rows_in_test, train),
    )


def small_run(folder: Path, seed: int) -> Run:
    """Returns a run of 20 steps with its cache in `folder`; every field of its protocol is explicit."""
    protocol = Protocol(
        version=1, metric="accuracy", epochs=2, steps=None, batch_size=16, optimiser="adamw", lr=1e-2,
        lr_pretrained=1e-4, weight_decay=1e-4, warmup=0.1, selection="last", precision="fp32", augment_draws=2, folds=3,
        tuning_trials=2,
    )  # fmt: skip
    return Run(seed=seed, salt="", steps=20, protocol=protocol, classes=("a", "b", "c"), cache=Cache(folder))
