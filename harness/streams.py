"""Names in, independent random generators out: every consumer of randomness has a stream of its own."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from harness.checks import choices

STREAMS = ("init", "order", "augment", "dropout", "folds", "tuning", "adapt", "ludwig")
"""What learners draw from: initial weights (and a forest's or a booster's only seed), the order of rows, augmentations,
dropout, folds inside the training rows, configurations to try, what a model cannot take filled in, all of Ludwig's."""


def stream(seed: int, *scope: str) -> np.random.Generator:
    """The generator that `scope` names under `seed`; equal names give equal draws, other names independent ones.

    Arms of one block call it with the same names and so share the draws that they can share (common random
    numbers); a consumer that is new shifts nobody's draws, because names are hashed and never counted.
    """
    digest = hashlib.sha256(json.dumps(scope).encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))


def child_seed(rng: np.random.Generator) -> int:
    """A seed for a library that takes an integer; below 2**31, which all of them accept."""
    return int(rng.integers(2**31 - 1))


def salt_of(salt: str, name: str) -> str:
    """What of a run's salt renames the stream `name`.

    `init:a` is the salt `a` to the stream `init` and none to the others; one without a colon is the same to all. What
    follows the first `/` was added by whoever trains several times over (members, folds), and holds for all streams.
    """
    head, slash, rest = salt.partition("/")
    chosen, colon, value = head.partition(":")
    if not colon:
        return salt
    return (value if chosen == name else "") + slash + rest


def salt_faults(salt: str) -> list[str]:
    """What is wrong with a user's salt, in a line; nothing where it is plain, or for a stream that there is."""
    chosen, colon, value = salt.partition(":")
    if not colon or "/" in chosen:
        return []
    if chosen not in STREAMS:
        return [f"salt={salt} names no stream '{chosen}'{choices(chosen, STREAMS)}; one without ':' renames them all"]
    return [] if value and "/" not in value else [f"salt={salt}: say a word without '/' after ':', as in {chosen}:a"]
