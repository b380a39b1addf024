"""Compares every label model, as its option ships it, with other software on three published sets of votes.

The option's own function runs with the values of its YAML on the training rows, those that have a vote or all. What is
compared is the class of each row with a vote (the mean agreement in per cent), since libraries stop their iterations by
other rules. An option
that no other software computes, or whose published numbers `harness.verify.wrench` recomputes, is said to be so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from hydra.utils import get_method

from harness.data import EvalSet, TrainSet, one_hot
from harness.errors import BadInput
from harness.storage.cache import Cache
from harness.strategies import Tools
from harness.strategies.weak.models import Probs
from harness.strategies.weak.snorkel import keep_global_generators
from harness.streams import child_seed, stream
from harness.verify import Cell
from harness.verify.wrench import PUBLISHED, VotedPart, read_option, read_wrench, shipped

SECTION = "label models as shipped, beside other software: per cent of the rows with the same class"
TAUGHT = 50
"""Rows whose true class `naive_bayes_given` learns from, as where a task has a small gold set."""
_DRAWS = "verify"
"""The stream that options draw from."""


@dataclass(frozen=True)
class VotedRows:
    """Holds training rows, of `k` classes, and the validation rows that a prior may be counted on."""

    train: VotedPart
    valid: VotedPart
    k: int


@dataclass(frozen=True)
class Rival:
    """Holds another implementation: its probabilities (n, k), the least agreement in per cent, and its name.

    `tasks` are those that it is run on. `given` names the rows that both get: `voted`, those with a vote, `untied`,
    those whose majority is unique, or `all`.
    """

    probs: Callable[[VotedRows], Probs]
    least: float
    source: str
    tasks: tuple[str, ...] = tuple(PUBLISHED)
    given: str = "voted"


def cells(golden: Path) -> Iterator[Cell]:
    """Yields the agreement of each option on each task, then the options that nothing is compared with, and why."""
    parts = {name: read_wrench(golden / "wrench" / name) for name in PUBLISHED}
    for option, rival in RIVALS.items():
        for name in rival.tasks:
            k, one = parts[name]
            yield _compared(option, rival, name, voted_rows(one, k, rival.given))
    for option, why in ALONE.items():
        yield Cell(SECTION, option, np.nan, None, 0.0, why)


def voted_rows(parts: Mapping[str, VotedPart], k: int, given: str) -> VotedRows:
    """Returns the training rows that have a vote, those with a unique majority, or all (see `Rival`)."""
    train = parts["train"]
    counts = np.stack([(train.votes == c).sum(1) for c in range(k)], axis=1)
    rows = (counts.max(1) > 0) | (given == "all")
    if given == "untied":
        rows &= (counts == counts.max(1, keepdims=True)).sum(1) == 1
    return VotedRows(VotedPart(train.votes[rows], train.gold[rows]), parts["valid"], k)


def _compared(option: str, rival: Rival, name: str, rows: VotedRows) -> Cell:
    """Returns the agreement of an option with another implementation; a library that is absent compares nothing."""
    what = f"{name} {option}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the other software's own
            theirs = rival.probs(rows)
    except ImportError as error:
        return Cell(SECTION, what, np.nan, None, 0.0, f"{rival.source}: {error.name} is not installed")
    ours = shipped_labels(option, rows)
    same = (top_classes(ours) == top_classes(theirs))[(rows.train.votes >= 0).any(1)]
    return Cell(SECTION, what, 100 * float(same.mean()), rival.least, 0.0, rival.source, bound=True)


def top_classes(probs: Probs) -> np.ndarray:
    """Returns the most probable class of each row, the first of tied ones."""
    return np.round(probs, 6).argmax(1)


def shipped_labels(option: str, rows: VotedRows) -> Probs:
    """Returns the labels (n, k) that an option gives to rows, with the values of its YAML; 0 for rows without a vote.

    The first `TAUGHT` rows have their true class as label where the option learns from labelled rows.
    """
    node = read_option(option)
    function = get_method(node["_target_"])
    n, taught = len(rows.train.gold), node.get("teacher") == "given"
    known = np.where(np.arange(n) < TAUGHT * taught, rows.train.gold, -1)
    train = TrainSet(
        np.arange(n).astype(str), np.zeros((n, 1), np.float32), one_hot(known, rows.k),
        (known >= 0).astype(np.float32), rows.train.votes,
    )  # fmt: skip
    made = function(train, _tools(rows), **shipped(option, function))
    return np.asarray(made.y, dtype=np.float64)


def _tools(rows: VotedRows) -> Tools:
    """Returns tools that lend a generator and the validation labels, all that a label model may ask for."""

    def refuse(*_: object) -> Any:
        raise BadInput("a label model asks for nothing but votes and validation labels")

    gold = rows.valid.gold
    ids, x = np.arange(len(gold)).astype(str), np.zeros((len(gold), 1), np.float32)
    return Tools(
        rng=stream(0, _DRAWS), pred_probs=refuse, dynamics=refuse, fold_probes=refuse, ask=refuse,
        valid=lambda: EvalSet(ids, x, gold), in_test=refuse, count=refuse, note=refuse,
        classes=tuple(map(str, range(rows.k))), cache=Cache(Path()), device="cpu",
    )  # fmt: skip


def answers(rows: VotedRows) -> pd.DataFrame:
    """Returns the votes as crowd-kit takes them, sorted by class: it numbers the classes as they first appear."""
    task, worker = np.nonzero(rows.train.votes >= 0)
    table = pd.DataFrame({"task": task, "worker": worker, "label": rows.train.votes[task, worker]})
    return table.sort_values("label", kind="stable", ignore_index=True)


def _ordered(found: Any, k: int) -> Probs:
    """Returns a table of probabilities as an array, rows by number and classes by number."""
    return found.sort_index().reindex(columns=range(k), fill_value=0.0).fillna(0.0).to_numpy(dtype=np.float64)


def _crowd_kit(rows: VotedRows, *, name: str, **said: int | float) -> Probs:
    import crowdkit.aggregation

    return _ordered(getattr(crowdkit.aggregation, name)(**said).fit(answers(rows)).probas_, rows.k)


def _wawa(rows: VotedRows) -> Probs:
    """Returns crowd-kit's Wawa, in the two steps of which it consists."""
    from crowdkit.aggregation import MajorityVote, Wawa

    table = answers(rows)
    return _ordered(MajorityVote().fit(table, skills=Wawa().fit(table).skills_).probas_, rows.k)


def _one_coin(rows: VotedRows, *, steps: int) -> Probs:
    """Returns crowd-kit's one-coin model after so many of its own steps, with its class prior held uniform."""
    from crowdkit.aggregation import MajorityVote, OneCoinDawidSkene

    table, even = answers(rows), pd.Series(1 / rows.k, index=range(rows.k))
    probs: Any = MajorityVote().fit(table).probas_
    for _ in range(steps):
        skills = OneCoinDawidSkene._m_step(table, probs)
        errors = OneCoinDawidSkene._process_skills_to_errors(table, probs, skills)
        probs = OneCoinDawidSkene._e_step(table, even.reindex(probs.columns), errors)
    return _ordered(probs, rows.k)


def _snorkel_majority(rows: VotedRows) -> Probs:
    from snorkel.labeling.model import MajorityLabelVoter

    return MajorityLabelVoter(rows.k).predict_proba(rows.train.votes.astype(np.int64))


def _snorkel(rows: VotedRows, *, option: str) -> Probs:
    """Returns Snorkel's own label model with the parameters of the option's YAML, and the seed that it draws."""
    from snorkel.labeling.model import LabelModel

    node, votes = read_option(option), rows.train.votes.astype(np.int64)
    counts = np.bincount(rows.valid.gold, minlength=rows.k) + 1 if node.get("prior") == "valid" else np.ones(rows.k)
    with keep_global_generators():
        model = LabelModel(cardinality=rows.k, verbose=False)
        said = {name: node[name] for name in ("n_epochs", "lr", "l2")}
        model.fit(
            votes,
            class_balance=list(counts / counts.sum()),
            progress_bar=False,
            seed=child_seed(stream(0, _DRAWS)),
            **said,
        )
        return np.asarray(model.predict_proba(votes))


def _naive_bayes(rows: VotedRows, *, option: str) -> Probs:
    """Returns scikit-learn's naive Bayes of categories, an abstention being one, taught as the option is."""
    from sklearn.naive_bayes import CategoricalNB

    node, votes, n = read_option(option), rows.train.votes.astype(np.int64) + 1, len(rows.train.gold)
    if node["teacher"] == "given":
        y = one_hot(rows.train.gold, rows.k) * (np.arange(n) < TAUGHT)[:, np.newaxis]
    else:
        counts = np.stack([(rows.train.votes == c).sum(1) for c in range(rows.k)], axis=1)
        y = counts == counts.max(1, keepdims=True)
        y = y / y.sum(1, keepdims=True)
    row, known = np.nonzero(y)
    prior = np.bincount(known, y[row, known], minlength=rows.k) + 1 if node["prior"] == "given" else np.ones(rows.k)
    model = CategoricalNB(alpha=node["smoothing"], min_categories=rows.k + 1, fit_prior=False)
    # The votes of one row of each class with no weight make sure that all classes are known.
    votes_of = np.concatenate([votes[row], votes[np.zeros(rows.k, np.int64)]])
    classes, weight = np.concatenate([known, np.arange(rows.k)]), [*y[row, known], *([1e-12] * rows.k)]
    model.fit(votes_of, classes, sample_weight=weight)
    joint = model.predict_joint_log_proba(votes) - model.class_log_prior_ + np.log(prior / prior.sum())
    found = np.exp(joint - joint.max(1, keepdims=True))
    return found / found.sum(1, keepdims=True)


_SKLEARN = "scikit-learn, CategoricalNB"
RIVALS: Mapping[str, Rival] = MappingProxyType({
    "majority_vote": Rival(_snorkel_majority, 100, "Snorkel, MajorityLabelVoter"),
    "weighted_vote": Rival(_wawa, 100, "crowd-kit, Wawa (rows without a tie)", given="untied"),
    "one_coin": Rival(partial(_one_coin, steps=100), 99, "crowd-kit's steps of OneCoinDawidSkene, uniform prior"),
    "glad": Rival(partial(_crowd_kit, name="GLAD", n_iter=20), 98, "crowd-kit, GLAD", tasks=("youtube", "trec")),
    "label_model": Rival(partial(_snorkel, option="label_model"), 100, "Snorkel, LabelModel", given="all"),
    "label_model_prior": Rival(partial(_snorkel, option="label_model_prior"), 100, "Snorkel, LabelModel"),
    "naive_bayes": Rival(partial(_naive_bayes, option="naive_bayes"), 100, _SKLEARN),
    "naive_bayes_given": Rival(partial(_naive_bayes, option="naive_bayes_given"), 100, _SKLEARN),
})  # fmt: skip
"""What each option is compared with. The least agreement is below 100 where iterations end by other rules."""
ALONE: Mapping[str, str] = MappingProxyType({
    "dawid_skene_prior": "no published number, and no other software that holds the prior of validation labels in EM",
    "mace": "no published number; crowd-kit's agrees with itself on 71 % of youtube's rows from seed to seed",
})  # fmt: skip
"""The options that nothing is compared with, and why; those of `harness.verify.wrench` have published numbers."""
