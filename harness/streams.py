"""Derives independent random generators from names: every consumer of randomness has a stream of its own."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from harness.checks import choices

STREAMS = ("init", "order", "augment", "dropout", "folds", "tuning", "adapt", "ludwig")
"""What learners draw: initial weights (and the only seed of a forest or booster), the order of rows, augmentations,
dropout, folds of the training rows, configurations to try, adaptations to a model's limits, everything of Ludwig's."""


def stream(seed: int, *scope: str) -> np.random.Generator:
    """Returns the generator named by `scope` under `seed`: equal names give equal draws, other names independent ones.

    Arms of one block use the same names and so share the draws that they can share (common random numbers). A new
    consumer does not change the draws of others, because names are hashed and not counted.
    """
    digest = hashlib.sha256(json.dumps(scope).encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))


def child_seed(rng: np.random.Generator) -> int:
    """Draws a seed for a library that takes an integer; below 2**31, which all of them accept."""
    return int(rng.integers(2**31 - 1))


def salt_of(salt: str, name: str) -> str:
    """Returns the part of a run's salt that renames the stream `name`.

    `init:a` gives the salt `a` to the stream `init` and none to the others; a salt without a colon applies to all. The
    part from the first `/` on is added by code that trains several times (members, folds) and applies to all streams.
    """
    head, slash, rest = salt.partition("/")
    chosen, colon, value = head.partition(":")
    if not colon:
        return salt
    return (value if chosen == name else "") + slash + rest


def salt_faults(salt: str) -> list[str]:
    """Returns what is wrong with a user's salt, in one line; empty if it is plain or names a known stream."""
    chosen, colon, value = salt.partition(":")
    if not colon or "/" in chosen:
        return []
    if chosen not in STREAMS:
        return [f"salt={salt}: unknown stream '{chosen}'{choices(chosen, STREAMS)}; one without ':' renames them all"]
    return [] if value and "/" not in value else [f"salt={salt}: write a word without '/' after ':', as in {chosen}:a"]
