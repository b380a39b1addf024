"""Names in, independent random generators out: every consumer of randomness has a stream of its own."""

import hashlib
import json

import numpy as np


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
