"""Weak supervision: votes of labelling functions or annotators in, labels and weights out."""

from harness.strategies.weak.majority import majority_vote
from harness.strategies.weak.random_votes import random_vote
from harness.strategies.weak.snorkel import label_model

__all__ = ["label_model", "majority_vote", "random_vote"]
