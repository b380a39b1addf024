"""Words what each figure of a study shows, as its title: who gains, who costs, and what cannot be told.

Nothing is computed but the choice of numbers to name. An arm gains (or costs) if the p-value of its effect, adjusted
for the number of arms, is below 0.05; without a p-value, if its interval excludes 0. Gains are in points.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from harness.analysis.attribution import Attribution
from harness.analysis.effects import Effect
from harness.analysis.measures import unit_of
from harness.analysis.significance import LEVEL
from harness.analysis.suite import ArmSummary
from harness.analysis.variance import ALL, EXAMPLES, REST
from harness.arm import FACTORS, brief_of, may_win
from harness.report.figures.budget import SHARE, labels_to_reach, scores_by_labels
from harness.report.leaderboard import is_baseline

_KINDS = {"model": "other models", "weak": "weak supervision", "clean": "cleaning", "augment": "augmentation"}
_LATE, _RISE, _MOST = 0.2, 0.5, 3


def certain_sign(effect: Effect) -> int:
    """Returns 1 for an arm that gains, -1 for one that costs, 0 if neither can be told."""
    found = effect.interval
    if found is None or found.low <= 0 <= found.high:
        return 0
    if effect.p_adjusted is not None and effect.p_adjusted >= 1 - LEVEL:
        return 0
    return 1 if found.effect > 0 else -1


def effects_message(effects: Sequence[Effect], briefs: Mapping[str, str]) -> str:
    """Returns the best certain gain of each kind of change, and the kinds without one; by counts if kinds are mixed."""
    arms = [effect for effect in effects if effect.interval and not is_baseline(effect)]
    if not arms:
        return "No arm has an effect yet"
    if all(effect.axis == "none" for effect in arms):
        off = sum(certain_sign(effect) != 0 for effect in arms)
        told = f"but {off} of them seem{'s' * (off == 1)} to" if off else "and none seems to"
        return f"{len(arms)} arms that should change nothing, {told}"
    alone = {name: [one for one in arms if one.factors == (name,) and may_win(one.reference)] for name in FACTORS}
    kinds = {name: found for name, found in alone.items() if found}
    said = list(_by_kind(kinds, briefs)) if kinds else [_by_count(arms)]
    return re.sub("^no certain", "No certain", "; ".join(said))


def _by_kind(kinds: Mapping[str, Sequence[Effect]], briefs: Mapping[str, str]) -> Iterator[str]:
    """Yields the gains, largest first, then the kinds that only cost, then those of which nothing can be told."""
    sure = {name: [one for one in found if certain_sign(one) > 0] for name, found in kinds.items()}
    gains = sorted((max(found, key=_gain) for found in sure.values() if found), key=_gain, reverse=True)
    if gains:
        first, *others = [f"{briefs.get(one.arm, one.arm)} gains {short_points(_gain(one))}" for one in gains]
        yield ", ".join([f"{first} points", *(one.replace(" gains ", " ") for one in others)])
    costly = {name for name, found in kinds.items() if all(certain_sign(one) < 0 for one in found)}
    for name in [name for name in kinds if name in costly]:
        verb = "cost" if name == "model" else "costs"
        yield f"{_KINDS[name]} {verb} {short_points(-max(map(_gain, kinds[name])))} points or more"
    rest = [_KINDS[name] for name in kinds if name not in costly and not sure[name]]
    yield from [f"no certain gain from {in_list(rest, 'or')}"] if rest else []


def _by_count(arms: Sequence[Effect]) -> str:
    """Returns how many arms gain and cost, of those that may win."""
    ranked = [one for one in arms if may_win(one.reference)] or list(arms)
    signs = [certain_sign(one) for one in ranked]
    costly = f", {signs.count(-1)} {'costs' if signs.count(-1) == 1 else 'cost'}" if -1 in signs else ""
    more = f"; the most, {short_points(max(map(_gain, ranked)))} points" if 1 in signs else ""
    verb = "gains" if signs.count(1) < 2 else "gain"
    return f"{signs.count(1) or 'None'} of {len(ranked)} arms certainly {verb}{costly}{more}"


def _gain(effect: Effect) -> float:
    return effect.interval.effect if effect.interval else -np.inf


def attribution_message(answer: Attribution) -> str:
    """Returns which side gains more and by how much, or that this is undecided and who is ahead."""
    if answer.verdict is None:
        return "No verdict: the two sides cannot be compared"
    by = answer.verdict.by.value
    ahead, behind = ("data", "the model") if by > 0 else ("the model", "data")
    if answer.verdict.word == "undecided":
        return f"Undecided: {ahead} is {short_points(abs(by))} points ahead, which may be noise"
    return f"{ahead[0].upper()}{ahead[1:]} gains {short_points(abs(by))} points more than {behind}"


def cells_message(cells: pd.DataFrame, metric: str) -> str:
    """Returns whether the gains of model and data add up; without intervals, the best cell."""
    known = cells.dropna(subset=["interaction", "low", "high"])
    if known.empty:
        top = cells.iloc[int(cells["score"].astype(float).argmax())]
        names = " with ".join(str(top[part]) or f"the baseline's {part}" for part in ("model", "data"))
        return f"The highest score, {top['score']:.1f} {unit_of(metric)}: {names}".replace("  ", " ")
    more, less, n = int((known["low"] > 0).sum()), int((known["high"] < 0).sum()), len(known)
    if not more + less:
        return f"Gains of model and data may simply add up: no interaction can be told in {n} combinations"
    said = " and ".join(
        f"{count} gain{'s' * (count == 1)} {word}" for count, word in ((more, "more"), (less, "less")) if count
    )
    return f"Of {n} combinations, {said} than model and data do alone, added up"


def cost_message(gains: pd.DataFrame, effects: Sequence[Effect]) -> str:
    """Returns what the largest certain gain costs, and the largest at no more than the baseline's cost.

    `gains` is the frame of the figure of costs, by the arms' whole names.
    """
    certain = [effect.arm for effect in effects if certain_sign(effect) > 0]
    sure = gains[gains["arm"].isin(certain) & ~gains["reference"].astype(bool)]
    if sure.empty:
        return "No arm has a certain gain, at any cost"
    base = gains.loc[gains["arm"] == "baseline", "cpu_s"]
    own = float(base.iloc[0]) if len(base) else np.nan
    labels = bool((gains["labels"] > 0).any())
    top = sure.iloc[int(sure["effect"].argmax())]
    said = f"{short_points(top['effect'])} points cost {_price(top, own, labels)}"
    free = sure[(sure["cpu_s"] <= own) & (sure["labels"] == 0)]
    if free.empty or free["effect"].max() >= top["effect"]:
        return said
    cheap = free.iloc[int(free["effect"].argmax())]
    return f"{said}; {short_points(cheap['effect'])} cost {_price(cheap, own, labels)}"


def _price(row: pd.Series, own: float, labels: bool) -> str:
    """Returns an arm's costs in words: processor time against the baseline's `own`, and labels if any were bought."""
    count = f" and {row['labels']:.0f} labels" if row["labels"] else " and no labels"
    ratio = row["cpu_s"] / own if own > 0 else np.nan
    if np.isnan(ratio):
        return f"{row['cpu_s']:.3g} s of processor time{count if labels else ''}"
    shown = f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
    return f"{shown} times the baseline's processor time{count if labels else ''}"


def budget_message(curve: pd.DataFrame, baseline: float | None, clean: float | None) -> str:
    """Returns at how many labels each strategy comes near clean labels, or what the largest budget gains."""
    lines = scores_by_labels(curve, curve["strategy"].drop_duplicates().tolist(), baseline)
    names = list(lines)[:_MOST]
    if baseline is not None and clean is not None and clean > baseline:
        ends = {name: labels_to_reach(*lines[name], baseline + SHARE * (clean - baseline)) for name in names}
        if any(end is not None for end in ends.values()):
            reached = [f"{name} needs {end:.0f} labels" for name, end in ends.items() if end is not None]
            short = [f"{name} does not get there" for name, end in ends.items() if end is None]
            return f"For {100 * SHARE:.0f} % of the gain of clean labels {in_list([*reached, *short], 'and')}"
    ranked = sorted(names, key=lambda name: -lines[name][1][-1])
    if baseline is None:
        return in_list(
            [f"{lines[name][0][-1]:.0f} labels by {name} reach {lines[name][1][-1]:.1f}" for name in ranked], "and"
        )
    gains = {name: f"{short_points(lines[name][1][-1] - baseline)} points by {name}" for name in ranked}
    most = {name: f"{lines[name][0][-1]:.0f} labels" for name in ranked}
    if len(set(most.values())) == 1:
        return f"{most[ranked[0]]} gain {in_list(list(gains.values()), 'and')}"
    return in_list([f"{most[name]} gain {gains[name]}" for name in ranked], "and")


def curves_message(history: pd.DataFrame) -> str:
    """Returns for how many arms the validation score still rises over the last fifth of the steps, or falls.

    An arm rises if its mean rise over seeds is above half a point and above two standard errors.
    """
    rises = {
        str(arm): _late_rise(rows) for arm, rows in history.dropna(subset=["step", "value"]).groupby("arm", sort=False)
    }
    known = {arm: sign for arm, sign in rises.items() if sign is not None}
    up, down = (sum(sign == way for sign in known.values()) for way in (1, -1))
    base = {1: ", the baseline too", -1: ", the baseline falls"}.get(known.get("baseline", 0), "")
    if not known:
        return "Too few steps to tell whether training has levelled off"
    if not up + down:
        return f"Training has levelled off: the validation score of none of {len(known)} arms still rises"
    said = [f"still {verb} for {count}" for count, verb in ((up, "rises"), (down, "falls")) if count]
    return f"At the end of training the validation score {' and '.join(said)} of {len(known)} arms{base}"


def _late_rise(rows: pd.DataFrame) -> int | None:
    """Returns 1 if the score rises over the last fifth of the steps, -1 if it falls, 0 if neither; None if unknown."""
    changes = []
    for _, seed in rows.sort_values("step").groupby("seed"):
        last = float(seed["step"].iloc[-1])
        if len(seed) > 2 and last > 0:
            changes.append(seed["value"].iloc[-1] - np.interp((1 - _LATE) * last, seed["step"], seed["value"]))
    if not changes:
        return None
    error = float(np.std(changes, ddof=1) / np.sqrt(len(changes))) if len(changes) > 1 else 0.0
    mean = float(np.mean(changes))
    return int(np.sign(mean)) if abs(mean) > max(_RISE, 2 * error) else 0


def variance_message(parts: pd.DataFrame) -> str:
    """Returns which source moves a score most, and whether its interval is clear of the next one's."""
    alone = parts[~parts["name"].isin([REST, ALL, EXAMPLES])].sort_values("value", ascending=False)
    if alone.empty:
        return "No single source of variance is known"
    first = alone.iloc[0]
    said = f"The score varies most with {_source(first)}, by {first['value']:.1f} points"
    if len(alone) == 1:
        return said
    second = alone.iloc[1]
    if first["low"] > second["high"]:
        return f"{said}; next is {_source(second)}, {second['value']:.1f}"
    return f"{said}, but {_source(second)} ({second['value']:.1f}) cannot be told from it"


def _source(part: pd.Series) -> str:
    return str(part["name"]).replace("_", " ")


def slices_message(deltas: pd.DataFrame) -> str:
    """Returns the slice that gains most and the one that loses most, of those whose interval excludes 0."""
    known = deltas.dropna(subset=["delta", "low", "high"])
    known = known[~known["reference"].astype(bool)]
    up, down = known[known["low"] > 0], known[known["high"] < 0]
    said: list[str] = []
    for rows, pick, verb in ((up, "idxmax", "gains"), (down, "idxmin", "loses")):
        if len(rows):
            row = rows.loc[getattr(rows["delta"], pick)()]
            said.append(f"{row['slice']} {verb} up to {short_points(abs(row['delta']))} points")
    return "; ".join(said) if said else "No slice has a certain gain or loss"


def tasks_message(arms: Sequence[ArmSummary]) -> str:
    """Returns how many arms certainly gain on average over tasks, and the one that gains most."""
    means = [(one, one.mean) for one in arms if one.mean is not None and may_win(one.reference) and one.axis != "none"]
    if not means:
        return "No arm has a mean over tasks"
    sure = [(one, mean) for one, mean in means if (one.p_adjusted or 0.0) < 1 - LEVEL]
    up = [(one.arm, mean.value) for one, mean in sure if mean.low is not None and mean.low > 0]
    down = sum(mean.high is not None and mean.high < 0 for _, mean in sure)
    costly = f"; {down} certainly cost{'s' * (down == 1)}" if down else ""
    if not up:
        return f"No arm of {len(means)} certainly gains over tasks{costly}"
    arm, most = max(up, key=lambda pair: pair[1])
    told = f"{len(up)} of {len(means)} arms certainly gain{'s' * (len(up) == 1)} over tasks"
    return f"{told}; the most, {short_points(most)} points, {brief_of(arm.split(' '))}{costly}"


def sizes_message(curve: pd.DataFrame) -> str:
    """Returns the largest certain gain at the smallest and at the largest number of training rows."""
    known = curve.dropna(subset=["effect", "low", "high"])
    if known.empty:
        return "No arm has an effect at any number of rows"
    sizes = sorted({known["n_train"].min(), known["n_train"].max()})
    said = [f"with {size:,} rows {_best_of(known[known['n_train'] == size])}" for size in sizes]
    words = "; ".join(said)
    return f"W{words[1:]}"


def _best_of(rows: pd.DataFrame) -> str:
    sure = rows[rows["low"].astype(float) > 0]
    if sure.empty:
        return "no arm certainly gains"
    top = sure.iloc[int(sure["effect"].astype(float).argmax())]
    return f"{top['arm']} gains {short_points(top['effect'])} points"


def short_points(value: float) -> str:
    """Returns a number of points: without decimals from 10 on, else with one."""
    return f"{value:.0f}" if abs(round(value, 1)) >= 10 else f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def in_list(names: Sequence[str], last: str) -> str:
    """Returns names as a list in words, with `last` before the last one."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
