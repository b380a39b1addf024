"""What a verdict depends on: arms left out, the worst dropped, the median arms and matched cost, each by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from known_truth import made

from harness.analysis.attribution import Attribution, Omitted, attribute
from harness.analysis.ladder import axes, decide_axes, draw_means
from harness.analysis.scores import Scores
from harness.analysis.sensitivity import without_each
from harness.streams import stream


def precise(means: Mapping[str, float], *, valid: Mapping[str, float] | None = None, cpu_s: Sequence[float] = (),
            luck: float = 0.1) -> Scores:  # fmt: skip
    """Scores with those exact means and hardly any noise."""
    noise = stream(0, "test", "precise").normal(size=(2, len(means), 4)) * luck
    noise -= noise.mean(-1, keepdims=True)
    rows, chosen_by = (
        np.array([named[arm] for arm in means])[:, None] for named in (means, {**means, **(valid or {})})
    )
    return made(list(means), rows + noise[0], chosen_by + noise[1], cpu_s=cpu_s)


def answer(scores: Scores) -> Attribution:
    return attribute(scores, draws=300, rng=stream(0, "test", "sensitivity"))


def omitted(found: Attribution, what: str) -> Omitted:
    return next(one for one in found.sensitivity if one.what == what)


CARRIED = {"baseline": 80.0, "model=a": 84.0, "model=b": 83.0, "clean=c": 86.0, "clean=d": 81.0, "augment=e": 80.5}


def test_the_one_arm_that_carries_the_verdict_is_found() -> None:
    found = answer(precise(CARRIED))
    assert found.verdict is not None
    assert (found.verdict.word, found.carried_by) == ("data", "clean=c")
    without = omitted(found, "without clean=c")
    assert (without.word, without.arms) == ("model", ("model=a", "clean=d"))
    assert without.difference.value == pytest.approx(1 - 4)
    assert found.verdict.sentence.endswith(" One arm decides this: without clean=c, the model wins.")
    assert not any("without any one" in note for note in found.notes)


def test_each_candidate_is_left_out_once() -> None:
    found = answer(precise(CARRIED))
    names = [one.what for one in found.sensitivity]
    assert names == [
        *(f"without {arm}" for arm in CARRIED if arm != "baseline"),
        "worst arm of each axis dropped", "median arm of each axis", "matched cost",
    ]  # fmt: skip
    unmoved = omitted(found, "without clean=d")
    assert (unmoved.word, unmoved.arms) == ("data", ("model=a", "clean=c"))
    assert unmoved.difference.value == pytest.approx(2)


def test_several_carriers_are_all_told_the_largest_first() -> None:
    means = {"baseline": 80.0, "model=a": 84.0, "model=b": 79.0, "clean=c": 84.0, "clean=d": 82.0}
    found = answer(precise(means))
    assert found.verdict is not None
    assert (found.verdict.word, found.carried_by) == ("undecided", "model=a")  # moves by 4, clean=c by 2
    assert "The verdict changes without any one of these arms: model=a, clean=c." in found.notes
    assert found.verdict.sentence.endswith(
        " Single arms decide this: without model=a, data wins; without clean=c, the model wins."
    )


def test_an_axis_keeps_its_only_arm() -> None:
    found = answer(precise({"baseline": 80.0, "model=a": 84.0, "clean=c": 86.0, "clean=d": 85.9}))
    assert not any(one.what == "without model=a" for one in found.sensitivity)
    assert "model=a is the only model arm: how far the verdict depends on it cannot be tested." in found.notes
    assert found.carried_by is None


def test_leaving_an_arm_out_is_what_a_study_without_it_would_say() -> None:
    """The same scores with the arm's row gone."""
    scores = precise(CARRIED, luck=2.0)
    where, drawn = axes(scores), draw_means(scores, 500, stream(0, "test"))
    keep = [place for place, arm in enumerate(scores.arms) if arm != "clean=c"]
    fewer = scores.only(keep)
    less = axes(fewer)
    alone = decide_axes(fewer, less, less.model, less.data).verdict
    assert without_each(drawn, where)["clean=c"].difference == alone


def test_the_worst_on_validation_is_dropped() -> None:
    """model=b is the worst on test but not on validation, where model=a is; without model=a the model gains 1."""
    means = {"baseline": 80.0, "model=a": 84.0, "model=b": 81.0, "clean=c": 86.0, "clean=d": 85.0, "clean=e": 82.0}
    found = answer(precise(means, valid={"model=a": 80.5, "model=b": 81.0}))
    worst = omitted(found, "worst arm of each axis dropped")
    assert worst.arms == ("model=b", "clean=c")
    assert worst.difference.value == pytest.approx(6 - 1)
    two = {"baseline": 80.0, "model=a": 84.0, "clean=c": 86.0}
    assert not any("worst" in one.what for one in answer(precise(two)).sensitivity)


def test_median_arms_by_hand() -> None:
    """The models gain 3 and 1, so 2 in the middle; the data strategies gain 10, 6 and 7."""
    means = {"baseline": 80.0, "model=a": 83.0, "model=b": 81.0, "clean=c": 90.0, "clean=d": 86.0, "clean=e": 87.0}
    middle = omitted(answer(precise(means)), "median arm of each axis")
    assert middle.difference.value == pytest.approx(7 - 2)
    assert (middle.arms[1], middle.word) == ("clean=e", "data")
    assert middle.difference.low < 5 < middle.difference.high


def test_the_median_arm_does_not_depend_on_how_many_arms_there_are() -> None:
    """Twice as many data strategies of the same quality leave the median where it was."""
    few = {"baseline": 80.0, "model=a": 82.0, "clean=c": 84.0, "clean=d": 88.0}
    many = {**few, "augment=e": 84.0, "augment=f": 88.0}
    found = [omitted(answer(precise(means)), "median arm of each axis").difference.value for means in (few, many)]
    assert found == pytest.approx([6 - 2, 6 - 2])


def test_matched_cost_by_hand() -> None:
    """The best model takes ten times the time of the best data: the cheap model replaces it."""
    means = {"baseline": 80.0, "model=big": 90.0, "model=small": 82.0, "clean=c": 86.0, "clean=d": 85.0}
    found = answer(precise(means, cpu_s=[1.0, 20.0, 3.9, 2.0, 9.0]))
    assert found.verdict is not None
    assert found.verdict.word == "model"
    matched = omitted(found, "matched cost")
    assert (matched.word, matched.arms) == ("data", ("model=small", "clean=c"))
    assert matched.difference.value == pytest.approx(6 - 2)


def test_matched_cost_never_asks_for_less_than_the_baseline() -> None:
    """A model that is cheaper than the baseline does not rule out data strategies, which train the baseline's."""
    means = {"baseline": 80.0, "model=a": 82.0, "clean=c": 86.0}
    matched = omitted(answer(precise(means, cpu_s=[10.0, 0.1, 12.0])), "matched cost")
    assert matched.arms == ("model=a", "clean=c")


def test_matched_cost_has_nothing_to_match_where_the_baseline_is_kept() -> None:
    means = {"baseline": 80.0, "model=a": 70.0, "clean=c": 86.0}
    matched = omitted(answer(precise(means, cpu_s=[1.0, 1.0, 30.0])), "matched cost")
    assert matched.arms == ("baseline", "clean=c")
    assert matched.word == "data"
