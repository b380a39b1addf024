"""Lists the arms that are worth a try on a kind of data, from small models to pretrained ones; pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.data import Modality

ProposalSide = Literal["model", "data"]


@dataclass(frozen=True)
class Proposal:
    """Holds an arm that is proposed: its overrides, its side, and why it is in the study.

    `beside` is the reference that it is held against, which comes and goes with it; None for a model, and for an arm
    that is a reference by itself. `crosses` says whether it is also run together with the arms of the other side.
    """

    arm: tuple[str, ...]
    side: ProposalSide
    why: str
    beside: tuple[str, ...] | None = None
    crosses: bool = True

    @property
    def arms(self) -> tuple[tuple[str, ...], ...]:
        """Returns the overrides of the reference, if any, and of the arm."""
        return (self.beside, self.arm) if self.beside else (self.arm,)


@dataclass(frozen=True)
class Facts:
    """Holds what of a task decides which arms fit it: counts of training rows, and whether labels, votes are there."""

    modality: Modality
    missing: bool
    uneven: bool
    duplicates: int
    overlap: int
    voters: int
    pool: int
    gold: bool
    rows: int


BASELINES = {"table": "logistic_regression", "text": "logistic_regression", "image": "lenet"}
"""The model of the baseline: what a practitioner would try first."""
_MODELS = {
    "table": (
        ("mlp", "a small network"),
        ("random_forest", "trees, averaged"),
        ("hist_gradient_boosting", "trees, boosted"),
        ("lightgbm", "trees, boosted leaf by leaf"),
    ),
    "text": (
        ("bag_of_embeddings", "a small network"),
        ("kim_cnn", "a network that sees phrases"),
        ("glove", "pretrained word vectors"),
        ("minilm_frozen", "a pretrained sentence encoder"),
    ),
    "image": (
        ("logistic_regression", "the smallest: pixels"),
        ("resnet8", "a deeper network"),
        ("resnet20", "a deeper network still"),
        ("efficientnet_lite_frozen", "pretrained on ImageNet"),
    ),
}


def baseline_of_modality(facts: Facts) -> tuple[str, ...]:
    """Returns the overrides that choose the baseline: its model, and imputation where numbers are missing."""
    model = (f"model@baseline.model={BASELINES[facts.modality]}",)
    return (*model, "clean@baseline.clean=impute") if facts.missing else model


def propose(facts: Facts) -> list[Proposal]:
    """Returns the proposals for a task, the most telling of each side first."""
    models = [Proposal((f"model={name}",), "model", why) for name, why in _MODELS[facts.modality]]
    models = [*models[-1:], *models[:-1][::-1]]  # the last is the strongest: it is let go last
    return [*models, *_weak(facts), *_cleaning(facts), *_augmentation(facts), *_bought(facts)]


def _weak(facts: Facts) -> Iterator[Proposal]:
    """Yields weak supervision where there are votes, and uses of rows without a label."""
    if facts.voters:
        control = ("weak=random_vote",)
        yield Proposal(("weak=majority_vote",), "data", "labels by the voters' majority", control)
        yield Proposal(("weak=dawid_skene",), "data", "labels by voters weighed by their confusions", control)
        yield Proposal(("weak=label_model",), "data", "labels by a label model", control)
    elif facts.pool:
        control = ("weak=random_pool_labels",)
        yield Proposal(("weak=self_training",), "data", "labels what the probe is sure of", control)
        yield Proposal(("weak=label_spreading",), "data", "labels through nearest neighbours", control, False)


def _cleaning(facts: Facts) -> Iterator[Proposal]:
    """Yields cleaning: label errors always, and what the data show signs of."""
    yield _clean(facts, "confident", "drops likely label errors", "random_drop")
    yield _clean(facts, "relabel", "corrects likely label errors", "random_relabel")
    if facts.missing:
        yield Proposal(("clean=impute_iterative",), "data", "fills gaps by regression, not by medians", None, False)
    if facts.duplicates:
        yield _clean(facts, "duplicates", "drops repeated rows", "random_drop_duplicates", False)
    if facts.overlap:
        yield _clean(facts, "leaks", "drops rows that test holds too", "random_drop_leaks", False)
    if facts.uneven:
        yield _clean(facts, "balanced_weights", "gives each class equal weight", None, False)


def _clean(facts: Facts, name: str, why: str, control: str | None, crosses: bool = True) -> Proposal:
    return Proposal(_cleaner(facts, name), "data", why, _cleaner(facts, control) if control else None, crosses)


def _cleaner(facts: Facts, name: str) -> tuple[str, ...]:
    """Returns the overrides of a cleaning strategy; where the baseline imputes, it comes after the imputation."""
    return ("clean=imputed", f"clean@clean.then={name}") if facts.missing else (f"clean={name}",)


def _augmentation(facts: Facts) -> Iterator[Proposal]:
    if facts.modality == "table":
        yield Proposal(("augment=jitter",), "data", "adds noise to the numbers", ("augment=repeat",))
        if facts.uneven and not facts.missing:
            yield Proposal(("augment=smote",), "data", "adds rows to small classes", ("augment=oversample",), False)
        yield Proposal(("augment=mixup",), "data", "blends rows in pairs", None, False)
    elif facts.modality == "text":
        yield Proposal(("augment=word_dropout",), "data", "drops words at random", ("augment=repeat",))
        yield Proposal(("augment=swap",), "data", "swaps words", ("augment=repeat",), False)
    else:
        yield Proposal(("augment=shift",), "data", "moves the picture", ("augment=noise",))
        yield Proposal(("augment=trivial_augment",), "data", "a random operation a picture", ("augment=noise",))
        yield Proposal(("augment=cutout",), "data", "hides a square", ("augment=noise",), False)


def _bought(facts: Facts) -> Iterator[Proposal]:
    """Yields the purchase of labels where true ones are known: for a twentieth of the rows, suspects or random ones."""
    if facts.gold and not facts.pool and not facts.missing:
        k = max(10, facts.rows // 20)
        control = ("clean=oracle_random", f"clean.k={k}")
        yield Proposal(("clean=oracle", f"clean.k={k}"), "data", f"buys {k} labels of suspect rows", control)


def combinations_of(models: list[Proposal], data: list[Proposal]) -> list[tuple[str, ...]]:
    """Returns the arms that combine a model with a data strategy, one of each."""
    return [(*model.arm, *strategy.arm) for model in models for strategy in data if strategy.crosses]
