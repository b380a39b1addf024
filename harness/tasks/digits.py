"""Makes a task with simulated weak annotators from scikit-learn's 1,797 digits: data that is always available."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

from harness.data import Source, Task, digest
from harness.errors import BadInput
from harness.streams import stream
from harness.tasks import checks
from harness.tasks.parts import Part, given_wrong, part, subsample, task
from harness.tasks.split import draw_stratified, fixed_stream

Window = tuple[slice, slice]
CLASSES = tuple("0123456789")
SIGHT: Mapping[str, Window] = {
    "left half": np.s_[:, :4],
    "right half": np.s_[:, 4:],
    "upper half": np.s_[:4, :],
    "lower half": np.s_[4:, :],
    "every other pixel": np.s_[::2, ::2],
}
"""The part of the 8x8 pixels that each of the five annotators sees: they err on different rows, mostly hard ones."""
LESSONS = (30, 45, 65, 90, 120, 160, 210, 280)
"""Numbers of rows that an annotator may learn from: more rows, fewer mistakes."""


def digits(
    *,
    n_test: int,
    n_valid: int,
    n_reserved: int,
    wrong: Sequence[float],
    smoothing: float,
    abstain: float,
    n_train: int | None,
    split_seed: int | None,
) -> Source:
    """Returns the digits as uint8 images (n, 8, 8, 1); given labels and votes come from five simulated annotators.

    Annotators are naive Bayes classifiers that learn from true rows of the reserved part and do not see half of the
    pixels or more (`SIGHT`). `wrong` holds the target error rate of each annotator on the training rows: each learns
    from the number of rows (of `LESSONS`) that comes closest. `smoothing` is the share of the largest variance that is
    added to all variances. In `votes` each abstains on the `abstain` share of rows for which it is least certain; the
    given label is the first annotator's answer to every row. Validation and test labels are the true ones.
    """
    checks.check_fraction(abstain, "task.abstain", low=-1e-9)
    _check_wrong(wrong)
    pixels, y = load_digits(return_X_y=True)
    x = np.rint(pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    ids = np.array([f"digit-{i}" for i in range(len(y))])
    rows = part(ids, x, given=y, gold=y)
    _check_sizes(n_test, n_valid, n_reserved, len(rows))

    def split(seed: int) -> Task:
        test, rest = _apart(rows, n_test, fixed_stream(seed, split_seed))
        rng = stream(seed, "task", "split")
        reserved, rest = _apart(rest, n_reserved, rng)
        valid, train = _apart(rest, n_valid, rng)
        train = _annotate(train, reserved, wrong, smoothing, abstain, stream(seed, "task", "noise"))
        train = subsample(train, n_train, len(CLASSES), seed)
        drawn_from = len(rows) - (0 if split_seed is None else len(test))
        facts = _facts(train) | {"left_out": 0, "train_shared": len(train) / drawn_from}
        return task("digits", "image", CLASSES, {"train": train, "valid": valid, "test": test}, facts)

    return Source(fingerprint=digest(np.concatenate([x.reshape(len(x), -1), y[:, None]], axis=1)), split=split)


def _apart(rows: Part, n: int, rng: np.random.Generator) -> tuple[Part, Part]:
    """Returns `n` rows, stratified by truth, and the others."""
    drawn = draw_stratified(rows.gold, n, rng, cover=True)
    return rows.rows(drawn), rows.rows(np.setdiff1d(np.arange(len(rows)), drawn))


def _annotate(
    train: Part, reserved: Part, wrong: Sequence[float], smoothing: float, abstain: float, rng: np.random.Generator
) -> Part:
    """Returns the training rows with the first annotator's answers as labels and all five as votes."""
    answers, votes = [], []
    for window, share in zip(SIGHT.values(), wrong, strict=True):
        probability = _annotator(train, reserved, window, share, smoothing, rng)
        answer = probability.argmax(1)
        unsure = np.argsort(probability.max(1), kind="stable")[: round(abstain * len(train))]
        answers.append(answer)
        votes.append(np.where(np.isin(np.arange(len(train)), unsure), -1, answer))
    return replace(train, given=answers[0], votes=np.stack(votes, axis=1).astype(np.int8))


def _annotator(
    train: Part, reserved: Part, window: Window, share: float, smoothing: float, rng: np.random.Generator
) -> np.ndarray:
    """Returns class probabilities (n, 10) of the training rows from the annotator whose error rate is closest to
    `share`.
    """
    seen, taught = _seen(train.x, window), _seen(reserved.x, window)
    lessons = [draw_stratified(reserved.gold, n, rng, cover=True) for n in LESSONS]
    pupils = [GaussianNB(var_smoothing=smoothing).fit(taught[rows], reserved.gold[rows]) for rows in lessons]
    probabilities = [pupil.predict_proba(seen) for pupil in pupils]
    return min(probabilities, key=lambda p: abs(float((p.argmax(1) != train.gold).mean()) - share))


def _check_sizes(n_test: int, n_valid: int, n_reserved: int, rows: int) -> None:
    """Requires at least one row per class in each part, and enough rows for the annotators to learn from."""
    k = len(CLASSES)
    checks.check_limit(n_test, rows, k, "task.n_test")
    checks.check_limit(n_valid, rows - n_test, k, "task.n_valid")
    if not LESSONS[-1] <= n_reserved <= rows - n_test - n_valid - k:
        raise BadInput(
            f"task.n_reserved is {n_reserved}: give at least {LESSONS[-1]}, and at most {rows - n_test - n_valid - k}, "
            "so that some rows are left to train on"
        )


def _check_wrong(wrong: Sequence[float]) -> None:
    if len(wrong) != len(SIGHT):
        raise BadInput(
            f"task.wrong has {len(wrong)} entries: give one share of mistakes for each of {len(SIGHT)} annotators"
        )
    for share in wrong:
        checks.check_fraction(share, "an entry of task.wrong")


def _seen(x: np.ndarray, window: Window) -> np.ndarray:
    """Returns the pixels (n, p) in [0, 1] that one annotator sees."""
    return x[(slice(None), *window)].reshape(len(x), -1) / 255.0


def _facts(train: Part) -> dict[str, object]:
    wrong = 100 * (given_wrong(train) or 0.0)
    return {
        "simulated": True,
        "noise": f"simulated: given labels are the first of five weak annotators' answers, {wrong:.1f} % wrong",
        "train_labels": "given",
        "valid_labels": "gold",
        "test_labels": "gold",
    }
