"""Sets and reads the global generators of Python, numpy and torch, which options must not draw from.

No other module but `streams.py` uses a generator that is not an argument.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def global_luck(seed: int) -> Iterator[None]:
    """Seeds the global generators of Python, numpy and torch for a block, and restores their states afterwards."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - kept, never drawn from
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - where an option must not look
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002 - see above
        torch.set_rng_state(kept[2])


def scatter_global_state() -> None:
    """Puts the global generators into a new state, drawn by the operating system."""
    np.random.seed(secrets.randbits(32))  # noqa: NPY002 - the very generator that is tested
    torch.manual_seed(secrets.randbits(48))


def global_state() -> dict[str, Any]:
    """Returns the states of the global generators, with numpy's position, since its words change every 624 draws only.

    Python's is not included: beartype, which checks annotations while tests run, draws from it.
    """
    kind, words, *place = np.random.get_state()  # noqa: NPY002 - looked at, not drawn from
    return {"numpy": [kind, np.asarray(words).tolist(), *place], "torch": torch.get_rng_state().tolist()}
