"""Runs `harness votes`: summarises a task's labelling functions, in the terms of Snorkel's `LFAnalysis`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64
from omegaconf import DictConfig

from harness.commands.overrides import load_checked_config, option_loader
from harness.data import Task
from harness.errors import BadInput
from harness.notices import notice
from harness.run.config import plain
from harness.run.options import build
from harness.storage.cache import Cache
from harness.storage.places import expand_home
from harness.strategies.weak import answers, user_rules
from harness.strategies.weak.models import Votes
from harness.vote_triples import VoteTriples, triples

VOTE_READERS: Mapping[str, Callable[..., tuple[list[str], Votes]]] = {
    "harness.strategies.weak.rules": user_rules.rule_votes,
    "harness.strategies.weak.crowd": answers.crowd_votes,
}
"""The options of `weak` that have votes of their own, by target, and the functions that read them."""


def command(words: list[str]) -> int:
    """Runs `harness votes task=NAME … [weak=rules weak.path=FILE]`: prints a line per labelling function, then totals.

    The votes are the task's, or those of the option's rules or crowd.
    """
    odd = [word for word in words[1:] if "=" not in word]
    if odd:
        raise BadInput(f"'{odd[0]}' is not an override: write harness votes task=NAME [weak=rules weak.path=FILE]")
    cfg = load_checked_config(words[1:], option_loader())
    with notice("reading the data and putting the functions to its rows"):
        task = build(plain(cfg.task)).split(int(cfg.seed))
        names, votes = _votes(cfg, task)
    rows = _put_to_them(task, votes)
    chosen = votes.on(rows)
    table = analysis(chosen, task.gold[rows])
    table.index = pd.Index(names, name="function")
    print(_shown(table, task.classes).to_string())
    print()
    print("\n".join(f"{what}: {value}" for what, value in totals(chosen, task.gold[rows]).items()))
    return 0


def analysis(votes: Votes, gold: Int64[np.ndarray, " n"]) -> pd.DataFrame:
    """Returns one row per labelling function, from votes (-1 abstains) and the true classes (-1 if unknown).

    `polarity`: the classes that it votes for. `coverage`, `overlaps`, `conflicts`: the share of all rows on which it
    votes, on which another one votes too, on which another one votes differently. `correct`, `incorrect`: its votes on
    rows of known class; `accuracy`: the share of them that is correct, nan if there are none.
    """
    cast = triples(votes)
    many, differ, right = cast.sizes > 1, _conflict(cast), _is_right(cast, gold)
    correct, judged = _by_voter(cast, right), _by_voter(cast, (gold >= 0)[cast.rows])
    named = pd.DataFrame({"voter": cast.voters, "label": cast.labels}).drop_duplicates().sort_values("label")
    polarity = named.groupby("voter")["label"].agg(list).reindex(range(cast.width))
    return pd.DataFrame(
        {
            "polarity": [found if isinstance(found, list) else [] for found in polarity],
            "coverage": _by_voter(cast, np.ones(len(cast.voters))) / len(cast),
            "overlaps": _by_voter(cast, many[cast.rows]) / len(cast),
            "conflicts": _by_voter(cast, differ[cast.rows]) / len(cast),
            "correct": correct.astype(np.int64),
            "incorrect": (judged - correct).astype(np.int64),
            "accuracy": np.divide(correct, judged, out=np.full(len(judged), np.nan), where=judged > 0),
        }
    )


def totals(votes: Votes, gold: Int64[np.ndarray, " n"]) -> dict[str, str]:
    """Returns totals over all functions, in words: rows, votes, the shares covered, overlapping and in conflict."""
    cast, known = triples(votes), gold >= 0
    judged, right = int(known[cast.rows].sum()), int(_is_right(cast, gold).sum())
    return {
        "rows": f"{len(cast)}, of which {int(known.sum())} have a known true class",
        "functions": str(cast.width),
        "votes": f"{len(cast.voters)}"
        + (f", {100 * right / judged:.1f} % of the {judged} judged right" if judged else ""),
        "coverage": f"{100 * (cast.sizes > 0).mean():.1f} % of the rows have a vote",
        "overlap": f"{100 * (cast.sizes > 1).mean():.1f} % have two or more",
        "conflict": f"{100 * _conflict(cast).mean():.1f} % have votes for different classes",
    }


def _is_right(cast: VoteTriples, gold: Int64[np.ndarray, " n"]) -> np.ndarray:
    """Returns True for each vote that names the known class of its row."""
    return cast.labels == gold[cast.rows]


def _by_voter(cast: VoteTriples, values: np.ndarray) -> np.ndarray:
    """Returns the sum of the values of each voter's votes."""
    return np.bincount(cast.voters, weights=values, minlength=cast.width)


def _conflict(cast: VoteTriples) -> np.ndarray:
    """Returns True for each row with votes for different classes."""
    found, voted = np.zeros(len(cast), dtype=bool), cast.sizes > 0
    if voted.any():
        starts = cast.starts[:-1][voted]
        found[voted] = np.maximum.reduceat(cast.labels, starts) > np.minimum.reduceat(cast.labels, starts)
    return found


def _put_to_them(task: Task, votes: VoteTriples) -> np.ndarray:
    """Returns a mask of the rows to analyse: the unlabelled ones, else the labelled ones; all if these have no vote."""
    rows = ~task.train.labelled if (~task.train.labelled).any() else task.train.labelled
    return rows if votes.sizes[rows].any() else np.ones(len(votes), dtype=bool)


def _votes(cfg: DictConfig, task: Task) -> tuple[list[str], VoteTriples]:
    """Returns the functions' names and their votes on the training rows."""
    node = plain(cfg.weak) if cfg.get("weak") is not None else {}
    reader = VOTE_READERS.get(str(node.get("_target_")))
    if reader is not None:
        names, votes = reader(task.train, str(node["path"]), task.classes, Cache(expand_home(cfg.cache, "cache")))
        return names, triples(votes)
    if not task.train.votes.shape[1]:
        raise BadInput(f"task {task.name} has no votes: set weak=rules weak.path=FILE, or weak=crowd weak.path=FILE")
    return _named(cfg.task.get("votes"), task.train.votes.shape[1]), triples(task.train.votes)


def _named(columns: Any, m: int) -> list[str]:
    """Returns the columns that votes were read from if there is one per voter, else numbers."""
    names = [] if columns is None or isinstance(columns, str) else [str(name) for name in columns]
    return names if len(names) == m else [str(j) for j in range(m)]


def _shown(table: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Returns the table as printed: class names, shares in per cent."""
    shares = {name: (100 * table[name]).map("{:.1f} %".format) for name in ("coverage", "overlaps", "conflicts")}
    accuracy = (100 * table["accuracy"]).map(lambda value: "" if np.isnan(value) else f"{value:.1f} %")
    polarity = table["polarity"].map(lambda found: ", ".join(classes[c] for c in found))
    return table.assign(**shares, accuracy=accuracy, polarity=polarity)
