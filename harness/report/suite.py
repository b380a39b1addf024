"""Writes the report of a suite beside its plan: Markdown, CSV, JSON, a figure and a page, the same bytes each time."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.analysis.across import Summary
from harness.analysis.choice import Estimate
from harness.analysis.suite import ArmSummary, SuiteAnswer, TaskResult
from harness.report.answers import plain_data
from harness.report.figures import tasks_forest
from harness.report.leaderboard import NONE, code, escape_markdown, probability, signed_number
from harness.report.messages import tasks_message
from harness.report.page.sheet import fill_template
from harness.storage.files import write_atomic
from harness.storage.sheets import sheet_of_rows

_HEADS = (
    "arm", "changes", "tasks", "mean effect", "adj. p", "on these tasks", "median", "interquartile mean", "sd", "rank",
    "wins, ties, losses", "P(improvement)", "without one task",
)  # fmt: skip
_LEGEND = (
    "mean effect: over tasks, with the t interval over tasks; adj. p: that of the mean being 0, adjusted by Holm for "
    "the number of arms. on these tasks: the same mean, with an interval for these tasks alone. median: with an "
    "interval from six tasks on. interquartile mean: of the middle half of all runs. sd: standard deviation of the "
    "tasks' effects. rank: mean rank among the baseline and the arms that ran on all tasks. wins, ties, losses: tasks "
    "whose own interval is above 0, includes it, or is below it. P(improvement): that a run beats a run of the "
    "control. without one task: the lowest and highest mean effect when one task is left out."
)


def write_suite(folder: Path, answer: SuiteAnswer) -> list[Path]:
    """Writes the report of a suite into its folder; returns the paths. All files are made before one is written."""
    drawn = tasks_forest(
        answer.arms, title=tasks_message(answer.arms), about=f"{answer.name}: effects over tasks. {answer.sentence}",
        note="Ticks: single tasks. Points: means over tasks, with 95 % t intervals over tasks. Hollow: negative "
        "controls and upper bounds.",
    )["png"]  # fmt: skip
    files = {
        "suite.md": suite_as_markdown(answer),
        "tasks.csv": sheet_of_rows(_task_rows(answer)),
        "effects.csv": sheet_of_rows(_effect_rows(answer)),
        "arms.csv": sheet_of_rows(_arm_rows(answer)),
        "answers.json": json.dumps(_answers(answer), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n",
        "effects.png": drawn,
        "index.html": _page(answer, drawn),
    }
    for name, content in files.items():
        write_atomic(folder / name, content)
    return [folder / name for name in files]


# Words


def _in_words(one: Estimate | Summary | None, digits: int = 2) -> str:
    """Returns a value with its interval; the value alone where its interval has no ends."""
    if one is None:
        return NONE
    value = signed_number(one.value, digits)
    if not math.isfinite(one.low):
        return value
    return f"{value} [{signed_number(one.low, digits)}, {signed_number(one.high, digits)}]"


def _chance(one: Summary | None) -> str:
    return NONE if one is None else f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _range(arm: ArmSummary) -> str:
    means = [one.value for one in arm.without.values()]
    return f"{signed_number(min(means))} to {signed_number(max(means))}" if means else NONE


def _cells(arm: ArmSummary) -> list[tuple[str, float | None]]:
    """Returns the cells of an arm's row after its name, with the number that each is sorted by."""
    won, mean = arm.tally, arm.mean
    return [
        (f"{arm.axis}{f' ({arm.reference})' if arm.reference else ''}".replace("_", " "), None),
        (str(len(arm.effects)), len(arm.effects)),
        (_in_words(mean), mean.value if mean else None),
        (probability(arm.p_adjusted), arm.p_adjusted),
        (_in_words(arm.these), arm.these.value if arm.these else None),
        (_in_words(arm.median), arm.median.value if arm.median else None),
        (_in_words(arm.interquartile), arm.interquartile.value if arm.interquartile else None),
        (NONE if arm.deviation is None else f"{arm.deviation:.2f}", arm.deviation),
        (NONE if arm.rank is None else f"{arm.rank:.1f}", arm.rank),
        (f"{won.wins}, {won.ties}, {won.losses}", won.wins - won.losses),
        (_chance(arm.improvement), arm.improvement.value if arm.improvement else None),
        (_range(arm), None),
    ]  # fmt: skip


def _effect_in(task: TaskResult, arm: ArmSummary) -> str:
    return _in_words(arm.effects.get(task.name))


# Files


def suite_as_markdown(answer: SuiteAnswer) -> bytes:
    """Returns the report in Markdown: verdict, tasks by arms, arms over tasks, references, notes."""
    matrix = [
        [_linked(task), task.word, _in_words(task.difference), *(_effect_in(task, arm) for arm in answer.arms)]
        for task in answer.tasks
    ]
    overall = answer.verdict
    matrix.append([
        "all tasks", overall.word if overall else NONE, _in_words(overall.difference if overall else None),
        *(_in_words(arm.mean) for arm in answer.arms),
    ])  # fmt: skip
    arms = [[code(arm.arm), *(text for text, _ in _cells(arm))] for arm in answer.arms]
    gaps = [
        [code(one.arm), code(one.reference), one.kind.replace("_", " "), str(len(one.gaps)), _gap(one.gaps, one.mean)]
        for one in answer.references
    ]
    lines = [
        f"# Suite {answer.name}", "", escape_markdown(answer.sentence), "", *_two_questions(answer),
        "## Tasks by arms", "",
        *_table(["task", "verdict", "data minus model", *(code(arm.arm) for arm in answer.arms)], matrix), "",
        "Effects are in percentage points over each task's own baseline, with 95 % intervals.", "",
        "## Arms over tasks", "", *_table(_HEADS, arms), "", _LEGEND, "",
    ]  # fmt: skip
    if gaps:
        lines += ["## Against their references", ""]
        lines += [*_table(["arm", "reference", "kind", "tasks", "arm minus reference"], gaps), ""]
    return "\n".join([*lines, "## Notes", "", *(f"- {escape_markdown(note)}" for note in answer.notes), ""]).encode()


def _two_questions(answer: SuiteAnswer) -> list[str]:
    """Returns the answers to the two questions of `choice` over tasks, and the verdict without each task."""
    if answer.verdict is None:
        return []
    turns = "; ".join(f"{task} {_in_words(one.difference)}, {one.word}" for task, one in answer.without.items())
    return [
        f"By choosing on validation, data minus model is {_in_words(answer.verdict.by_validation)} points over tasks; "
        f"between the best arms of both sides it is {_in_words(answer.verdict.at_best)}."
        + (f" Without each task in turn: {escape_markdown(turns)}." if turns else ""), "",
    ]  # fmt: skip


def _gap(gaps: Mapping[str, float], mean: Summary | None) -> str:
    return _in_words(mean) if mean else ", ".join(signed_number(one) for one in gaps.values())


def _linked(task: TaskResult) -> str:
    """Returns a task's name with a link to its study, or why it has none."""
    if task.study is None:
        return escape_markdown(task.name)
    return f"[{escape_markdown(task.name)}](../../{task.entry.folder}/leaderboard.md)"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, [":--"] * len(heads), *rows)]


def _task_rows(answer: SuiteAnswer) -> list[dict[str, object]]:
    return [
        {
            "task": task.name, "study": task.entry.folder, "modality": task.entry.modality, "verdict": task.word,
            **_ends("data_minus_model", task.difference), "labels": task.labels, "left_out": task.entry.why,
        }
        for task in answer.tasks
    ]  # fmt: skip


def _effect_rows(answer: SuiteAnswer) -> list[dict[str, object]]:
    """Returns a row for each task and arm with an effect, or with the reason why the arm was left out of the task."""
    rows: list[dict[str, object]] = []
    for task in answer.tasks:
        reasons = task.entry.left_out
        names = dict.fromkeys([*(arm.arm for arm in answer.arms if task.name in arm.effects), *reasons])
        known = {arm.arm: arm.effects.get(task.name) for arm in answer.arms}
        rows += [
            {"task": task.name, "arm": arm, **_ends("effect", known.get(arm)), "left_out": reasons.get(arm, "")}
            for arm in names
        ]
    return rows or [{"task": None, "arm": None, **_ends("effect", None), "left_out": None}]


def _arm_rows(answer: SuiteAnswer) -> list[dict[str, object]]:
    return [
        {
            "arm": arm.arm, "axis": arm.axis, "reference": arm.reference, "tasks": len(arm.effects),
            **_ends("mean", arm.mean), "p": _digits(arm.mean.p if arm.mean else None),
            "p_adjusted": _digits(arm.p_adjusted),
            **_ends("these_tasks", arm.these), **_ends("median", arm.median),
            **_ends("interquartile_mean", arm.interquartile), "sd": _digits(arm.deviation), "rank": _digits(arm.rank),
            "wins": arm.tally.wins, "ties": arm.tally.ties, "losses": arm.tally.losses,
            **_ends("improvement", arm.improvement),
        }
        for arm in answer.arms
    ]  # fmt: skip


def _ends(name: str, one: Estimate | Summary | None) -> dict[str, object]:
    """Returns the columns of a value and its interval; empty where there is none."""
    values = (None, None, None) if one is None else (one.value, one.low, one.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(_digits, values), strict=True))


def _digits(value: float | None) -> str | None:
    return None if value is None or not math.isfinite(value) else f"{value:.4f}"


def _answers(answer: SuiteAnswer) -> dict[str, Any]:
    """Returns all answers as plain data; an interval without ends is null."""
    return {
        "suite": answer.name,
        "sentence": answer.sentence,
        "verdict": _finite(plain_data(answer.verdict)),
        "without": _finite(plain_data(answer.without)),
        "tasks": _task_rows(answer),
        "arms": [_finite(plain_data(arm)) for arm in answer.arms],
        "references": [_finite(plain_data(one)) for one in answer.references],
        "notes": list(answer.notes),
    }


def _finite(value: Any) -> Any:
    """Returns plain data with null for each number that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page(answer: SuiteAnswer, figure: bytes) -> bytes:
    """Returns the page of a suite."""
    rows = [
        [{"text": arm.arm, "v": ""}, *({"text": text, "v": _sort_key(v)} for text, v in _cells(arm))]
        for arm in answer.arms
    ]
    content = {
        "name": answer.name, "sentence": answer.sentence, "arms": [arm.arm for arm in answer.arms],
        "tasks": [_page_task(task, answer.arms) for task in answer.tasks], "heads": list(_HEADS), "rows": rows,
        "notes": [_LEGEND, *answer.notes], "figure": f"data:image/png;base64,{base64.b64encode(figure).decode()}",
    }  # fmt: skip
    return fill_template("suite.html", content)


def _page_task(task: TaskResult, arms: Sequence[ArmSummary]) -> dict[str, Any]:
    by, known = task.difference, [(arm.arm, arm.effects.get(task.name)) for arm in arms]
    return {
        "name": task.name, "word": task.word, "why": task.entry.why, "labels": task.labels, "by": _in_words(by),
        "by_v": _sort_key(by.value if by else None),
        "href": f"../../{task.entry.folder}/index.html" if task.study else "",
        "cells": [
            {"arm": arm, "text": _in_words(one), "v": _sort_key(one.value if one else None)} for arm, one in known
        ],
    }  # fmt: skip


def _sort_key(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
