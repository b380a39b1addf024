"""Collects a study's answers as plain data: the numbers that a page, a README or a test may quote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from harness.analysis.new_training_sets import NEW_SET, POOL
from harness.analysis.study import Study
from harness.analysis.ties import best_group

ANSWER_DIGITS = 4


def collect_answers(study: Study) -> dict[str, Any]:
    """Returns verdict, ladder, shares and sensitivity of a study, rounded so that rounding errors of sums do not show.

    `attribution` is None if the baseline never finished; parts of it are None if the study cannot determine them.
    """
    return {
        "study": study.name,
        "task": study.task,
        "metric": study.metric,
        "arms": len(study.effects),
        "trials": len(study.table),
        "failed": sum(effect.n_failed for effect in study.effects),
        "first": best_group(study.effects),
        "attribution": plain_data(study.attribution),
        "by_metric": plain_data(study.by_metric),
        "test_policies": plain_data(study.policies),
        "components": plain_data(study.components),
        "intervals": _claims(study),
        "references": plain_data(study.references),
        "notes": list(study.notes),
    }


def _claims(study: Study) -> dict[str, Any]:
    """Returns each arm's two intervals by the claim that they support; the second is None where it does not apply."""
    return {
        "about": {"interval": POOL, "new_set": NEW_SET},
        "train_shared": plain_data(study.new_sets.shared),
        "no_new_set": study.new_sets.reason or None,
        "arms": {
            effect.arm: {
                "effect": plain_data(effect.interval.effect),
                "interval": plain_data([effect.interval.low, effect.interval.high]),
                "new_set": plain_data(effect.new_set),
            }
            for effect in study.effects
            if effect.interval
        },
    }


def plain_data(value: Any) -> Any:
    """Turns dataclasses, mappings and numbers into what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain_data(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): plain_data(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(one) for one in value]
    return round(value, ANSWER_DIGITS) + 0.0 if isinstance(value, float) else value
