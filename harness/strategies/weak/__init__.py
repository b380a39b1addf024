"""Weak supervision: turns votes of labelling functions or annotators into labels and weights."""

from harness.strategies.weak.annotators import glad, mace
from harness.strategies.weak.answers import crowd
from harness.strategies.weak.clean_labels import gold, validation_labels
from harness.strategies.weak.flyingsquid import triplets
from harness.strategies.weak.majority import majority_vote
from harness.strategies.weak.pool import active_pool, random_pool_labels, self_training, spread_labels
from harness.strategies.weak.random_votes import random_vote, uniform_labels
from harness.strategies.weak.row_selection import cut_statistic, most_confident, random_share
from harness.strategies.weak.snorkel import label_model, label_model_prior
from harness.strategies.weak.user_rules import rules
from harness.strategies.weak.voter_tables import dawid_skene, naive_bayes
from harness.strategies.weak.weighted_votes import weighted_vote

__all__ = [
    "active_pool", "crowd", "cut_statistic", "dawid_skene", "glad", "gold", "label_model", "label_model_prior", "mace",
    "majority_vote", "most_confident", "naive_bayes", "random_pool_labels", "random_share", "random_vote", "rules",
    "self_training", "spread_labels", "triplets", "uniform_labels", "validation_labels", "weighted_vote",
]  # fmt: skip
