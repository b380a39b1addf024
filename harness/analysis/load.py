"""Words under which load of the machine the costs of a study were measured, and what else they include.

Processor seconds do not count the time that a trial waits for a processor, but other programs slow its work through the
shared caches and memory. So each trial's record says how busy other work kept the machine meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

BUSIER = 0.25
"""A load is much higher than another if other work kept a quarter of all processor cores more busy."""
MOST_NAMED = 6
"""The most arms that a sentence names."""


def load_notes(table: pd.DataFrame) -> list[str]:
    """Returns sentences on the costs in a table of trials (`effects.trials`); none where there is nothing to say.

    The first says which trials ran under a much higher load than the median trial, the second which arms spent
    processor seconds in further threads or in child processes. Records of earlier versions hold no load.
    """
    done = table[table["status"] == "done"]
    return [*_busy(done), *_spread(done)]


def _busy(done: pd.DataFrame) -> list[str]:
    """Returns the note on trials that ran beside much more other work than the median trial."""
    if "cost_load" not in done or not done["cost_load"].notna().any():
        return []
    known = done[done["cost_load"].notna()]
    usual = float(known["cost_load"].median())
    busy = known[known["cost_load"] > usual + BUSIER]
    if busy.empty:
        return []
    uneven = _uneven(known)
    where = (
        f"Most affected, since their controls ran on a quieter or busier machine: {_named(uneven)}."
        if uneven
        else "Arms and their controls had the same load on average, so the ratios to the control hold."
    )
    return [
        f"Costs measured on a busy machine: during {len(busy)} of {len(known)} trials other work kept "
        f"{100 * busy['cost_load'].mean():.0f} % of the processor cores busy, during the median trial "
        f"{100 * usual:.0f} %. CPU seconds grow beside other work, by a quarter or more on a crowded one, since caches "
        f"and memory are shared. {where}"
    ]


def _uneven(known: pd.DataFrame) -> list[str]:
    """Returns the arms whose mean load differs much from that of the same trials' controls."""
    own = known[["arm", "control", "cost_load"]]
    controls = known[["key", "cost_load"]].drop_duplicates("key")
    pairs = own.merge(controls, left_on="control", right_on="key", suffixes=("", "_control"))
    means = pairs.groupby("arm", sort=False)[["cost_load", "cost_load_control"]].mean()
    apart = (means["cost_load"] - means["cost_load_control"]).abs() > BUSIER
    return [str(arm) for arm in means.index[apart]]


def _spread(done: pd.DataFrame) -> list[str]:
    """Returns the note on arms whose CPU seconds include further threads or child processes."""
    words = {"cost_threads_s": "further threads", "cost_children_s": "child processes"}
    notes = []
    for column, what in words.items():
        means = done.groupby("arm")[column].mean().dropna() if column in done else pd.Series(dtype=float)
        if len(means):
            spent = [f"{arm} {seconds:.2f}" for arm, seconds in means.items()]
            notes.append(f"CPU seconds include those of {what}, per trial: {_named(spent)}.")
    return notes


def _named(names: Sequence[str]) -> str:
    """Returns names as a list, the first few of them."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
