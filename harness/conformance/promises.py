"""Defines the error of a check that fails."""

from __future__ import annotations


class BrokenPromise(Exception):
    """Reports that an option does not do what its kind requires: the message says what happened instead."""


def require(holds: object, message: str) -> None:
    """Raises BrokenPromise with that message unless the condition is true."""
    if not holds:
        raise BrokenPromise(message)
