"""Explains the words of a report, each in a line or two for a reader who is no statistician."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GLOSSARY: Mapping[str, str] = MappingProxyType(
    {
        "rank": "The order by effect. Baseline, random controls and upper bounds have none: they cannot win.",
        "arm": "One combination of model and data strategies; whatever it does not name is the baseline's.",
        "axis": "What the arm changes: the model, the data, or both.",
        "accuracy": "The mean score on the test rows over seeds, in percent; ± sd is its spread over seeds.",
        "effect": (
            "How many points the arm scores more than the baseline on the same seeds and test rows. The interval holds "
            "the true effect in 95 of 100 such studies; if it includes 0, the arm may gain nothing."
        ),
        "over its reference": (
            "How many points the arm scores more than the control of its own kind: the same number of rows changed at "
            "random, or the obvious simple method. It is the merit of the strategy itself."
        ),
        "best group": "Yes if the arm does not differ significantly from the best one.",
        "differs from": "Whether the arm differs significantly from the baseline and from its reference.",
        "adj. p": (
            "How often an arm without any effect would seem to gain or lose this much, adjusted for the number of arms."
        ),
        "seeds × test": "How often the arm was trained anew, and on how many test rows each time.",
        "failed": "How many of the arm's trials ended in an error.",
        "cpu s": "Processor seconds per trial.",
        "× control": "Processor time as a multiple of the baseline's.",
        "labels bought": "Labels per trial that somebody gave for this arm: an oracle's, validation labels, or edits.",
        "gold": "True labels per trial that came with the task.",
        "seed": "The number that fixes a split of the rows and a training; another seed is another training.",
        "baseline": "The arm that all others are compared with.",
        "negative control": "An arm that makes as many changes at random: what it gains, any change would gain.",
        "simple baseline": "The obvious method, such as a majority vote.",
        "upper bound": "An arm with every true label, which no method has.",
        "ladder": "What the best model gains, what the best data strategy gains, and what both gain together.",
        "interaction": "What both together gain beyond the sum of the two; below 0 they partly do the same work.",
        "validation": "Rows by which the best arms are chosen; the test rows then score the choice.",
        "Shapley": "The gain of the best combination, divided: each part's mean gain over both orders of adding it.",
        "η²": "Share of the differences among the crossed arms' scores that model, data or their interplay explains.",
        "ω²": "The same share without what chance alone would explain; it can be below 0.",
    }
)
"""What each word means, by the word; a column's name begins with its word."""
